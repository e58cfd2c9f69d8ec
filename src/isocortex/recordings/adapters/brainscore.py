"""Assemblies of Brain-Score: netCDF with the levels of its indices as variables along presentation, neuroid and time bin.

Source: the packages brainio and brainscore_core (assemblies, packaging), whose files these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text
from isocortex.recordings.known import check_known
from isocortex.recordings.paths import inside
from isocortex.recordings.repeats import repeat_numbers
from isocortex.storage.lazy import lazy_response

DIMS = ("presentation", "neuroid", "time_bin")
# Assemblies of before 2021 call it image_id.
STIMULUS, POSITION, EDGES = ("stimulus_id", "image_id"), ("x", "y", "z"), ("time_bin_start", "time_bin_end")
MILLISECONDS = 1000.0
HELD_BYTES = 16 << 20  # of the file, at a time: bins of 1 ms are many more than their mean
Levels = dict[str, np.ndarray]


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one assembly, or of one animal in it.

    Parameters
    ----------
    spec : {path, variable, where: {level: [values]}}. `variable` has the dimensions presentation, neuroid and perhaps time_bin,
        in any order; it may be left out where the file holds one. `where` keeps neuroids.
    root : the data set's folder.
    stimuli_table : the stimulus set, whose ids are the levels stimulus_id or image_id of the presentations.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read by blocks; where there are several bins,
    (presentation, neuroid, time) with time and time_end in seconds. Every level of the neuroids is a coordinate; x, y, z are
    NaN where the assembly has none. Presentations are in the order of the file.

    Raises
    ------
    DataError for other dimensions, a missing level, unknown ids, or no neuroid that is wanted.
    """
    where, file = f"assembly {spec['path']}", inside(root, spec["path"], "assembly")
    with _open(file, where) as assembly:
        name = _variable(assembly, spec.get("variable"), where)
        levels = {dim: _levels(assembly, dim) for dim in DIMS}
        dims = tuple(str(dim) for dim in assembly[name].dims)
        sizes = {str(dim): int(size) for dim, size in assembly[name].sizes.items()}
    kept = _kept(levels["neuroid"], spec.get("where") or {}, sizes["neuroid"], where)
    shown = _shown(levels["presentation"], stimuli_table, where)
    time = _bins(levels["time_bin"], sizes.get("time_bin"), where)
    shape = (sizes["presentation"], len(kept), *([len(time["time"])] if time else []))

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(columns), *shape[2:]), dtype=np.float32)
        step = max(1, HELD_BYTES // (8 * sizes["neuroid"] * sizes.get("time_bin", 1)))
        with _open(file, where) as again:
            for start in range(0, len(rows), step):
                few = slice(start, start + step)
                result[few] = _values(again[name].variable, dims, rows[few], kept[columns])
        return result

    session = levels["presentation"].get("session", np.full(len(shown), ""))
    return xr.Dataset(
        {"response": lazy_response(shape, read)},
        coords={
            "stimulus_id": ("presentation", shown),
            "repeat": ("presentation", repeat_numbers(shown)),
            "session": ("presentation", as_text(session)),
            "run": ("presentation", np.zeros(len(shown), dtype=np.int64)),
            **{key: ("neuroid", values[kept]) for key, values in _neuroids(levels["neuroid"], sizes["neuroid"]).items()},
            **{key: ("time", values) for key, values in time.items()},
        },
        attrs={"over_time": "mean"} if time else {},
    )


def _open(file: Path, where: str) -> xr.Dataset:
    try:
        return xr.open_dataset(file, decode_times=False, cache=False)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: not a readable netCDF file ({text}); fetch it again") from error


def _variable(assembly: xr.Dataset, asked: str | None, where: str) -> str:
    """The variable that holds the responses."""
    fitting = [str(name) for name, found in assembly.variables.items() if {"presentation", "neuroid"} <= set(found.dims)]
    chosen = asked or (fitting[0] if len(fitting) == 1 else None)
    if chosen not in fitting:
        raise DataError(
            f"{where}: found {', '.join(fitting) or 'no variable'} of presentation and neuroid, expected "
            f"{repr(asked) if asked else 'one'}; correct 'variable' (behaviour, which has no neuroids, is not read)"
        )
    dims = assembly[chosen].dims
    if not set(dims) <= set(DIMS):
        raise DataError(f"{where}: {chosen} has dims {', '.join(map(str, dims))}, expected {', '.join(DIMS)}")
    if 0 in assembly[chosen].shape:
        raise DataError(f"{where}: {chosen} has shape {assembly[chosen].shape}, expected at least one value; fetch it again")
    return chosen


def _levels(assembly: xr.Dataset, dim: str) -> Levels:
    """The levels along a dimension."""
    return {str(name): found.to_numpy() for name, found in assembly.variables.items() if found.dims == (dim,)}


def _kept(levels: Levels, wanted: Mapping[str, list[str]], n: int, where: str) -> np.ndarray:
    """Indices of the neuroids whose levels have the wanted values."""
    kept = np.ones(n, dtype=bool)
    for level, values in wanted.items():
        if level not in levels:
            raise DataError(
                f"{where}: the neuroids have no level {level!r}, found {', '.join(sorted(levels))}; correct 'where'"
            )
        found = as_text(levels[level])
        strange = sorted(set(values) - set(found))
        if strange:
            known = ", ".join(sorted(set(found))[:8])
            raise DataError(f"{where}: no neuroid has {level} {strange[0]!r}, found {known}; correct 'where'")
        kept &= np.isin(found, values)
    if not kept.any():
        raise DataError(f"{where}: no neuroid has all of {dict(wanted)}, expected some; correct 'where'")
    return np.flatnonzero(kept)


def _shown(levels: Levels, table: pd.DataFrame, where: str) -> np.ndarray:
    """The stimulus id of each presentation."""
    level = next((name for name in STIMULUS if name in levels), None)
    if level is None:
        raise DataError(
            f"{where}: the presentations have no level {' or '.join(STIMULUS)}, found {', '.join(sorted(levels))}; rename "
            "the one that names the stimulus, or choose another file"
        )
    shown = as_text(levels[level])
    check_known(shown, table["stimulus_id"].astype(str), where, "ids", "correct the stimulus set")
    return shown


def _bins(levels: Levels, n: int | None, where: str) -> dict[str, np.ndarray]:
    """Edges of the bins in seconds; {} where there are none, or one."""
    if n is None or n == 1:
        return {}
    if not set(EDGES) <= set(levels):
        raise DataError(f"{where}: found no levels {' and '.join(EDGES)} of time bins, expected both; correct 'variable'")
    start, end = (np.asarray(levels[name], dtype=np.float64) / MILLISECONDS for name in EDGES)
    if (np.diff(start) <= 0).any() or (end <= start).any():
        raise DataError(f"{where}: the time bins do not increase (first {start[0]:g} to {end[0]:g} s), expected them in order")
    return {"time": start, "time_end": end}


def _values(variable: Any, dims: tuple[str, ...], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Responses (rows, columns[, bins]): one stretch of the file is read, and what is wanted is taken from it."""
    low = {"presentation": int(rows.min()), "neuroid": int(columns.min())}
    high = {"presentation": int(rows.max()) + 1, "neuroid": int(columns.max()) + 1}
    index = tuple(slice(None) if dim == "time_bin" else slice(low[dim], high[dim]) for dim in dims)
    block = variable[index].to_numpy().transpose([dims.index(dim) for dim in DIMS if dim in dims])
    block = block[rows - low["presentation"]][:, columns - low["neuroid"]]
    return block[:, :, 0] if block.ndim == 3 and block.shape[2] == 1 else block


def _neuroids(levels: Levels, n: int) -> Levels:
    """Ids, positions (mm, NaN where the assembly has none) and labels of all neuroids."""
    coords: Levels = {"neuroid_id": as_text(levels.get("neuroid_id", np.arange(n)))}
    for axis in POSITION:
        numeric = axis in levels and levels[axis].dtype.kind in "buif"
        coords[axis] = levels[axis].astype(np.float64) if numeric else np.full(n, np.nan)
    taken = {*coords, "neuroid"}
    return coords | {name: as_text(values) for name, values in levels.items() if name not in taken}
