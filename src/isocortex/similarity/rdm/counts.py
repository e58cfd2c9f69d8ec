"""Distances between Poisson rates: the symmetrised Kullback–Leibler divergence of spike counts, plain and cross-validated."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.crossvalidated import centred, check_trials
from isocortex.similarity.rdm.vectors import contrasts, to_vector


def _check(counts: torch.Tensor, prior_rate: float, prior_weight: float) -> None:
    """`DataError` for negative values; `counts` has NaN only where something is missing."""
    if prior_rate <= 0 or prior_weight <= 0:
        raise ValueError(f"Poisson RDM: found prior rate {prior_rate:g} and weight {prior_weight:g}, expected both above 0")
    negative = int((counts < 0).sum())
    if negative:
        raise DataError(
            f"Poisson RDM: found {negative} negative values of {counts.numel()}, expected counts; choose rdm: euclidean"
        )


def poisson(counts: Any, prior_rate: float = 1.0, prior_weight: float = 0.1) -> Any:
    """RDM vectors (…, n(n − 1)/2) of mean counts (…, n, p), in float64: (λ_i − λ_j)(log λ_i − log λ_j) averaged over neuroids,
    with rates λ = (m + λ₀w)/(1 + w) of the means over repeats m, λ₀ = `prior_rate`, w = `prior_weight` (rsatoolbox).

    Raises `DataError` for negative values, values that are not finite, and fewer than three stimuli.
    """
    x = as_tensor(counts, dtype=torch.float64)
    if x.ndim < 2 or x.shape[-1] == 0:
        raise DataError(f"Poisson RDM: found counts of shape {tuple(x.shape)}, expected (n_stimuli, n_neuroids)")
    if x.shape[-2] < 3:
        raise DataError(f"RDM: found {x.shape[-2]} stimuli, expected at least 3; compare needs more stimuli")
    if not bool(torch.isfinite(x).all()):
        raise DataError("RDM: found patterns with NaN or infinite values, expected finite ones; drop those units or stimuli")
    _check(x, prior_rate, prior_weight)
    rate = (x + prior_rate * prior_weight) / (1.0 + prior_weight)
    log = rate.log()
    # No distance sees the means over stimuli, and they take digits.
    rate, log = rate - rate.mean(-2, keepdim=True), log - log.mean(-2, keepdim=True)
    products = rate @ log.mT
    size = (rate * log).abs().sum(-1)
    rounding = 4.0 * torch.finfo(x.dtype).eps * x.shape[-1] ** 0.5
    least = rounding * to_vector(size[..., :, None] + size[..., None, :])
    distances = contrasts(products)
    # Below rounding it is none: equal patterns are exactly 0 apart.
    return like_input(torch.where(distances > least, distances, 0.0) / x.shape[-1], counts)


def poisson_cv(trials: Any, prior_rate: float = 1.0, prior_weight: float = 0.1) -> Any:
    """Cross-validated `poisson` of trials (…, n, R, p): (λa_i − λa_j)(log λb_i − log λb_j) averaged over neuroids and left-out
    repeats b, λa being the rates of the mean of the other repeats. Never clipped.

    A repeat counts for a stimulus where it is finite in every neuroid. Entry (i, j) averages over the repeats b that both
    stimuli have, each trained on all its own others, and is NaN where there is none. rsatoolbox 0.3.2 returns the last b only.
    Raises `DataError` for negative values, fewer than three stimuli and fewer than two repeats.
    """
    x = as_tensor(trials, dtype=torch.float64)
    valid = check_trials(x, "Poisson RDM")
    _check(x, prior_rate, prior_weight)
    used = valid & (valid.sum(-1, keepdim=True) >= 2)
    x = torch.where(used[..., None], x, 0.0)
    others = (used.sum(-1, keepdim=True) - 1).clamp_min(1)[..., None]
    train = ((x.sum(-2, keepdim=True) - x) / others + prior_rate * prior_weight) / (1.0 + prior_weight)
    test = ((x + prior_rate * prior_weight) / (1.0 + prior_weight)).log()
    train, test = (centred(part, used) for part in (train, test))
    # Σ over the repeats that both have: missing ones are 0 in the products, and are masked out of a stimulus's own term.
    there = used.to(x.dtype)
    own = ((train * test).sum(-1)) @ there.mT
    products = train.flatten(-2) @ test.flatten(-2).mT
    count = to_vector(there @ there.mT)
    total = to_vector(own + own.mT - products - products.mT)
    return like_input(total / (torch.where(count > 0, count, torch.nan) * x.shape[-1]), trials)
