"""How well predictions meet responses: r, r2, fev, normalized, and their bootstrap draws by matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.recordings.explained import fev, fraction_explainable

# A column whose spread is below this share of its size is constant: its correlation would be made of rounding.
CONSTANT = 1e-10


def standardized(x: torch.Tensor) -> torch.Tensor:
    """Columns of `x` (n, v) with mean 0 and length 1; constant columns are NaN."""
    centred = x - x.mean(0, keepdim=True)
    norm = centred.norm(dim=0, keepdim=True)
    size = x.abs().amax(0, keepdim=True) * len(x) ** 0.5
    return torch.where(norm > _rounding(x) * size, centred / norm, torch.nan)


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


def fold_moments(predicted: torch.Tensor, observed: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Σab, Σa², Σb² of one fold's columns centred within the fold: (3, v), or (3, draws, v) for `weights` (draws, n_fold).

    Sums of several folds give `r_of_moments`. Columns whose spread is rounding count as constant.
    """
    a, b = _centred(predicted), _centred(observed)
    if weights is None:
        return torch.stack([(a * b).sum(0), (a * a).sum(0), (b * b).sum(0)])
    total = weights.sum(1, keepdim=True).clamp(min=1)
    sum_a, sum_b = weights @ a, weights @ b
    return torch.stack([
        weights @ (a * b) - sum_a * sum_b / total,
        _above_rounding(weights @ (a * a), sum_a**2 / total),
        _above_rounding(weights @ (b * b), sum_b**2 / total),
    ])  # fmt: skip


def _centred(x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(0, keepdim=True)
    constant = centred.norm(dim=0) <= _rounding(x) * x.abs().amax(0) * len(x) ** 0.5
    return torch.where(constant, 0.0, centred)


def _above_rounding(square: torch.Tensor, of_mean: torch.Tensor) -> torch.Tensor:
    """Sum of squares about a drawn mean; what is left when a draw holds one stimulus only is rounding, and becomes 0."""
    left = square - of_mean
    return torch.where(left > max(1e-12, 16 * torch.finfo(square.dtype).eps) * square, left, 0.0)


def _rounding(x: torch.Tensor) -> float:
    return max(CONSTANT, 8 * torch.finfo(x.dtype).eps)


def r_of_moments(moments: torch.Tensor) -> torch.Tensor:
    """r from Σab, Σa², Σb² (3, …); NaN where either side has no variance."""
    product = moments[1] * moments[2]
    return torch.where(product > 0, moments[0] / product.sqrt(), torch.nan).clamp(-1, 1)


def foldwise_r(predicted: Sequence[Any], observed: Sequence[Any]) -> Any:
    """r per neuroid within folds, over all folds: Σ_f cov_f / √(Σ_f var_f(ŷ) · Σ_f var_f(y)); lists of (n_fold, v).

    Predictions and responses are centred within each fold, so that a training mean that leans away from its test mean lowers
    nothing. What a refitted null still shows of that lean (-.10 for 81 stimuli in nine folds and 30 features) stands in
    `null_mean` and is taken out of `calibrated`. For one fold it is Pearson's r.

    It stands in place of the Fisher mean of the folds' r, which small folds spoil: with nine folds of nine stimuli and a true
    r of .6 that mean is .625 and its 95 % bootstrap interval covers the truth in 99 % of samples because draws with few stimuli
    run to ±1; this one is .602 and covers in 95 % (tests/unit/encoding/test_foldwise.py).
    """
    parts = [
        fold_moments(as_tensor(x).to(torch.float64), as_tensor(y).to(torch.float64))
        for x, y in zip(predicted, observed, strict=True)
    ]
    return like_input(r_of_moments(torch.stack(parts).sum(0)), predicted[0])


def r2_score(predicted: Sequence[np.ndarray], observed: Sequence[np.ndarray], means: Sequence[np.ndarray]) -> np.ndarray:
    """1 − SSE/SST over all folds, SST about the *training* means (v,) of each fold; constant neuroids give NaN."""
    residual = sum(((y - x) ** 2).sum(0) for x, y in zip(predicted, observed, strict=True))
    total = sum(((y - mean) ** 2).sum(0) for y, mean in zip(observed, means, strict=True))
    constant = np.ptp(np.concatenate(observed), axis=0) == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(constant | (np.asarray(total) <= 0), np.nan, 1 - residual / total)


def fev_single_trials(trials: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Fraction of explainable variance explained, from single trials with the full noise.

    FEV = 1 − (MSE − σ²)/(Var − σ²): MSE and Var (ddof 1) over single trials, σ² the variance over repeats (ddof 1), stimuli
    weighted by their degrees of freedom (Cadena et al. 2019). `trials` (n, R, v) with NaN for a missing repeat, `predicted` (n,
    v). NaN where no stimulus was repeated, or explainable variance is below 15 % of the total, where the ratio is unstable.
    """
    trials, predicted = np.asarray(trials, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    return np.where(fraction_explainable(trials) >= 0.15, fev(trials, predicted), np.nan)


def normalized_score(r: np.ndarray, reliability: np.ndarray) -> float:
    """Signed explainable variance Σ r|r| / Σ reliability over neuroids that have both; NaN where Σ reliability ≤ 0."""
    kept = ~(np.isnan(r) | np.isnan(reliability))
    total = float(reliability[kept].sum())
    return float((r[kept] * np.abs(r[kept])).sum()) / total if total > 0 else float("nan")


def signed_explained(r: np.ndarray, reliability: np.ndarray) -> np.ndarray:
    """Share of the explainable variance per neuroid with the sign of r, r|r|/reliability: (v,); NaN where reliability ≤ 0.

    Unsigned it would be above 0 for noise: with a true r of 0, a reliability of .3 and 50 stimuli its median is .03.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(reliability > 0, r * np.abs(r) / reliability, np.nan)


def region_median(r: torch.Tensor) -> torch.Tensor:
    """Median over the last axis, NaN left out (mean of the two middle values); NaN where nothing is left."""
    ordered = r.sort(dim=-1).values  # NaN sorts last
    count = (~r.isnan()).sum(-1, keepdim=True)
    low = ((count - 1) // 2).clamp(min=0)
    high = (count // 2).clamp(max=r.shape[-1] - 1)
    middle = (ordered.gather(-1, low) + ordered.gather(-1, high)) / 2
    return torch.where(count > 0, middle, torch.nan).squeeze(-1)


def weighted_foldwise(
    predicted: Sequence[torch.Tensor], observed: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]
) -> torch.Tensor:
    """`foldwise_r` for every row of the multiplicities of a bootstrap, lists of (draws, n_fold): (draws, v)."""
    parts = zip(predicted, observed, weights, strict=True)
    return r_of_moments(sum((fold_moments(x, y, w) for x, y, w in parts), start=torch.zeros(())))
