"""Dimensionality of the signal, from repeats: noise of one half is unlike that of the other (Stringer et al. 2019, cvPCA)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice
from math import comb
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.geometry.unbiased import FEWEST, ratio, unbiased_traces


def participation_ratio_cv(trials: Any, *, estimator: str = "unbiased", splits: int = 20) -> float:
    """Participation ratio of the signal in `trials` (n, R, p), NaN where a repeat is missing.

    `estimator`: "unbiased" has neither the bias of few stimuli nor that of noise (`unbiased.unbiased_traces` of two halves of
    the repeats, means over `splits` of both traces before the ratio); "spectrum" is (Σλ)²/Σλ² of `crossvalidated_spectrum`,
    whose small λ still vary around 0. Stimuli with one repeat are left out. NaN where no signal is found,
    or a value below 1.
    Raises `DataError` for fewer than 4 stimuli with two repeats, or an unknown estimator.
    """
    if estimator not in _ESTIMATORS:
        raise DataError(f"geometry: found estimator {estimator!r}, expected one of {', '.join(_ESTIMATORS)}")
    squared, power = _ESTIMATORS[estimator](as_tensor(trials, dtype=torch.float64), splits)
    return float(ratio(squared, power))


def crossvalidated_spectrum(trials: Any, *, splits: int = 20) -> Any:
    """Variance of the signal (min(n − 1, p),) along the principal axes of one half of the repeats of `trials` (n, R, p).

    λ_k is the covariance over stimuli of the two halves' projections on the k-th axis of the first, the mean over `splits` and
    over which half is first. Without signal it is 0 on average, and may be below.
    """
    values = torch.stack([
        _spectrum(*pair) for a, b in half_means(as_tensor(trials, dtype=torch.float64), splits) for pair in ((a, b), (b, a))
    ])  # fmt: skip
    return like_input(values.mean(dim=0), trials)


def half_means(trials: torch.Tensor, splits: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Means (n', p) of two halves of the repeats, centred over stimuli, for each split; all different splits if there are few.

    A split deals the repeats out in one order for all stimuli; each gives what it has by turns, so that a missing repeat does
    not leave a half empty.
    """
    if trials.ndim != 3:
        raise DataError(f"geometry: found trials of shape {tuple(trials.shape)}, expected stimuli × repeats × units")
    valid = torch.isfinite(trials).all(dim=2)
    enough = valid.sum(dim=1) >= 2
    if int(enough.sum()) < FEWEST:
        raise DataError(
            f"geometry: found {int(enough.sum())} stimuli with two repeats, expected at least {FEWEST}; "
            "leave participation_ratio_cv out"
        )
    valid, kept = valid[enough], trials[enough]
    filled = torch.where(valid[:, :, None], kept, 0.0)
    for order in _orders(trials.shape[1], splits):
        place = torch.as_tensor(order, device=trials.device)
        turn = valid[:, place].cumsum(dim=1) % 2 == 1
        first = torch.zeros_like(valid)
        first[:, place] = turn
        yield _centred_mean(filled, first & valid), _centred_mean(filled, ~first & valid)


def _centred_mean(filled: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    weight = chosen.to(torch.float64) / chosen.sum(dim=1, keepdim=True)
    mean = torch.einsum("nr,nrp->np", weight, filled)
    return mean - mean.mean(dim=0)


def _orders(repeats: int, splits: int) -> Iterator[list[int]]:
    """Orders of repeats whose first, third, … make a half: every split in two once, or random ones if there are too many."""
    half = (repeats + 1) // 2
    number = comb(repeats, half) // (1 if repeats % 2 else 2)
    if number <= splits:
        for chosen in islice(combinations(range(repeats), half), number):
            order = np.empty(repeats, dtype=np.int64)
            order[0::2] = chosen
            order[1::2] = [r for r in range(repeats) if r not in chosen]
            yield order.tolist()
        return
    generator = np.random.default_rng([0x6376, repeats])
    for _ in range(splits):
        yield generator.permutation(repeats).tolist()


def _spectrum(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    left, values, axes = torch.linalg.svd(first, full_matrices=False)
    rank = min(len(first) - 1, first.shape[1])
    on_first = left * values
    return ((on_first * (second @ axes.T)).sum(dim=0) / (len(first) - 1))[:rank]


def _unbiased(trials: torch.Tensor, splits: int) -> tuple[torch.Tensor, torch.Tensor]:
    found = []
    for a, b in half_means(trials, splits):
        every = torch.ones((1, len(a)), dtype=torch.float64, device=a.device)
        found.append(torch.stack(unbiased_traces(a @ a.T, b @ b.T, a @ b.T, every))[:, 0])
    squared, power = torch.stack(found).mean(dim=0)
    return squared, power


def _of_spectrum(trials: torch.Tensor, splits: int) -> tuple[torch.Tensor, torch.Tensor]:
    values = crossvalidated_spectrum(trials, splits=splits)
    # A negative sum is no signal, although its square is a number.
    return values.sum().clamp_min(0.0).square(), values.square().sum()


_ESTIMATORS = {"unbiased": _unbiased, "spectrum": _of_spectrum}
