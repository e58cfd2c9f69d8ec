"""Who goes with whom, from correlations of units alone: one to one, each with its best, shared out, each other's best."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from isocortex.compute import as_tensor
from isocortex.similarity.matching.correlations import unit_correlations
from isocortex.similarity.transport import plan

# Correlations that differ by rounding are equal.
_TIE = 1e-9


class Bipartite(NamedTuple):
    """`correlation`: the mean over `pairs` (min(p, q), 2) of units of x and of y, in ascending order of the first."""

    correlation: float
    pairs: np.ndarray


class Semi(NamedTuple):
    """Mean over units of x of each one's best correlation with a unit of y, and the same of y with x."""

    x_to_y: float
    y_to_x: float


def _correlations(x: Any, y: Any) -> np.ndarray:
    return as_tensor(unit_correlations(x, y)).cpu().numpy()


def bipartite_match(x: Any, y: Any) -> Bipartite:
    """The matching one to one of units of `x` (n, p) with units of `y` (n, q) that has the greatest sum of correlations.

    Li et al. 2016, arXiv:1511.07543. Of p ≠ q the wider system's other units stay alone. Matched and judged on all stimuli,
    which is biased upward: of noise it is well above 0. Raises DataError as `unit_correlations`.
    """
    c = _correlations(x, y)
    pairs = one_to_one(c)
    return Bipartite(float(c[pairs].mean()), np.stack(pairs, axis=1))


def semi_match(x: Any, y: Any) -> Semi:
    """Each unit's best correlation with the other system, which many may have with the same; arrays as `bipartite_match`.

    How far it is above the matching one to one says how much of a system goes many to one (Li et al. 2016). Biased upward.
    """
    c = _correlations(x, y)
    return Semi(float(c.max(axis=1).mean()), float(c.max(axis=0).mean()))


def best_buddies(x: Any, y: Any, top: int = 1) -> np.ndarray:
    """Pairs (i, j), sorted, of which unit j of `y` is the best of unit i of `x`, and i among the `top` best of j: (pairs, 2).

    Dravid et al. 2023, arXiv:2306.09346. Units that correlate equally well are all the best. Raises DataError as
    `unit_correlations`.
    """
    return np.argwhere(mutual(_correlations(x, y), top))


def one_to_one(correlations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the assignment with the greatest sum of `correlations` (p, q): rows and columns, min(p, q) of each."""
    rows, columns = linear_sum_assignment(correlations, maximize=True)
    return rows, columns


def shared_out(correlations: np.ndarray) -> np.ndarray:
    """The transport (p, q) of masses 1/p to masses 1/q with the greatest Σ T·r; Khosla & Williams 2024, arXiv:2311.09466."""
    p, q = correlations.shape
    if p != q:
        return plan(np.full(p, 1 / p), np.full(q, 1 / q), -correlations)
    found = np.zeros((p, q))
    found[one_to_one(correlations)] = 1 / p
    return found


def mutual(correlations: np.ndarray, top: int = 1) -> np.ndarray:
    """Which (p, q) of pairs are best buddies: the column is the row's best, the row among the `top` best of the column."""
    k = min(top, len(correlations))
    last = np.partition(correlations, -k, axis=0)[-k]
    best = correlations.max(axis=1, keepdims=True)
    return (correlations >= best - _TIE) & (correlations >= last - _TIE)
