"""Topological RSA as rows of METRICS: of two arrays, and as the comparators that options name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isocortex.similarity.comparators import Comparator, compare_rdms
from isocortex.similarity.rdm import rdm as make_rdm
from isocortex.similarity.trsa.comparators import geodesic_comparator, trsa_comparator
from isocortex.similarity.trsa.transforms import FAMILIES

# Thresholds are not chosen among those that make steps of less than so many quantiles: of few pairs these are noise.
_INNER = {"nested": lambda _l, _u: True, "topology": FAMILIES["topology"], "geometry": FAMILIES["geometry"]}
# A family is narrow: it is searched at least as finely as this.
_FINEST = {"nested": 1.0, "topology": 0.1, "geometry": 0.1}


def threshold_pairs(within: str, step: float) -> list[tuple[float, float]]:
    """Pairs (l, u), l < u, of quantile levels `step` apart: all ("nested"), or those of a family of them.

    Raises ValueError for another name.
    """
    if within not in _INNER:
        raise ValueError(f"tRSA: found thresholds {within!r}, expected two levels or one of {sorted(_INNER)}")
    apart = min(step, _FINEST[within])
    levels = np.round(np.arange(0.0, 1.0 + apart / 2, apart), 6).clip(0.0, 1.0)
    pairs = [(float(a), float(b)) for k, a in enumerate(levels) for b in levels[k + 1 :]]
    return [pair for pair in pairs if _INNER[within](*pair)]


def comparators(options: Mapping[str, Any]) -> tuple[Comparator, ...]:
    """One comparator for given thresholds, or one for each pair that may be chosen."""
    chosen = options["thresholds"]
    if options["transform"] == "sigmoid":
        return (trsa_comparator("sigmoid", compare=options["compare"]),)
    pairs = threshold_pairs(chosen, options.get("step", 0.2)) if isinstance(chosen, str) else [tuple(chosen)]
    return tuple(trsa_comparator(options["transform"], lower, upper, options["compare"]) for lower, upper in pairs)


def geodesic_comparators(options: Mapping[str, Any]) -> tuple[Comparator, ...]:
    """The comparator of geodesic distances that the options name."""
    return (geodesic_comparator(keep=options["edges"], p=options["share"], compare=options["compare"]),)


def trsa(
    x: Any,
    y: Any,
    rdm: str = "correlation",
    transform: str = "rgtm",
    thresholds: tuple[float, float] = (0.2, 0.8),
    compare: str = "pearson",
) -> float:
    """Similarity of the topologies of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Their RDMs between the quantiles `thresholds` (Lin & Kriegeskorte 2024), compared. Raises as `rsa`, and `DataError` unless
    0 ≤ l ≤ u ≤ 1.
    """
    chosen = trsa_comparator(transform, *thresholds, compare=compare)
    return float(compare_rdms(make_rdm(x, rdm), make_rdm(y, rdm), chosen))


def geodesic_rsa(
    x: Any, y: Any, rdm: str = "correlation", edges: str = "p_shortest", share: float = 0.2, compare: str = "pearson"
) -> float:
    """Similarity of the distances along the graphs of near stimuli of `x` and `y`; raises as `rsa`."""
    chosen = geodesic_comparator(keep=edges, p=share, compare=compare)
    return float(compare_rdms(make_rdm(x, rdm), make_rdm(y, rdm), chosen))
