"""Kendall's tau-a and tau-b between RDM vectors, whole and in bootstrap draws of stimuli; on the CPU, whatever the device.

Vectors are sorted once; what is left for each pair of them is the weight of discordant pairs of entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.similarity.comparators.parallel import spread


@dataclass(frozen=True)
class _Balance:
    """Concordant minus discordant weight (D, S, L), weights free of ties in x (D, S) and y (D, L), and in all (D,).

    Where an entry is present w times, its copies tie with one another.
    """

    balance: np.ndarray
    free_x: np.ndarray
    free_y: np.ndarray
    pairs: np.ndarray


def _weights(draws: np.ndarray | None, n: int) -> Iterator[np.ndarray]:
    """Weights (N,) of entries in each draw of stimuli (D, n); one for all where there are no draws."""
    from isocortex.similarity.comparators.inversions import pair_weights

    if draws is None:
        yield np.ones(n, np.int32)
        return
    weights = np.empty(n, np.int32)
    for counts in draws:
        pair_weights(counts, weights)
        yield weights


def _compared(x: np.ndarray, y: np.ndarray, draws: np.ndarray | None) -> _Balance:
    """C − D = ½ (W² − Σ W_x² − Σ W_y² + Σ W_xy²) − 2 D, with W_x the weights of groups tied in x, W_xy in both."""
    from isocortex.similarity.comparators import inversions
    from isocortex.similarity.comparators.sorting import Order

    n = x.shape[1]
    total, squares = _totals(draws, n)
    orders = spread(Order, [(row,) for row in (*x, *y)])

    def own(order: Order) -> np.ndarray:
        if not order.tied:
            return squares
        return np.array([inversions.group_power(order.order, order.starts, w) for w in _weights(draws, n)])

    def pair(a: Order, b: Order) -> np.ndarray:
        place_a = inversions.broken_ties(b.order, a.group, a.starts) if a.tied else a.group
        place_b = inversions.broken_ties(a.order, b.group, b.starts) if b.tied else b.group
        order, values = inversions.layout(place_a, place_b)
        starts = inversions.joint_starts(order, a.group, b.group) if a.tied and b.tied else None
        buffers = inversions.buffers(n)
        both = np.empty((2, len(total)), np.int64)
        both[1] = squares
        for d, w in enumerate(_weights(draws, n)):
            both[0, d] = inversions.weighted_discordant(order, values, w, *buffers)
            if starts is not None:
                both[1, d] = inversions.group_power(order, starts, w)
        return both

    powers = np.stack(spread(own, [(order,) for order in orders]), axis=1)
    power_x, power_y = powers[:, : len(x)], powers[:, len(x) :]
    tasks = [(a, b) for a in orders[: len(x)] for b in orders[len(x) :]]
    found = np.stack(spread(pair, tasks)).reshape(len(x), len(y), 2, -1).transpose(2, 3, 0, 1)
    everything = total[:, None] ** 2
    free = everything[:, :, None] - power_x[:, :, None] - power_y[:, None, :]
    # Every term is twice a whole number of pairs plus the same Σ w².
    balance = (free + found[1]) // 2 - 2 * found[0]
    return _Balance(balance, (everything - power_x) // 2, (everything - power_y) // 2, total * (total - 1) // 2)


def _totals(draws: np.ndarray | None, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Σ w and Σ w² over entries, (D,): with w = c_i c_j from power sums of c."""
    if draws is None:
        return np.array([n], np.int64), np.array([n], np.int64)
    c = draws.astype(np.int64)
    square = (c**2).sum(1)
    return (c.sum(1) ** 2 - square) // 2, (square**2 - (c**4).sum(1)) // 2


def _scored(found: _Balance, adjust: bool) -> np.ndarray:
    if adjust:
        scale = np.sqrt(found.free_x.astype(np.float64))[:, :, None] * np.sqrt(found.free_y.astype(np.float64))[:, None, :]
    else:
        scale = np.broadcast_to(found.pairs[:, None, None].astype(np.float64), found.balance.shape)
    return found.balance / np.where(scale > 0, scale, np.nan)


def tau_table(a: torch.Tensor, b: torch.Tensor, *, adjust: bool) -> torch.Tensor:
    """Kendall's tau (A, B) of vectors (A, N) and (B, N) without NaN: (C − D) over all N(N − 1)/2 pairs of entries (tau-a), or
    with `adjust` over √((pairs not tied in a)(pairs not tied in b)) (tau-b; NaN for a constant vector). O(N log N) each.
    """
    found = _compared(a.cpu().double().numpy(), b.cpu().double().numpy(), None)
    return torch.as_tensor(_scored(found, adjust)[0], device=a.device)


def by_tau(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, adjust: bool) -> torch.Tensor:
    """Kendall's tau (D, S, L) of brain RDMs (S, N) with layers (L, N) in draws with multiplicities (D, n).

    Equal to repeating entries c_i c_j times: copies of an entry are tied.
    """
    draws = np.ascontiguousarray(counts.cpu().numpy(), dtype=np.int32)
    found = _compared(brain.cpu().double().numpy(), layers.cpu().double().numpy(), draws)
    return torch.as_tensor(_scored(found, adjust), device=brain.device)
