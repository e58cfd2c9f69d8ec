"""Times in order in a file, of which only those around a moment are read."""

from __future__ import annotations

from typing import Any

import numpy as np

from isocortex.errors import DataError

STEP = 4096


class SortedTimes:
    """Times from `start` to `stop` in an array of a file, known by every 4096th of them.

    Making one reads all times once, a piece at a time. `disorder` says at which place times first fall (or are NaN), None where
    they never do; `strict` counts two equal times as falling.
    """

    def __init__(self, array: Any, start: int = 0, stop: int | None = None, strict: bool = False) -> None:
        self.start, self.stop = start, len(array) if stop is None else stop
        self.disorder: int | None = None
        marks, last = [], -np.inf
        for place in range(self.start, self.stop, STEP):
            piece = np.asarray(array[place : min(place + STEP, self.stop)], dtype=np.float64)
            steps = np.diff(piece, prepend=last)
            wrong = np.flatnonzero(~(steps > 0 if strict else steps >= 0))
            if len(wrong) and self.disorder is None:
                self.disorder = place - self.start + int(wrong[0])
            marks.append(piece[0])
            last = piece[-1]
        self.marks = np.asarray(marks, dtype=np.float64)

    def __len__(self) -> int:
        return self.stop - self.start

    def within(self, array: Any, begin: float, end: float) -> tuple[int, np.ndarray]:
        """All times from `begin` to `end`, and some around them: the place of the first, and the times (float64).

        Times out of order are read whole and put in order; their places then mean nothing.
        """
        if self.disorder is not None:
            return 0, np.sort(np.asarray(array[self.start : self.stop], dtype=np.float64))
        first = max(int(np.searchsorted(self.marks, begin, side="left")) - 1, 0) * STEP
        last = min(int(np.searchsorted(self.marks, end, side="right")) * STEP, len(self))
        return first, np.asarray(array[self.start + first : self.start + max(last, first)], dtype=np.float64)

    def check(self, where: str, what: str, advice: str) -> None:
        """Raise `DataError` where the times are not in order."""
        if self.disorder is not None:
            raise DataError(
                f"{where}: {what} are not in order (first at place {self.disorder}), expected them to rise; {advice}"
            )
