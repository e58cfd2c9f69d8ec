"""The cheapest transport of one mass to another, exactly: W1 where costs are distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from isocortex.compute import as_tensor
from isocortex.errors import DataError

# Sums of masses may differ by this part of them, as rounding makes them.
_BALANCE = 1e-9


def w1(a: Any, b: Any, cost: Any) -> float:
    """The least Σ t_ij cost_ij over transports t ≥ 0 with Σ_j t_ij = a_i and Σ_i t_ij = b_j; a (S,), b (T,), cost (S, T).

    By the transportation simplex in whole numbers: masses are rounded to about 2⁻⁵² of their sum, and costs to 2⁻⁶¹ × (number
    of places) of the greatest, and what follows is exact. Zero where there is no mass. Costs may have either sign.
    Raises `DataError` for masses that are negative, not finite or of different sums, costs that are not finite, and shapes that
    do not fit.
    """
    return optimum(a, b, cost)[0]


def optimum(a: Any, b: Any, cost: Any) -> tuple[float, np.ndarray, np.ndarray]:
    """`w1`, and potentials f (S,) and g (T,) with f_i − g_j ≤ cost_ij that prove it: Σ a f − Σ b g is the same number."""
    a, b, cost = (np.ascontiguousarray(as_tensor(part).detach().cpu().double().numpy()) for part in (a, b, cost))
    _checked(a, b, cost)
    f, g = np.zeros(len(a)), np.zeros(len(b))
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    if not len(rows):
        return 0.0, f + min(cost.min(initial=0.0), 0.0), g
    b = b * (a.sum() / b.sum())
    part = cost[np.ix_(rows, columns)]
    potential, _, _ = _solved(a[rows], b[columns], part)
    value = a[rows] @ potential[: len(rows)] - b[columns] @ potential[len(rows) :]
    # Nodes without mass: as high, and then as low, as the costs allow.
    g[columns] = potential[len(rows) :]
    f = (cost[:, columns] + g[columns]).min(axis=1)
    f[rows] = potential[: len(rows)]
    empty = b == 0
    g[empty] = (f[:, None] - cost[:, empty]).max(axis=0)
    return float(value), f, g


def plan(a: Any, b: Any, cost: Any) -> np.ndarray:
    """A transport t (S, T) that costs `w1`, with at most S + T − 1 entries that are not zero; arguments and errors as there."""
    a, b, cost = (np.ascontiguousarray(as_tensor(part).detach().cpu().double().numpy()) for part in (a, b, cost))
    _checked(a, b, cost)
    found = np.zeros(cost.shape)
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    if not len(rows):
        return found
    _, parent, flow = _solved(a[rows], b[columns] * (a.sum() / b.sum()), cost[np.ix_(rows, columns)])
    nodes = np.flatnonzero(parent >= 0)
    sources, sinks = np.minimum(nodes, parent[nodes]), np.maximum(nodes, parent[nodes]) - len(rows)
    found[rows[sources], columns[sinks]] = flow[nodes] * (a.sum() / flow[nodes].sum())
    return found


def _solved(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Potentials of S + T nodes with masses, their parents in the tree of a cheapest transport, and whole flows to these."""
    from isocortex.similarity.simplex import ORDER, PARENT, cost_unit, solve, whole_masses  # Numba takes a while to import

    size = len(a) + len(b)
    left, whole, flow = np.empty(size, np.int64), np.zeros(size, np.int64), np.empty(size, np.int64)
    tree = np.empty((ORDER + 1, size), np.int32)
    unit = cost_unit(np.abs(cost).max(), size)
    whole_masses(a, b, left)
    solve(np.rint(cost / unit).astype(np.int64), left, whole, tree, flow)
    return unit * whole, tree[PARENT], flow


def _checked(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> None:
    if a.ndim != 1 or b.ndim != 1 or cost.shape != (*a.shape, *b.shape):
        raise DataError(f"transport: found masses {a.shape} and {b.shape} and costs {cost.shape}, expected (S,), (T,), (S, T)")
    for name, mass in (("supply", a), ("demand", b)):
        if not (np.isfinite(mass).all() and (mass >= 0).all()):
            raise DataError(f"transport: found a {name} that is negative or not finite, expected masses ≥ 0")
    if not np.isfinite(cost).all():
        raise DataError("transport: found a cost that is not finite, expected finite costs; solve each component by itself")
    if abs(a.sum() - b.sum()) > _BALANCE * max(a.sum(), b.sum()):
        raise DataError(f"transport: found a supply of {a.sum():g} and a demand of {b.sum():g}, expected equal sums")
