"""Communities of a graph after Ricci flow, and how far two partitions agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.similarity.ricci.graphs import Graph
from isocortex.similarity.ricci.mutual import adjusted_mutual_information

# A partition of a lower modularity is none.
_LEAST = 1e-4


def communities(graph: Graph, drop: float = 0.01, step: float = 0.025) -> np.ndarray:
    """Labels (n,) of the communities of a graph after Ricci flow, numbered by their first nodes.

    Edges longer than a cut are removed, and what hangs together then is a community. Cuts are steps of `step` from the longest
    edge down to 1. From the lowest up, the first is taken from which the next would lower the modularity Q by more than its
    part `drop`, to a Q that is still above 10⁻⁴ (Ni et al. 2019). Where there is none, as with two communities, whose union
    has Q = 0, the first from which Q falls from above 10⁻⁴ to whatever it is; and where there is none of these, all is one.
    The lowest cut is the finest partition: a greater `drop` splits less.
    Q = 1 − Σ_c (W_c/W)² of what is left, W being sums of lengths. Raises `DataError` for a drop outside [0, 1) and a step that
    is not above 0.
    """
    if not 0 <= drop < 1:
        raise DataError(f"communities: found a drop of {drop}, expected a part from 0 to below 1")
    if not step > 0:
        raise DataError(f"communities: found a step of {step}, expected one above 0")
    longest = graph.lengths.max(initial=0.0)
    cuts = longest - step * np.arange(np.ceil((longest - 1) / step))[::-1]  # ascending
    if not len(cuts):
        return np.zeros(graph.n, np.int64)
    order = np.argsort(graph.lengths, kind="stable")
    quality = _modularities(graph, order)[np.searchsorted(graph.lengths[order], cuts, side="right")]
    now, above = quality[:-1], quality[1:]
    falls = (now > above) & (now - above > drop * now)
    chosen = np.flatnonzero(falls & (above > _LEAST))
    if not len(chosen):
        chosen = np.flatnonzero(falls & (now > _LEAST))
    if not len(chosen):
        return np.zeros(graph.n, np.int64)
    return _joined(graph, order[: np.searchsorted(graph.lengths[order], cuts[chosen[0]], side="right")])


def _modularities(graph: Graph, order: np.ndarray) -> np.ndarray:
    """Modularity (E + 1,) of the components of the first 0, 1, … edges in `order`; 0 where they have no length."""
    parent, weight = list(range(graph.n)), [0.0] * graph.n
    total, squares, found = 0.0, 0.0, np.zeros(len(order) + 1)
    ends, lengths = graph.edges[order].tolist(), graph.lengths[order].tolist()
    for k, ((first, second), length) in enumerate(zip(ends, lengths, strict=True)):
        a, b = _root(parent, first), _root(parent, second)
        squares -= weight[a] ** 2 + (weight[b] ** 2 if a != b else 0.0)
        if a != b:
            parent[b] = a
            weight[a] += weight[b]
        weight[a] += length
        squares += weight[a] ** 2
        total += length
        found[k + 1] = 1.0 - squares / total**2 if total > 0 else 0.0
    return found


def _joined(graph: Graph, kept: np.ndarray) -> np.ndarray:
    """Components of the `kept` edges, numbered by their first nodes."""
    parent = list(range(graph.n))
    for first, second in graph.edges[kept].tolist():
        a, b = _root(parent, first), _root(parent, second)
        parent[max(a, b)] = min(a, b)  # the root is the first node
    roots = np.array([_root(parent, node) for node in range(graph.n)])
    return np.unique(roots, return_inverse=True)[1]


def _root(parent: list[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def agreement(a: Any, b: Any, kind: str = "ami") -> float:
    """How far two partitions (n,), (n,) of the same nodes agree.

    "ami", "ari": adjusted mutual information and adjusted Rand index, 1 for equal partitions, 0 by chance. "vi": variation of
    information H(a|b) + H(b|a) in nats, a metric, 0 for equal partitions. Raises `DataError` for labels of different lengths or
    none, ValueError for another kind.
    """
    if kind not in AGREEMENTS:
        raise ValueError(f"agreement: found kind {kind!r}, expected one of {', '.join(AGREEMENTS)}")
    a, b = (np.unique(np.asarray(labels), return_inverse=True)[1].ravel() for labels in (a, b))
    if len(a) != len(b) or not len(a):
        raise DataError(f"agreement: found {len(a)} and {len(b)} labels, expected one of each for at least one node")
    return float(AGREEMENTS[kind](a, b))


def _ari(a: np.ndarray, b: np.ndarray) -> float:
    from sklearn.metrics import adjusted_rand_score

    return adjusted_rand_score(a, b)


def _vi(a: np.ndarray, b: np.ndarray) -> float:
    both = np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1)).reshape(a.max() + 1, b.max() + 1)
    first, second = np.nonzero(both)
    found = both[first, second]
    left = np.log(found / both.sum(1)[first]) + np.log(found / both.sum(0)[second])
    return max(0.0, float(-(found * left).sum() / len(a)))


AGREEMENTS = {"ami": adjusted_mutual_information, "ari": _ari, "vi": _vi}
