"""What it costs to move the measure at one end of an edge to the other, compiled; imported where it is first needed."""

from __future__ import annotations

import numpy as np
from numba import njit

from isocortex.similarity.simplex import ORDER, cost_unit, solve, whole_masses

# Less mass is what is left of common mass that cancels.
_EMPTY = 2e-16


@njit(cache=True, nogil=True)
def _moved(x, y, measure, alpha, change):
    """Adds μ_x − μ_y to `change` (n,): mass that they share need not move, as costs are distances."""
    starts, nodes, weights = measure
    for k in range(starts[x], starts[x + 1]):
        change[nodes[k]] += (1.0 - alpha) * weights[k]
    for k in range(starts[y], starts[y + 1]):
        change[nodes[k]] -= (1.0 - alpha) * weights[k]
    change[x] += alpha
    change[y] -= alpha


@njit(cache=True, nogil=True)
def _collect(nodes, change, names, masses, counts):
    """Appends those of `nodes` that give mass to the first row of `names` and `masses`, that take it to the second."""
    for node in nodes:
        mass = change[node]
        change[node] = 0.0
        if abs(mass) > _EMPTY:
            side = 0 if mass > 0.0 else 1
            names[side, counts[side]], masses[side, counts[side]] = node, abs(mass)
            counts[side] += 1


@njit(cache=True, nogil=True)
def _widest(edges, starts):
    """The most nodes that the measures at both ends of an edge can have together."""
    widest = 2
    for x, y in edges:
        widest = max(widest, starts[x + 1] - starts[x] + starts[y + 1] - starts[y] + 2)
    return widest


@njit(cache=True, nogil=True)
def _value(masses, counts, potential):
    """Σ supply × potential − Σ demand × potential, in units of cost."""
    value = 0.0
    for i in range(counts[0]):
        value += masses[0, i] * potential[i]
    for j in range(counts[1]):
        value -= masses[1, j] * potential[counts[0] + j]
    return value


@njit(cache=True, nogil=True)
def whole_paths(paths, edges, starts, whole):
    """Fills `whole` (n, n) int64 with `paths` in units, which it returns; 0 where there is no path, which no edge needs."""
    largest = 0.0
    for i in range(len(paths)):
        for j in range(len(paths)):
            if paths[i, j] < np.inf:
                largest = max(largest, paths[i, j])
    unit = cost_unit(largest, _widest(edges, starts))
    for i in range(len(paths)):
        for j in range(len(paths)):
            whole[i, j] = np.int64(paths[i, j] / unit + 0.5) if paths[i, j] < np.inf else 0
    return unit


@njit(cache=True, nogil=True)
def transport_costs(edges, paths, measure, alpha, costs):
    """Fills `costs` (E,) with W1(μ_x, μ_y) of `edges` (E, 2), in the units of `paths` (n, n), whole distances.

    `measure`: starts (n + 1,), neighbours and their weights, which add up to 1 at each node; `alpha` of the mass stays there.
    The ends of an edge come last among its nodes: what is near to both goes first.
    """
    starts, nodes, _ = measure
    widest = _widest(edges, starts)
    change, names, masses = np.zeros(len(paths)), np.empty((2, widest), np.int64), np.empty((2, widest))
    space, potential = np.empty((widest // 2 + 1) ** 2, np.int64), np.empty(widest, np.int64)
    left, flow, tree = np.empty(widest, np.int64), np.empty(widest, np.int64), np.empty((ORDER + 1, widest), np.int32)
    counts = np.empty(2, np.int64)
    for e in range(len(edges)):
        x, y = edges[e]
        _moved(x, y, measure, alpha, change)
        counts[:] = 0
        _collect(nodes[starts[x] : starts[x + 1]], change, names, masses, counts)
        _collect(nodes[starts[y] : starts[y + 1]], change, names, masses, counts)
        _collect(edges[e], change, names, masses, counts)
        s, t = counts
        costs[e] = 0.0
        if s == 0 or t == 0:
            continue
        cost = space[: s * t].reshape(s, t)
        for i in range(s):
            for j in range(t):
                cost[i, j] = paths[names[0, i], names[1, j]]
        for j in range(t):
            potential[s + j] = (paths[names[1, j], y] - paths[names[1, j], x]) // 2
        whole_masses(masses[0, :s], masses[1, :t], left)
        solve(cost, left, potential[: s + t], tree, flow)
        costs[e] = _value(masses, counts, potential)
