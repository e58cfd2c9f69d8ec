"""What every recording must be, whatever format it came in."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.known import check_known

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
OVER_TIME = ("sum", "mean")


def check_recording(recording: xr.Dataset, stimulus_ids: Iterable[str]) -> None:
    """Refuse a recording by its coordinates: presentations, neuroids, time.

    `stimulus_ids` are those of the subject's stimulus set. Raises `DataError` for none of either, an id that the set lacks,
    neuroid ids that are empty or occur twice, names of coordinates that no store can hold, and bins of time that do not follow
    one another.
    """
    for dim in ("presentation", "neuroid"):
        if not recording.sizes[dim]:
            raise DataError(f"found no {dim}, expected at least one; check the subject's entry")
    for name in recording.coords:
        # Names become files of the store, and words of attributes that are divided at spaces.
        if not NAME.fullmatch(str(name)):
            raise DataError(f"found a coordinate called {name!r}, expected letters, digits and . _ + - in its name; rename it")
    shown = recording["stimulus_id"].to_numpy().astype(str)
    check_known(shown, stimulus_ids, "stimulus_id", "ids", "correct the ids, or add the stimuli")
    names, counts = np.unique(recording["neuroid_id"].to_numpy().astype(str), return_counts=True)
    if counts.max() > 1 or "" in names:
        found = f"{int((counts > 1).sum())} neuroid ids twice (first {str(names[counts.argmax()])!r})"
        found = found if counts.max() > 1 else "an empty neuroid id"
        raise DataError(f"found {found}, expected unique ids; correct neuroid_id")
    if "time" in recording.dims:
        _check_time(recording)


def _check_time(recording: xr.Dataset) -> None:
    """Bins of a response in time: each ends after it starts and starts after the one before; how they are taken together."""
    if "time_end" not in recording.coords or recording.attrs.get("over_time") not in OVER_TIME:
        raise DataError(
            f"found bins of time without time_end or over_time ({recording.attrs.get('over_time')!r}), expected each bin's end "
            "and over_time sum or mean; correct the adapter"
        )
    start, end = (recording[name].to_numpy().astype(float) for name in ("time", "time_end"))
    wrong = np.flatnonzero(~(np.diff(start) > 0))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"time does not increase: bin {at + 1} starts at {start[at + 1]:g} s, after one at {start[at]:g} s; order the bins"
        )
    if not (np.isfinite(start).all() and (end > start).all()):
        at = int(np.flatnonzero(~(end > start))[0])
        raise DataError(f"bin {at} is from {start[at]:g} to {end[at]:g} s, expected its end after its start; correct the bins")


class Checked:
    """Looks at every block of responses on its way into the store: no infinite value, and no run without any value."""

    def __init__(self, recording: xr.Dataset) -> None:
        n = recording.sizes["presentation"]
        named = [
            recording[name].to_numpy().astype(str).tolist() if name in recording else [""] * n for name in ("session", "run")
        ]
        self._run = list(zip(*named, strict=True))
        self._valid = np.zeros(n, dtype=bool)

    def block(self, rows: slice, values: np.ndarray) -> None:
        """Look at some presentations (rows, neuroid[, time]). Raises `DataError` for infinite values."""
        if np.isinf(values).any():
            raise DataError(
                f"found {int(np.isinf(values).sum())} infinite values in presentations {rows.start} to {rows.stop - 1}, "
                "expected numbers or NaN; mark them as NaN"
            )
        self._valid[rows] = np.isfinite(values).any(axis=tuple(range(1, values.ndim)))

    def finish(self) -> None:
        """All presentations were seen. Raises `DataError` where a run, or everything, is NaN throughout."""
        if not self._valid.any():
            raise DataError("found no finite response, expected some; check the subject's entry")
        answered = {run for run, valid in zip(self._run, self._valid, strict=True) if valid}
        for session, run in dict.fromkeys(self._run):
            if (session, run) not in answered:
                where = f"run {run}" + (f" of session {session}" if session else "")
                raise DataError(
                    f"{where}: all {self._run.count((session, run))} presentations are NaN in all neuroids, expected some "
                    "values; leave the run out, or make its file again"
                )
