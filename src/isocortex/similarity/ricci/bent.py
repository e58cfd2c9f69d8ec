"""Curvature of a sweep of graphs, remembered: several metrics of a family ask for the same graphs one after another."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.similarity.ricci.graphs import sweep
from isocortex.similarity.ricci.ollivier import curvatures, node_curvature

# Bytes of results that are kept; the oldest go first.
_BUDGET = 256 << 20


@dataclass(frozen=True)
class Bent:
    """At each of K shares: curvature of nodes and their degrees (K, n), and of edges, K arrays (E,)."""

    nodes: np.ndarray
    degrees: np.ndarray
    edges: tuple[np.ndarray, ...]

    @property
    def nbytes(self) -> int:
        """What it takes to keep."""
        return int(self.nodes.nbytes + self.degrees.nbytes + sum(k.nbytes for k in self.edges))


class _Kept:
    """Results by a digest of what they were made from: as if they were made anew each time, only sooner."""

    def __init__(self, budget: int) -> None:
        self.budget, self.size = budget, 0
        self.found: OrderedDict[bytes, Bent] = OrderedDict()

    def get(self, key: bytes) -> Bent | None:
        return self.found.get(key)

    def put(self, key: bytes, value: Bent) -> None:
        self.found[key] = value
        self.size += value.nbytes
        while self.size > self.budget and self.found:
            self.size -= self.found.popitem(last=False)[1].nbytes


_KEPT = _Kept(_BUDGET)


def bent(square: np.ndarray, options: Mapping[str, Any]) -> Bent:
    """Curvature of the graphs of an RDM (n, n), by the options `shares`, `rule`, `alpha` and `exp_power` of a row."""
    settings = (tuple(options["shares"]), options["rule"], options["alpha"], options["exp_power"])
    key = hashlib.blake2b(
        np.ascontiguousarray(square).tobytes() + repr((square.shape, settings)).encode(), digest_size=16
    ).digest()
    found = _KEPT.get(key)
    if found is None:
        graphs = sweep(square, options["shares"], options["rule"])
        kappas = curvatures(graphs, alpha=options["alpha"], exp_power=options["exp_power"])
        nodes = np.stack([node_curvature(g, k) for g, k in zip(graphs, kappas, strict=True)])
        degrees = np.stack([np.bincount(g.edges.ravel(), minlength=g.n) for g in graphs])
        found = Bent(nodes, degrees, tuple(kappas))
        _KEPT.put(key, found)
    return found
