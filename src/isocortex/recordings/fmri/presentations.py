"""Presentations that come file by file or run by run: side by side in one response that is read in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from isocortex.recordings.known import check_known
from isocortex.recordings.repeats import repeat_numbers
from isocortex.storage.lazy import lazy_response


@dataclass(frozen=True)
class Part:
    """Successive presentations of one file or run.

    `shown` (n,) their stimulus ids; `read` (start, stop) to values (stop - start, n_neuroids); `whole` says that reading some
    rows costs as much as reading all, so that all are read at once and kept until another part is read.
    """

    shown: np.ndarray
    read: Callable[[int, int], np.ndarray]
    session: str = ""
    run: int = 0
    whole: bool = False


class _Reader:
    """Reads rows and columns of all parts; holds what was read last of one part only."""

    def __init__(self, parts: Sequence[Part], n_neuroids: int) -> None:
        self._parts, self._n_neuroids = parts, n_neuroids
        self._starts = np.concatenate([[0], np.cumsum([len(part.shown) for part in parts])])
        self._kept: tuple[int, np.ndarray] | None = None

    def __call__(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(columns)), dtype=np.float32)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        for owner in np.unique(owners):
            here = np.flatnonzero(owners == owner)
            result[here] = self._rows(int(owner), rows[here] - self._starts[owner])[:, columns]
        return result

    def _rows(self, owner: int, rows: np.ndarray) -> np.ndarray:
        part = self._parts[owner]
        if not part.whole:
            first = int(rows.min())
            return part.read(first, int(rows.max()) + 1)[rows - first]
        if self._kept is None or self._kept[0] != owner:
            self._kept = None  # let go before the next is read, so that two are never held
            self._kept = (owner, part.read(0, len(part.shown)))
        return self._kept[1][rows]


def side_by_side(parts: Sequence[Part], n_neuroids: int, known: Sequence[str], where: str) -> xr.Dataset:
    """The response of all parts in their order, with coords stimulus_id, repeat, session, run.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read when it is indexed.

    Raises
    ------
    DataError for an id that is not among `known`, the ids of the stimulus set.
    """
    shown = np.concatenate([np.asarray(part.shown, dtype=str) for part in parts])
    check_known(shown, known, where, "ids", "correct ids or stimuli")
    counts = [len(part.shown) for part in parts]
    return xr.Dataset(
        {"response": lazy_response((len(shown), n_neuroids), _Reader(parts, n_neuroids))},
        coords={
            "stimulus_id": ("presentation", shown),
            "repeat": ("presentation", repeat_numbers(shown)),
            "session": ("presentation", np.repeat([part.session for part in parts], counts)),
            "run": ("presentation", np.repeat([part.run for part in parts], counts).astype(np.int64)),
        },
    )
