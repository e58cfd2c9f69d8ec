"""Arrays of presentations × neuroids that are read in parts: from a file in any format, or from a store."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.codecs import ZstdCodec
from zarr.errors import UnstableSpecificationWarning

from isocortex.storage.atomic import replacing
from isocortex.storage.store import Store, write_sidecar

# Bytes of one chunk of a store, and of what is held at once on the way from a file to a store.
CHUNK_BYTES, BLOCK_BYTES = 2 << 20, 4 << 20
ROWS = 4096
NAME = "response"
Read = Callable[[np.ndarray, np.ndarray], np.ndarray]


class _Parts(BackendArray):
    """What xarray indexes: a shape and a function that reads rows and columns."""

    def __init__(self, shape: Sequence[int], dtype: Any, read: Read) -> None:
        self.shape, self.dtype, self._read = tuple(shape), np.dtype(dtype), read

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._take)

    def _take(self, key: tuple[Any, ...]) -> np.ndarray:
        rows, columns = (np.arange(size)[one] for size, one in zip(self.shape[:2], key[:2], strict=True))
        values = np.asarray(self._read(np.atleast_1d(rows), np.atleast_1d(columns)), dtype=self.dtype)
        if values.ndim == 3:
            values = values[:, :, key[2]]
        for axis, one in ((1, columns), (0, rows)):
            values = values if np.ndim(one) else np.take(values, 0, axis=axis)
        return values


def lazy_response(shape: Sequence[int], read: Read) -> xarray.Variable:
    """A response (presentation, neuroid[, time]) float32 that is read when it is indexed, and only where.

    read : (rows, columns), arrays of indices, to values (rows, columns[, time]). A recording is written in blocks of successive
    rows, so that a source whose runs are dear to open does well to keep the last one.
    """
    dims = ("presentation", "neuroid", "time")[: len(shape)]
    return xarray.Variable(dims, indexing.LazilyIndexedArray(_Parts(shape, np.float32, read)))


def row_blocks(shape: Sequence[int], at_most: int = BLOCK_BYTES) -> Iterator[slice]:
    """Slices of rows of a float32 array of this shape, none of more than `at_most` bytes (but one row)."""
    step = max(1, at_most // max(1, 4 * int(np.prod(shape[1:], dtype=np.int64))))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def answered(response: xarray.DataArray) -> np.ndarray:
    """Whether each presentation has a finite value in any neuroid, (n_presentations,) bool.

    Neuroids are read some at a time, and only until every presentation has one: mostly a few say it for all.
    """
    response = response.transpose("presentation", "neuroid", ...)
    found = np.zeros(response.shape[0], dtype=bool)
    step = max(1, _chunks(response.shape)[1])
    for start in range(0, response.shape[1], step):
        for rows in row_blocks((response.shape[0], step, *response.shape[2:])):
            if not found[rows].all():
                values = response[rows, start : start + step].to_numpy()
                found[rows] |= np.isfinite(values).any(axis=tuple(range(1, values.ndim)))
        if found.all():
            break
    return found


def write_recording(
    recording: xarray.Dataset,
    sidecar: Path | str,
    recipe: Any,
    check: Callable[[slice, np.ndarray], None],
    finish: Callable[[], None],
    **extra: Any,
) -> None:
    """Write a recording as a store, a block of rows at a time, and its sidecar (last).

    `check` is called with every block's rows and values before it is written, `finish` when all are; both may refuse.
    """
    response = recording[NAME]
    Path(sidecar).unlink(missing_ok=True)
    directory = Path(sidecar).with_suffix(".zarr")
    with replacing(directory) as temporary, warnings.catch_warnings():
        # Strings have no Zarr v3 specification yet; xarray reads back what it wrote, which is all that is needed here.
        warnings.filterwarnings("ignore", category=UnstableSpecificationWarning)
        recording.drop_vars(NAME).to_zarr(temporary, mode="w", zarr_format=3, consolidated=False)
        array = zarr.open_group(temporary, mode="a", zarr_format=3).create_array(
            name=NAME,
            shape=response.shape,
            dtype="float32",
            chunks=_chunks(response.shape),
            compressors=ZstdCodec(level=1),
            fill_value=float("nan"),
            dimension_names=[str(dim) for dim in response.dims],
        )
        # A chunk that is missing could not be told from one that was lost.
        with zarr.config.set({"array.write_empty_chunks": True}):
            for start in range(0, response.shape[0], array.chunks[0]):
                rows = slice(start, min(start + array.chunks[0], response.shape[0]))
                values = np.asarray(response[rows].to_numpy(), dtype=np.float32)
                check(rows, values)
                array[rows] = values
        finish()
        shutil.rmtree(directory, ignore_errors=True)
    write_sidecar(sidecar, recipe, **extra)


def _chunks(shape: Sequence[int]) -> tuple[int, ...]:
    """Chunks of a few MB, whose rows, of all neuroids, are what may be held at once."""
    rest = max(1, int(np.prod(shape[2:], dtype=np.int64)))
    rows = max(1, min(shape[0], ROWS, BLOCK_BYTES // max(1, 4 * shape[1] * rest)))
    columns = max(1, min(shape[1], CHUNK_BYTES // (4 * rows * rest)))
    return (rows, columns, *(max(1, size) for size in shape[2:]))


def open_recording(sidecar: Path | str, recipe: Any = None) -> xarray.Dataset:
    """A stored recording whose response is read, and verified, chunk by chunk when it is indexed; coordinates are in memory.

    Raises `StoreError` as `Store` does, for a chunk when it is read. A recording of RDMs is read whole.
    """
    store = Store(sidecar, recipe)
    for name in store.sidecar["files"]:
        if not name.startswith(f"{NAME}/c/"):
            store.verify(name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UnstableSpecificationWarning)
        with xarray.open_zarr(store.directory, zarr_format=3, consolidated=False, chunks=None) as found:
            rest = found.drop_vars(NAME, errors="ignore").load()
    if NAME not in found:
        return rest
    array = _array(store)
    return rest.assign({NAME: lazy_response(array.shape, _reader(store, array))})


def _array(store: Store) -> zarr.Array[Any]:
    found = zarr.open_group(store.directory, mode="r", zarr_format=3)[NAME]
    assert isinstance(found, zarr.Array)
    return found


def _reader(store: Store, array: zarr.Array[Any]) -> Read:
    """Reads rows and columns chunk by chunk: all that is held beside the result is one chunk."""

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(columns), *array.shape[2:]), dtype=np.float32)
        for i in np.unique(rows // array.chunks[0]):
            here = np.flatnonzero(rows // array.chunks[0] == i)
            for j in np.unique(columns // array.chunks[1]):
                there = np.flatnonzero(columns // array.chunks[1] == j)
                store.verify(f"{NAME}/c/{i}/{j}" + "/0" * (array.ndim - 2))
                block = _chunk(array, int(i), int(j))
                picked = np.ix_(rows[here] - i * array.chunks[0], columns[there] - j * array.chunks[1])
                result[np.ix_(here, there)] = block[picked]
        return result

    return read


def _chunk(array: zarr.Array[Any], i: int, j: int) -> np.ndarray:
    rows, columns = array.chunks[:2]
    return np.asarray(array[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns])
