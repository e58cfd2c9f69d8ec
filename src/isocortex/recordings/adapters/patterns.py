"""Responses in an array: NPZ, NPY, Zarr, netCDF, HDF5 or MAT, with dimensions in any order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, open_response, read_array
from isocortex.recordings.axes import Axes, time_bins, trailing
from isocortex.recordings.known import check_known
from isocortex.recordings.repeats import repeat_numbers, run_numbers
from isocortex.storage.lazy import lazy_response

SUFFIXES = {
    "npz": (".npz", ".npy"),
    "zarr": (".zarr",),
    "netcdf": (".nc", ".h5"),
    "hdf5": (".h5", ".hdf5", ".hdf"),
    "mat": (".mat",),
}
POSITION = ("x", "y", "z")


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : {adapter, path, key, dims, stimulus_id, neuroid: {label: {key | value | path}}, session, run, time, over_time,
        affine, shape}. `dims` names the dimensions of the array in its own order: stimulus, repeat (optional) and neuroid, or
        presentation and neuroid; and perhaps time. Rows along `stimulus` are in the order of the stimulus table; NaN over all
        neuroids is a presentation that did not happen. `time` is {key} (starts or edges of bins, in s after the stimulus) or
        {start, step}; `over_time` says what a longer bin would hold, the sum or the mean. The neuroids' x, y and z are in mm;
        `affine` (4, 4) and `shape` (3,) are of the volume they are voxels of.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set; its `stimulus_id` column is used.

    Returns
    -------
    Dataset with `response` (presentation, neuroid[, time]) float32, read when it is indexed where the file can be sliced;
    coords stimulus_id, repeat, session, run and neuroid_id, x, y, z and every label, time and time_end (s); attrs affine and
    shape as JSON where they are given, over_time where there is time.

    Raises
    ------
    DataError for another number of stimuli, unknown ids, wrong shapes, infinite values or no finite value at all.
    """
    where, ids = f"subject array {spec['path']}", stimuli_table["stimulus_id"].to_numpy(dtype=str)
    _check_suffix(spec, where)
    source = open_response(root, spec["path"], spec.get("key"), where)
    axes = Axes(trailing(source, len(spec["dims"])) if spec["adapter"] == "mat" else source, spec["dims"], where)
    shown = _shown(spec, root, ids, axes, where)
    kept = np.flatnonzero(axes.occurred())
    if not len(kept):
        raise DataError(f"{where}: found no finite response, expected some; check 'key' and 'dims'")
    shape = (len(shown),) if axes.n_stimuli is None else (axes.n_stimuli, axes.n_repeats)
    presentation = {
        "stimulus_id": shown,
        "session": _per_presentation(spec.get("session"), spec, root, shape, "session"),
        "run": run_numbers(_per_presentation(spec.get("run"), spec, root, shape, "run")),
    }
    coords = {name: column[kept] for name, column in presentation.items()}
    coords["repeat"] = repeat_numbers(coords["stimulus_id"])
    time, over_time = _time(spec, root, axes, where)
    return xr.Dataset(
        {"response": lazy_response((len(kept), *axes.shape[1:]), lambda rows, columns: axes.read(kept[rows], columns))},
        coords={
            **{name: ("presentation", column) for name, column in coords.items()},
            **{name: ("neuroid", column) for name, column in _neuroids(spec, root, axes.shape[1]).items()},
            **{name: ("time", column) for name, column in time.items()},
        },
        attrs=_volume(spec, root) | over_time,
    )


def _check_suffix(spec: Mapping[str, Any], where: str) -> None:
    expected = SUFFIXES[spec["adapter"]]
    if not spec["path"].lower().endswith(expected):
        raise DataError(
            f"{where}: adapter {spec['adapter']!r} reads {' and '.join(expected)}; choose the adapter that fits the file"
        )


def _shown(spec: Mapping[str, Any], root: Path, ids: np.ndarray, axes: Axes, where: str) -> np.ndarray:
    """The stimulus id of each presentation."""
    if axes.n_stimuli is not None:
        if axes.n_stimuli != len(ids):
            raise DataError(
                f"{where}: found {axes.n_stimuli} stimuli, expected {len(ids)} as in the stimulus set; "
                "check 'dims' and 'stimuli'"
            )
        return np.repeat(ids, axes.n_repeats)
    place, n = spec.get("stimulus_id"), axes.shape[0]
    if not place:
        raise DataError(
            f"{where}: dims has presentation but stimulus_id is not given; say {{key: …}}, the id of each presentation"
        )
    shown = as_text(_place(place, spec, root, "stimulus_id"))
    if shown.shape != (n,):
        raise DataError(f"{where}: stimulus_id has shape {shown.shape}, expected ({n},), one id per presentation")
    check_known(shown, ids, where, "ids", "correct ids or stimuli")
    return shown


def _time(spec: Mapping[str, Any], root: Path, axes: Axes, where: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Coordinates of the bins and the attribute `over_time`; nothing where the array has no time."""
    if not axes.timed:
        return {}, {}
    place, n = spec["time"], axes.shape[2]
    if place.get("step") is not None:
        edges = place["start"] + place["step"] * np.arange(n + 1)
    else:
        edges = _place(place, spec, root, "time")
    start, end = time_bins(np.asarray(edges), n, where)
    return {"time": start, "time_end": end}, {"over_time": str(spec["over_time"])}


def _place(place: Mapping[str, Any], spec: Mapping[str, Any], root: Path, what: str) -> np.ndarray:
    """The array that {key | path | column} names, by default in the subject's own file."""
    path = place.get("path") or spec["path"]
    return read_array(root, path, place.get("key") or place.get("column"), f"subject array {spec['path']}, {what}")


def _per_presentation(
    place: Mapping[str, Any] | None, spec: Mapping[str, Any], root: Path, shape: tuple[int, ...], what: str
) -> np.ndarray:
    """A label per presentation, from one value for all or from an array with one value per presentation of `shape`."""
    n = int(np.prod(shape))
    if not place:
        return np.full(n, "", dtype="U1")
    if place.get("value") is not None:
        return np.full(n, str(place["value"]))
    dims = [dim for dim in spec["dims"] if dim not in ("neuroid", "time")]
    values = as_text(_place(place, spec, root, what))
    if values.ndim == 2 and dims == ["repeat", "stimulus"]:
        values = values.T
    if values.shape not in ((n,), shape):
        raise DataError(
            f"subject array {spec['path']}, {what}: found shape {values.shape}, expected one value per {' × '.join(dims)}"
        )
    return values.reshape(-1)


def _volume(spec: Mapping[str, Any], root: Path) -> dict[str, str]:
    """The affine and the shape of the volume that neuroids are voxels of, where they are given, as JSON."""
    found = {}
    for name, size, kind, cast in (("affine", 16, "buif", float), ("shape", 3, "ui", int)):
        if place := spec.get(name):
            values = _place(place, spec, root, name)
            if values.dtype.kind == "f" and cast is int and (values == np.round(values)).all():
                values = values.astype(np.int64)  # MATLAB's numbers are all floating
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
