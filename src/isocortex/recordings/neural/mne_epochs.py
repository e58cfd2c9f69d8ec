"""Epochs as MNE-Python has them: read from a file, or cut from a continuous recording; never held whole."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.arrays import read_array
from isocortex.recordings.neural.presentations import identify, in_order, select
from isocortex.recordings.paths import inside


def _reading(read: Any, file: Path, where: str) -> Any:
    try:
        with warnings.catch_warnings():
            # MNE's own use of pandas, when it reads metadata.
            warnings.filterwarnings("ignore", message="The inplace keyword in DataFrame", category=DeprecationWarning)
            return read(file, preload=False, verbose="ERROR")
    except Exception as error:
        # Any: MNE's readers, one per format, raise many kinds for a file that is broken or of another format.
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {file.name} could not be read ({text}); check its format, or fetch it again") from error


def stored_epochs(spec: Mapping[str, Any], root: Path, stimuli: pd.DataFrame, where: str) -> tuple[Any, np.ndarray, int]:
    """The epochs of a file that were not dropped, in order of time; the stimulus of each; and how many were dropped.

    A stimulus is the name of an epoch's event, or stands in the column `stimulus` of the metadata.
    """
    import mne

    epochs = _reading(mne.read_epochs, inside(root, spec["path"], where), where)
    if not len(epochs):
        raise DataError(f"{where}: found no epochs, expected some that were not dropped; check the file")
    column = spec.get("stimulus")
    if column is None:
        names = {code: name for name, code in epochs.event_id.items()}
        shown = np.asarray([names[code] for code in epochs.events[:, 2]])
    elif epochs.metadata is None or column not in epochs.metadata:
        found = ", ".join(map(str, epochs.metadata.columns)) if epochs.metadata is not None else "no metadata"
        raise DataError(f"{where}: the epochs have no column {column!r}, found {found}; correct 'stimulus'")
    else:
        shown = epochs.metadata[column].to_numpy()
    order = np.argsort(epochs.events[:, 0], kind="stable")
    name = column or "event"
    lost = sum(bool(reasons) and reasons != ("IGNORED",) for reasons in epochs.drop_log)
    return epochs[order], identify({name: shown[order]}, name, stimuli, where), lost


def cut_epochs(spec: Mapping[str, Any], root: Path, stimuli: pd.DataFrame, where: str) -> tuple[Any, np.ndarray, int]:
    """Epochs around the events of a table, in order of time; the stimulus of each; and how many were dropped.

    Those are dropped that the recording does not hold whole, or that overlap what it marks as bad.

    Raises `DataError` for events without onset, two at one sample, and none that is left.
    """
    import mne

    raw = _reading(mne.io.read_raw, inside(root, spec["path"], where), where)
    rate = float(raw.info["sfreq"])
    shown = _events(spec["events"], root, stimuli, f"{where}, events")
    samples = np.round(shown.onset * rate).astype(np.int64) + raw.first_samp
    _check_apart(samples, shown.onset, f"{where}, events")
    spans = np.asarray([spec["window"], spec["baseline"] or spec["window"]], dtype=np.float64)
    start, end = float(spans.min()), float(spans.max()) - 1 / rate
    whole = (samples + start * rate > raw.first_samp - 0.5) & (samples + end * rate < raw.last_samp + 0.5)
    if not whole.any():
        raise DataError(
            f"{where}: none of {len(samples)} epochs is whole, expected some; check the events' onsets and the window"
        )
    samples, stimulus = samples[whole], shown.stimulus_id[whole]
    events = np.column_stack([samples, np.zeros_like(samples), np.ones_like(samples)])
    epochs = mne.Epochs(
        raw,
        events,
        tmin=start,
        tmax=end,
        baseline=None,
        preload=False,
        verbose="ERROR",
    )
    epochs.drop_bad(verbose="ERROR")
    if not len(epochs):
        raise DataError(
            f"{where}: all of {len(events)} epochs overlap what is marked as bad, expected some; check the annotations"
        )
    return epochs, stimulus[epochs.selection], len(whole) - len(epochs)


def _check_apart(samples: np.ndarray, onset: np.ndarray, where: str) -> None:
    """Raise `DataError` for two events at one sample."""
    again = np.flatnonzero(np.diff(samples) == 0)
    if len(again):
        raise DataError(
            f"{where}: {len(again)} pairs of events are at one sample (first at {onset[again[0]]:g} s), "
            "expected one stimulus at a time; leave one of each out with 'where' or 'drop'"
        )


def _events(options: Mapping[str, Any], root: Path, stimuli: pd.DataFrame, where: str) -> Any:
    named = options["stimulus"]
    names = [named] if isinstance(named, str) else list(named)
    wanted = dict.fromkeys((options["onset"], *names, *options["where"], *options["drop"]))
    columns = {name: read_array(root, options["path"], name, where) for name in wanted}
    kept = select(columns, options["where"], options["drop"])
    columns = {name: values[kept] for name, values in columns.items()}
    onset = np.asarray(pd.to_numeric(pd.Series(columns[options["onset"]]), errors="coerce"), dtype=np.float64)
    blank = np.full(len(onset), "")
    return in_order(onset, identify(columns, named, stimuli, where), blank, blank, where)


def channel_coords(epochs: Any, spec: Mapping[str, Any], root: Path, where: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Coordinates of the channels that are kept, and which they are; bad ones, and those of other types, are not.

    Positions are in mm, in MNE's coordinates of the head where the recording has them (x to the right).
    """
    kinds = np.asarray(epochs.get_channel_types())
    wanted = spec["types"] or [kind for kind in dict.fromkeys(kinds.tolist()) if kind in DATA_TYPES]
    absent = [kind for kind in wanted if kind not in kinds]
    if absent:
        found = ", ".join(dict.fromkeys(kinds.tolist()))
        raise DataError(f"{where}: found no channel of type {absent[0]!r}, expected one of {found}; correct 'types'")
    kept = np.flatnonzero(np.isin(kinds, wanted) & ~np.isin(epochs.ch_names, epochs.info["bads"]))
    if not len(kept):
        raise DataError(f"{where}: no channel is left, expected some of type {', '.join(wanted) or 'data'} that are not bad")
    place = np.asarray([epochs.info["chs"][k]["loc"][:3] for k in kept], dtype=np.float64) * 1e3
    place[~place.any(axis=1)] = np.nan  # MNE writes zeros where it does not know
    side = np.where(place[:, 0] < 0, "left", np.where(place[:, 0] > 0, "right", ""))
    coords = {"neuroid_id": np.asarray(epochs.ch_names)[kept], "ch_type": kinds[kept], "hemisphere": side}
    coords |= {axis: place[:, k] for k, axis in enumerate("xyz")}
    if spec.get("channels"):
        coords |= _labels(spec["channels"], root, coords["neuroid_id"], f"{where}, channels")
    return coords, kept


# What measures the brain, as MNE calls it.
DATA_TYPES = frozenset({"mag", "grad", "eeg", "seeg", "ecog", "dbs", "csd", "hbo", "hbr", "fnirs_od", "fnirs_cw_amplitude"})


def _labels(options: Mapping[str, Any], root: Path, names: np.ndarray, where: str) -> dict[str, np.ndarray]:
    """The labels of each channel by a table; "" for one that the table lacks."""
    listed = read_array(root, options["path"], options["name"], where).tolist()
    rows = {name: row for row, name in enumerate(listed)}
    if len(rows) < len(listed):
        raise DataError(f"{where}: {options['path']} names a channel twice, expected one row for each; correct the table")
    if not rows.keys() & set(names.tolist()):
        raise DataError(
            f"{where}: none of the {len(names)} channels (first {str(names[0])!r}) is in column {options['name']!r} of "
            f"{options['path']}; correct 'name'"
        )
    found = {}
    for label in options["labels"]:
        values = read_array(root, options["path"], label, where)
        found[label] = np.asarray([values[rows[name]] if name in rows else "" for name in names.tolist()], dtype=str)
    return found
