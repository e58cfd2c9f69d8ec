"""Outputs of GLMsingle (Prince et al. 2022, eLife 11:e77599): one estimate per trial, in HDF5 or MATLAB 7.3 files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.fmri.images import Grid, open_scan, read_labels, read_mask
from isocortex.recordings.fmri.presentations import Part, side_by_side
from isocortex.recordings.paths import inside

STEP_BYTES = 32 << 20  # of what is read at once
# Where the trials stand in the file: Python writes them last, MATLAB's files have all axes the other way round.
FIRST = {".mat": True, ".hdf5": False, ".h5": False}


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : {path, key, ids, session, run, order, mask, labels, space}. The array `key` of the file is (x, y, z, trials), or
        (units, 1, 1, trials), or (units, trials); `ids`, `session` and `run` name a value per trial, in the trials' order.
        `mask` is a NIfTI image on the grid of x, y, z; without it all units that are finite in the first trial are neuroids.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read in parts. With a mask: neuroid_id `i_j_k`, x y z in mm, attrs
    affine and shape, and a coordinate per image of `labels`; without, neuroid_id is the place among the units.

    Raises
    ------
    DataError for pickled or older MATLAB files, a key that there is not, and shapes that do not agree.
    """
    where = f"GLMsingle {spec['path']}"
    file = _checked(inside(root, spec["path"], where), where)
    first = {"auto": FIRST.get(file.suffix.lower(), False), "python": False, "matlab": True}[spec["order"]]
    shape = _shape(file, spec["key"], first=first, where=where)
    ids = _per_trial(spec["ids"], spec, root, shape[-1], f"{where}, ids")
    mask, neuroids, attrs = _neuroids(spec, root, file, shape, first=first, where=where)
    result = side_by_side(
        [Part(ids, _reader(file, spec["key"], mask, first=first))],
        int(mask.sum()),
        stimuli_table["stimulus_id"].astype(str).tolist(),
        where,
    )
    for name in ("session", "run"):
        if spec.get(name):
            values = _per_trial(spec[name], spec, root, shape[-1], f"{where}, {name}")
            result[name] = ("presentation", _numbers(values, where) if name == "run" else values)
    result = result.assign_coords({name: ("neuroid", values) for name, values in neuroids.items()})
    return result.assign_attrs(attrs | ({"space": spec["space"]} if spec.get("space") else {}))


def _checked(file: Path, where: str) -> Path:
    import h5py

    if file.suffix.lower() in (".npy", ".npz", ".pkl"):
        raise DataError(
            f"{where}: a pickled Python object, which is never opened; save it as HDF5 (GLMsingle: wanthdf5 = 1, or "
            "h5py.File(…, 'w')['betasmd'] = results['betasmd'])"
        )
    if not h5py.is_hdf5(file):
        raise DataError(f"{where}: no HDF5 file, expected .hdf5, or .mat saved with -v7.3; save it again")
    return file


def _shape(file: Path, key: str, *, first: bool, where: str) -> tuple[int, ...]:
    """The array's shape with the trials last."""
    import h5py

    with h5py.File(file) as opened:
        found = opened.get(key)
        if not isinstance(found, h5py.Dataset):
            names = ", ".join(sorted(opened)[:6])
            raise DataError(f"{where}: no array {key!r}, found {names}; correct key")
        shape = tuple(int(n) for n in (found.shape[::-1] if first else found.shape))
    if len(shape) not in (2, 4) or 0 in shape:
        raise DataError(f"{where}: {key} has shape {shape}, expected (x, y, z, trials) or (units, trials); correct key")
    return shape


def _per_trial(place: Mapping[str, Any], spec: Mapping[str, Any], root: Path, n: int, where: str) -> np.ndarray:
    if place.get("value") is not None:
        return np.full(n, str(place["value"]))
    path = place.get("path") or spec["path"]
    values = as_text(read_array(root, path, place.get("key") or place.get("column"), where)).reshape(-1)
    if len(values) != n:
        raise DataError(
            f"{where}: found {len(values)} values, expected {n}, one per trial (the last axis of Python's files, the first of "
            "MATLAB's: say order); correct it or the table"
        )
    return values


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    try:
        return np.asarray([int(value) for value in values], dtype=np.int64)
    except ValueError:
        raise DataError(f"{where}, run: found {str(values[0])!r}, expected whole numbers; correct run") from None


def _neuroids(
    spec: Mapping[str, Any], root: Path, file: Path, shape: tuple[int, ...], *, first: bool, where: str
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str]]:
    """Which units are neuroids (boolean, the array's shape without trials); their coordinates; what is known of the volume."""
    if not spec.get("mask"):
        values = _reader(file, spec["key"], np.ones(shape[:-1], dtype=bool), first=first)(0, 1)[0]
        mask = np.isfinite(values).reshape(shape[:-1])
        if not mask.any():
            raise DataError(f"{where}: no unit is finite in the first trial, expected some; say mask: {{path: …}}")
        nowhere = np.full(int(mask.sum()), np.nan)
        return mask, {"neuroid_id": np.flatnonzero(mask).astype(str), **dict.fromkeys("xyz", nowhere)}, {}
    grid: Grid = open_scan(spec["mask"], root, "mask").grid
    if grid.shape != shape[:-1]:
        found, expected = (" × ".join(map(str, size)) for size in (grid.shape, shape[:-1]))
        raise DataError(f"{where}: mask {spec['mask']['path']} has {found} voxels, expected {expected}; correct mask or order")
    mask = np.asarray(read_mask(spec["mask"], root, grid, "refuse"), dtype=bool)
    labels = {name: read_labels(place, root, grid, "refuse", mask) for name, place in (spec.get("labels") or {}).items()}
    return mask, {**grid.neuroids(np.nonzero(mask)), **labels}, grid.attrs


def _reader(file: Path, key: str, mask: np.ndarray, *, first: bool) -> Callable[[int, int], np.ndarray]:
    """Reads (stop - start, neuroids); of the file a part at a time, along its slowest axis."""

    def by_trial(opened: Any, start: int, stop: int, result: np.ndarray) -> None:
        step = max(1, STEP_BYTES // (opened.dtype.itemsize * mask.size))
        for low in range(start, stop, step):
            high = min(low + step, stop)
            result[low - start : high - start] = np.asarray(opened[low:high]).T[mask].T

    def by_slab(opened: Any, start: int, stop: int, result: np.ndarray) -> None:
        step = max(1, STEP_BYTES // (opened.dtype.itemsize * (mask.size // len(mask)) * (stop - start)))
        place = 0
        for low in range(0, len(mask), step):
            part = mask[low : low + step]
            if part.any():
                values = opened[low : low + step, ..., start:stop][part]
                result[:, place : place + len(values)] = values.T
                place += len(values)

    def read(start: int, stop: int) -> np.ndarray:
        import h5py

        result = np.empty((stop - start, int(mask.sum())), dtype=np.float32)
        with h5py.File(file) as opened:
            (by_trial if first else by_slab)(opened[key], start, stop, result)
        return result

    return read
