"""Sessions of Steinmetz et al. (2019): spike counts of units in many areas while a mouse compares two gratings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.neural.bins import bin_edges, time_coords
from isocortex.recordings.repeats import repeat_numbers
from isocortex.storage.lazy import Read, lazy_response

BIN = 0.01  # seconds
CONTRASTS = ("contrast_left", "contrast_right")


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one session.

    Parameters
    ----------
    spec : {path, bin}. The NPZ file `path` holds `spikes` (trials, units, bins), counts in bins of 10 ms from the stimulus on;
        `brain_area` (units,), acronyms of the Allen atlas; `contrast_left` and `contrast_right` (trials,); `mouse` and `date`.
        `bin` is the width of the recording's bins in seconds, a multiple of 0.01.
    root : the data set's folder.
    stimuli_table : the stimulus set; its columns `contrast_left` and `contrast_right` say which stimulus a trial showed.

    Returns
    -------
    Dataset with `response` (presentation, neuroid, time) float32, spikes per bin; presentations are the trials in their order,
    with coords stimulus_id, repeat, session (mouse and date) and run (0); neuroids have neuroid_id, area, mouse, no position;
    `time` and `time_end` are in seconds after the stimulus. A sum over bins is the count of a window.

    Raises
    ------
    DataError for a missing key, wrong shapes or values, bins that do not fill what was recorded, contrasts of no stimulus.
    """
    where = f"session {spec['path']}"
    spikes = _spikes(spec, root, where)
    n_trials, n_units, n_bins = spikes.shape
    step = _step(spec.get("bin") or BIN, n_bins, where)
    left, right = (_column(spec, root, name, n_trials, "trial", where).astype(np.float64) for name in CONTRASTS)
    shown = _shown(left, right, stimuli_table, where)
    mouse, date = (str(as_text(read_array(root, spec["path"], name, where))) for name in ("mouse", "date"))
    return xr.Dataset(
        {"response": lazy_response((n_trials, n_units, n_bins // step), _counts(spikes, step))},
        coords={
            "stimulus_id": ("presentation", shown),
            "repeat": ("presentation", repeat_numbers(shown)),
            "session": ("presentation", np.full(n_trials, f"{mouse} {date}")),
            "run": ("presentation", np.zeros(n_trials, dtype=np.int64)),
            **_neuroids(as_text(_column(spec, root, "brain_area", n_units, "unit", where)), mouse),
            **time_coords(bin_edges((0.0, n_bins * BIN), step * BIN)),
        },
        attrs={"over_time": "sum"},
    )


def _spikes(spec: Mapping[str, Any], root: Path, where: str) -> np.ndarray:
    """Counts (trial, unit, bin)."""
    spikes = read_array(root, spec["path"], "spikes", where)
    if spikes.ndim != 3 or 0 in spikes.shape:
        raise DataError(f"{where}: spikes have shape {spikes.shape}, expected (trials, units, bins); make the file again")
    if spikes.dtype.kind not in "ui" or (spikes.dtype.kind == "i" and spikes.min() < 0):
        raise DataError(f"{where}: spikes are {spikes.dtype}, expected counts (whole numbers from 0); make the file again")
    return spikes


def _neuroids(area: np.ndarray, mouse: str) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates of units, whose positions are not known."""
    n = len(area)
    coords = {"neuroid_id": np.arange(n).astype(str), "area": area, "mouse": np.full(n, mouse)}
    coords |= dict.fromkeys(("x", "y", "z"), np.full(n, np.nan))
    return {name: ("neuroid", values) for name, values in coords.items()}


def _counts(spikes: np.ndarray, step: int) -> Read:
    """Reads counts (rows, columns, n_bins) in bins of `step` of the file's."""

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        part = spikes[np.ix_(rows, columns)].reshape(len(rows), len(columns), -1, step)
        return part.sum(axis=3, dtype=np.int64)

    return read


def _step(width: float, n_bins: int, where: str) -> int:
    """How many of the file's bins make one of `width` seconds."""
    step = round(float(width) / BIN)
    if step < 1 or n_bins % step:
        raise DataError(
            f"{where}: bin is {width:g} s, expected a width that fills the {n_bins * BIN:g} s that were recorded; correct bin"
        )
    return step


def _column(spec: Mapping[str, Any], root: Path, key: str, n: int, what: str, where: str) -> np.ndarray:
    """One value per trial, or per unit."""
    values = read_array(root, spec["path"], key, where)
    if values.shape != (n,):
        raise DataError(f"{where}: {key} has shape {values.shape}, expected ({n},), one value per {what}; make the file again")
    return values


def _shown(left: np.ndarray, right: np.ndarray, table: pd.DataFrame, where: str) -> np.ndarray:
    """The stimulus id of each trial."""
    missing = [name for name in CONTRASTS if name not in table]
    if missing:
        raise DataError(
            f"{where}: the stimulus set has no label {missing[0]!r}, which trials are known by; "
            "give it crossed: {contrast_left: [0, 0.25, 0.5, 1], contrast_right: [0, 0.25, 0.5, 1]}"
        )
    pairs = zip(table[CONTRASTS[0]].astype(float), table[CONTRASTS[1]].astype(float), strict=True)
    known = dict(zip(pairs, table["stimulus_id"].astype(str), strict=True))
    trials = list(zip(left.tolist(), right.tolist(), strict=True))
    strange = [pair for pair in trials if pair not in known]
    if strange:
        found = f"{strange[0][0]:g} left and {strange[0][1]:g} right"
        raise DataError(
            f"{where}: {len(strange)} trials have contrasts that are not in the stimulus set (first {found}); add them to it"
        )
    return np.asarray([known[pair] for pair in trials], dtype=str)
