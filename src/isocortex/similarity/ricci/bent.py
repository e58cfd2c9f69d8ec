"""Curvature of a sweep of graphs, made once for all metrics of a family that ask for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isocortex.similarity.ricci.graphs import sweep
from isocortex.similarity.ricci.ollivier import curvatures, node_curvature

# Bytes of curvature that are kept; what comes later is made anew each time.
_BUDGET = 256 << 20


@dataclass(frozen=True)
class Bent:
    """Of one graph: curvature of its nodes and their degrees (n,), and of its edges (E,)."""

    nodes: np.ndarray
    degrees: np.ndarray
    edges: np.ndarray

    @property
    def nbytes(self) -> int:
        """What it takes to keep."""
        return int(self.nodes.nbytes + self.degrees.nbytes + self.edges.nbytes)


@dataclass
class Remembered:
    """Curvature by a digest of the RDM and of what its graph was made with."""

    found: dict[tuple[bytes, tuple[Any, ...]], Bent] = field(default_factory=dict)
    size: int = 0

    def keep(self, key: tuple[bytes, tuple[Any, ...]], value: Bent) -> None:
        """Where there is room."""
        if self.size + value.nbytes <= _BUDGET:
            self.found[key] = value
            self.size += value.nbytes


def bent(square: np.ndarray, options: Mapping[str, Any], known: Remembered) -> list[Bent]:
    """Curvature of the graphs of an RDM (n, n) at each of the `shares`, by `rule`, `alpha` and `exp_power` of the options."""
    digest = hashlib.blake2b(np.ascontiguousarray(square).tobytes(), digest_size=16).digest()
    settings = (options["rule"], options["alpha"], options["exp_power"])
    keys = {share: (digest, (float(share), *settings)) for share in options["shares"]}
    made = {share: known.found[key] for share, key in keys.items() if key in known.found}
    missing = [share for share in keys if share not in made]
    graphs = sweep(square, missing, options["rule"]) if missing else []
    kappas = curvatures(graphs, alpha=options["alpha"], exp_power=options["exp_power"]) if missing else []
    for share, graph, kappa in zip(missing, graphs, kappas, strict=True):
        made[share] = Bent(node_curvature(graph, kappa), np.bincount(graph.edges.ravel(), minlength=graph.n), kappa)
        known.keep(keys[share], made[share])
    return [made[share] for share in options["shares"]]
