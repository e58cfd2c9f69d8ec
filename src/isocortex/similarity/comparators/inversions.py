"""Weighted numbers of discordant pairs, compiled; imported where Kendall's tau is first needed."""

from __future__ import annotations

import numpy as np
from numba import njit

# A digit of six bits: its 64 counters are few vector registers, and a loop over all of them is faster than a search tree.
_DIGIT = 6
_COUNTERS = 1 << _DIGIT


@njit(cache=True, nogil=True)
def _level(v0, w0, ends0, above, v1, w1, ends1, shift):
    """Discordant weight of pairs that differ first in this digit; entries are laid out by it on the way."""
    heavier = np.zeros(_COUNTERS, np.int32)  # by digit: the weight of earlier entries with a greater one
    total = np.int64(0)
    for node in range(len(ends0)):
        heavier[:] = 0
        for i in range(node << above, ends0[node]):
            v, w = v0[i], w0[i]
            prefix = v >> np.int32(shift)
            digit = prefix & np.int32(_COUNTERS - 1)
            total += np.int64(w) * np.int64(heavier[digit])
            for j in range(_COUNTERS):
                heavier[j] += w if np.int32(j) < digit else np.int32(0)
            if shift > 0:
                to = ends1[prefix]
                v1[to] = v
                w1[to] = w
                ends1[prefix] = to + 1
    return total


@njit(cache=True, nogil=True)
def discordant(v0, w0, m, n, v1, w1):
    """Σ w_i w_j over inversions i < j, v_i > v_j, of the first `m` entries: different int32 values below `n`, int32 weights.

    By digits of six bits from the highest, entries with equal higher digits being next to each other: a pass through memory
    per digit. All four arrays hold `n` entries and are written over; Σ w must be below 2³¹.
    """
    above = _DIGIT
    while (n - 1) >> above:
        above += _DIGIT
    ends0 = np.full(1, m, np.int32)
    total = np.int64(0)
    while above > 0:
        shift = above - _DIGIT
        nodes = ((n - 1) >> shift) + 1 if shift > 0 else 0
        ends1 = np.empty(nodes, np.int32)
        for p in range(nodes):
            ends1[p] = p << shift
        total += _level(v0, w0, ends0, above, v1, w1, ends1, shift)
        v0, v1, w0, w1, ends0, above = v1, v0, w1, w0, ends1, shift
    return total


@njit(cache=True, nogil=True)
def broken_ties(order, group, starts):
    """Places (N,) of entries sorted by `group` and, where tied, by the other vector, whose stable `order` this is."""
    place, following = np.empty(len(order), np.int32), starts.copy()
    for t in range(len(order)):
        k = order[t]
        place[k] = following[group[k]]
        following[group[k]] += 1
    return place


@njit(cache=True, nogil=True)
def layout(place_x, place_y):
    """`order` (N,) of entries by their place by x, then y, and their places by y, then x, in that order."""
    n = len(place_x)
    order, values = np.empty(n, np.int32), np.empty(n, np.int32)
    for k in range(n):
        order[place_x[k]] = k
        values[place_x[k]] = place_y[k]
    return order, values


@njit(cache=True, nogil=True)
def joint_starts(order, group_x, group_y):
    """Starts (G + 1,) of the stretches of `order` that are tied in both."""
    n = len(order)
    starts = np.empty(n + 1, np.int32)
    found = 0
    for t in range(n):
        k, before = order[t], order[max(t - 1, 0)]
        if t == 0 or group_x[k] != group_x[before] or group_y[k] != group_y[before]:
            starts[found] = t
            found += 1
    starts[found] = n
    return starts[: found + 1].copy()


@njit(cache=True, nogil=True)
def pair_weights(counts, weights):
    """Fills `weights` (N,) with c_i c_j, the copies of every pair of stimuli."""
    n, k = len(counts), 0
    for i in range(n):
        c = counts[i]
        for j in range(i + 1, n):
            weights[k] = c * counts[j]
            k += 1


@njit(cache=True, nogil=True)
def group_power(order, starts, weights):
    """Σ over groups of (Σ weights)², groups being stretches of `order`."""
    total = np.int64(0)
    for g in range(len(starts) - 1):
        size = np.int64(0)
        for t in range(starts[g], starts[g + 1]):
            size += weights[order[t]]
        total += size * size
    return total


@njit(cache=True, nogil=True)
def weighted_discordant(order, values, weights, v0, w0, v1, w1):
    """Discordant weight of a pair of vectors laid out by `layout`; entries of weight zero are left out. Buffers (N + 1,)."""
    m = 0
    for t in range(len(order)):
        w = weights[order[t]]
        v0[m] = values[t]
        w0[m] = w
        m += w > 0
    return discordant(v0, w0, m, len(order), v1, w1)


def buffers(n: int) -> tuple[np.ndarray, ...]:
    """What `weighted_discordant` needs besides its inputs."""
    return tuple(np.empty(n + 1, np.int32) for _ in range(4))
