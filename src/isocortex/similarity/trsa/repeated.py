"""Transformed RDMs compared in many bootstrap draws of stimuli at once: exactly as if the stimuli were repeated.

A draw repeats stimuli and drops the pairs of a stimulus with its own copy, so that an entry is present as often as the product
of two multiplicities. Ranks and quantiles are those of the repeated entries; both come from one cumulative sum of the weights
in sorted order, which no draw changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.similarity.comparators.parallel import spread
from isocortex.similarity.trsa.order import argsort, between
from isocortex.similarity.trsa.plane import block_bytes
from isocortex.similarity.trsa.transforms import Transform

# Draws that a thread takes at once: enough to share the buffers, few enough to share the work.
_DRAWS = 16


class RepeatedEntries:
    """One RDM vector (N,), sorted once, for many integer weightings (D, N) of its entries."""

    def __init__(self, x: torch.Tensor) -> None:
        n = x.shape[0]
        self.x, self._order = x, argsort(x)
        self._ordered = x[self._order]
        last = torch.ones(n, dtype=torch.bool, device=x.device)
        last[:-1] = self._ordered[1:] != self._ordered[:-1]
        self._ends = last.nonzero().squeeze(1)
        self._group_at = torch.zeros(n, dtype=torch.int64, device=x.device)
        self._group_at[1:] = last[:-1].cumsum(0)
        self._group = torch.empty_like(self._group_at).index_copy_(0, self._order, self._group_at)

    def __call__(self, weights: torch.Tensor, levels: torch.Tensor, *, ranked: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Values, (N,) entries or (D, N) mean ranks among all copies, and quantiles (D, K) of the copies at `levels`."""
        up_to = weights.gather(1, self._order.expand(weights.shape)).cumsum(1)
        place = (up_to[:, -1:] - 1.0) * levels
        lower = place.floor().clamp_min(0.0)
        upper = torch.minimum(lower + 1.0, up_to[:, -1:] - 1.0)
        at = [torch.searchsorted(up_to, index, right=True).clamp_max_(len(self.x) - 1) for index in (lower, upper)]
        if ranked:
            ends = up_to if len(self._ends) == len(self.x) else up_to.gather(1, self._ends.expand(len(weights), -1))
            ranks = torch.empty_like(ends)
            ranks[:, 0] = ends[:, 0]
            torch.add(ends[:, 1:], ends[:, :-1], out=ranks[:, 1:])
            ranks.add_(1.0).mul_(0.5)
            low, high = (ranks.gather(1, self._group_at[position]) for position in at)
            values = ranks.gather(1, self._group.expand(weights.shape))
        else:
            low, high = (self._ordered[position] for position in at)
            values = self.x
        return values, between(low, high, place - lower)


def _table(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, *, centred: bool) -> torch.Tensor:
    """Weighted Pearson correlations, or cosines, (D, S, L) of (D, S, N) and (D, L, N) with weights (D, N)."""
    if centred:
        total = weights.sum(1)[:, None, None]
        x, y = (v.sub_((v @ weights[:, :, None]) / total) for v in (x, y))
    wx = x * weights[:, None]
    xx = (wx * x).sum(-1)
    yy = (y.square() @ weights[:, :, None])[..., 0]
    norm = (xx[:, :, None] * yy[:, None, :]).sqrt()
    # A transform is at most 1: what is left of a constant one by rounding is no variance.
    flat = (xx <= 1e-26 * len(weights.mT))[:, :, None] | (yy <= 1e-26 * len(weights.mT))[:, None, :]
    return (wx @ y.mT) / torch.where(flat, torch.nan, norm)


def weighted_transforms(
    brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, transforms: Sequence[Transform], compare: str
) -> torch.Tensor:
    """Comparisons (P, D, S, L) of brain RDMs (S, N) with layer RDMs (L, N) under P transforms, in draws of multiplicities
    `counts` (D, n): equal to repeating the stimuli, dropping pairs of a stimulus with itself, transforming and comparing.

    Ranks are made once for all transforms. `compare`: "pearson" or "cosine". NaN where a transformed RDM has no variance.
    """
    levels, place = np.unique([t.levels for t in transforms], return_inverse=True)
    given = (transforms, levels, place.reshape(-1, 2), compare == "pearson")
    compute = by_loops if brain.device.type == "cpu" else by_tensors
    return compute(brain, layers, counts, *given)


def by_loops(
    brain: torch.Tensor,
    layers: torch.Tensor,
    counts: torch.Tensor,
    transforms: Sequence[Transform],
    levels: np.ndarray,
    sides: np.ndarray,
    centred: bool,
) -> torch.Tensor:
    """`weighted_transforms` in compiled loops, draws spread over threads; levels[sides] (P, 2) are those of the transforms."""
    from isocortex.similarity.comparators.rank_draws import prepare
    from isocortex.similarity.trsa import drawn  # Numba takes a while to import

    rows = np.concatenate([brain.double().numpy(), layers.double().numpy()])
    soft = np.array([(t.soft is not None, *(t.soft or (0.0, 0.0))) for t in transforms], dtype=np.float64)
    given = (rows, *prepare(rows), levels, np.array([t.ranked for t in transforms]), sides, soft, len(brain), centred)
    drawn_counts = np.ascontiguousarray(counts.numpy(), dtype=np.int32)
    found = spread(drawn.scores, [(drawn_counts[k : k + _DRAWS], *given) for k in range(0, len(counts), _DRAWS)])
    shape = (0, len(transforms), len(brain), len(layers))
    return torch.as_tensor(np.concatenate(found) if found else np.empty(shape)).transpose(0, 1)


def by_tensors(
    brain: torch.Tensor,
    layers: torch.Tensor,
    counts: torch.Tensor,
    transforms: Sequence[Transform],
    levels: np.ndarray,
    sides: np.ndarray,
    centred: bool,
) -> torch.Tensor:
    """`weighted_transforms` on a GPU, all draws of a block at once."""
    counts = counts.to(device=brain.device, dtype=torch.float64)
    first, second = torch.triu_indices(counts.shape[1], counts.shape[1], 1, device=brain.device)
    rows = [RepeatedEntries(row) for row in torch.cat([brain, layers])]
    at = torch.as_tensor(levels, dtype=torch.float64, device=brain.device)
    scores = torch.empty((len(transforms), len(counts), len(brain), len(layers)), dtype=torch.float64, device=brain.device)
    width = 8.0 * brain.shape[1] * (2 * len(rows) + 5)
    for block in batches(len(counts), width, block_bytes(brain.device)):
        c = counts[block]
        weights = c.index_select(1, first) * c.index_select(1, second)
        made = {ranked: [row(weights, at, ranked=ranked) for row in rows] for ranked in {t.ranked for t in transforms}}
        for number, chosen in enumerate(transforms):
            low, high = sides[number].tolist()
            parts = [chosen.between(v, q[:, low, None], q[:, high, None]) for v, q in made[chosen.ranked]]
            x, y = torch.stack(parts[: len(brain)], 1), torch.stack(parts[len(brain) :], 1)
            scores[number, block] = _table(x, y, weights, centred=centred)
    return scores
