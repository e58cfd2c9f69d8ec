"""An array whose axes have names, read as presentations × neuroids (× time), a block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.storage.lazy import row_blocks

FORMS = (("stimulus", "repeat", "neuroid"), ("presentation", "neuroid"))
SCAN_BYTES = 16 << 20  # of a block, while it is found out which presentations took place


class Axes:
    """An array-like `source` with `dims` in its own order: stimulus, repeat (optional) and neuroid, or presentation and
    neuroid; time may be among them.

    `shape` is (n_presentations, n_neuroids[, n_time]); of stimuli and repeats, the presentations go stimulus by stimulus.
    Raises `DataError` for other dims, another number of axes, or an empty array.
    """

    def __init__(self, source: Any, dims: Sequence[str], where: str) -> None:
        self.source, self.where, sizes = source, where, _sizes(source, dims, where)
        self.dims = list(dims)
        self.rows = [dim for dim in ("stimulus", "repeat", "presentation") if dim in dims]
        self.n_repeats = sizes.get("repeat", 1)
        self.n_stimuli = sizes.get("stimulus")
        self.timed = "time" in sizes
        count = sizes["stimulus"] * self.n_repeats if self.n_stimuli is not None else sizes["presentation"]
        self.shape = (count, sizes["neuroid"], *([sizes["time"]] if self.timed else []))

    def read(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Values (rows, columns[, time]) of presentations and neuroids by their indices; nothing far from them is read."""
        outer = rows // self.n_repeats
        spans = {self.rows[0]: _span(outer), "neuroid": _span(columns)}
        block = np.asarray(self.source[tuple(spans.get(dim, slice(None)) for dim in self.dims)])
        order = [*self.rows, "neuroid", *(["time"] if self.timed else [])]
        block = block.transpose([self.dims.index(dim) for dim in order])
        block = block.reshape(-1, *block.shape[len(self.rows) :])
        inner = rows - spans[self.rows[0]].start * self.n_repeats
        if _successive(inner) and _successive(columns):
            return block[inner[0] : inner[-1] + 1]
        return block[np.ix_(inner, columns - spans["neuroid"].start)]

    def occurred(self) -> np.ndarray:
        """Which presentations have any value that is not NaN: bool (n_presentations,). Raises `DataError` for infinite ones."""
        if self.source.dtype.kind in "iub":
            return np.ones(self.shape[0], dtype=bool)  # whole numbers have no NaN: nothing is read
        found, infinite = np.zeros(self.shape[0], dtype=bool), 0
        columns = np.arange(self.shape[1])
        for block in row_blocks(self.shape, at_most=SCAN_BYTES):
            values = self.read(np.arange(block.start, block.stop), columns)
            infinite += int(np.isinf(values).sum())
            found[block] = (~np.isnan(values)).any(axis=tuple(range(1, values.ndim)))
        if infinite:
            raise DataError(f"{self.where}: found {infinite} infinite values, expected numbers or NaN; mark them as NaN")
        return found


def _sizes(source: Any, dims: Sequence[str], where: str) -> dict[str, int]:
    shape = tuple(source.shape)
    if len(shape) != len(dims):
        raise DataError(f"{where}: found an array of shape {shape}, expected {len(dims)} dimensions ({', '.join(dims)})")
    rest = set(dims) - {"time"}
    known = [set(form) for form in FORMS] + [{"stimulus", "neuroid"}]
    if len(set(dims)) < len(dims) or rest not in known:
        raise DataError(
            f"{where}: found dims {', '.join(dims)}, expected stimulus, neuroid and perhaps repeat, or presentation and "
            "neuroid; and perhaps time"
        )
    if 0 in shape:
        raise DataError(f"{where}: found an empty array of shape {shape}, expected at least one value; check 'key'")
    return dict(zip(dims, shape, strict=True))


def _span(places: np.ndarray) -> slice:
    return slice(int(places.min()), int(places.max()) + 1) if len(places) else slice(0, 0)


def _successive(places: np.ndarray) -> bool:
    return len(places) > 0 and bool((np.diff(places) == 1).all())


def trailing(source: Any, n_dims: int) -> Any:
    """An array of a MAT file with the axes of length 1 that MATLAB leaves out at the end: `source` read, if any are missing."""
    missing = n_dims - len(source.shape)
    return np.asarray(source[...]).reshape(*source.shape, *[1] * missing) if missing > 0 else source


def time_bins(values: np.ndarray, n_bins: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each bin in s, float64 (n_bins,), from starts (n,), edges (n + 1,), or both (n, 2).

    Of starts alone, a bin ends where the next begins, and the last is as long as the one before it. Raises `DataError` for
    another shape, values that are not finite, and times that do not increase.
    """
    if values.dtype.kind not in "buif":
        raise DataError(f"{where}, time: found {values.dtype}, expected numbers (seconds after the stimulus); correct 'key'")
    values = values.astype(np.float64)
    forms = {
        (n_bins,): lambda: (values, np.append(values[1:], 2 * values[-1] - values[-2]) if n_bins > 1 else values),
        (n_bins + 1,): lambda: (values[:-1], values[1:]),
        (n_bins, 2): lambda: (values[:, 0], values[:, 1]),
    }
    if values.shape not in forms:
        raise DataError(
            f"{where}, time: found shape {values.shape}, expected ({n_bins},) starts, ({n_bins + 1},) edges or ({n_bins}, 2)"
        )
    start, end = forms[values.shape]()
    if not (np.isfinite(start).all() and np.isfinite(end).all() and (np.diff(start) > 0).all() and (end > start).all()):
        hint = "; one bin needs its two edges" if n_bins == 1 and values.shape == (1,) else ""
        raise DataError(f"{where}, time: found bins that do not increase, expected start < end, one after the other{hint}")
    return start, end
