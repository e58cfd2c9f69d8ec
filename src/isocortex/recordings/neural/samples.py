"""Signals that stand in one array per electrode, at an even rate: their means in bins after each onset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.recordings.neural.bins import in_runs
from isocortex.storage.lazy import Read

# Samples of one electrode that are held at once, and those read beyond what is asked for, in which a filter settles.
AT_MOST, MARGIN = 1 << 20, 2048
ORDER = 4
Transform = Callable[[np.ndarray], np.ndarray]


def raw(spec: Mapping[str, Any]) -> Transform:  # noqa: ARG001 (all signals are made alike)
    """The signal as it is."""
    return lambda values: values


def high_gamma(spec: Mapping[str, Any]) -> Transform:
    """The power of what lies within `band` (Hz): the square of the signal after a Butterworth filter, run both ways."""
    from scipy.signal import butter, sosfiltfilt

    filters = butter(ORDER, spec["band"], btype="bandpass", fs=spec["rate"], output="sos")
    return lambda values: sosfiltfilt(filters, values) ** 2


SIGNALS: dict[str, Callable[[Mapping[str, Any]], Transform]] = {"raw": raw, "high_gamma": high_gamma}


def sample_reader(
    file: Path, keys: Sequence[str], onsets: np.ndarray, edges: np.ndarray, rate: float, transform: Transform
) -> Read:
    """Reads means (rows, columns, n_bins) of arrays `keys` (n_samples,) of an HDF5 file.

    `onsets` are samples; `edges` (n_bins + 1,) are seconds after them, all within the arrays. Of an electrode, a stretch of a
    few minutes is read at a time.
    """
    reach = np.round(edges * rate).astype(np.int64)

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        import h5py

        result = np.empty((len(rows), len(columns), len(edges) - 1), dtype=np.float32)
        groups = in_runs(rows, onsets + reach[0], onsets + reach[-1], AT_MOST)
        with h5py.File(file, "r") as content:
            for place, column in enumerate(columns):
                data: Any = content[keys[column]]
                for group in groups:
                    mine = onsets[rows[group]]
                    first = max(int(mine.min()) + int(reach[0]) - MARGIN, 0)
                    last = min(int(mine.max()) + int(reach[-1]) + MARGIN, data.shape[0])
                    values = transform(np.asarray(data[first:last], dtype=np.float64))
                    result[group, place] = _means(values, mine[:, None] + reach[None, :] - first)
        return result

    return read


def _means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The mean of `values` (n_samples,) between successive edges (n, n_bins + 1), samples: (n, n_bins)."""
    padded = np.append(values, 0.0)  # the last edge may be the end
    sums = np.add.reduceat(padded, edges.ravel()).reshape(edges.shape)[:, :-1]
    return sums / np.diff(edges, axis=1)
