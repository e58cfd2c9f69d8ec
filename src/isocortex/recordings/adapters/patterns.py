"""Responses in an array: NPZ, NPY, Zarr or NetCDF, with dimensions in any order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.repeats import repeat_numbers

FORMS = (("stimulus", "repeat", "neuroid"), ("presentation", "neuroid"))
SUFFIXES = {"npz": (".npz", ".npy"), "zarr": (".zarr",), "netcdf": (".nc", ".h5")}
POSITION = ("x", "y", "z")


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : {adapter, path, key, dims, stimulus_id, neuroid: {label: {key | value | path}}, session, run, affine, shape}.
        `dims` names the dimensions of the array in its own order: stimulus, repeat (optional) and neuroid, or presentation and
        neuroid. Rows along `stimulus` are in the order of the stimulus table; NaN over all neuroids is a presentation that did
        not happen. The neuroids' x, y and z are in mm; `affine` (4, 4) and `shape` (3,) are of the volume they are voxels of.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set; its `stimulus_id` column is used.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, coords stimulus_id, repeat, session, run and neuroid_id, x, y, z
    and every label; attrs affine and shape as JSON where they are given.

    Raises
    ------
    DataError for another number of stimuli, unknown ids, wrong shapes, infinite values or no finite value at all.
    """
    where, ids = f"subject array {spec['path']}", stimuli_table["stimulus_id"].to_numpy(dtype=str)
    _check_suffix(spec, where)
    values = _numbers(read_array(root, spec["path"], spec.get("key"), where), where)
    values = _ordered(values, spec["dims"], where)
    if values.ndim == 3:
        values, shown, cell = _unfold(values, ids, where)
    else:
        shown, cell = _shown(spec, root, ids, len(values), where), np.arange(len(values))
    occurred = np.isfinite(values).any(axis=1)
    if not occurred.any():
        raise DataError(f"{where}: found no finite response, expected some; check 'key' and 'dims'")
    presentation = {
        "stimulus_id": shown,
        "session": _per_presentation(spec.get("session"), spec, root, cell, "session"),
        "run": _run_numbers(_per_presentation(spec.get("run"), spec, root, cell, "run")),
    }
    kept = {name: column[occurred] for name, column in presentation.items()}
    kept["repeat"] = repeat_numbers(kept["stimulus_id"])
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), values[occurred].astype(np.float32))},
        coords={
            **{name: ("presentation", column) for name, column in kept.items()},
            **{name: ("neuroid", column) for name, column in _neuroids(spec, root, values.shape[1]).items()},
        },
        attrs=_volume(spec, root),
    )


def _check_suffix(spec: Mapping[str, Any], where: str) -> None:
    expected = SUFFIXES[spec["adapter"]]
    if not spec["path"].lower().endswith(expected):
        raise DataError(
            f"{where}: adapter {spec['adapter']!r} reads {' and '.join(expected)}; choose the adapter that fits the file"
        )


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    if values.dtype.kind not in "buif":
        raise DataError(f"{where}: found values of type {values.dtype}, expected real numbers; check 'key'")
    values = values.astype(np.float64) if values.dtype.kind != "f" else values
    if np.isinf(values).any():
        raise DataError(
            f"{where}: found {int(np.isinf(values).sum())} infinite values, expected numbers or NaN; mark them as NaN"
        )
    return values


def _ordered(values: np.ndarray, dims: Sequence[str], where: str) -> np.ndarray:
    """`values` transposed to (stimulus, repeat, neuroid) or (presentation, neuroid); a missing repeat axis has length 1."""
    if values.ndim != len(dims):
        raise DataError(f"{where}: found an array of shape {values.shape}, expected {len(dims)} dimensions ({', '.join(dims)})")
    if set(dims) == {"stimulus", "neuroid"}:
        values, dims = values[..., None], [*dims, "repeat"]
    form = next((form for form in FORMS if set(form) == set(dims) and len(form) == len(dims)), None)
    if form is None:
        raise DataError(
            f"{where}: found dims {', '.join(dims)}, expected stimulus, neuroid and perhaps repeat, or presentation and neuroid"
        )
    if 0 in values.shape:
        raise DataError(f"{where}: found an empty array of shape {values.shape}, expected at least one value; check 'key'")
    return values.transpose([list(dims).index(dim) for dim in form])


def _unfold(values: np.ndarray, ids: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(stimulus, repeat, neuroid) as presentations, stimulus by stimulus; with the id and the cell of each."""
    n_stimuli, n_repeats, n_neuroids = values.shape
    if n_stimuli != len(ids):
        raise DataError(
            f"{where}: found {n_stimuli} stimuli, expected {len(ids)} as in the stimulus set; check 'dims' and 'stimuli'"
        )
    return values.reshape(-1, n_neuroids), np.repeat(ids, n_repeats), np.arange(n_stimuli * n_repeats)


def _shown(spec: Mapping[str, Any], root: Path, ids: np.ndarray, n: int, where: str) -> np.ndarray:
    """The stimulus id of each presentation."""
    place = spec.get("stimulus_id")
    if not place:
        raise DataError(
            f"{where}: dims has presentation but stimulus_id is not given; say {{key: …}}, the id of each presentation"
        )
    shown = as_text(_place(place, spec, root, "stimulus_id"))
    if shown.shape != (n,):
        raise DataError(f"{where}: stimulus_id has shape {shown.shape}, expected ({n},), one id per presentation")
    unknown = np.setdiff1d(shown, ids)
    if len(unknown):
        raise DataError(
            f"{where}: {len(unknown)} ids are not in the stimulus set (first {str(unknown[0])!r}); correct ids or stimuli"
        )
    return shown


def _place(place: Mapping[str, Any], spec: Mapping[str, Any], root: Path, what: str) -> np.ndarray:
    """The array that {key | path | column} names, by default in the subject's own file."""
    path = place.get("path") or spec["path"]
    return read_array(root, path, place.get("key") or place.get("column"), f"subject array {spec['path']}, {what}")


def _per_presentation(
    place: Mapping[str, Any] | None, spec: Mapping[str, Any], root: Path, cell: np.ndarray, what: str
) -> np.ndarray:
    """A label per presentation, from one value for all or from an array with one value per presentation."""
    if not place:
        return np.full(len(cell), "", dtype="U1")
    if place.get("value") is not None:
        return np.full(len(cell), str(place["value"]))
    dims = [dim for dim in spec["dims"] if dim != "neuroid"]
    values = as_text(_place(place, spec, root, what))
    if values.ndim == 2 and dims == ["repeat", "stimulus"]:
        values = values.T
    if values.size != len(cell):
        raise DataError(
            f"subject array {spec['path']}, {what}: found shape {values.shape}, expected one value per {' × '.join(dims)}"
        )
    return values.reshape(-1)


def _run_numbers(runs: np.ndarray) -> np.ndarray:
    """Runs as integers: their own numbers, else the order of their names."""
    try:
        return np.asarray([int(run) if run else 0 for run in runs], dtype=np.int64)
    except ValueError:
        return np.unique(runs, return_inverse=True)[1].astype(np.int64)


def _volume(spec: Mapping[str, Any], root: Path) -> dict[str, str]:
    """The affine and the shape of the volume that neuroids are voxels of, where they are given, as JSON."""
    found = {}
    for name, size, kind, cast in (("affine", 16, "buif", float), ("shape", 3, "ui", int)):
        if place := spec.get(name):
            values = _place(place, spec, root, name)
            if values.size != size or values.dtype.kind not in kind:
                expected = f"{size} {'numbers' if cast is float else 'whole numbers'}"
                where = f"subject array {spec['path']}, {name}"
                raise DataError(f"{where}: found {values.dtype} {values.shape}, expected {expected}; correct 'key'")
            found[name] = json.dumps([cast(value) for value in values.ravel()])
    return found


def _neuroids(spec: Mapping[str, Any], root: Path, n: int) -> dict[str, np.ndarray]:
    """Coordinates of the neuroids: id, position, labels."""
    where = f"subject array {spec['path']}, neuroid"
    coords: dict[str, np.ndarray] = {"neuroid_id": np.arange(n).astype(str)} | {axis: np.full(n, np.nan) for axis in POSITION}
    for name, place in (spec.get("neuroid") or {}).items():
        if place.get("value") is not None:
            values = np.full(n, str(place["value"]))
        else:
            values = _place(place, spec, root, f"neuroid {name}")
        if values.shape != (n,):
            raise DataError(f"{where} {name}: found shape {values.shape}, expected ({n},), one value per neuroid")
        if name in POSITION and values.dtype.kind not in "buif":
            raise DataError(f"{where} {name}: found {values.dtype}, expected numbers (a position)")
        coords[name] = values.astype(np.float64) if name in POSITION else as_text(values)
    if len(np.unique(coords["neuroid_id"])) < n:
        raise DataError(f"{where} neuroid_id: some ids occur twice, expected unique ids; correct them")
    return coords
