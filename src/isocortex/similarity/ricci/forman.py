"""Forman's curvatures: of counts of neighbours, triangles and squares, in products of matrices.

Forman (2003); Sreejith et al. (2016) for networks, Samal et al. (2018) with triangles; Topping et al. (2022), balanced.
"""

from __future__ import annotations

import numpy as np

from isocortex.errors import DataError
from isocortex.similarity.ricci.graphs import Graph

# Edges whose squares are counted at a time, so that their rows fit the caches.
_BLOCK = 2048


def forman(graph: Graph, method: str = "augmented", *, weighted: bool = False) -> np.ndarray:
    """Forman's curvature of the edges of a graph, (E,).

    "1d": 4 − deg x − deg y. "augmented": 3 more for each triangle. `weighted`: with the lengths w of edges, 1 for nodes and
    triangles, w_e (2/w_e + T − |Σ 1/√(w_e w_f)|) over the edges f that touch e, and with "augmented" those outside its T
    triangles, T being 0 with "1d".
    "balanced" (never weighted): 2/d_x + 2/d_y − 2 + 2 T/max d + T/min d + (S_x + S_y)/(γ max d), where S_x counts neighbours of
    x on a square over the edge that has no diagonal, and γ is the most squares through one of them; 0 at a node of degree 1.
    Raises `DataError` for weighted curvature with an edge of length 0, ValueError for other names.
    """
    if method not in METHODS:
        raise ValueError(f"forman: found method {method!r}, expected one of {', '.join(METHODS)}")
    if weighted and method == "balanced":
        raise ValueError("forman: found weighted=True, expected False with 'balanced', which counts neighbours alone")
    if weighted and not (graph.lengths > 0).all():
        raise DataError("forman: found an edge of length 0, expected lengths above 0; leave out all but one of equal stimuli")
    if not len(graph.edges):
        return np.empty(0)
    return METHODS[method](graph, graph.lengths if weighted else np.ones(len(graph.edges)))


def _one_dimensional(graph: Graph, lengths: np.ndarray) -> np.ndarray:
    return 2.0 - np.sqrt(lengths) * _touching(graph, lengths)


def _augmented(graph: Graph, lengths: np.ndarray) -> np.ndarray:
    first, second = graph.edges.T
    joined, inverse = graph.matrix(np.ones(len(lengths))), graph.matrix(1.0 / np.sqrt(lengths))
    triangles = (joined @ joined)[first, second]
    through = inverse @ joined
    outside = _touching(graph, lengths) - through[first, second] - through[second, first]
    return 2.0 + lengths**2 * triangles - np.sqrt(lengths) * np.abs(outside)


def _touching(graph: Graph, lengths: np.ndarray) -> np.ndarray:
    """Σ 1/√w over the edges that share one node with each edge, (E,)."""
    own = 1.0 / np.sqrt(lengths)
    at_node = np.bincount(graph.edges.ravel(), weights=np.repeat(own, 2), minlength=graph.n)
    return at_node[graph.edges].sum(axis=1) - 2.0 * own


def _balanced(graph: Graph, lengths: np.ndarray) -> np.ndarray:
    joined = graph.matrix(np.ones(len(lengths))).astype(np.float32)  # counts: exact below 2²⁴
    degrees = graph.degrees()[graph.edges]
    least, most = degrees.min(axis=1), degrees.max(axis=1)
    triangles, squares, through = (np.empty(len(lengths)) for _ in range(3))
    for start in range(0, len(lengths), _BLOCK):
        block = slice(start, start + _BLOCK)
        triangles[block], squares[block], through[block] = _counted(joined, graph.edges[block])
    found = 2 / degrees[:, 0] + 2 / degrees[:, 1] - 2 + 2 * triangles / most + triangles / least
    return np.where(least == 1, 0.0, found + squares / (np.maximum(through, 1) * most))


def _counted(joined: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles on each edge, neighbours of its ends on a square without diagonals, and the most squares through one, (B,)."""
    rows = np.arange(len(edges))
    first, second = joined[edges[:, 0]], joined[edges[:, 1]]
    squares, through = np.zeros(len(edges)), np.zeros(len(edges))
    for near, far, place in ((first, second, edges), (second, first, edges[:, ::-1])):
        opposite, beside = far * (1 - near), near * (1 - far)
        opposite[rows, place[:, 0]] = 0  # the edge itself
        beside[rows, place[:, 1]] = 0
        number = (opposite @ joined) * beside
        squares += (number > 0).sum(axis=1)
        through = np.maximum(through, number.max(axis=1))
    return (first * second).sum(axis=1), squares, through


METHODS = {"1d": _one_dimensional, "augmented": _augmented, "balanced": _balanced}
