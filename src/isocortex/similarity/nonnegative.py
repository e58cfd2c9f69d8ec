"""Non-negative least squares of many small problems, given by their normal equations; compiled, hence imported lazily."""

from __future__ import annotations

import numpy as np
from numba import njit

# Relative to columns of unit length: a gradient below is rounding, and so is what a column holds that the others lack.
_GRADIENT = 1e-12
_DEPENDENT = 1e-10


@njit(cache=True, nogil=True)
def _solve_passive(gram, target, chosen, count, factor, solution):
    """Solves gram[P, P] z = target[P] by Cholesky for P = chosen[:count]; False where P is linearly dependent."""
    for a in range(count):
        for b in range(a + 1):
            total = gram[chosen[a], chosen[b]]
            for k in range(b):
                total -= factor[a, k] * factor[b, k]
            if b < a:
                factor[a, b] = total / factor[b, b]
            elif total <= _DEPENDENT:
                return False
            else:
                factor[a, a] = np.sqrt(total)
    for a in range(count):
        total = target[chosen[a]]
        for k in range(a):
            total -= factor[a, k] * solution[k]
        solution[a] = total / factor[a, a]
    for a in range(count - 1, -1, -1):
        total = solution[a]
        for k in range(a + 1, count):
            total -= factor[k, a] * solution[k]
        solution[a] = total / factor[a, a]
    return True


@njit(cache=True, nogil=True)
def _steepest(gram, target, x, barred, tolerance):
    """The column whose weight should grow most, −1 where none should."""
    best, steepest = -1, tolerance
    for j in range(len(x)):
        if not barred[j] and x[j] == 0.0:
            slope = target[j]
            for k in range(len(x)):
                slope -= gram[j, k] * x[k]
            if slope > steepest:
                best, steepest = j, slope
    return best


@njit(cache=True, nogil=True)
def _step(x, chosen, count, solution):
    """Moves x towards the solution until a weight is zero, and leaves out those that are: how many are left."""
    share = 1.0
    for a in range(count):
        if solution[a] <= 0.0:
            share = min(share, x[chosen[a]] / (x[chosen[a]] - solution[a]))
    left = 0
    for a in range(count):
        j = chosen[a]
        moved = x[j] + share * (solution[a] - x[j])
        if solution[a] <= 0.0 and (moved <= 0.0 or x[j] <= share * (x[j] - solution[a])):
            x[j] = 0.0
        else:
            x[j] = moved
            chosen[left] = j
            left += 1
    return left


@njit(cache=True, nogil=True)
def _active_set(gram, target, x, work):
    """Lawson and Hanson's active set on columns of unit length; True if it ended before its cap of steps."""
    size = len(x)
    factor, solution = work[:size], work[size]
    chosen = np.empty(size, dtype=np.int64)
    barred = np.zeros(size, dtype=np.bool_)
    tolerance = _GRADIENT * np.max(np.abs(target))
    count = 0
    for j in range(size):
        barred[j] = gram[j, j] <= 0.0
    for _ in range(10 * size):
        new = _steepest(gram, target, x, barred, tolerance)
        if new < 0:
            return True
        chosen[count] = new
        count += 1
        solved = _solve_passive(gram, target, chosen, count, factor, solution)
        if not solved or solution[count - 1] <= 0.0:
            barred[new] = True  # what it would add is rounding; taken in, it would be thrown out again for ever
            count -= 1
            continue
        while True:
            lowest = 1.0
            for a in range(count):
                lowest = min(lowest, solution[a])
            if lowest > 0.0:
                break
            count = _step(x, chosen, count, solution)
            _solve_passive(gram, target, chosen, count, factor, solution)
        for a in range(count):
            x[chosen[a]] = solution[a]
        for j in range(size):
            barred[j] = gram[j, j] <= 0.0
    return False


@njit(cache=True, nogil=True)
def solve(grams, targets):
    """Weights (B, K, L) of problems with grams (B, L, L) and targets (B, K, L); NaN where 10 L steps did not end.

    Columns are scaled to unit length first, so that every tolerance is relative; a column of length zero has no weight.
    """
    batch, parts, size = targets.shape
    weights = np.zeros((batch, parts, size))
    gram, target, work = np.empty((size, size)), np.empty(size), np.empty((size + 1, size))
    length = np.empty(size)
    for b in range(batch):
        for j in range(size):
            length[j] = np.sqrt(max(grams[b, j, j], 0.0))
        for j in range(size):
            for k in range(size):
                norm = length[j] * length[k]
                gram[j, k] = grams[b, j, k] / norm if norm > 0.0 else 0.0
        for s in range(parts):
            for j in range(size):
                target[j] = targets[b, s, j] / length[j] if length[j] > 0.0 else 0.0
            x = weights[b, s]
            if not _active_set(gram, target, x, work):
                x[:] = np.nan
            for j in range(size):
                x[j] = x[j] / length[j] if length[j] > 0.0 else 0.0
    return weights
