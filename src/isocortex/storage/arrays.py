"""Arrays in files, opened without reading more of them than is asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.storage.hdf5 import open_hdf5, open_netcdf
from isocortex.storage.matlab import open_mat

SHOWN = 20  # keys that a message lists; an NWB file has hundreds
LOCAL_HEADER = 30  # bytes of a ZIP member's fixed header; the lengths of its name and extra field stand in the last four


def open_array(path: Path | str, key: str | None = None) -> Any:
    """An array-like (`shape`, `dtype`, slicing by rows) in a .npz, .npy, .zarr, netCDF, HDF5 (NWB) or MAT file.

    Members of an .npz that are stored uncompressed, and .npy files, are memory-mapped; Zarr, netCDF, HDF5 and MAT files of
    version 7.3 are read by slices, those of version 5 a variable at a time. `key` is a name: `group/name` in HDF5,
    `struct.field` in a MAT file; it may be left out where the file holds one array. Raises `DataError` for a file that is
    missing, broken, of another format, or without that key.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: missing; check the path, or fetch the data set again")
    opener = OPENERS.get(path.suffix.lower())
    if opener is None:
        raise DataError(f"{path}: found {path.suffix or 'no'} suffix, expected one of {', '.join(sorted(OPENERS))}")
    try:
        return opener(path, key)
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: not readable as {path.suffix} ({_first_line(error)}); make or fetch the file again"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _choose(path: Path, key: str | None, keys: list[str]) -> str:
    if key is None and len(keys) == 1:
        return keys[0]
    if key is None or key not in keys:
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        found = ", ".join(sorted(keys)[:SHOWN]) or "none"
        raise DataError(f"{path}: found keys {found}{more}, expected {key!r}; set key: to one of them")
    return key


def _open_npy(path: Path, key: str | None) -> np.ndarray:  # noqa: ARG001
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _open_npz(path: Path, key: str | None) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        member = archive.getinfo(_choose(path, key, names) + ".npy")
    if member.compress_type == zipfile.ZIP_STORED:
        mapped = _map_member(path, member)
        if mapped is not None:
            return mapped
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[member.filename.removesuffix(".npy")]


def _map_member(path: Path, member: zipfile.ZipInfo) -> np.ndarray | None:
    """Memory map of an uncompressed .npy inside an .npz; None where its bytes cannot be mapped (strings are read instead)."""
    with open(path, "rb") as stream:
        stream.seek(member.header_offset)
        header = stream.read(LOCAL_HEADER)
        skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        stream.seek(member.header_offset + LOCAL_HEADER + skip)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        reader = readers.get(np.lib.format.read_magic(stream))
        if reader is None:
            return None
        shape, fortran, dtype = reader(stream)
        offset = stream.tell()
    if dtype.hasobject or dtype.kind in "US" or 0 in shape or shape == ():
        return None
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def _open_zarr(path: Path, key: str | None) -> Any:
    import zarr

    node: Any = zarr.open(path, mode="r")
    if not isinstance(node, zarr.Array):
        node = node[_choose(path, key, [name for name, _ in node.arrays()])]
    # Codecs of version 2 may be any of numcodecs', and one of them unpickles what it is given.
    codecs = [*(getattr(node.metadata, "filters", None) or ()), getattr(node.metadata, "compressor", None)]
    if any(str(getattr(codec, "codec_id", "")) == "pickle" for codec in codecs):
        raise DataError(
            f"{path}: {key or 'the array'} holds pickled Python objects, which are never opened; store plain numbers"
        )
    return node


def _open_netcdf(path: Path, key: str | None) -> Any:
    return open_netcdf(path, key, _choose)


def _open_hdf5(path: Path, key: str | None) -> Any:
    return open_hdf5(path, key, _choose)


def _open_mat(path: Path, key: str | None) -> Any:
    return open_mat(path, key, _choose)


OPENERS: dict[str, Callable[[Path, str | None], Any]] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".zarr": _open_zarr,
    ".nc": _open_netcdf,
    **dict.fromkeys((".h5", ".hdf5", ".hdf", ".nwb"), _open_hdf5),
    ".mat": _open_mat,
}
