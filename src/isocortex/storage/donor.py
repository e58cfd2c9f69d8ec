"""A store of the same recipe whose rows were others: what it holds of the rows that are wanted again is copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from isocortex.storage.atomic import digest_file


class Donor:
    """Rows of a store that was put aside, by their keys; of a store that was never finished, those in whole chunks."""

    def __init__(self, directory: Path, rows: Sequence[str], whole: Mapping[str, str]) -> None:
        self.directory, self._whole = directory, whole
        self.rows: dict[str, int] = {}
        for row, key in enumerate(rows):
            self.rows.setdefault(key, row)
        self._checked: dict[str, bool] = {}
        self._arrays: dict[str, zarr.Array[Any] | None] = {}

    @cached_property
    def root(self) -> zarr.Group:
        """The store, read only."""
        return zarr.open_group(self.directory, mode="r", zarr_format=3)

    def _array(self, group: str, name: str) -> zarr.Array[Any] | None:
        key = f"{group}/{name}"
        if key not in self._arrays:
            found = self.root.get(key)
            self._arrays[key] = found if isinstance(found, zarr.Array) else None
        return self._arrays[key]

    def dtype(self, group: str, name: str) -> np.dtype[Any] | None:
        """The type of an array's numbers; None where there is no such array."""
        array = self._array(group, name)
        return None if array is None else array.dtype

    def holds(self, group: str, name: str, key: str) -> bool:
        """Whether the row of `key` is there, in a chunk that has its checksum (each is checked once)."""
        array = self._array(group, name)
        if array is None or key not in self.rows:
            return False
        file = f"{group}/{name}/c/{self.rows[key] // array.chunks[0]}" + "/0" * (array.ndim - 1)
        if file not in self._checked:
            path = self.directory / file
            self._checked[file] = file in self._whole and path.is_file() and digest_file(path) == self._whole[file]
        return self._checked[file]

    def take(self, group: str, name: str, keys: Sequence[str]) -> np.ndarray:
        """The rows (k, …) of keys that it holds."""
        array: Any = self._array(group, name)
        return np.asarray(array.oindex[[self.rows[key] for key in keys]])
