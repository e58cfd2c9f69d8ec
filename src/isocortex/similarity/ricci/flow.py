"""Ricci flow: edges within a community shrink, edges between communities grow.

Ni, Lin, Luo & Gao, "Community detection on networks with Ricci flow" (2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isocortex.errors import DataError
from isocortex.similarity.comparators.parallel import spread
from isocortex.similarity.ricci.graphs import Graph
from isocortex.similarity.ricci.ollivier import Options, edge_curvature

# In exact numbers lengths stay above zero, since κ < 1.
_SHORTEST = 1e-12


@dataclass(frozen=True)
class Surgery:
    """After iterations `every` + 1, 2 `every` + 1, …: edges longer than (longest − 1) `share` + 1 are removed.

    Raises `DataError` for `every` below 1 and a share outside (0, 1).
    """

    every: int = 3
    share: float = 0.6

    def __post_init__(self) -> None:
        if self.every < 1:
            raise DataError(f"surgery: found every = {self.every}, expected at least 1 iteration")
        if not 0 < self.share < 1:
            raise DataError(f"surgery: found a share of {self.share}, expected one between 0 and 1")


@dataclass(frozen=True)
class Flow:
    """A graph after Ricci flow: edges that are left with their lengths, and their `curvature` (E,).

    `spreads` (iterations,): max κ − min κ after each iteration, the greatest of the components'. `removed` (R, 2): edges that
    surgery took, in order.
    """

    graph: Graph
    curvature: np.ndarray
    spreads: np.ndarray
    removed: np.ndarray


@dataclass(frozen=True)
class _Plan:
    iterations: int
    step: float
    options: Options
    surgery: Surgery | None
    tolerance: float
    threads: int | None = None


def ricci_flow(
    graph: Graph,
    iterations: int = 10,
    step: float = 1.0,
    alpha: float = 0.5,
    exp_power: float = 1.0,
    surgery: Surgery | None = None,
    tolerance: float = 1e-4,
) -> Flow:
    """Repeats w ← w − step κ w, rescaled to as many units as there are edges, with κ anew, until max κ − min κ < tolerance.

    κ as in `curvature`. Lengths are at least 10⁻¹², and an edge of length 0 keeps it. Surgery leaves the κ of the other edges
    for the next step as it was, and the sum of lengths as it is until then. A graph of several components flows as each would
    by itself, with its own sum and its own surgery; nodes without edges stay. Raises `DataError` for iterations below 0 and a
    step or a tolerance that is not above 0, and as `curvature`.
    """
    return _flow(graph, _plan(iterations, step, Options(alpha, exp_power), surgery, tolerance))


def ricci_flows(
    graphs: Sequence[Graph],
    iterations: int = 10,
    step: float = 1.0,
    alpha: float = 0.5,
    exp_power: float = 1.0,
    surgery: Surgery | None = None,
    tolerance: float = 1e-4,
) -> list[Flow]:
    """`ricci_flow` of many graphs, each on one core, as many at once as torch has threads."""
    plan = _plan(iterations, step, Options(alpha, exp_power), surgery, tolerance, 1 if len(graphs) > 1 else None)
    return spread(_flow, [(graph, plan) for graph in graphs])


def _plan(
    iterations: int, step: float, options: Options, surgery: Surgery | None, tolerance: float, threads: int | None = None
) -> _Plan:
    if iterations < 0:
        raise DataError(f"flow: found {iterations} iterations, expected at least 0")
    if not 0 < step < math.inf:
        raise DataError(f"flow: found a step of {step}, expected a finite one above 0")
    if not 0 < tolerance < math.inf:
        raise DataError(f"flow: found a tolerance of {tolerance}, expected a finite one above 0")
    return _Plan(iterations, step, options, surgery, tolerance, threads)


def components(graph: Graph) -> np.ndarray:
    """Labels (n,) of connected components, numbered by their first nodes; an edge of length 0 is an edge."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    first, second = graph.edges.T
    joined = csr_array((np.ones(len(first)), (first, second)), shape=(graph.n, graph.n))
    return connected_components(joined, directed=False)[1]


def _flow(graph: Graph, plan: _Plan) -> Flow:
    labels = components(graph)
    owner = labels[graph.edges[:, 0]]
    places = [np.flatnonzero(labels == label) for label in np.unique(owner)]
    parts = []
    for nodes in places:
        mine = owner == labels[nodes[0]]
        alone = Graph(len(nodes), np.searchsorted(nodes, graph.edges[mine]), graph.lengths[mine])
        parts.append(_component_flow(alone, plan))
    if not parts:
        return Flow(graph, np.empty(0), np.empty(0), np.empty((0, 2), np.int64))
    edges = np.concatenate([nodes[part.graph.edges] for nodes, part in zip(places, parts, strict=True)])
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    longest = max(len(part.spreads) for part in parts)
    spreads = [np.pad(part.spreads, (0, longest - len(part.spreads)), mode="edge") for part in parts if len(part.spreads)]
    return Flow(
        Graph(graph.n, edges[order], np.concatenate([part.graph.lengths for part in parts])[order]),
        np.concatenate([part.curvature for part in parts])[order],
        np.max(spreads, axis=0) if spreads else np.empty(0),
        np.concatenate([nodes[part.removed] for nodes, part in zip(places, parts, strict=True)]),
    )


def _component_flow(graph: Graph, plan: _Plan) -> Flow:
    """The flow of a connected graph with at least one edge."""
    kappa = edge_curvature(graph, plan.options, plan.threads)
    spreads, removed, stale = [], [np.empty((0, 2), np.int64)], False
    for iteration in range(plan.iterations):
        graph = Graph(graph.n, graph.edges, _stepped(graph.lengths, kappa, plan.step))
        kappa, stale = edge_curvature(graph, plan.options, plan.threads), False
        spreads.append(kappa.max() - kappa.min())
        if spreads[-1] < plan.tolerance:
            break
        if plan.surgery and iteration and iteration % plan.surgery.every == 0:
            kept = graph.lengths <= (graph.lengths.max() - 1) * plan.surgery.share + 1
            removed.append(graph.edges[~kept])
            graph, kappa, stale = Graph(graph.n, graph.edges[kept], graph.lengths[kept]), kappa[kept], not kept.all()
    if stale:
        kappa = edge_curvature(graph, plan.options, plan.threads)
    return Flow(graph, kappa, np.array(spreads), np.concatenate(removed))


def _stepped(lengths: np.ndarray, kappa: np.ndarray, step: float) -> np.ndarray:
    moved = np.maximum(lengths - step * kappa * lengths, 0.0)
    if moved.sum() <= _SHORTEST * lengths.sum():
        moved = lengths  # all shrink to nothing alike, as a single edge does: none against another
    if moved.sum() > 0:
        moved = moved * (len(moved) / moved.sum())
    return np.where(lengths > 0, np.maximum(moved, _SHORTEST), 0.0)
