"""Bins of time after the onset of a stimulus."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from isocortex.errors import DataError

# Seconds; edges are rounded to it, so that 3 × 0.1 is 0.3.
RESOLUTION_DIGITS = 9
SLACK = 1e-6  # of the time between two samples


def bin_edges(window: Sequence[float], width: float | None) -> np.ndarray:
    """Edges (n_bins + 1,) in seconds of the bins of `width` that fill `window` [start, end); one bin where `width` is None."""
    start, end = (float(edge) for edge in window)
    n = 1 if width is None else max(1, round((end - start) / width))
    return np.round(start + (end - start) / n * np.arange(n + 1), RESOLUTION_DIGITS)


def time_coords(edges: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """The coordinates `time` and `time_end` (time,) float64, in seconds after the onset, of bins with these edges."""
    return {"time": ("time", edges[:-1].astype(np.float64)), "time_end": ("time", edges[1:].astype(np.float64))}


def check_width(edges: np.ndarray, period: float, where: str) -> None:
    """Raise `DataError` for bins that are narrower than the `period` between two samples, in seconds: some would be empty."""
    width = float(np.diff(edges).min())
    if width < period * (1 - 1e-6):
        raise DataError(
            f"{where}: bins are {width:g} s wide and samples {period:g} s apart, expected a sample in every bin; "
            f"set bin to {period:g} or more"
        )


def for_samples(edges: np.ndarray, period: float) -> np.ndarray:
    """Edges a trifle earlier, so that a sample which rounding puts just before an edge is at the edge; `period` in seconds."""
    return edges - SLACK * period


def mean_in_bins(values: np.ndarray, times: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The mean of the samples within each bin [start, end).

    `values` (n_samples, n) are of `times` (n_samples,), increasing, and `edges` (n_bins + 1,), all in seconds after the same
    moment. Returns float64 (n, n_bins), NaN for a bin without a sample; a NaN among its samples makes a bin NaN.
    """
    places = np.searchsorted(times, edges, side="left")
    result = np.full((values.shape[1], len(edges) - 1), np.nan)
    for k, (first, last) in enumerate(itertools.pairwise(places)):
        if last > first:
            result[:, k] = values[first:last].mean(axis=0, dtype=np.float64)
    return result


def in_runs(rows: np.ndarray, start: np.ndarray, end: np.ndarray, at_most: float) -> list[np.ndarray]:
    """Positions in `rows` in groups, each from its first `start` to its last `end` no longer than `at_most` (but for one row).

    `start` and `end` (n,) are of all rows, in any unit; groups follow the order of `start`.
    """
    groups: list[list[Any]] = []
    begin = 0.0
    for position in np.argsort(start[rows], kind="stable").tolist():
        row = rows[position]
        if not groups or end[row] - begin > at_most:
            groups.append([])
            begin = start[row]
        groups[-1].append(position)
    return [np.asarray(group, dtype=np.int64) for group in groups]
