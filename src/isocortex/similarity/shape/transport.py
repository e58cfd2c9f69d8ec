"""Exact transport between units of equal mass, compiled: shortest augmenting paths with whole-number masses."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _greedy(cost, u, v, supply, demand, flow):
    """Duals that no cost is below, and as much flow as fits where the cost is met."""
    p, q = cost.shape
    for j in range(q):
        v[j] = cost[0, j]
        for i in range(1, p):
            v[j] = min(v[j], cost[i, j])
    for i in range(p):
        u[i] = cost[i, 0] - v[0]
        for j in range(1, q):
            u[i] = min(u[i], cost[i, j] - v[j])
        for j in range(q):
            if supply[i] > 0 and demand[j] > 0 and cost[i, j] - u[i] - v[j] <= 0.0:
                sent = min(supply[i], demand[j])
                flow[j, i] += sent
                supply[i] -= sent
                demand[j] -= sent


@njit(cache=True, nogil=True)
def _reach(row, far, cost, u, v, done, distance, parent):
    """Shortens the ways to columns that go through `row`, itself `far` from the source."""
    offset = far - u[row]
    for j in range(len(v)):
        if not done[j]:
            way = offset + cost[row, j] - v[j]
            if way < distance[j]:
                distance[j] = way
                parent[j] = row


@njit(cache=True, nogil=True)
def _search(source, cost, u, v, demand, flow, distance, parent, done, row_from, row_far):
    """The nearest column with demand left, by Dijkstra on reduced costs; the duals are moved so that costs on the way are 0."""
    p, q = cost.shape
    distance[:] = np.inf
    done[:] = False
    row_from[:] = -2
    row_from[source] = -1
    row_far[source] = 0.0
    _reach(source, 0.0, cost, u, v, done, distance, parent)
    while True:
        column = -1
        nearest = np.inf
        for j in range(q):
            if not done[j] and distance[j] < nearest:
                nearest = distance[j]
                column = j
        if demand[column] > 0:
            break
        done[column] = True
        for i in range(p):
            if flow[column, i] > 0 and row_from[i] == -2:
                row_from[i] = column
                row_far[i] = nearest
                _reach(i, nearest, cost, u, v, done, distance, parent)
    for i in range(p):
        if row_from[i] != -2:
            u[i] += nearest - row_far[i]
    for j in range(q):
        if done[j]:
            v[j] -= nearest - distance[j]
    return column


@njit(cache=True, nogil=True)
def _augment(column, amount, flow, parent, row_from):
    """Sends at most `amount` along the way found, back from `column`; how much was sent."""
    j = column
    while True:
        i = parent[j]
        j = row_from[i]
        if j == -1:
            break
        amount = min(amount, flow[j, i])
    j = column
    while True:
        i = parent[j]
        flow[j, i] += amount
        j = row_from[i]
        if j == -1:
            return amount
        flow[j, i] -= amount


@njit(cache=True, nogil=True)
def transport(cost, supply, demand):
    """(flow (q, p), u (p,), v (q,)): the cheapest flow of whole-number supplies (p,) to demands (q,) with the same sum.

    `cost` (p, q) is finite. Cost − u − v is nowhere below 0, and 0 where there is flow: the proof that it is the cheapest.
    """
    p, q = cost.shape
    supply, demand = supply.copy(), demand.copy()
    u, v, flow = np.zeros(p), np.zeros(q), np.zeros((q, p), np.int64)
    _greedy(cost, u, v, supply, demand, flow)
    distance, parent, done = np.empty(q), np.empty(q, np.int64), np.empty(q, np.bool_)
    row_from, row_far = np.empty(p, np.int64), np.empty(p)
    for source in range(p):
        while supply[source] > 0:
            column = _search(source, cost, u, v, demand, flow, distance, parent, done, row_from, row_far)
            sent = _augment(column, min(supply[source], demand[column]), flow, parent, row_from)
            supply[source] -= sent
            demand[column] -= sent
    return flow, u, v
