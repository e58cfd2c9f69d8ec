"""Whether files are still what was fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isocortex.errors import DataError
from isocortex.recordings.paths import check_relative, describe


def named_paths(spec: Any) -> Iterator[str]:
    """Every `path` in an entry, however deep."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            if key == "path" and isinstance(value, str):
                yield value
            else:
                yield from named_paths(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from named_paths(value)


def verify(spec: Any, manifest: Mapping[str, Any], root: Path, where: str) -> dict[str, str]:
    """SHA-256 of every file that `spec` names, found to be as the manifest says.

    Raises
    ------
    DataError for a path that the manifest does not list, or a file that is missing or has changed since it was fetched.
    """
    listed = manifest["files"]
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
        hint = f"fetch again: snakemake -f -- {root}/manifest.json (with the --configfile of your study)"
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
