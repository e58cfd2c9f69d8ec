"""Electrodes and sensors (EEG, MEG, intracranial), through MNE-Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.neural.bins import bin_edges, check_width, for_samples, mean_in_bins, time_coords
from isocortex.recordings.neural.mne_epochs import channel_coords, cut_epochs, stored_epochs
from isocortex.recordings.repeats import repeat_numbers, run_numbers
from isocortex.storage.lazy import Read, lazy_response

BLOCK_BYTES = 32 << 20


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one file that MNE reads (https://mne.tools).

    Parameters
    ----------
    spec : {path, companions, window, bin, baseline, types, channels: {path, name, labels}, session, run} with `stimulus` for
        epochs, or events: {path, onset, stimulus, where, drop} for a continuous recording. See `isocortex.study.adapters.mne`.
    root : the data set's folder.
    stimuli_table : the stimulus set; its ids are the names of events, or what `stimulus` holds.

    Returns
    -------
    Dataset with `response` (presentation, neuroid, time) float32, in MNE's units (V, T, T/m), read from the file when it is
    indexed; neuroids are channels, with ch_type, hemisphere, x, y, z in mm and the labels of `channels`. Attribute `dropped` is
    JSON: how many bad channels and dropped epochs were left out.

    Raises
    ------
    DataError for a file that MNE cannot read, events without onset, unknown stimuli, a window that was not recorded.
    """
    where = f"recording {spec['path']}"
    epochs, shown, lost = (cut_epochs if spec.get("events") else stored_epochs)(spec, root, stimuli_table, where)
    coords, kept = channel_coords(epochs, spec, root, where)
    period = 1 / float(epochs.info["sfreq"])
    edges = _edges(np.asarray(epochs.times), period, spec, where)
    n = len(shown)
    return xr.Dataset(
        {"response": lazy_response((n, len(kept), len(edges) - 1), _reader(epochs, kept, edges, period, spec["baseline"]))},
        coords={
            "stimulus_id": ("presentation", shown),
            "repeat": ("presentation", repeat_numbers(shown)),
            **_parts_of_time(spec, n),
            **{name: ("neuroid", values) for name, values in coords.items()},
            **time_coords(edges),
        },
        attrs={
            "over_time": "mean",
            "dropped": json.dumps({"bad channels": len(epochs.info["bads"]), "epochs": lost}),
        },
    )


def _parts_of_time(spec: Mapping[str, Any], n: int) -> dict[str, tuple[str, np.ndarray]]:
    """Session and run of `n` presentations: as the entry says them, else the file's name and 0."""
    session = (spec.get("session") or {}).get("value") or Path(spec["path"]).name.split(".")[0]
    run = (spec.get("run") or {}).get("value") or ""
    return {
        "session": ("presentation", np.full(n, session)),
        "run": ("presentation", run_numbers(np.full(n, run))),
    }


def _edges(times: np.ndarray, period: float, spec: Mapping[str, Any], where: str) -> np.ndarray:
    """Edges of the bins: those of samples, or of `bin` seconds; all within what was recorded."""
    begin, end = float(times[0]), float(times[-1]) + period
    window = spec["window"] or [round(begin, 9), round(end, 9)]
    for name, span in (("window", window), ("baseline", spec["baseline"])):
        if span is not None and not (begin - period / 2 <= span[0] and span[1] <= end + period / 2):
            raise DataError(
                f"{where}: {name} is {span} s, expected within [{begin:g}, {end:g}] s, which was recorded; correct it"
            )
    if spec["bin"] is None:
        inside = times[(times >= window[0] - period * 1e-6) & (times < window[1] - period * 1e-6)]
        if not len(inside):
            raise DataError(f"{where}: no sample lies within window {window} s, {period:g} s apart; widen it, or give a bin")
        return np.round(np.append(inside, inside[-1] + period), 9)
    edges = bin_edges(window, spec["bin"])
    check_width(edges, period, where)
    return edges


def _reader(epochs: Any, kept: np.ndarray, edges: np.ndarray, period: float, baseline: list[float] | None) -> Read:
    """Reads means (rows, columns, n_bins), some epochs at a time."""
    times, edges = np.asarray(epochs.times), for_samples(edges, period)
    before = for_samples(np.asarray(baseline, dtype=np.float64), period) if baseline is not None else None

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        import mne

        result = np.empty((len(rows), len(columns), len(edges) - 1), dtype=np.float32)
        step = max(1, BLOCK_BYTES // (8 * len(times) * max(1, len(epochs.ch_names))))
        for start in range(0, len(rows), step):
            with mne.utils.use_log_level("ERROR"):
                values = epochs[rows[start : start + step]].get_data(copy=False)[:, kept[columns]]
            flat = values.reshape(-1, len(times)).T
            means = mean_in_bins(flat, times, edges)
            if before is not None:
                means = means - mean_in_bins(flat, times, before)
            result[start : start + step] = means.reshape(*values.shape[:2], -1)
        return result

    return read
