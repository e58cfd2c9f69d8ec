"""Whether files are still what was fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isocortex.errors import DataError
from isocortex.recordings.paths import check_relative, describe
from isocortex.storage.atomic import read_json
from isocortex.study.parts import named_paths


def read_manifests(paths: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Files of several manifests {part: path}: {file: {sha256, …, manifest}}, with the manifest that lists each."""
    return {name: {**file, "manifest": path} for path in paths.values() for name, file in read_json(path)["files"].items()}


def verify(spec: Any, listed: Mapping[str, Mapping[str, Any]], root: Path, where: str) -> dict[str, str]:
    """SHA-256 of every file that `spec` names, found to be as the manifests (`read_manifests`) say.

    Raises
    ------
    DataError for a path that no manifest lists, or a file that is missing or has changed since it was fetched.
    """
    found: dict[str, str] = {}
    for path in sorted(set(named_paths(spec))):
        check_relative(path, where)
        name = path if path in listed else next((folder for folder in _parents(path) if folder in listed), None)
        if name is None:
            raise DataError(
                f"{where}: {path!r} is not among the data set's files ({', '.join(sorted(listed)[:8])}); list it under 'files'"
            )
        if name in found:
            continue
        hint = f"fetch again: snakemake -f -- {listed[name]['manifest']} (with the --configfile of your study)"
        if not (root / name).exists():
            raise DataError(f"{root / name}: missing since it was fetched; {hint}")
        digest, _ = describe(root / name)
        if digest != listed[name]["sha256"]:
            raise DataError(
                f"{root / name}: changed since it was fetched, sha256 found {digest}, expected {listed[name]['sha256']}; {hint}"
            )
        found[name] = digest
    return found


def _parents(path: str) -> list[str]:
    """Folders that may be listed as a whole instead of this file, innermost first."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
