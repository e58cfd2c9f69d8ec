"""Responses in bins of time, taken together over a window."""

from __future__ import annotations

import numpy as np
import xarray as xr

from isocortex.errors import DataError
from isocortex.storage.lazy import row_blocks

# Of a bin's width: edges written with few digits are still the edges that are meant.
TOLERANCE = 1e-3
Window = tuple[float, float] | None


def window_bins(recording: xr.Dataset, window: Window, where: str) -> np.ndarray:
    """Indices of the bins that lie within a window [start, end) in seconds; all of them for None.

    Counts are of whole bins, so that a window's edges must be theirs; of a mean over samples they need only lie within what was
    recorded. Raises `DataError` for a window that does not, or that holds no bin.
    """
    start, end = (recording[name].to_numpy().astype(float) for name in ("time", "time_end"))
    width = float(np.median(end - start))
    slack = TOLERANCE * width
    bins = np.arange(len(start))
    if window is not None:
        bins = np.flatnonzero((start >= window[0] - slack) & (end <= window[1] + slack))
        reach = slack if recording.attrs.get("over_time") == "sum" else width + slack
        if not len(bins) or start[bins[0]] > window[0] + reach or end[bins[-1]] < window[1] - reach:
            raise DataError(
                f"{where}: window is [{window[0]:g}, {window[1]:g}] s, expected edges of bins, recorded from {start[0]:g} to "
                f"{end[-1]:g} s in {width:g} s each; correct time"
            )
    gap = np.flatnonzero(np.abs(start[bins[1:]] - end[bins[:-1]]) > slack)
    if len(gap):
        before, after = int(bins[gap[0]]), int(bins[gap[0] + 1])
        raise DataError(
            f"{where}: bins of the window do not meet: one ends at {end[before]:g} s, the next starts at {start[after]:g} s, "
            "so that together they are no window; take bins side by side, or one at a time (time: {window: …})"
        )
    return bins


def in_window(recording: xr.Dataset, window: Window, where: str) -> np.ndarray:
    """The response (presentation, neuroid) float32: of one in time, the sum or mean over a window, as `over_time` says.

    Read some presentations at a time. A bin without a value makes the window's value missing: part of a sum is no sum.
    Raises `DataError` as `window_bins` does, and for a window that is asked of a response without time.
    """
    response = recording["response"]
    if "time" not in response.dims:
        if window is not None:
            raise DataError(f"{where}: window is {list(window)} s, but the recording has no bins of time; leave time out")
        return response.transpose("presentation", "neuroid").to_numpy()
    bins = window_bins(recording, window, where)
    response = response.transpose("presentation", "neuroid", "time")
    width = (recording["time_end"].to_numpy() - recording["time"].to_numpy())[bins].astype(float)
    weights = np.ones(len(bins)) if recording.attrs["over_time"] == "sum" else width / width.sum()
    result = np.empty(response.shape[:2], dtype=np.float32)
    for rows in row_blocks(response.shape):
        values = response[rows].to_numpy()[:, :, bins]
        result[rows] = values.astype(np.float64) @ weights
    return result
