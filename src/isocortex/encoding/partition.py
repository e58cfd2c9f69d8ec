"""Which feature space explains what: splits of a joint model's score, and variance that only one space explains.

Predictions of the spaces (g, n, v) sum to the joint one; they are parts of responses y (n, v) about `mean`, the training mean
(v,), or (n, v) where stimuli come from test sets of several folds; left out, it is that of y. All in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.encoding.scores import standardized
from isocortex.errors import DataError

# Values that torch takes quantiles of at once.
QUANTILE_SIZE = 1 << 24


def _centred(y: Any, parts: Any, mean: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Responses less their mean (n, v) and predictions (g, n, v); constant or unpredicted neuroids are NaN, their parts 0."""
    responses = as_tensor(y).to(torch.float64)
    predicted = as_tensor(parts, responses.device).to(torch.float64)
    if responses.ndim != 2 or predicted.ndim != 3 or predicted.shape[1:] != responses.shape or not len(predicted):
        raise DataError(
            f"partition: found y {tuple(responses.shape)} and predictions {tuple(predicted.shape)}, expected (stimuli, "
            "neuroids) and (spaces, stimuli, neuroids)"
        )
    about = responses.mean(0) if mean is None else as_tensor(mean, responses.device).to(torch.float64)
    left_out = (responses.amax(0) == responses.amin(0)) | predicted.isnan().any(0).any(0)
    return torch.where(left_out, torch.nan, responses - about), torch.where(left_out, 0.0, predicted)


def product_measure(y: Any, parts: Any, mean: Any = None) -> Any:
    """Share of each space in the joint R², correlations between predictions included: (g, v); they sum to R².

    R²_i = Σ (2 y ŷ_i − ŷ_i ŷ) / Σ y², y about `mean` (Hoffman 1960; Dupré la Tour et al. 2022). Shares may be negative.
    """
    responses, predicted = _centred(y, parts, mean)
    joint = predicted.sum(0)
    return like_input((predicted * (2 * responses - joint)).sum(1) / responses.square().sum(0), y)


def correlation_split(y: Any, parts: Any) -> Any:
    """Share of each space in the joint Pearson r: cov(y, ŷ_i) / (σ_y σ_ŷ), (g, v); they sum to r. NaN where either is
    constant."""
    responses, predicted = _centred(y, parts, None)
    joint = predicted.sum(0)
    scale = (joint - joint.mean(0)).norm(dim=0)
    varies = ~standardized(joint)[0].isnan()
    shares = (standardized(responses) * predicted).sum(1) / scale
    return like_input(torch.where(varies, shares, torch.nan), y)


def relative_weights(y: Any, parts: Any, mean: Any = None) -> Any:
    """Share of each space in the joint R² by relative weights (Johnson 2000): (g, v), of one sign, they sum to R².

    The predictions P (n, g) of a neuroid are turned into their nearest orthogonal set Z = P Λ⁻¹, Λ = (PᵀP)^½. The joint
    prediction has weights β = Λ1 on Z, and column k of Λ², divided by its sum, says how β_k² goes to the spaces. Needs no more
    than PᵀP; NaN where the joint prediction is zero.
    """
    responses, predicted = _centred(y, parts, mean)
    neuroids = predicted.permute(2, 1, 0)
    values, vectors = torch.linalg.eigh(neuroids.mT @ neuroids)
    root = (vectors * values.clamp(min=0).sqrt()[:, None, :]) @ vectors.mT
    squares = root.square()
    total = squares.sum(1, keepdim=True)
    flow = torch.where(total > 0, squares / total, 0.0)
    weights = (flow @ root.sum(2, keepdim=True).square()).squeeze(2).T
    r2 = 1 - (responses - predicted.sum(0)).square().sum(0) / responses.square().sum(0)
    return like_input(weights / weights.sum(0) * r2, y)


@dataclass(frozen=True)
class Partition:
    """Variance by the spaces that explain it, from R² of separate fits; nothing is clipped, negative values are kept.

    unique : (g, v), R² of all spaces less that of all but one. shared : (v,) what is left of R², the part that two or more
    spaces explain. overlap : (g, v), R² of a space alone less its unique part: what it shares with others; None if not given.
    """

    unique: Any
    shared: Any
    overlap: Any


def unique_shared(r2_all: Any, r2_without: Any, r2_alone: Any = None) -> Partition:
    """The partition of `r2_all` (..., v), R² of the fit on all spaces, by `r2_without` (g, ..., v), each without one space.

    r2_alone : (g, ..., v), each from one space. For two spaces, where all but one is one, it may stand in for `r2_without` in
    reverse, and shared = R²_1 + R²_2 − R²_12. Each R² is of a cross-validated fit of its own.
    """
    joint, without = as_tensor(r2_all), as_tensor(r2_without)
    alone = None if r2_alone is None else as_tensor(r2_alone)
    if len(without) < 2 or without.shape[1:] != joint.shape or (alone is not None and alone.shape != without.shape):
        shapes = [tuple(part.shape) for part in (joint, without, *([] if alone is None else [alone]))]
        raise DataError(f"partition: found R² {shapes}, expected (neuroids) and (spaces, neuroids) for two spaces or more")
    unique = joint - without
    overlap = None if alone is None else like_input(alone - unique, r2_all)
    return Partition(like_input(unique, r2_all), like_input(joint - unique.sum(0), r2_all), overlap)


def noise_corrected(r2: Any, reliability: Any) -> Any:
    """R² (..., v) over the reliability (v,) that bounds it; NaN where reliability is zero or less. May exceed 1."""
    values = as_tensor(r2)
    bound = as_tensor(reliability, values.device).to(values.dtype)
    return like_input(torch.where(bound > 0, values / bound, torch.nan), r2)


def region_share(r2: Any, reliability: Any) -> Any:
    """Σ R² / Σ reliability over neuroids that have both: (...) for `r2` (..., v); NaN where Σ reliability ≤ 0.

    A ratio of sums: a neuroid of low reliability cannot carry the region off, as in a mean of ratios.
    """
    values = as_tensor(r2)
    bound = as_tensor(reliability, values.device).to(values.dtype).expand(values.shape)
    kept = ~(values.isnan() | bound.isnan())
    total = torch.where(kept, bound, 0.0).sum(-1)
    return like_input(torch.where(total > 0, torch.where(kept, values, 0.0).sum(-1) / total, torch.nan), r2)


def partition_draws(y: Any, joint: Any, without: Any, weights: Any, mean: Any) -> Any:
    """R² of the joint model, unique part of each space and shared part in every bootstrap draw: (g + 2, draws, v).

    y, joint : (n, v) test responses and predictions from all spaces. without : (g, n, v) predictions of the fits without one.
    weights : (draws, n) multiplicities of the test stimuli. mean : the training mean (v,), or (n, v), that R² = 1 − SSE/SST
    refers to. The fits are fixed: what follows is conditional on them. NaN where a draw has SST = 0. One product per model and
    no loop over draws. Raises `DataError` for shapes that do not match.
    """
    responses, full, reduced, drawn, about = (
        as_tensor(part, as_tensor(y).device).to(torch.float64) for part in (y, joint, without, weights, mean)
    )
    if (
        full.shape != responses.shape
        or reduced.ndim != 3
        or reduced.shape[1:] != responses.shape
        or drawn.ndim != 2
        or drawn.shape[1] != len(responses)
    ):
        shapes = [tuple(part.shape) for part in (responses, full, reduced, drawn)]
        raise DataError(
            f"partition: found y, joint, without, weights of shapes {shapes}, expected (stimuli, neuroids) twice, (spaces, "
            "stimuli, neuroids) and (draws, stimuli)"
        )
    total = drawn @ (responses - about).square()
    models = torch.cat([full[None], reduced])
    r2 = torch.where(total > 0, 1 - drawn @ (responses - models).square() / total, torch.nan)
    parts = unique_shared(r2[0], r2[1:])
    return like_input(torch.cat([r2[:1], parts.unique, parts.shared[None]]), y)


@dataclass(frozen=True)
class PartitionIntervals:
    """Rows: R² of the joint model, the unique part of each space, the shared part.

    value, low, high : (g + 2, v), on the stimuli as they are and the interval over draws. region, region_low, region_high :
    (g + 2,), sums over neuroids divided by the sum of their reliabilities.
    """

    value: Any
    low: Any
    high: Any
    region: Any
    region_low: Any
    region_high: Any


def partition_intervals(
    y: Any, joint: Any, without: Any, weights: Any, mean: Any, reliability: Any = None, level: float = 0.95
) -> PartitionIntervals:
    """The partition with percentile intervals; arguments as in `partition_draws`, neuroids in batches.

    reliability : (v,) of the responses, for the values of the region; left out, those are means over neuroids.
    """
    responses = as_tensor(y)
    device, (n, v) = responses.device, responses.shape
    given = [as_tensor(part, device) for part in (joint, without, mean)]
    drawn = as_tensor(weights, device)
    bound = torch.ones(v, device=device) if reliability is None else as_tensor(reliability, device)
    bound = bound.to(torch.float64)
    levels = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64, device=device)
    # The stimuli as they are stand first among the draws.
    rows = torch.cat([torch.ones(1, n, dtype=torch.float64, device=device), drawn.to(torch.float64)])
    n_rows = (len(given[1]) + 2) * len(rows)
    pieces, sums, bounds = [], torch.zeros((), device=device), torch.zeros((), device=device)
    for part in batches(v, 8.0 * (4 * n_rows + 4 * n * len(given[1])), min(budget_bytes(device), 8 * QUANTILE_SIZE)):
        draws = partition_draws(responses[:, part], given[0][:, part], given[1][:, :, part], rows, given[2][..., part])
        pieces.append(torch.cat([draws[:, :1].movedim(1, 0), draws[:, 1:].nanquantile(levels, dim=1)]))
        kept = ~(draws.isnan() | bound[part].isnan())
        sums = sums + torch.where(kept, draws, 0.0).sum(-1)
        bounds = bounds + torch.where(kept, bound[part], 0.0).sum(-1)
    value, low, high = torch.cat(pieces, dim=-1)
    regions = torch.where(bounds > 0, sums / bounds, torch.nan)
    low_region, high_region = regions[:, 1:].nanquantile(levels, dim=1)
    made = (value, low, high, regions[:, 0], low_region, high_region)
    return PartitionIntervals(*(like_input(part, y) for part in made))


def r2_draws(y: Any, models: Any, weights: Any, mean: Any) -> Any:
    """R² of each of `models` (k, n, v) in every bootstrap draw: (k, draws, v); other arguments as in `partition_draws`."""
    responses, predicted, drawn, about = (
        as_tensor(part, as_tensor(y).device).to(torch.float64) for part in (y, models, weights, mean)
    )
    total = drawn @ (responses - about).square()
    return like_input(torch.where(total > 0, 1 - drawn @ (responses - predicted).square() / total, torch.nan), y)


def product_draws(y: Any, parts: Any, weights: Any, mean: Any) -> Any:
    """`product_measure` of `parts` (g, n, v) in every bootstrap draw: (g, draws, v); they sum to the joint R² of the draw.

    Other arguments as in `partition_draws`, so that the mean is that of the training stimuli in all draws.
    """
    responses, predicted, drawn, about = (
        as_tensor(part, as_tensor(y).device).to(torch.float64) for part in (y, parts, weights, mean)
    )
    centred = responses - about
    total = drawn @ centred.square()
    shares = drawn @ (predicted * (2 * centred - predicted.sum(0)))
    return like_input(torch.where(total > 0, shares / total, torch.nan), y)
