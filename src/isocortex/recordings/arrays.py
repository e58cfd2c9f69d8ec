"""Reading one array out of a file of any kind that we know, without ever running what is inside."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from zarr.errors import UnstableSpecificationWarning

from isocortex.errors import DataError
from isocortex.recordings.paths import inside
from isocortex.recordings.tables import SEPARATORS, read_table
from isocortex.storage.arrays import open_array
from isocortex.storage.hdf5 import Slices


def read_array(root: Path, path: str, key: str | None, where: str) -> np.ndarray:
    """The array `key` of the file `path` below `root`: NPZ, NPY, Zarr, netCDF, HDF5, MAT, or a column of a CSV table (as text).

    MATLAB has no vectors: of a MAT file, (1, n) and (n, 1) come as (n,).

    Raises
    ------
    DataError for a suffix we do not know, a missing or unreadable file, a missing key, or pickled objects.
    """
    file = inside(root, path, where)
    if file.suffix.lower() in SEPARATORS:
        return _column(file, key, where)
    try:
        with warnings.catch_warnings():
            # Text arrays have no Zarr v3 specification yet; they are read as they were written.
            warnings.filterwarnings("ignore", category=UnstableSpecificationWarning)
            values = _plain(np.asarray(open_array(file, key)[...]))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except (OSError, ValueError, EOFError, TypeError, RuntimeError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {path} could not be read ({text}); make or fetch the file again") from error
    if values.dtype.hasobject:
        raise DataError(f"{where}: {path} holds Python objects, expected numbers or text; save the array with a plain dtype")
    if file.suffix.lower() == ".mat" and values.ndim == 2 and 1 in values.shape:
        return values.ravel()
    return values


def open_response(root: Path, path: str, key: str | None, where: str) -> Any:
    """The same array, opened and not read: what can be sliced is read by slices, in the file's own shape.

    Raises `DataError` as `read_array` does, and for anything but real numbers.
    """
    file = inside(root, path, where)
    try:
        array = open_array(file, key)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except (OSError, ValueError, EOFError, TypeError, RuntimeError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {path} could not be read ({text}); make or fetch the file again") from error
    if np.dtype(array.dtype).kind not in "buif":
        raise DataError(f"{where}: found values of type {array.dtype}, expected real numbers; check 'key'")
    return _mapped_anew(array) if isinstance(array, np.memmap) else array


def _mapped_anew(array: np.memmap) -> Slices:
    """A mapped file whose parts are copied out of a map of their own: pages of a map that stays open count as memory used."""
    name, dtype, offset, shape = str(array.filename), array.dtype, array.offset, array.shape
    order = "C" if array.flags.c_contiguous else "F"

    def read(index: tuple[Any, ...]) -> np.ndarray:
        return np.array(np.memmap(name, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)[index])

    return Slices(shape, dtype, read)


def _column(file: Path, key: str | None, where: str) -> np.ndarray:
    table = read_table(file, where, keep_default_na=False, dtype=str)
    if key not in table.columns:
        raise DataError(
            f"{where}: {file.name} has no column {key!r}, found {', '.join(map(str, table.columns))}; correct 'key'"
        )
    return table[key].to_numpy(dtype=str)


def _plain(values: np.ndarray) -> np.ndarray:
    """Variable-length text, which these libraries give as objects, as fixed-length text."""
    if values.dtype.kind == "T" or (values.dtype.hasobject and all(isinstance(value, str) for value in values.ravel())):
        return values.astype(str)
    return values


def as_text(values: Any) -> np.ndarray:
    """Labels as text: bytes are decoded, whole floats lose their '.0', NaN becomes ''."""
    array = np.asarray(values)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8")
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        whole = finite & (np.where(finite, array, 0) == np.round(np.where(finite, array, 0)))
        pairs = zip(array.ravel(), whole.ravel(), strict=True)
        text = [str(int(v)) if w else ("" if np.isnan(v) else str(v)) for v, w in pairs]
        return np.asarray(text, dtype=str).reshape(array.shape)
    return array.astype(str)
