"""Ranks with ties, plain and weighted, without a loop over entries."""

from __future__ import annotations

import torch


def average_ranks(x: torch.Tensor) -> torch.Tensor:
    """Ranks 1…N along the last axis, equal values sharing the mean of their ranks; float64."""
    rows = x.reshape(-1, x.shape[-1])
    ranks = torch.empty(rows.shape, dtype=torch.float64, device=x.device)
    place = torch.arange(1, rows.shape[1] + 1, dtype=torch.float64, device=x.device)
    for row, rank in zip(rows, ranks, strict=True):
        ordered, order = row.sort()
        tied = ordered[1:] == ordered[:-1]
        shared = place
        if tied.any():
            group = torch.nn.functional.pad((~tied).cumsum(0), (1, 0))
            size = torch.bincount(group)
            shared = (size.cumsum(0) - (size - 1) / 2.0).to(torch.float64)[group]
        rank[order] = shared
    return ranks.reshape(x.shape)


class WeightedRanks:
    """Ranks of one vector (N,) among copies of its entries, for many integer weightings of them.

    With weights w, an entry is present w times, and its rank is the mean rank of its copies and of all that tie with it:
    half of (weight below + weight up to and with its ties + 1). Sorted once, then only cumulative sums.
    """

    def __init__(self, x: torch.Tensor) -> None:
        ordered, self._order = x.sort()
        n = x.shape[0]
        last = torch.ones(n, dtype=torch.bool, device=x.device)
        last[:-1] = ordered[1:] != ordered[:-1]
        self._ends = last.nonzero().squeeze(1)
        group_of_position = torch.zeros(n, dtype=torch.int64, device=x.device)
        group_of_position[1:] = last[:-1].cumsum(0)
        self._group = torch.empty_like(group_of_position).index_copy_(0, self._order, group_of_position)
        self._untied = self._ends.shape[0] == n

    def __call__(self, weights: torch.Tensor) -> torch.Tensor:
        """Ranks (C, N) for weights (C, N)."""
        shape = weights.shape
        in_order = weights.gather(1, self._order.expand(shape))
        total = in_order.cumsum(1)
        if self._untied:
            rank = total.mul_(2.0).sub_(in_order).add_(1.0).mul_(0.5)
        else:
            up_to = total.gather(1, self._ends.expand(shape[0], -1))
            below = torch.cat([up_to.new_zeros((shape[0], 1)), up_to[:, :-1]], dim=1)
            rank = (up_to + below + 1.0) * 0.5
        return rank.gather(1, self._group.expand(shape))
