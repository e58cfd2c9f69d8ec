"""Stable orders of RDM vectors and their tied groups, compiled; imported where ranks are first needed on a CPU."""

from __future__ import annotations

import numpy as np
from numba import njit

_BITS = 11
_BUCKETS = 1 << _BITS
_PASSES = 6


@njit(cache=True, nogil=True)
def radix_order(keys: np.ndarray) -> np.ndarray:
    """The stable ascending order, int32 (N,), of unsigned 64-bit `keys` (N,), by digits from the lowest; keys stay as they are.

    Digits that no key has cost nothing: small whole numbers take two passes.
    """
    n = len(keys)
    count = np.zeros((_PASSES, _BUCKETS), np.int32)
    passes = 0
    while n > 0 and passes < _PASSES and (keys.max() >> np.uint64(passes * _BITS)) > 0:
        passes += 1
    for k in range(n):
        key = keys[k]
        for p in range(passes):
            count[p, (key >> np.uint64(p * _BITS)) & np.uint64(_BUCKETS - 1)] += 1
    order, spare = np.arange(n).astype(np.int32), np.empty(n, np.int32)
    here, there = keys.copy(), np.empty_like(keys)
    for p in range(passes):
        shift = np.uint64(p * _BITS)
        if count[p, (keys[0] >> shift) & np.uint64(_BUCKETS - 1)] == n:
            continue
        at = 0
        for b in range(_BUCKETS):
            size = count[p, b]
            count[p, b] = at
            at += size
        for k in range(n):
            key = here[k]
            b = (key >> shift) & np.uint64(_BUCKETS - 1)
            to = count[p, b]
            count[p, b] = to + 1
            there[to] = key
            spare[to] = order[k]
        here, there = there, here
        order, spare = spare, order
    return order


@njit(cache=True, nogil=True)
def _groups(x: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(x)
    group, starts = np.empty(n, np.int32), np.empty(n + 1, np.int32)
    found = 0
    for k in range(n):
        if k == 0 or x[order[k]] != x[order[k - 1]]:
            starts[found] = k
            found += 1
        group[order[k]] = found - 1
    starts[found] = n
    return group, starts[: found + 1].copy()


class Order:
    """The order of one vector (N,) of finite values: `order` (N,), `group` of every entry (N,), `starts` of groups (G + 1,).

    Groups are sets of equal values, numbered upwards; entries of a group are in `order` by their index.
    """

    def __init__(self, x: np.ndarray) -> None:
        x = np.ascontiguousarray(x, dtype=np.float64) + 0.0  # −0 equals 0 and must sort with it
        bits = x.view(np.int64)
        # Floats sort as whole numbers once the sign bit is turned round and negative ones are inverted.
        keys = (bits ^ ((bits >> 63) | np.int64(np.iinfo(np.int64).min))).view(np.uint64)
        self.order = radix_order(keys)
        self.group, self.starts = _groups(x, self.order)
        self.tied = len(self.starts) - 1 < len(x)
