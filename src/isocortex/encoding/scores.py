"""How well predictions meet responses: r, r2, fev, normalized, and their bootstrap draws by matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input

# A column whose spread is below this share of its size is constant: its correlation would be made of rounding.
CONSTANT = 1e-10


def standardized(x: torch.Tensor) -> torch.Tensor:
    """Columns of `x` (n, v) with mean 0 and length 1; constant columns are NaN."""
    centred = x - x.mean(0, keepdim=True)
    norm = centred.norm(dim=0, keepdim=True)
    size = x.abs().amax(0, keepdim=True) * len(x) ** 0.5
    return torch.where(norm > CONSTANT * size, centred / norm, torch.nan)


def pearson(x: Any, y: Any) -> Any:
    """Pearson r per column of `x` and `y` (n, v); a constant column on either side gives NaN."""
    a, b = as_tensor(x).to(torch.float64), as_tensor(y).to(torch.float64)
    return like_input((standardized(a) * standardized(b)).sum(0).clamp(-1, 1), x)


def fisher_mean(r: Any, axis: int = 0) -> Any:
    """Mean over `axis` in Fisher's z, NaN left out; one value is returned as it is."""
    values = as_tensor(r)
    if values.shape[axis] == 1:
        return like_input(values.squeeze(axis), r)
    limit = 1 - 1e-12
    return like_input(values.clamp(-limit, limit).atanh().nanmean(axis).tanh(), r)


def foldwise_r(predicted: Sequence[Any], observed: Sequence[Any]) -> Any:
    """Fisher mean over folds of r per neuroid: lists of (n_fold, v)."""
    values = [pearson(x, y) for x, y in zip(predicted, observed, strict=True)]
    stacked = np.stack(values) if isinstance(values[0], np.ndarray) else torch.stack(values)
    return fisher_mean(stacked)


def r2_score(predicted: Sequence[np.ndarray], observed: Sequence[np.ndarray], means: Sequence[np.ndarray]) -> np.ndarray:
    """1 − SSE/SST over all folds, SST about the *training* means (v,) of each fold; constant neuroids give NaN."""
    residual = sum(((y - x) ** 2).sum(0) for x, y in zip(predicted, observed, strict=True))
    total = sum(((y - mean) ** 2).sum(0) for y, mean in zip(observed, means, strict=True))
    constant = np.ptp(np.concatenate(observed), axis=0) == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(constant | (np.asarray(total) <= 0), np.nan, 1 - residual / total)


def fev_single_trials(trials: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Fraction of explainable variance explained, from single trials with the full noise.

    FEV = 1 − (MSE − σ²)/(Var − σ²): MSE and Var (ddof 1) over single trials, σ² the mean over stimuli of the variance over
    repeats (ddof 1) (Cadena et al. 2019; neuralpredictors). `trials` (n, R, v) with NaN for a missing repeat, `predicted` (n,
    v). NaN where no stimulus was repeated, or explainable variance is below 15 % of the total, where the ratio is unstable.
    """
    explainable, value = explainable_fraction(trials), fev_raw(trials, predicted)
    return np.where(explainable >= 0.15, value, np.nan)


def _noise_total(trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    valid = ~np.isnan(trials)
    counts = valid.sum(1)
    filled = np.where(valid, trials, 0.0)
    means = filled.sum(1) / np.maximum(counts, 1)
    within = (np.where(valid, trials - means[:, None], 0.0) ** 2).sum(1)
    variance = np.where(counts > 1, within / np.maximum(counts - 1, 1), 0.0)
    repeated = (counts > 1).sum(0)
    noise = np.where(repeated > 0, variance.sum(0) / np.maximum(repeated, 1), np.nan)
    n_all = valid.sum((0, 1))
    grand = filled.sum((0, 1)) / np.maximum(n_all, 1)
    total = (np.where(valid, trials - grand, 0.0) ** 2).sum((0, 1)) / np.maximum(n_all - 1, 1)
    return noise, total


def explainable_fraction(trials: np.ndarray) -> np.ndarray:
    """(total − noise)/total of single trials per neuroid (v,)."""
    noise, total = _noise_total(np.asarray(trials, dtype=np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (total - noise) / total


def fev_raw(trials: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """`fev_single_trials` before unstable neuroids are masked."""
    trials = np.asarray(trials, dtype=np.float64)
    noise, total = _noise_total(trials)
    error = (trials - np.asarray(predicted, dtype=np.float64)[:, None]) ** 2
    valid = ~np.isnan(error)
    mse = np.where(valid, error, 0.0).sum((0, 1)) / np.maximum(valid.sum((0, 1)), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - (mse - noise) / (total - noise)


def normalized_score(r: np.ndarray, reliability: np.ndarray) -> float:
    """Signed explainable variance Σ r|r| / Σ reliability over neuroids that have both; NaN where Σ reliability ≤ 0."""
    kept = ~(np.isnan(r) | np.isnan(reliability))
    total = float(reliability[kept].sum())
    return float((r[kept] * np.abs(r[kept])).sum()) / total if total > 0 else float("nan")


def region_median(r: torch.Tensor) -> torch.Tensor:
    """Median over the last axis, NaN left out (mean of the two middle values); NaN where nothing is left."""
    ordered = r.sort(dim=-1).values  # NaN sorts last
    count = (~r.isnan()).sum(-1, keepdim=True)
    low = ((count - 1) // 2).clamp(min=0)
    high = (count // 2).clamp(max=r.shape[-1] - 1)
    middle = (ordered.gather(-1, low) + ordered.gather(-1, high)) / 2
    return torch.where(count > 0, middle, torch.nan).squeeze(-1)


def weighted_pearson(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """r per column of `x`, `y` (n, v) for each row of `weights` (draws, n), the multiplicities of a bootstrap: (draws, v).

    Five matrix products on columns standardized first, so that sums of squares do not cancel. NaN where a draw leaves a column
    without variance.
    """
    a, b = standardized(x), standardized(y)
    total = weights.sum(1, keepdim=True).clamp(min=1)
    share = weights / total
    mean_a, mean_b = share @ a, share @ b
    cov = share @ (a * b) - mean_a * mean_b
    var_a, var_b = share @ (a * a) - mean_a**2, share @ (b * b) - mean_b**2
    floor = 1e-9 / len(x)
    return torch.where((var_a > floor) & (var_b > floor), cov / (var_a * var_b).clamp(min=floor**2).sqrt(), torch.nan).clamp(
        -1, 1
    )


def weighted_foldwise(
    predicted: Sequence[torch.Tensor], observed: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Fisher mean over folds of `weighted_pearson`: (draws, v)."""
    values = [weighted_pearson(x, y, w) for x, y, w in zip(predicted, observed, weights, strict=True)]
    return values[0] if len(values) == 1 else fisher_mean(torch.stack(values))
