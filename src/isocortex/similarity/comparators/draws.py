"""Comparisons of RDMs in many bootstrap draws of stimuli at once, from pair weights.

A bootstrap of stimuli drops pairs of a stimulus with itself, so that a pair's weight is the product of two multiplicities and
the whole bootstrap is a weighted comparison of RDMs that never change (Schütt et al. 2023; the weights are exact, see tests).
Every function maps brain RDMs (S, N), layer RDMs (L, N) and multiplicities (D, n) to comparisons (D, S, L).
"""

from __future__ import annotations

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.similarity.comparators.moments import centred
from isocortex.similarity.comparators.parallel import spread
from isocortex.similarity.comparators.ranks import WeightedRanks
from isocortex.similarity.comparators.sums import moments

_BLOCK_BYTES = 5e8
# Draws that a thread takes at once: enough to share the buffers, few enough to share the work.
_DRAWS = 16


def by_moments(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, centre: bool) -> torch.Tensor:
    """Pearson or cosine, from weighted sums of products."""
    if centre:  # a shift of an RDM changes no correlation and keeps the digits
        brain, layers = centred(brain), centred(layers)
    sums = moments(brain, layers, counts)
    if centre:
        sums = sums.centred()
    return ratio(sums.xy, sums.xx, sums.yy)


def ratio(xy: torch.Tensor, xx: torch.Tensor, yy: torch.Tensor) -> torch.Tensor:
    """xy (D, S, L) over √(xx yy), xx (D, S) and yy (D, L); NaN where one is not positive."""
    norm = (xx[:, :, None] * yy[:, None, :]).clamp_min(0.0).sqrt()
    return xy / torch.where(norm > 0, norm, torch.nan)


def by_ranks(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, unit: bool) -> torch.Tensor:
    """Spearman (`unit`) or rho-a: mid-ranks among the copies of each draw, from orders that never change."""
    if brain.device.type == "cpu":
        return _by_compiled_ranks(brain, layers, counts, unit)
    return by_cumulated_ranks(brain, layers, counts, unit=unit)


def _by_compiled_ranks(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, unit: bool) -> torch.Tensor:
    from isocortex.similarity.comparators import rank_draws

    prepared = rank_draws.prepare(np.concatenate([brain.double().numpy(), layers.double().numpy()]))
    draws = np.ascontiguousarray(counts.numpy(), dtype=np.int32)
    tasks = [(draws[k : k + _DRAWS], *prepared, len(brain), unit) for k in range(0, len(draws), _DRAWS)]
    found = spread(rank_draws.scores, tasks)
    return torch.as_tensor(np.concatenate(found) if found else np.empty((0, len(brain), len(layers))))


def by_cumulated_ranks(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, unit: bool) -> torch.Tensor:
    """As `by_ranks`, on any device."""
    n = counts.shape[1]
    first, second = torch.triu_indices(n, n, 1, device=brain.device)
    rank_brain, rank_layers = [WeightedRanks(row) for row in brain], [WeightedRanks(row) for row in layers]
    scores = torch.empty((len(counts), len(brain), len(layers)), dtype=torch.float64, device=brain.device)
    width = 8.0 * brain.shape[1] * (len(brain) + len(layers) + 3)
    for block in batches(len(counts), width, _BLOCK_BYTES):
        c = counts[block]
        weights = c.index_select(1, first) * c.index_select(1, second)
        total = weights.sum(1)
        middle = (total[:, None] + 1.0) / 2.0
        x = torch.stack([ranks(weights).sub_(middle) for ranks in rank_brain], dim=1)
        y = torch.stack([ranks(weights).sub_(middle) for ranks in rank_layers], dim=1)
        wx = x * weights[:, None]
        products = wx @ y.mT
        if unit:
            xx = (wx * x).sum(-1)
            yy = (weights[:, None] @ y.square().mT)[:, 0]
            norm = (xx[:, :, None] * yy[:, None, :]).sqrt()
        else:
            norm = ((total**3 - total) / 12.0)[:, None, None]
        scores[block] = products / torch.where(norm > 0, norm, torch.nan)
    return scores
