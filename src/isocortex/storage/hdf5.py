"""Arrays in HDF5 and netCDF files, read by slices; a file is open only while it is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError

NUMBERS = "buifcSU"


class Slices:
    """An array-like that reads what is asked for: `shape`, `dtype`, and indices of integers, slices and arrays per axis.

    `read` gets one integer or slice (of step 1) per axis, in the order of `shape`.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, read: Callable[[tuple[Any, ...]], np.ndarray]) -> None:
        self.shape, self.dtype, self._read = tuple(int(size) for size in shape), np.dtype(dtype), read

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        full = _per_axis(index, self.ndim)
        asked, rest = [], []
        for size, one in zip(self.shape, full, strict=True):
            outer, inner = _contiguous(one, size)
            asked.append(outer)
            rest.extend([] if inner is None else [inner])
        values = np.asarray(self._read(tuple(asked)))
        for axis, inner in enumerate(rest):
            if not (isinstance(inner, slice) and inner == slice(None)):
                values = values[(slice(None),) * axis + (inner,)]
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


def _per_axis(index: Any, ndim: int) -> list[Any]:
    """An index with one entry per axis: `...` and what is left out become whole axes."""
    given = list(index) if isinstance(index, tuple) else [index]
    at = next((place for place, one in enumerate(given) if one is Ellipsis), None)
    if at is None:
        given, at = [*given, Ellipsis], len(given)
    if len(given) - 1 > ndim:
        raise IndexError(f"{len(given) - 1} indices for {ndim} axes")
    return [*given[:at], *[slice(None)] * (ndim - len(given) + 1), *given[at + 1 :]]


def _contiguous(one: Any, size: int) -> tuple[Any, Any]:
    """What is read of an axis (an integer, or a slice of step 1), and what is taken of that (None: the axis is gone)."""
    if isinstance(one, slice):
        places = range(size)[one]
        if places.step == 1:
            return slice(places.start, max(places.start, places.stop)), slice(None)
        one = np.asarray(places, dtype=np.int64)
    places = np.asarray(one)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    if places.ndim == 0:
        place = int(places) + (size if places < 0 else 0)
        if not 0 <= place < size:
            raise IndexError(f"index {int(places)} of an axis of {size}")
        return place, None
    places = np.where(places < 0, places + size, places).astype(np.int64)
    if not places.size:
        return slice(0, 0), slice(None)
    return slice(int(places.min()), int(places.max()) + 1), places - places.min()


def dataset_names(group: Any) -> list[str]:
    """Names of all arrays of an open HDF5 file, as `group/name`."""
    import h5py

    found: list[str] = []
    group.visititems(lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None)
    return found


def open_hdf5(path: Path, key: str | None, choose: Callable[[Path, str | None, list[str]], str]) -> Any:
    """The array `key` (`group/name`) of an HDF5 file. Raises `DataError` for what is neither numbers nor text."""
    import h5py

    with h5py.File(path, "r") as file:
        if "_NCProperties" in file.attrs:
            return open_netcdf(path, key, choose)
        names = dataset_names(file)
        chosen = choose(path, key.strip("/") if key else None, names)
        node: Any = file[chosen]
        if h5py.check_string_dtype(node.dtype) is not None:
            return np.asarray(node.asstr()[()]).astype(str)
        if node.dtype.kind not in NUMBERS:
            raise DataError(f"{path}: {chosen} holds {node.dtype}, expected numbers or text; save it as a plain array")
        return Slices(node.shape, node.dtype, lambda index: read_hdf5(path, chosen, index))


def read_hdf5(path: Path, name: str, index: tuple[Any, ...]) -> np.ndarray:
    """A part of an array of an HDF5 file."""
    import h5py

    with h5py.File(path, "r") as file:
        node: Any = file[name]
        return np.asarray(node[index])


def open_netcdf(path: Path, key: str | None, choose: Callable[[Path, str | None, list[str]], str]) -> Any:
    """The variable `key` of a netCDF file, decoded (scale, offset, fill value) as its attributes say."""
    import xarray

    with xarray.open_dataset(path, decode_timedelta=False) as dataset:
        names = [str(name) for name in (*dataset.data_vars, *dataset.coords)]
        chosen = choose(path, key or (str(*dataset.data_vars) if len(dataset.data_vars) == 1 else None), names)
        variable = dataset[chosen].variable
        if variable.dtype.hasobject or variable.dtype.kind in "USTMm":
            return variable.to_numpy()
        return Slices(variable.shape, variable.dtype, lambda index: _read_netcdf(path, chosen, index))


def _read_netcdf(path: Path, name: str, index: tuple[Any, ...]) -> np.ndarray:
    import xarray

    with xarray.open_dataset(path, decode_timedelta=False) as dataset:
        return dataset[name].variable[index].to_numpy()
