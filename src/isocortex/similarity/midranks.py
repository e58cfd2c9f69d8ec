"""Ranks of many short vectors among weighted copies of their entries; compiled, hence imported lazily."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _midranks(values, order, weights, ranks):
    """Fills ranks (B, S, N): the weight below an entry, and half of what ties with it and one more."""
    batch, parts, size = values.shape
    for b in range(batch):
        for s in range(parts):
            v, place, rank = values[b, s], order[b, s], ranks[b, s]
            below, start = 0.0, 0
            while start < size:
                stop, tied = start + 1, weights[b, place[start]]  # a NaN ties with nothing, not even itself
                while stop < size and v[place[stop]] == v[place[start]]:
                    tied += weights[b, place[stop]]
                    stop += 1
                for k in range(start, stop):
                    rank[place[k]] = below + 0.5 * (tied + 1.0)
                below += tied
                start = stop


def midranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks (B, S, N) of `values` (B, S, N), each entry present `weights` (B, N) times; float64."""
    ranks = np.empty(values.shape)
    # NumPy sorts short rows with vector instructions, four times as fast as torch.
    _midranks(values, np.argsort(values, axis=-1), np.ascontiguousarray(weights, dtype=np.float64), ranks)
    return ranks
