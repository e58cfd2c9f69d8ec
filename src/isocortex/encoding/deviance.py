"""Poisson deviance explained: how much of what counts deviate from their mean a prediction accounts for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError

# Spikes per stimulus below which no prediction goes: a linear encoder predicts negative counts, which have no deviance.
FLOOR = 1e-3


def poisson_deviance(predicted: Any, observed: Any, floor: float = FLOOR) -> Any:
    """Mean deviance per neuroid (v,) of counts `observed` (n, v) from rates `predicted` (n, v) or (v,), at least `floor`.

    2 Σ (y log(y/μ) − y + μ)/n, with 0 log 0 = 0. Counts may be averages over repeats, and need not be whole. A neuroid with
    NaN is NaN. Raises `DataError` for negative counts, shapes that do not match, or a floor that is not above zero.
    """
    counts = as_tensor(observed).to(torch.float64)
    rates = as_tensor(predicted, counts.device).to(torch.float64)
    _check(counts, rates, floor)
    return like_input(_deviance(rates.clamp(min=floor), counts).mean(0), observed)


def deviance_explained(predicted: Sequence[Any], observed: Sequence[Any], means: Sequence[Any], floor: float = FLOOR) -> Any:
    """D² = 1 − D(y, μ)/D(y, ȳ) per neuroid (v,) over all folds, ȳ the *training* means (v,) of each fold.

    predicted, observed : per fold (n_fold, v), spike counts or their means over repeats. Predictions and means below `floor`
    are raised to it. 1 is perfect, 0 no better than the training mean, and negative is kept (Cameron & Windmeijer 1997;
    scikit-learn's `d2_tweedie_score` takes the mean of the tested counts instead). A neuroid whose counts are constant, or hold
    NaN, is NaN. Raises `DataError` as `poisson_deviance`, and for no folds or unequal numbers of them.
    """
    if not len(predicted) == len(observed) == len(means) or len(observed) == 0:
        raise DataError(
            f"deviance: found {len(predicted)} predictions, {len(observed)} responses and {len(means)} means, expected one of "
            "each per fold"
        )
    left = total = torch.zeros(())
    everything = []
    for one, other, mean in zip(predicted, observed, means, strict=True):
        counts = as_tensor(other).to(torch.float64)
        rates, level = (as_tensor(part, counts.device).to(torch.float64) for part in (one, mean))
        _check(counts, rates, floor)
        left = left + _deviance(rates.clamp(min=floor), counts).sum(0)
        total = total + _deviance(level.clamp(min=floor), counts).sum(0)
        everything.append(counts)
    stacked = torch.cat(everything)
    defined = (stacked.amax(0) > stacked.amin(0)) & (total > 0)
    return like_input(torch.where(defined, 1 - left / total, torch.nan), observed[0])


def _deviance(rates: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return 2 * (torch.xlogy(counts, counts / rates) - counts + rates)


def _check(counts: torch.Tensor, rates: torch.Tensor, floor: float) -> None:
    if not floor > 0:
        raise DataError(f"deviance: floor, found {floor}, expected above 0; a rate of zero has no deviance from a spike")
    if counts.ndim != 2 or rates.shape not in (counts.shape, counts.shape[1:]):
        raise DataError(
            f"deviance: found predictions {tuple(rates.shape)} and counts {tuple(counts.shape)}, "
            "expected (stimuli, neuroids) of both"
        )
    negative = counts < 0
    if bool(negative.any()):
        row, column = (int(index) for index in negative.nonzero()[0])
        raise DataError(
            f"deviance: found {int(negative.sum())} negative counts, first {float(counts[row, column]):g} at "
            f"[{row}, {column}], expected spike counts from 0; Poisson deviance is not for z-scored or baseline-corrected "
            "responses"
        )
