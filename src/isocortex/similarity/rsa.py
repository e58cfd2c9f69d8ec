"""Representational similarity analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isocortex.similarity.comparators import Comparator, comparator, compare_rdms
from isocortex.similarity.rdm import rdm as make_rdm


def rsa(x: Any, y: Any, rdm: str = "correlation", compare: str = "rho_a") -> float:
    """Similarity of the geometries of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Kriegeskorte, Mur & Bandettini 2008; `rdm` as in `similarity.rdm.rdm`, `compare` as in `compare_rdms`.
    Raises `DataError` for different numbers of stimuli, fewer than three, and patterns without a distance.
    """
    return float(compare_rdms(make_rdm(x, rdm), make_rdm(y, rdm), compare))


def comparators(options: Mapping[str, Any]) -> tuple[Comparator, ...]:
    """The comparator that the options of `rsa` name."""
    return (comparator(options["compare"]),)
