"""Pools of ranks in bootstrap draws and their comparison with each subject, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from isocortex.similarity.comparators.inversions import pair_weights
from isocortex.similarity.comparators.rank_draws import mid_ranks
from isocortex.similarity.comparators.sorting import radix_order


@njit(cache=True, nogil=True)
def _rank_again(pool, weights, total, ranks):
    """Fills `ranks` (M,) with the centred mid-ranks of whole numbers `pool` (M,)."""
    least = pool.min()
    keys = np.empty(len(pool), np.uint64)
    for k in range(len(pool)):
        keys[k] = np.uint64(pool[k] - least)
    order = radix_order(keys)
    last = np.ones(len(pool), np.bool_)
    for t in range(len(pool) - 1):
        last[t] = pool[order[t]] != pool[order[t + 1]]
    mid_ranks(order, last, True, weights, total, ranks)


@njit(cache=True, nogil=True, fastmath=True)
def _dot(x, y, weights):
    total = 0.0
    for t in range(len(x)):
        total += weights[t] * np.float64(x[t]) * np.float64(y[t])
    return total


@njit(cache=True, nogil=True)
def _fill(draw, orders, last, tied, all_weights, everywhere):
    """Weights (M,) of the pairs that are in a draw, and the brain's centred mid-ranks (S, M) among their copies."""
    pair_weights(draw, all_weights)
    total = np.int64(all_weights.sum())
    kept = np.flatnonzero(all_weights)
    weights, ranks = np.empty(len(kept), np.int64), np.empty((len(orders), len(kept)), np.int64)
    for s in range(len(orders)):
        mid_ranks(orders[s], last[s], tied[s], all_weights, total, everywhere)
        for k in range(len(kept)):
            ranks[s, k] = everywhere[kept[k]]
    for k in range(len(kept)):
        weights[k] = all_weights[kept[k]]
    return weights, ranks, total


@njit(cache=True, nogil=True)
def ceilings(counts, who, orders, last, tied, unit):
    """Lower and upper ceilings (Q, D, 2) by Spearman (`unit`) or rho-a, as in `drawn_ceilings`."""
    s_all, n = orders.shape
    found = np.full((who.shape[0], who.shape[1], 2), np.nan)
    all_weights, everywhere = np.empty(n, np.int32), np.empty(n, np.int64)
    weights, ranks, total = _fill(counts[0], orders, last, tied, all_weights, everywhere)
    for d in range(who.shape[1]):
        if d > 0 and len(counts) > 1:
            weights, ranks, total = _fill(counts[d], orders, last, tied, all_weights, everywhere)
        if len(weights) == 0:
            continue
        again = np.empty(len(weights), np.int64)
        most = (float(total) ** 3 - total) / 3.0
        for q in range(who.shape[0]):
            everyone = np.zeros(len(weights), np.int64)
            for s in range(s_all):
                if who[q, d, s] > 0:
                    everyone += who[q, d, s] * ranks[s]
            drawn = np.flatnonzero(who[q, d])
            low, high = 0.0, 0.0
            _rank_again(everyone, weights, total, again)
            power = _dot(again, again, weights)
            for s in drawn:
                norm = np.sqrt(power * _dot(ranks[s], ranks[s], weights)) if unit else most
                high += _dot(again, ranks[s], weights) / norm if norm > 0 else np.nan
            for s in drawn:
                _rank_again(everyone - who[q, d, s] * ranks[s], weights, total, again)
                norm = np.sqrt(_dot(again, again, weights) * _dot(ranks[s], ranks[s], weights)) if unit else most
                low += _dot(again, ranks[s], weights) / norm if norm > 0 else np.nan
            found[q, d, 0] = low / len(drawn) if len(drawn) > 1 else np.nan
            found[q, d, 1] = high / len(drawn)
    return found
