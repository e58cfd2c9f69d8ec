"""What was shown when in a run, and what else varied with its volumes: tables of events and of confounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text
from isocortex.recordings.shown_patterns import pattern_ids, read_patterns
from isocortex.recordings.tables import read_table

EARLIEST = -24.0  # seconds: nothing before it reaches into a run (nilearn's own limit)
NEEDED = ("onset", "duration")


def read_events(file: Path, where: str, separator: str | None = None) -> pd.DataFrame:
    """A table of events, confounds or labels, in which `n/a` is a missing value, as BIDS has it."""
    return read_table(file, where, separator, na_values=["n/a"])


def column_of(table: pd.DataFrame, name: str, where: str) -> pd.Series:
    """The column `name`; a `DataError` that lists those that there are."""
    if name not in table.columns:
        raise DataError(
            f"{where}: no column {name!r}, found {', '.join(map(str, table.columns))}; correct the name or the file"
        )
    return pd.Series(table[name])


def clean_events(table: pd.DataFrame, where: str, column: str = "trial_type", leave_out: Sequence[str] = ()) -> pd.DataFrame:
    """Events in the order of their onsets.

    Parameters
    ----------
    table : a BIDS table of events: onset and duration in seconds from the first volume on.
    column : whose values are the stimuli; leave_out : values that are none (rest, fixation), beside missing ones.

    Returns
    -------
    onset, duration (float64) and trial_type (str), one row per event that is kept.

    Raises
    ------
    DataError for a column that is missing, an onset or duration that is no number, a negative duration, or no event at all.
    """
    names = column_of(table, column, where)
    shown = _text(names)
    keep = ~(names.isna().to_numpy() | np.isin(shown, [*map(str, leave_out), ""]))
    events = pd.DataFrame({name: _seconds(table, name, keep, where) for name in NEEDED})
    events["trial_type"] = shown[keep]
    if not len(events):
        raise DataError(
            f"{where}: no event is left of {len(table)}, expected some; correct leave_out, column {column!r} or the file"
        )
    if (events["duration"].to_numpy() < 0).any():
        raise DataError(f"{where}: a duration is {events['duration'].min():g} s, expected 0 or more; correct the file")
    return events.sort_values("onset", kind="stable", ignore_index=True)


def _text(values: pd.Series) -> np.ndarray:
    """Names as text: a whole number that pandas read as a float (3.0) is 3 again."""
    if values.dtype.kind == "f":
        return as_text(values.to_numpy())
    return values.fillna("").to_numpy().astype(str)


def _seconds(table: pd.DataFrame, name: str, keep: np.ndarray, where: str) -> np.ndarray:
    values = np.asarray(pd.to_numeric(column_of(table, name, where), errors="coerce"), dtype=np.float64)
    wrong = np.flatnonzero(keep & ~np.isfinite(values))
    if len(wrong):
        found = table[name].iloc[wrong[0]]
        raise DataError(f"{where}: event {int(wrong[0]) + 1} has {name} {found!s}, expected seconds; correct the file")
    return values[keep]


def labels_of_volumes(file: Path, where: str, column: str, separator: str | None = None) -> list[str]:
    """The label of each volume: of a column, or with `*` the id of the pattern that the row is, "" for rest."""
    if column == "*":
        return pattern_ids(read_patterns(file, where, separator or ","))
    return column_of(read_events(file, where, separator), column, where).astype(str).tolist()


def events_of_volumes(labels: Sequence[str], tr: float, where: str, leave_out: Sequence[str] = ()) -> pd.DataFrame:
    """Events of a run that has one label per volume: each stretch of equal labels is one event.

    `labels` (n_volumes,); `tr` in seconds. Returns what `clean_events` returns; raises `DataError` where all are left out.
    """
    shown = np.asarray(labels, dtype=str)
    starts = np.concatenate([[0], np.flatnonzero(shown[1:] != shown[:-1]) + 1])
    lengths = np.diff(np.append(starts, len(shown)))
    table = pd.DataFrame({"onset": starts * tr, "duration": lengths * tr, "trial_type": shown[starts]})
    return clean_events(table, where, leave_out=leave_out)


def check_within(events: pd.DataFrame, n_volumes: int, tr: float, where: str) -> None:
    """Refuse events that lie outside a run of `n_volumes` volumes, `tr` seconds apart."""
    end = n_volumes * tr
    onset = events["onset"].to_numpy()
    wrong = np.flatnonzero((onset >= end) | (onset < EARLIEST))
    if len(wrong):
        name = events["trial_type"].iloc[wrong[0]]
        raise DataError(
            f"{where}: event {name!r} starts at {onset[wrong[0]]:g} s, expected before "
            f"{end:g} s, the end of the run ({n_volumes} volumes, {tr:g} s apart); correct the events (in seconds?) or tr"
        )


def clean_confounds(table: pd.DataFrame, columns: Sequence[str], n_volumes: int, where: str) -> pd.DataFrame:
    """The named columns (n_volumes, n_columns) as float64.

    A first row without a value, as that of derivatives and of framewise displacement, takes the value of the second, as
    nilearn's `load_confounds` has it. Raises `DataError` for another number of rows, a missing column, or other gaps.
    """
    if len(table) != n_volumes:
        raise DataError(
            f"{where}: found {len(table)} rows, expected {n_volumes}, one per volume; name the confounds of this run"
        )
    found = pd.DataFrame({name: pd.to_numeric(column_of(table, name, where), errors="coerce") for name in columns})
    found = found.astype(np.float64)
    if n_volumes > 1 and len(columns):
        found.iloc[0] = found.iloc[0].fillna(found.iloc[1])
    gaps = [name for name in found if not np.isfinite(found[name].to_numpy()).all()]
    if len(gaps):
        raise DataError(f"{where}: column {str(gaps[0])!r} has values that are not numbers, expected none; leave it out")
    return found
