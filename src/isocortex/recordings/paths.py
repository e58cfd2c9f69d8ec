"""Paths and functions that a data set's entry names: kept inside the data set's folder, bound when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isocortex.errors import DataError
from isocortex.storage.atomic import digest_file, digest_json


def check_relative(path: str, where: str) -> str:
    """`path` if it stays inside its folder.

    Raises `DataError` for an absolute path, a drive, a backslash or a `..` (archives from elsewhere are not to be trusted).
    """
    parts = path.split("/")
    if not path or path.startswith(("/", "~")) or "\\" in path or ".." in parts or ":" in parts[0]:
        raise DataError(
            f"{where}: found the path {path!r}, expected one inside the folder (no leading /, no .., no \\); correct it"
        )
    return path


def inside(root: Path, path: str, where: str) -> Path:
    """The existing file or folder `path` below `root`.

    Raises `DataError` where the path leaves the folder or nothing is there.
    """
    found = root / check_relative(path, where)
    if not found.exists():
        raise DataError(f"{where}: {path!r} is not in {root}; list it under 'files' of the data set, and fetch again")
    return found


def bind(table: Mapping[str, str], name: str, where: str) -> Callable[..., Any]:
    """The function that `table` names as 'module:function' for `name`, imported now.

    Raises `DataError` for a name that the table lacks.
    """
    if name not in table:
        raise DataError(f"{where}: found {name!r}, expected one of {', '.join(sorted(table))}")
    module, function = table[name].split(":")
    return getattr(importlib.import_module(module), function)


def describe(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and bytes of a file; of a folder, the digest of its files' names and digests, and the bytes of all."""
    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}
        digest = digest_json({name: digest_file(file) for name, file in files.items()})
        return digest, sum(file.stat().st_size for file in files.values())
    return digest_file(path), path.stat().st_size
