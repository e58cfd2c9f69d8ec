"""The transportation simplex of one small problem, compiled; imported where curvature is first needed.

Nodes 0…S − 1 supply, S…S + T − 1 demand. A basis is a tree: `flow` is what goes over a node's arc to its parent, and along
arcs potential(supply) − potential(demand) = cost. Masses and costs are whole numbers, so that no sum is rounded; masses are
perturbed after Orden (1956), so that no arc of any basis is empty. Hence every pivot lowers the cost, and there is an end.
Sums of whole numbers are also found by many entries at a time, which those of fractions, whose order counts, are not.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Bits of all mass together, and of the longest way through a tree: sums of two must fit 63.
_BITS = 61
# What is dearer than any way.
_CLOSED = np.int64(2**62)
# Rows that are looked through before the best entry among them goes into the basis.
_BLOCK = 16
# Rows of the table `tree`.
PARENT, DEPTH, CHILD, AFTER, BEFORE, ORDER = range(6)


@njit(cache=True, nogil=True)
def whole_masses(supply, demand, left):
    """Fills `left` (S + T,) with masses of sums that differ by rounding, as perturbed whole numbers of equal sums.

    Orden: every supply is greater by 1 and one demand by S, in units of which the smallest mass has more than S. A mass is
    rounded to a part of 2⁻⁵² of all where there are up to 510 supplies, and a demand is at least that.
    """
    sources, sinks = len(supply), len(demand)
    bits = 1
    while (1 << bits) <= sources + 1:
        bits += 1
    unit = np.int64(1) << np.int64(bits)
    whole = float(np.int64(1) << np.int64(_BITS - bits))
    balance, heaviest = np.int64(0), 0
    scale = whole / supply.sum()
    for i in range(sources):
        mass = np.int64(supply[i] * scale + 0.5)
        left[i] = mass * unit + 1
        balance += mass
    scale = whole / demand.sum()
    for j in range(sinks):
        mass = max(np.int64(demand[j] * scale + 0.5), 1)
        left[sources + j] = mass * unit
        balance -= mass
        if demand[j] > demand[heaviest]:
            heaviest = j
    left[sources + heaviest] += balance * unit + sources


@njit(cache=True, nogil=True)
def cost_unit(largest, size):
    """What 1 is worth in whole costs of up to `largest` between `size` nodes: no way through them all is longer than 2⁶¹."""
    bits = _BITS
    while (1 << (_BITS - bits)) < size:
        bits -= 1
    return largest / float(np.int64(1) << np.int64(bits)) if largest > 0.0 else 1.0


@njit(cache=True, nogil=True)
def _lowest(row, offers):
    """The smallest row[j] + offers[j]."""
    lowest = np.int64(2**63 - 1)
    for j in range(len(row)):
        lowest = min(lowest, row[j] + offers[j])
    return lowest


@njit(cache=True, nogil=True)
def _where(row, offers, value):
    """The first j at which row[j] + offers[j] is `value`."""
    for j in range(len(row)):
        if row[j] + offers[j] == value:
            return j
    return -1


@njit(cache=True, nogil=True)
def _first_basis(cost, left, offers, tree, flow):
    """A basis and the flows of it: rows in turn take the open columns of least cost + offer.

    The regrets of Vogel's rule leave fewer pivots and took longer: to find, and because their trees are deeper.

    Whichever of row and column is used up hangs under the other: the cells are a tree as they come. `offers` are used up.
    """
    sources, sinks = cost.shape
    parent, order = tree[PARENT], tree[ORDER]
    last = sources + sinks - 1
    for i in range(sources):
        row = cost[i]
        while True:
            j = _where(row, offers, _lowest(row, offers))
            column = sources + j
            if last == 1 or left[i] < left[column]:
                parent[i], flow[i] = column, left[i]
                left[column] -= left[i]
                order[last] = i
                last -= 1
                break
            parent[column], flow[column] = i, left[column]
            left[i] -= left[column]
            offers[j] = _CLOSED
            order[last] = column
            last -= 1
    root = parent[order[1]]
    parent[root], order[0] = -1, root


@njit(cache=True, nogil=True)
def _attach(tree, node, parent):
    child, after, before = tree[CHILD], tree[AFTER], tree[BEFORE]
    first = child[parent]
    after[node], before[node] = first, -1
    if first >= 0:
        before[first] = node
    child[parent] = node
    tree[PARENT, node] = parent


@njit(cache=True, nogil=True)
def _detach(tree, node):
    after, before = tree[AFTER, node], tree[BEFORE, node]
    if after >= 0:
        tree[BEFORE, after] = before
    if before >= 0:
        tree[AFTER, before] = after
    else:
        tree[CHILD, tree[PARENT, node]] = after


@njit(cache=True, nogil=True)
def _hang(cost, tree, potential):
    """Links children, and sets depths and potentials, from the order in which parents come first."""
    size, sources = len(potential), cost.shape[0]
    parent, depth, order = tree[PARENT], tree[DEPTH], tree[ORDER]
    tree[CHILD, :size] = -1
    root = order[0]
    depth[root], potential[root] = 0, 0
    for k in range(1, size):
        node = order[k]
        above = parent[node]
        _attach(tree, node, above)
        depth[node] = depth[above] + 1
        if node < sources:
            potential[node] = potential[above] + cost[node, above - sources]
        else:
            potential[node] = potential[above] - cost[above, node - sources]


@njit(cache=True, nogil=True)
def _leaving(tree, flow, source, sink, sources):
    """The node whose arc runs empty first when mass goes from `source` to `sink`, how much, and if it is above `source`."""
    parent, depth = tree[PARENT], tree[DEPTH]
    least, node, above_source = np.int64(2**62), -1, True
    u, v = source, sink
    while u != v:
        if depth[u] >= depth[v]:
            if u < sources and flow[u] < least:
                least, node, above_source = flow[u], u, True
            u = parent[u]
        else:
            if v >= sources and flow[v] < least:
                least, node, above_source = flow[v], v, False
            v = parent[v]
    u, v = source, sink
    while u != v:
        if depth[u] >= depth[v]:
            flow[u] += -least if u < sources else least
            u = parent[u]
        else:
            flow[v] += least if v < sources else -least
            v = parent[v]
    return node, least, above_source


@njit(cache=True, nogil=True)
def _rehang(tree, flow, start, above, leaving, amount):
    """Turns the path from `start` to `leaving`, and hangs `start` under `above` with `amount` on its arc."""
    parent = tree[PARENT]
    node = start
    while True:
        following, carried = parent[node], flow[node]
        _detach(tree, node)
        _attach(tree, node, above)
        flow[node] = amount
        if node == leaving:
            return
        above, amount, node = node, carried, following


@njit(cache=True, nogil=True)
def _shift(tree, potential, start, change):
    """Depths and potentials of the nodes at and under `start`."""
    child, after, depth, stack = tree[CHILD], tree[AFTER], tree[DEPTH], tree[ORDER]
    potential[start] += change
    depth[start] = depth[tree[PARENT, start]] + 1
    top = 1
    stack[0] = start
    while top > 0:
        top -= 1
        above = stack[top]
        below = depth[above] + 1
        node = child[above]
        while node >= 0:
            potential[node] += change
            depth[node] = below
            stack[top] = node
            top += 1
            node = after[node]


@njit(cache=True, nogil=True)
def _pivot(cost, tree, flow, potential, i, j):
    """Takes cell (i, j), of negative reduced cost, into the basis."""
    sources = cost.shape[0]
    sink = sources + j
    leaving, amount, above_source = _leaving(tree, flow, i, sink, sources)
    change = cost[i, j] + potential[sink] - potential[i]
    if above_source:
        _rehang(tree, flow, i, sink, leaving, amount)
        _shift(tree, potential, i, change)
    else:
        _rehang(tree, flow, sink, i, leaving, amount)
        _shift(tree, potential, sink, -change)


@njit(cache=True, nogil=True)
def _entering(cost, potential, row):
    """A cell (i, j) of negative reduced cost, (−1, −1) if there is none, and the row to go on from: the best of a few rows."""
    sources = cost.shape[0]
    offers = potential[sources:]
    lowest, nearest, source, seen = np.int64(0), np.int64(0), -1, 0
    while seen < sources and (seen < _BLOCK or source < 0):
        offer = _lowest(cost[row], offers)
        if offer - potential[row] < lowest:
            lowest, nearest, source = offer - potential[row], offer, row
        row = row + 1 if row + 1 < sources else 0
        seen += 1
    return source, _where(cost[source], offers, nearest) if source >= 0 else -1, row


@njit(cache=True, nogil=True)
def solve(cost, left, potential, tree, flow):
    """Potentials of a cheapest transport of whole masses `left` (S + T,) at whole `cost` (S, T), in place; how many pivots.

    `potential` (S + T,): those of demand guide the first basis. `tree` (6, ≥ S + T) int32 and `flow` (≥ S + T,) are room to
    work in, and hold the basis at the end. `left` is used up. All else is int64.
    """
    _first_basis(cost, left, potential[cost.shape[0] :], tree, flow)
    _hang(cost, tree, potential)
    row, pivots = 0, 0
    while True:
        source, sink, row = _entering(cost, potential, row)
        if source < 0:
            return pivots
        _pivot(cost, tree, flow, potential, source, sink)
        pivots += 1
