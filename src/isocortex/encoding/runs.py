"""What is taken out of each run of a time series by itself: offset and scale, slow drift, its ends.

Rows are samples in time (TRs), `runs` a label per row; the rows of a run stand in the order of time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.encoding.blocks import Runs, rows_by_run
from isocortex.errors import DataError

# A column whose spread within a run is below this share of its size is constant there, as for the features of an encoder.
CONSTANT = 1e-6


def zscore_runs(x: Any, runs: Runs = None, ddof: int = 0) -> Any:
    """Columns of `x` (n, p) with mean 0 and sd 1 within each run, the sd with `ddof` degrees of freedom fewer: (n, p).

    A column that is constant in a run is 0 there; one with a NaN in a run is NaN there. Moments are taken in float64.
    """
    values = as_tensor(x)
    result = torch.empty(values.shape, dtype=_float(values), device=values.device)
    for rows in rows_by_run(runs, len(values)):
        where = torch.as_tensor(rows, device=values.device)
        part = values[where].to(torch.float64)
        centred = part - part.mean(0)
        spread = (centred.square().sum(0) / max(len(rows) - ddof, 1)).sqrt()
        constant = spread <= CONSTANT * part.abs().amax(0)
        result[where] = torch.where(constant, 0.0, centred / spread).to(result.dtype)
    return like_input(result, x)


def detrend_runs(y: Any, runs: Runs = None, *, tr: float, window_s: float = 120.0, order: int = 3) -> Any:
    """`y` (n, v) without the slow drift of each run: what a Savitzky–Golay filter makes of it is subtracted: (n, v).

    tr : seconds between samples. window_s : length of the filter in seconds, taken as the nearest odd number of samples.
    order : of its polynomials (Savitzky & Golay 1964). The run's mean goes with the drift. A run shorter than the window loses
    the polynomial of that order fitted to the whole run, which is what the filter becomes where the window is the run. A column
    with a NaN in a run is NaN there. Computed in float64 on the CPU.

    Raises
    ------
    DataError where the window has no more samples than the polynomial coefficients, or a run has none left after the fit.
    """
    window = 2 * int(window_s / tr / 2) + 1 if tr > 0 else 0
    if window <= order + 1:
        raise DataError(
            f"detrend: found a window of {window_s:g} s, {window} samples of {tr:g} s, expected more than order + 1 = "
            f"{order + 1}; lengthen the window or correct tr"
        )
    values = as_tensor(y)
    result = torch.empty(values.shape, dtype=_float(values), device=values.device)
    for rows in rows_by_run(runs, len(values)):
        if len(rows) <= order + 1:
            name = "" if runs is None else f" {np.asarray(runs)[rows[0]]!s}"
            raise DataError(
                f"detrend: run{name} has {len(rows)} samples, expected more than order + 1 = {order + 1}, or nothing is left "
                "of it; leave the run out or lower the order"
            )
        where = torch.as_tensor(rows, device=values.device)
        part = values[where].to(device="cpu", dtype=torch.float64).numpy()
        result[where] = torch.as_tensor(_detrended(part, window, order)).to(result)
    return like_input(result, y)


def _detrended(part: np.ndarray, window: int, order: int) -> np.ndarray:
    from scipy.signal import savgol_filter

    missing = np.isnan(part).any(axis=0)
    values = np.where(missing, 0.0, part)
    if len(values) < window:
        basis = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, len(values)), order))[0]
        left = values - basis @ (basis.T @ values)
    else:
        left = values - savgol_filter(values, window, order, axis=0, mode="interp")
    return np.where(missing, np.nan, left)


def trim_runs(x: Any, runs: Runs = None, start: int = 0, end: int = 0) -> tuple[Any, np.ndarray | None]:
    """`x` (n, …) and its labels without the first `start` and the last `end` rows of each run.

    Raises `DataError` for negative numbers, or a run of which nothing is left.
    """
    if start < 0 or end < 0:
        raise DataError(f"trim: found start {start} and end {end}, expected numbers of rows from 0")
    parts = rows_by_run(runs, len(x))
    shortest = min((len(rows) for rows in parts), default=0)
    if shortest <= start + end:
        raise DataError(f"trim: found a run of {shortest} rows, expected more than start + end = {start + end}; trim less")
    kept = np.sort(np.concatenate([rows[start : len(rows) - end] for rows in parts]))
    index = torch.as_tensor(kept, device=x.device) if isinstance(x, torch.Tensor) else kept
    return x[index], None if runs is None else np.asarray(runs)[kept]


def _float(values: torch.Tensor) -> torch.dtype:
    return values.dtype if values.is_floating_point() else torch.float64
