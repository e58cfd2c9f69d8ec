"""Transformed RDMs compared in bootstrap draws of stimuli, compiled: one pass through a sorted RDM per draw."""

from __future__ import annotations

import numpy as np
from numba import njit

from isocortex.similarity.comparators.inversions import pair_weights

# Entries whose products are summed before the next: all RDMs' stretches stay in the cache.
_STRETCH = 1024


@njit(cache=True, nogil=True)
def _ranked(order, last, tied, weights, ranks, up_to):
    """Fills `ranks` (N,) with mean ranks among the copies of entries, and `up_to` (N,) with copies up to a place in order."""
    below, start = 0, 0
    if not tied:  # a branch less per entry
        for t in range(len(order)):
            w = weights[order[t]]
            ranks[order[t]] = below + 0.5 * (w + 1)
            below += w
            up_to[t] = below
        return
    copies = 0
    for t in range(len(order)):
        copies += weights[order[t]]
        up_to[t] = copies
        if last[t]:
            rank = 0.5 * (below + copies + 1)
            for u in range(start, t + 1):
                ranks[order[u]] = rank
            below, start = copies, t + 1


@njit(cache=True, nogil=True)
def _copy(index, order, up_to, values):
    """The value of the copy that is `index`-th in order, from 0."""
    first, stop = 0, len(up_to) - 1
    while first < stop:
        middle = (first + stop) // 2
        if up_to[middle] > index:
            stop = middle
        else:
            first = middle + 1
    return values[order[first]]


@njit(cache=True, nogil=True)
def _quantiles(levels, order, up_to, values, found):
    """Fills `found` (K,) with quantiles of the copies' values, by linear interpolation as in NumPy."""
    last = up_to[-1] - 1
    for k in range(len(levels)):
        place = last * levels[k]
        lower = np.int64(np.floor(place))
        low = _copy(lower, order, up_to, values)
        high = _copy(min(lower + 1, last), order, up_to, values)
        part = place - lower
        found[k] = low + (high - low) * part if part < 0.5 else high - (high - low) * (1.0 - part)


@njit(cache=True, nogil=True)
def _transformed(x, low, high, soft, made):
    """Fills `made` (N,) with the ramp of `x` between two numbers, or the soft step where `soft` (1, steepness, centre)."""
    if soft[0] > 0:
        for t in range(len(x)):
            at = (x[t] - low) / (high - low) if high > low else 0.5
            made[t] = 1.0 / (1.0 + np.exp(-soft[1] * (at - soft[2])))
        return
    if high <= low:
        low = np.nextafter(high, -np.inf)
    for t in range(len(x)):
        made[t] = min(max((x[t] - low) / (high - low), 0.0), 1.0)


@njit(cache=True, nogil=True, fastmath=True)
def _centre(made, weights, total):
    for a in range(len(made)):
        mean = 0.0
        for t in range(len(weights)):
            mean += weights[t] * made[a, t]
        mean /= total
        for t in range(len(weights)):
            made[a, t] -= mean


@njit(cache=True, nogil=True, fastmath=True)
def _products(made, weights, n_brain, xy, power):
    """Adds weighted products of the first `n_brain` rows with the others to `xy` (S, L), and of each with itself to `power`."""
    k, n = made.shape
    weighted = np.empty(_STRETCH)
    for start in range(0, n, _STRETCH):
        size = min(_STRETCH, n - start)
        w = weights[start : start + size]
        for a in range(k):
            x = made[a, start : start + size]
            own = 0.0
            for t in range(size):
                weighted[t] = w[t] * x[t]
                own += weighted[t] * x[t]
            power[a] += own
            for b in range(n_brain, k if a < n_brain else n_brain):
                y = made[b, start : start + size]
                product = 0.0
                for t in range(size):
                    product += weighted[t] * y[t]
                xy[a, b - n_brain] += product


@njit(cache=True, nogil=True)
def _table(made, weights, n_brain, centred, table):
    """Fills `table` (S, L) with weighted correlations, or cosines; NaN where a row has no variance but that of rounding."""
    total = weights.sum()
    if centred:
        _centre(made, weights, total)
    xy, power = np.zeros(table.shape), np.zeros(len(made))
    _products(made, weights, n_brain, xy, power)
    for a in range(n_brain):
        for b in range(table.shape[1]):
            flat = min(power[a], power[n_brain + b]) <= 1e-26 * total
            table[a, b] = np.nan if flat else xy[a, b] / np.sqrt(power[a] * power[n_brain + b])


@njit(cache=True, nogil=True)
def scores(counts, rows, orders, last, tied, levels, ranked, sides, soft, n_brain, centred):
    """Comparisons (D, P, S, L) of the first `n_brain` of `rows` (K, N) with the others in draws of multiplicities (D, n).

    Transform p is of ranks where ranked[p], between the quantiles at levels[sides[p]], and soft[p] as in `_transformed`.
    """
    k, n = rows.shape
    ranks, made = np.empty((k, n)), np.empty((k, n))
    weights, up_to = np.empty(n, np.int32), np.empty(n, np.int64)
    of_ranks, of_values = np.empty((k, len(levels))), np.empty((k, len(levels)))
    found = np.full((len(counts), len(ranked), n_brain, k - n_brain), np.nan)
    for d in range(len(counts)):
        pair_weights(counts[d], weights)
        if weights.sum() == 0:
            continue
        for a in range(k):
            _ranked(orders[a], last[a], tied[a], weights, ranks[a], up_to)
            _quantiles(levels, orders[a], up_to, ranks[a], of_ranks[a])
            _quantiles(levels, orders[a], up_to, rows[a], of_values[a])
        for p in range(len(ranked)):
            low, high = sides[p]
            for a in range(k):
                x, at = (ranks[a], of_ranks[a]) if ranked[p] else (rows[a], of_values[a])
                _transformed(x, at[low], at[high], soft[p], made[a])
            _table(made, weights, n_brain, centred, found[d, p])
    return found
