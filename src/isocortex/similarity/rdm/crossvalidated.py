"""Distances between patterns of one repeat measured on another: unbiased, so that equal patterns are 0 apart on average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.noise import inverted, whiten
from isocortex.similarity.rdm.vectors import contrasts, to_vector

Between = Callable[[int, int], torch.Tensor]


def check_trials(trials: torch.Tensor, what: str) -> torch.Tensor:
    """Which repeats (…, n, R) of trials (…, n, R, p) are finite in every neuroid; `DataError` where they cannot be used."""
    if trials.ndim < 3 or trials.shape[-1] == 0:
        raise DataError(f"{what}: found trials of shape {tuple(trials.shape)}, expected (n_stimuli, n_repeats, n_neuroids)")
    n, repeats = trials.shape[-3:-1]
    if n < 3:
        raise DataError(f"RDM: found {n} stimuli, expected at least 3; compare needs more stimuli")
    if repeats < 2:
        raise DataError(f"{what}: found {repeats} repeats, expected at least 2; choose rdm: euclidean")
    valid = torch.isfinite(trials).all(-1)
    if not bool((valid.sum(-1) >= 2).any()):
        raise DataError(
            f"{what}: found no stimulus with 2 repeats that are finite in every neuroid, expected 2 of each; "
            "leave out neuroids with missing values, or choose rdm: euclidean"
        )
    return valid


def crossnobis(trials: Any, precision: Any | Sequence[Any] | None = None) -> Any:
    """Crossnobis RDM vectors (…, n(n − 1)/2) of trials (…, n, R, p), in float64: (a_i − a_j) Σ⁻¹ (b_i − b_j)ᵀ/p averaged over
    ordered pairs of different repeats a ≠ b (Walther et al. 2016, doi:10.1016/j.neuroimage.2015.12.012).

    `precision`: Σ⁻¹ (p, p) or (…, p, p), by default the identity; or a sequence of one per repeat, of which each pair uses
    ((Σ_a + Σ_b)/2)⁻¹ (rsatoolbox). With equal repeats this is the average over left-out repeats of one against the mean of the
    others. A repeat counts for a stimulus where it is finite in every neuroid. With missing ones, entry (i, j) averages over
    the pairs a ≠ b in which both stimuli have both repeats, and is NaN where there is no such pair. Repeat a is taken to be
    the same run for all stimuli: noise may be shared within it. Never clipped: a distance of 0 gives values on both sides.
    Raises `DataError` for fewer than three stimuli, fewer than two repeats, and precisions that do not fit.
    """
    x = as_tensor(trials, dtype=torch.float64)
    valid = check_trials(x, "crossnobis")
    x = centred(x, valid)
    n, repeats, p = x.shape[-3:]
    between = None
    if isinstance(precision, (list, tuple)):
        between = _between(precision, x)
    elif precision is not None:
        matrix = as_tensor(precision, device=x.device, dtype=torch.float64)
        x = whiten(x, matrix if matrix.ndim == 2 else matrix[..., None, :, :])
    lead = x.shape[:-3]
    x, valid = x.reshape(-1, n, repeats, p), valid.reshape(-1, n, repeats)
    vectors = x.new_empty((len(x), n * (n - 1) // 2))
    if between is None and bool(valid.all()):
        width = 8.0 * (3 * n * repeats * p + 4 * n * n)
        for block in batches(len(x), width, budget_bytes(x.device)):
            vectors[block] = _complete(x[block])
    else:
        for one, there, vector in zip(x, valid, vectors, strict=True):
            vector.copy_(_pair_by_pair(one, there, between))
    return like_input(vectors.reshape(*lead, -1), trials)


def centred(x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Every repeat less its mean over stimuli, which no distance sees and which takes digits; 0 where a repeat is missing."""
    x = torch.where(valid[..., None], x, 0.0)
    mean = x.sum(-3, keepdim=True) / valid.sum(-2)[..., None, :, None].clamp_min(1)
    return torch.where(valid[..., None], x - mean, 0.0)


def _complete(x: torch.Tensor) -> torch.Tensor:
    """All repeats present: Σ_{a<b} Y_a Y_bᵀ is the product of each repeat with the sum of those before it, in one matmul."""
    repeats, p = x.shape[-2:]
    before = x.cumsum(-2)[..., :-1, :].flatten(-2)
    products = before @ x[..., 1:, :].flatten(-2).mT
    return contrasts(products) * (2.0 / (repeats * (repeats - 1) * p))


def _pair_by_pair(x: torch.Tensor, valid: torch.Tensor, between: Between | None) -> torch.Tensor:
    """As `_complete` for trials (n, R, p) of which some are missing, or with a metric of its own for every pair of repeats."""
    n, repeats, p = x.shape
    total, count = x.new_zeros((n, n)), x.new_zeros((n, n))
    for a, b in combinations(range(repeats), 2):
        rows = (valid[:, a] & valid[:, b]).nonzero().squeeze(1)
        if len(rows) < 2:
            continue
        left, right = x[rows, a], x[rows, b]
        products = (left if between is None else left @ between(a, b)) @ right.T
        own = products.diagonal()
        place = (rows[:, None], rows[None, :])
        total[place] += own[:, None] + own[None, :] - products - products.T
        count[place] += 1.0
    return to_vector(total / torch.where(count > 0, count, torch.nan)) / p


def _between(precisions: Sequence[Any], x: torch.Tensor) -> Between:
    """((Σ_a + Σ_b)/2)⁻¹ of two repeats, from the precision of each."""
    repeats, p = x.shape[-2:]
    given = [as_tensor(one, device=x.device, dtype=torch.float64) for one in precisions]
    if len(given) != repeats or any(one.shape != (p, p) for one in given):
        shapes = sorted({tuple(one.shape) for one in given})
        raise DataError(f"crossnobis: found {len(given)} precisions of shapes {shapes}, expected {repeats} of ({p}, {p})")
    remedy = "make the precisions with noise_precision"
    covariances = [inverted(one, remedy) for one in given]
    return lambda a, b: inverted((covariances[a] + covariances[b]) / 2.0, remedy)
