"""Arrays in MAT files: version 5 (scipy.io) a variable at a time, version 7.3 (HDF5) by slices.

Source: MATLAB, "MAT-File Format"; a v7.3 file is HDF5 with the axes in reverse order and the class of each array in its
attribute `MATLAB_class`. A field of a struct is named with dots: `data.betas`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.storage.hdf5 import Slices, read_hdf5

Choose = Callable[[Path, str | None, list[str]], str]
NUMERIC = frozenset({"double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))})
SIGNATURE, SIGNATURE_AT = b"\x89HDF\r\n\x1a\n", 512  # HDF5's own, after MATLAB's header
ADVICE = "in MATLAB, save it as a plain array (double(x), full(x), cellstr(x))"


def open_mat(path: Path, key: str | None, choose: Choose) -> Any:
    """The array `key` of a MAT file, in MATLAB's shape: two axes at least, a column of text is (n, 1).

    Numbers, logicals, char arrays (a text per row) and cell arrays of text. Raises `DataError` for tables, strings and other
    objects, function handles, cell arrays of numbers, and arrays of structs.
    """
    with open(path, "rb") as stream:
        stream.seek(SIGNATURE_AT)
        newer = stream.read(len(SIGNATURE)) == SIGNATURE
    return _open_73(path, key, choose) if newer else _open_5(path, key, choose)


def _refused(path: Path, key: str, found: str) -> DataError:
    return DataError(f"{path}: {key} is {found}, expected numbers or text; {ADVICE}")


def _open_5(path: Path, key: str | None, choose: Choose) -> np.ndarray:
    import scipy.io

    try:
        kinds = {name: kind for name, _, kind in scipy.io.whosmat(path)}
    except Exception as error:  # scipy raises whatever its parser stumbles over
        raise DataError(f"{path}: not readable as .mat ({type(error).__name__}); make or fetch the file again") from error
    top, *fields = (key or choose(path, None, list(kinds))).split(".")
    choose(path, top, list(kinds))
    if kinds[top] in ("function", "opaque", "object"):
        raise _refused(path, top, f"of MATLAB's class {kinds[top]}")
    try:
        value = scipy.io.loadmat(path, variable_names=[top], mat_dtype=True)[top]
    except Exception as error:
        raise DataError(f"{path}: {top} is not readable ({type(error).__name__}); make or fetch the file again") from error
    for depth, field in enumerate(fields):
        value = _field(path, ".".join((top, *fields[:depth])), value, field)
    return _plain(path, ".".join((top, *fields)), value)


def _field(path: Path, name: str, value: Any, field: str) -> Any:
    known = list(getattr(getattr(value, "dtype", None), "names", None) or [])
    if field not in known:
        raise DataError(f"{path}: {name} has fields {', '.join(known) or 'none'}, expected {field!r}; set key: to one of them")
    if value.size != 1:
        raise _refused(path, name, f"an array of {value.size} structs")
    return value[(0,) * value.ndim][field]


def _plain(path: Path, name: str, value: Any) -> np.ndarray:
    import scipy.sparse

    if scipy.sparse.issparse(value):
        return value.toarray()
    value = np.asanyarray(value)
    if value.dtype.names:
        raise _refused(path, name, f"a struct with the fields {', '.join(value.dtype.names)} (name one: {name}.field)")
    if not value.dtype.hasobject:
        return value
    cells = [np.asarray(cell) for cell in value.ravel()]
    if type(value) is not np.ndarray or any(cell.size > 1 or (cell.size and cell.dtype.kind != "U") for cell in cells):
        raise _refused(path, name, "an object or a cell array of other things than text")
    return np.asarray([str(cell.ravel()[0]) if cell.size else "" for cell in cells], dtype=str).reshape(value.shape)


def _open_73(path: Path, key: str | None, choose: Choose) -> Any:
    import h5py

    with h5py.File(path, "r") as file:
        if key is None:
            key = choose(path, None, [str(name) for name in file if not str(name).startswith("#")])
        node: Any = file
        seen: list[str] = []
        for part in key.split("."):
            known = [str(name) for name in node if not str(name).startswith("#")] if isinstance(node, h5py.Group) else []
            node = node[choose(path, part, known)]
            seen.append(part)
        kind = node.attrs.get("MATLAB_class", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if "MATLAB_sparse" in node.attrs:
            raise _refused(path, key, "a sparse matrix")
        if "MATLAB_object_decode" in node.attrs or isinstance(node, h5py.Group):
            raise _refused(path, key, f"of MATLAB's class {kind or 'struct'}")
        if "MATLAB_empty" in node.attrs:
            return np.empty(tuple(int(size) for size in node[()]), dtype=np.float64)
        if kind in ("char", "cell"):
            return _chars(node[()]) if kind == "char" else _cells(path, key, file, node)
        if kind not in NUMERIC or node.dtype.kind not in "buif":
            raise _refused(path, key, f"of MATLAB's class {kind or 'unknown'} ({node.dtype})")
        return _reversed(path, "/".join(seen), node, bool if kind == "logical" else node.dtype)


def _reversed(path: Path, name: str, node: Any, dtype: Any) -> Slices:
    def read(index: tuple[Any, ...]) -> np.ndarray:
        return read_hdf5(path, name, index[::-1]).T.astype(dtype, copy=False)

    return Slices(node.shape[::-1], dtype, read)


def _chars(codes: np.ndarray) -> np.ndarray:
    """UTF-16 code units (columns, rows), as HDF5 has them, as one text per row."""
    rows = [row.astype("<u2").tobytes().decode("utf-16-le").rstrip(" ") for row in np.atleast_2d(codes.T)]
    return np.asarray(rows, dtype=str)


def _cells(path: Path, key: str, file: Any, node: Any) -> np.ndarray:
    """A cell array of text; its cells are references to arrays elsewhere in the file."""
    references = node[()].T
    texts = []
    for reference in references.ravel():
        cell = file[reference]
        if cell.attrs.get("MATLAB_class", b"") not in (b"char", "char") and "MATLAB_empty" not in cell.attrs:
            raise _refused(path, key, "a cell array of other things than text")
        rows = [""] if "MATLAB_empty" in cell.attrs else _chars(cell[()]).tolist()
        if len(rows) > 1:
            raise _refused(path, key, "a cell array with several rows of text in a cell")
        texts += rows
    return np.asarray(texts, dtype=str).reshape(references.shape)
