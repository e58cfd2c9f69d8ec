"""Spike times as counts in bins after onsets."""

from __future__ import annotations

import numpy as np


def count_spikes(times: np.ndarray, onsets: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Spikes of one unit in each bin [start, end) after each onset.

    Parameters
    ----------
    times : (n_spikes,), seconds, in order.
    onsets : (n_presentations,), seconds, in any order.
    edges : (n_bins + 1,), seconds after an onset, increasing.

    Returns
    -------
    int64 (n_presentations, n_bins).
    """
    before = np.searchsorted(times, onsets[:, None] + edges[None, :], side="left")
    return np.diff(before, axis=1)


def covered(intervals: np.ndarray, onsets: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Whether each presentation, from its first edge to its last, lies within one interval in which a unit was watched.

    `intervals` is (n_intervals, 2), start and stop in seconds; returns bool (n_presentations,).
    """
    start, stop = onsets + edges[0], onsets + edges[-1]
    inside = (intervals[None, :, 0] <= start[:, None]) & (stop[:, None] <= intervals[None, :, 1])
    return inside.any(axis=1)
