"""Mid-ranks among the copies of entries in bootstrap draws of stimuli, compiled: one pass through a sorted RDM per draw."""

from __future__ import annotations

import numpy as np
from numba import njit

from isocortex.similarity.comparators.inversions import pair_weights
from isocortex.similarity.comparators.parallel import spread
from isocortex.similarity.comparators.sorting import Order

# Entries whose products are summed before the next: all RDMs' stretches stay in the cache.
_STRETCH = 1024


def prepare(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orders (K, N) of vectors (K, N), for each place whether it is the last of its tied group, and whether there are ties."""
    orders = spread(Order, [(row,) for row in vectors])
    last = np.zeros(vectors.shape, np.bool_)
    for ends, order in zip(last, orders, strict=True):
        ends[order.starts[1:] - 1] = True
    return np.stack([order.order for order in orders]), last, np.array([order.tied for order in orders])


@njit(cache=True, nogil=True)
def mid_ranks(order, last, tied, weights, total, ranks):
    """Fills `ranks` (N,) with twice the mean rank of the copies of an entry and all that tie with it, less total + 1.

    Centred like that they are whole numbers whose weighted sum is zero. `last` marks the end of each tied group in `order`.
    """
    below, group, start = 0, 0, 0
    if not tied:  # a branch less per entry: twice as fast
        for t in range(len(order)):
            w = weights[order[t]]
            ranks[order[t]] = 2 * below + w - total
            below += w
        return
    for t in range(len(order)):
        group += weights[order[t]]
        if last[t]:
            rank = 2 * below + group - total
            for u in range(start, t + 1):
                ranks[order[u]] = rank
            below += group
            group = 0
            start = t + 1


@njit(cache=True, nogil=True, fastmath=True)
def _products(ranks, weights, n_brain, xy, power):
    """Adds weighted products of the first `n_brain` rows with the others to `xy` (S, L), and of each with itself to `power`."""
    k, n = ranks.shape
    weighted = np.empty(_STRETCH)
    for start in range(0, n, _STRETCH):
        size = min(_STRETCH, n - start)
        w = weights[start : start + size]
        for a in range(k):
            x = ranks[a, start : start + size]
            own = 0.0
            for t in range(size):
                weighted[t] = w[t] * x[t]
                own += weighted[t] * x[t]
            power[a] += own
            if a >= n_brain:
                continue
            for b in range(n_brain, k):
                y = ranks[b, start : start + size]
                product = 0.0
                for t in range(size):
                    product += weighted[t] * y[t]
                xy[a, b - n_brain] += product


@njit(cache=True, nogil=True)
def scores(counts, orders, last, tied, n_brain, unit):
    """Spearman (`unit`) or rho-a (D, S, L) of the first `n_brain` RDMs with the others in draws of multiplicities (D, n)."""
    k, n = orders.shape
    ranks, weights = np.empty((k, n)), np.empty(n, np.int32)
    found = np.empty((len(counts), n_brain, k - n_brain))
    for d in range(len(counts)):
        pair_weights(counts[d], weights)
        total = np.int64(weights.sum())
        for a in range(k):
            mid_ranks(orders[a], last[a], tied[a], weights, total, ranks[a])
        xy, power = np.zeros((n_brain, k - n_brain)), np.zeros(k)
        _products(ranks, weights, n_brain, xy, power)
        most = (float(total) ** 3 - total) / 3.0
        for a in range(n_brain):
            for b in range(k - n_brain):
                norm = np.sqrt(power[a] * power[n_brain + b]) if unit else most
                found[d, a, b] = xy[a, b] / norm if norm > 0 else np.nan
    return found
