"""Graphs of RDMs: which stimuli are joined, and by edges of what length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.similarity.rdm.vectors import to_square

# Distances are raised to this part of their positive median (lengths to a hundredth of the typical one): curvature divides by
# length, and a distance below zero, which cross-validation gives to the nearest stimuli, has no root.
FLOOR = 1e-4
# A neighbourhood of fewer says little of a curvature.
_FEWEST = 5


@dataclass(frozen=True)
class Graph:
    """An undirected graph of `n` nodes: `edges` (E, 2) int64 with i < j, sorted, each once, and their `lengths` (E,) ≥ 0."""

    n: int
    edges: np.ndarray
    lengths: np.ndarray

    def degrees(self) -> np.ndarray:
        """The number of edges of each node, (n,)."""
        return np.bincount(self.edges.ravel(), minlength=self.n)

    def matrix(self, values: np.ndarray | None = None, missing: float = 0.0) -> np.ndarray:
        """The lengths, or other `values` (E,) of edges, as a symmetric matrix (n, n) with `missing` where there is no edge."""
        square = np.full((self.n, self.n), missing)
        first, second = self.edges.T
        square[first, second] = square[second, first] = self.lengths if values is None else values
        return square

    def neighbours(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts (n + 1,), neighbours (2 E,) in ascending order of each node in turn, and the edges (2 E,) that lead there."""
        ends = np.concatenate([self.edges, self.edges[:, ::-1]])
        order = np.lexsort((ends[:, 1], ends[:, 0]))
        starts = np.concatenate([[0], np.cumsum(self.degrees())])
        return starts, ends[order, 1], order % max(len(self.edges), 1)


def graph_from_rdm(
    rdm: Any,
    rule: str = "nearest",
    share: float = 0.1,
    k: int | None = None,
    lengths: str = "sqrt",
    connect: bool = True,
) -> Graph:
    """The graph of an RDM, a vector (n(n − 1)/2,) or a matrix (n, n).

    `rule` "nearest": each stimulus with its k nearest, an edge being kept for either of its ends; k = max(5, round(share n))
    unless given, at most n − 1. "shortest": the `share` of pairs with the least distance. Ties go to the lower index.
    `connect`: with the edges of a minimum spanning tree besides, so that every stimulus is reached.
    `lengths` "sqrt": √d, for squared distances and for 1 − r, which are metric then, with d at least `FLOOR` of the median of
    positive distances; "given": d, zero where it is below. Divided by their mean: neighbours are weighted by e^(−length), and
    curvature would hang on the unit otherwise.
    Raises `DataError` for fewer than 3 stimuli, entries that are not finite, no distance above zero, a share outside (0, 1]
    and k below 1, ValueError for other names.
    """
    square = _distances(rdm)
    if rule not in RULES:
        raise ValueError(f"graph: found rule {rule!r}, expected one of {', '.join(RULES)}")
    if lengths not in LENGTHS:
        raise ValueError(f"graph: found lengths {lengths!r}, expected one of {', '.join(LENGTHS)}")
    if not 0 < share <= 1:
        raise DataError(f"graph: found a share of {share}, expected one above 0 and at most 1")
    if k is not None and k < 1:
        raise DataError(f"graph: found k = {k}, expected at least 1 neighbour")
    joined = RULES[rule](square, share, k)
    if connect:
        joined[_spanning_tree(square)] = True
    edges = _pairs(joined | joined.T)
    long = LENGTHS[lengths](square)[edges[:, 0], edges[:, 1]]
    mean = long.mean()
    return Graph(len(square), edges, long / mean if mean > 0 else long)


def sweep(
    rdm: Any, shares: Sequence[float] = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3), rule: str = "nearest", lengths: str = "sqrt"
) -> list[Graph]:
    """The graphs of an RDM at several shares of neighbours or pairs: no result should hang on one."""
    return [graph_from_rdm(rdm, rule, share, lengths=lengths) for share in shares]


def graph_from_adjacency(lengths: Any) -> Graph:
    """The graph of a symmetric matrix (n, n) of edge lengths, 0 where there is no edge; lengths stay as they are.

    A node may have no edge. Raises `DataError` for a matrix that is not square, symmetric, finite and ≥ 0, or that has a
    diagonal.
    """
    square = as_tensor(lengths).detach().cpu().double().numpy()
    if square.ndim != 2 or square.shape[0] != square.shape[1] or not len(square):
        raise DataError(f"graph: found an adjacency matrix of shape {square.shape}, expected (n, n)")
    if not np.isfinite(square).all() or (square < 0).any():
        raise DataError("graph: found an edge length that is negative or not finite, expected lengths ≥ 0, 0 for no edge")
    if not np.array_equal(square, square.T):
        raise DataError("graph: found an adjacency matrix that is not symmetric, expected the length of each edge twice")
    if square.diagonal().any():
        raise DataError("graph: found an edge from a node to itself, expected a diagonal of zeros")
    edges = _pairs(square > 0)
    return Graph(len(square), edges, square[edges[:, 0], edges[:, 1]])


def _pairs(joined: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.argwhere(np.triu(joined, 1)), dtype=np.int64)


def _distances(rdm: Any) -> np.ndarray:
    given = as_tensor(rdm).detach().cpu().double()
    square = (to_square(given) if given.ndim == 1 else given).numpy()
    if square.ndim != 2 or square.shape[0] != square.shape[1]:
        raise DataError(f"graph: found an RDM of shape {tuple(given.shape)}, expected a vector (N,) or a matrix (n, n)")
    if len(square) < 3:
        raise DataError(f"graph: found an RDM of {len(square)} stimuli, expected at least 3")
    apart = ~np.eye(len(square), dtype=bool)
    bad = int((~np.isfinite(square[apart])).sum())
    if bad:
        raise DataError(f"graph: found {bad // 2} pairs without a finite distance, expected none; drop their stimuli first")
    if not np.array_equal(square, square.T):
        raise DataError("graph: found an RDM that is not symmetric, expected the distance of each pair twice")
    if not (square[apart] > 0).any():
        raise DataError("graph: found no distance above zero, expected stimuli that differ")
    return square


def _nearest(square: np.ndarray, share: float, k: int | None) -> np.ndarray:
    n = len(square)
    many = min(max(_FEWEST, round(share * n)) if k is None else k, n - 1)
    others = square.copy()
    np.fill_diagonal(others, np.inf)
    order = np.argsort(others, axis=1, kind="stable")[:, :many]
    joined = np.zeros((n, n), dtype=bool)
    np.put_along_axis(joined, order, True, axis=1)
    return joined


def _shortest(square: np.ndarray, share: float, k: int | None) -> np.ndarray:
    del k
    first, second = np.triu_indices(len(square), 1)
    many = max(1, round(share * len(first)))
    kept = np.argsort(square[first, second], kind="stable")[:many]
    joined = np.zeros(square.shape, dtype=bool)
    joined[first[kept], second[kept]] = True
    return joined


def _spanning_tree(square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends (n − 1,), (n − 1,) of a minimum spanning tree's edges, by Prim; 0 is a length, ties go to the lower index."""
    n = len(square)
    nearest, least = np.zeros(n, np.int64), square[0].copy()
    outside = np.ones(n, dtype=bool)
    outside[0] = False
    ends = np.empty((2, n - 1), np.int64)
    for step in range(n - 1):
        new = int(np.where(outside, least, np.inf).argmin())
        ends[:, step] = nearest[new], new
        outside[new] = False
        closer = square[new] < least
        nearest[closer] = new
        least = np.minimum(least, square[new])
    return ends[0], ends[1]


def _rooted(square: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(square, FLOOR * np.median(square[square > 0])))


def _given(square: np.ndarray) -> np.ndarray:
    return np.maximum(square, 0.0)


RULES = {"nearest": _nearest, "shortest": _shortest}
LENGTHS = {"sqrt": _rooted, "given": _given}
