"""Ollivier's Ricci curvature of the edges of a graph, with exact transport.

Ollivier, "Ricci curvature of Markov chains on metric spaces" (2009); Lin et al. (2011) for the limit; Ni et al. (2019) for
measures weighted by length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.similarity.comparators.parallel import spread
from isocortex.similarity.ricci.graphs import Graph

# A distance below this part of the longest edge is zero: dividing by it would give rounding.
_ZERO = 1e-12
# Blocks of edges for each thread, so that none waits for long.
_BLOCKS = 4


@dataclass(frozen=True)
class Options:
    """The measure at a node: `alpha` of its mass there, the rest over its `topk` nearest neighbours ∝ base^(−length^exp_power).

    `transport`: "optimal", or "average" as in `curvature`. Raises `DataError` for an alpha outside [0, 1], exp_power below 0,
    a base below 1 and topk below 1, ValueError for another transport.
    """

    alpha: float = 0.5
    exp_power: float = 1.0
    base: float = math.e
    topk: int = 3000
    transport: str = "optimal"

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise DataError(f"curvature: found alpha = {self.alpha}, expected a part of the mass from 0 to 1")
        if not 0 <= self.exp_power < math.inf:
            raise DataError(f"curvature: found exp_power = {self.exp_power}, expected a finite power of at least 0")
        if not 1 <= self.base < math.inf:
            raise DataError(f"curvature: found base = {self.base}, expected a finite base of at least 1")
        if self.topk < 1:
            raise DataError(f"curvature: found topk = {self.topk}, expected at least 1 neighbour")
        if self.transport not in TRANSPORTS:
            raise ValueError(f"curvature: found transport {self.transport!r}, expected one of {', '.join(TRANSPORTS)}")


def curvature(
    graph: Graph,
    alpha: float = 0.5,
    exp_power: float = 1.0,
    base: float = math.e,
    topk: int = 3000,
    transport: str = "optimal",
) -> np.ndarray:
    """κ(x, y) = 1 − W1(μ_x, μ_y)/d(x, y) of the edges of a graph, (E,), with d the length of the shortest path.

    μ_x has `alpha` of its mass at x and the rest at the neighbours of x, ∝ base^(−length^exp_power), evenly with exp_power 0;
    only the `topk` nearest count. κ ≤ 1; 0 where d is 0. Not free of scale unless exp_power is 0: graphs of RDMs have a mean
    length of 1. `transport` "average": instead of W1, alpha d + (1 − alpha) × the mean distance between the neighbours of x and
    those of y, which is never less. All cores that torch may use. Raises as `Options`.
    """
    return edge_curvature(graph, Options(alpha, exp_power, base, topk, transport))


def curvatures(
    graphs: Sequence[Graph],
    alpha: float = 0.5,
    exp_power: float = 1.0,
    base: float = math.e,
    topk: int = 3000,
    transport: str = "optimal",
) -> list[np.ndarray]:
    """`curvature` of many graphs, each on one core, as many at once as torch has threads."""
    options = Options(alpha, exp_power, base, topk, transport)
    if len(graphs) < 2 * torch.get_num_threads():
        return [edge_curvature(graph, options) for graph in graphs]
    return spread(edge_curvature, [(graph, options, 1) for graph in graphs])


def lin_lu_yau(graph: Graph, exp_power: float = 1.0, base: float = math.e, topk: int = 3000) -> np.ndarray:
    """The limit of κ_α/(1 − α) as α → 1, (E,): exactly 2 κ_½, on any graph, weighted or not.

    With p the measure of the neighbours alone, W1(μ_x, μ_y)/(1 − α) = W1(p_x + t δ_x, p_y + t δ_y) for t = α/(1 − α). Where
    t > 1, x has more mass than all places but y can take, so that some goes from x to y; then f(x) − f(y) = d(x, y) for every
    optimal potential f, and the cost grows by d per unit of t. So 1 − κ_α, and κ_α, are linear in α from α = ½ to 1, where
    κ_1 = 0; and κ is continuous at ½. Raises as `Options`.
    """
    return 2.0 * curvature(graph, 0.5, exp_power, base, topk)


def node_curvature(graph: Graph, kappa: np.ndarray) -> np.ndarray:
    """The mean (n,) of the curvature (E,) of a node's edges, 0 for a node without any."""
    sums = np.bincount(graph.edges.ravel(), weights=np.repeat(kappa, 2), minlength=graph.n)
    return sums / np.maximum(graph.degrees(), 1)


def edge_curvature(graph: Graph, options: Options, threads: int | None = None) -> np.ndarray:
    """`curvature`, on as many threads as torch has where `threads` is None."""
    if not len(graph.edges):
        return np.empty(0)
    paths = distances(graph)
    apart = paths[graph.edges[:, 0], graph.edges[:, 1]]
    zero = _ZERO * graph.lengths.max()
    costs = TRANSPORTS[options.transport](graph, paths, options, threads or torch.get_num_threads())
    near = apart <= zero
    return np.where(near, 0.0, 1.0 - costs / np.where(near, 1.0, apart))


def distances(graph: Graph) -> np.ndarray:
    """Lengths (n, n) of shortest paths, infinite between components.

    By Floyd and Warshall, which takes a few per cent of the time of the transports up to a thousand nodes.
    """
    from isocortex.similarity.trsa.floyd import floyd_warshall  # Numba takes a while to import

    paths = graph.matrix(missing=np.inf)
    np.fill_diagonal(paths, 0.0)
    floyd_warshall(paths)
    return paths


def neighbour_weights(graph: Graph, options: Options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts (n + 1,), neighbours (2 E,) of each node and their shares (2 E,) of what leaves it, which add up to 1.

    Relative to the nearest neighbour, so that long edges do not underflow.
    """
    starts, nodes, edges = graph.neighbours()
    degrees = np.diff(starts)
    owner = np.repeat(np.arange(graph.n), degrees)
    with np.errstate(over="ignore"):
        powers = -math.log(options.base) * graph.lengths[edges] ** options.exp_power
    if not np.isfinite(powers).all():
        raise DataError(
            "curvature: found a length^exp_power that is not finite, expected lengths of about 1; divide by their mean"
        )
    nearest = np.full(graph.n, -np.inf)
    np.maximum.at(nearest, owner, powers)
    weights = np.exp(powers - nearest[owner])
    if degrees.max() > options.topk:
        order = np.lexsort((nodes, -weights, owner))
        weights[order[np.arange(len(order)) - starts[owner] >= options.topk]] = 0.0
    return starts, nodes, weights / np.bincount(owner, weights=weights, minlength=graph.n)[owner]


def _optimal(graph: Graph, paths: np.ndarray, options: Options, threads: int) -> np.ndarray:
    from isocortex.similarity.ricci.edges import transport_costs, whole_paths

    measure = neighbour_weights(graph, options)
    edges = np.ascontiguousarray(graph.edges, dtype=np.int64)
    costs, whole = np.empty(len(edges)), np.empty(paths.shape, np.int64)
    unit = whole_paths(paths, edges, measure[0], whole)
    parts = np.array_split(np.arange(len(costs)), 1 if threads == 1 else threads * _BLOCKS)
    blocks = [slice(part[0], part[-1] + 1) for part in parts if len(part)]
    spread(transport_costs, [(edges[at], whole, measure, float(options.alpha), costs[at]) for at in blocks])
    return unit * costs


def _average(graph: Graph, paths: np.ndarray, options: Options, threads: int) -> np.ndarray:
    del threads
    starts, nodes, weights = neighbour_weights(graph, options)
    shares = np.zeros((graph.n, graph.n))
    shares[np.repeat(np.arange(graph.n), np.diff(starts)), nodes] = weights
    reached = np.where(np.isfinite(paths), paths, 0.0)  # no edge leads from one component to another
    between = shares @ reached @ shares.T
    first, second = graph.edges.T
    return options.alpha * paths[first, second] + (1 - options.alpha) * between[first, second]


TRANSPORTS = {"optimal": _optimal, "average": _average}
