"""Comparisons of RDMs in many bootstrap draws of stimuli at once, from pair weights.

A bootstrap of stimuli drops pairs of a stimulus with itself, so that a pair's weight is the product of two multiplicities and
the whole bootstrap is a weighted comparison of RDMs that never change (Schütt et al. 2023; the weights are exact, see tests).
Every function maps brain RDMs (S, N), layer RDMs (L, N) and multiplicities (D, n) to comparisons (D, S, L).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.similarity.comparators.kendall import tau_table
from isocortex.similarity.comparators.ranks import WeightedRanks
from isocortex.similarity.rdm.vectors import to_square

# Working sets of about this many bytes stay in a CPU's cache; a GPU is filled by larger ones.
_BLOCK_BYTES = {"cpu": 4e6, "cuda": 5e8}


def _blocks(n: int, bytes_per_item: float, device: torch.device) -> Iterator[slice]:
    return batches(n, bytes_per_item, _BLOCK_BYTES.get(device.type, 4e6))


def by_moments(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, centre: bool) -> torch.Tensor:
    """Pearson or cosine: with pair weights c_i c_j, every weighted sum over pairs of M is ½ cᵀ M c."""
    if centre:  # a shift of an RDM changes no correlation and keeps the digits
        brain, layers = brain - brain.mean(-1, keepdim=True), layers - layers.mean(-1, keepdim=True)

    def total(vector: torch.Tensor) -> torch.Tensor:
        return 0.5 * ((counts @ to_square(vector)) * counts).sum(1)

    def totals(rows: torch.Tensor) -> torch.Tensor:
        return torch.stack([total(row) for row in rows], dim=1)

    pairs = 0.5 * (counts.sum(1).square() - counts.square().sum(1))[:, None]
    xx, yy = totals(brain.square()), totals(layers.square())
    xy = torch.stack([totals(row * layers) for row in brain], dim=1)
    if centre:
        sx, sy = totals(brain), totals(layers)
        xx, yy = xx - sx.square() / pairs, yy - sy.square() / pairs
        xy = xy - sx[:, :, None] * sy[:, None, :] / pairs[:, :, None]
    norm = (xx[:, :, None] * yy[:, None, :]).clamp_min(0.0).sqrt()
    return xy / torch.where(norm > 0, norm, torch.nan)


def by_ranks(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, unit: bool) -> torch.Tensor:
    """Spearman (`unit`) or rho-a: mid-ranks among the copies of each draw from sorted cumulative weights."""
    n = counts.shape[1]
    first, second = torch.triu_indices(n, n, 1, device=brain.device)
    rank_brain, rank_layers = [WeightedRanks(row) for row in brain], [WeightedRanks(row) for row in layers]
    scores = torch.empty((len(counts), len(brain), len(layers)), dtype=torch.float64, device=brain.device)
    width = 8.0 * brain.shape[1] * (len(brain) + len(layers) + 3)
    for block in _blocks(len(counts), width, brain.device):
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


def by_tau(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """tau-a, on entries repeated by their weights."""
    x, y = brain.cpu().numpy(), layers.cpu().numpy()
    drawn = counts.cpu().numpy().astype(np.int64)
    first, second = np.triu_indices(drawn.shape[1], 1)
    scores = np.full((len(drawn), len(x), len(y)), np.nan)
    for k, c in enumerate(drawn):
        copies = np.repeat(np.arange(len(first)), c[first] * c[second])
        if len(copies) > 2:
            scores[k] = tau_table(x[:, copies], y[:, copies])
    return torch.as_tensor(scores, device=brain.device)
