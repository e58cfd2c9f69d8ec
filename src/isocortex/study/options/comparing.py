"""Metrics between a region and a layer, and descriptors of one representation: names and options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from isocortex.study.options.base import Fraction, Options

Dissimilarity = Literal["correlation", "euclidean", "cosine", "mahalanobis", "crossnobis", "poisson", "poisson_cv"]
Shrinkage = Literal["shrinkage_diag", "shrinkage_eye", "diag", "full", "none"]


class Rsa(Options):
    """Representational similarity analysis.

    `rdm` is the brain's; models have no noise, and get Euclidean distances where the brain's are Mahalanobis, crossnobis or
    Poisson. `model`: one layer `selected`, a non-negative `weighted` sum of all layers' RDMs, or an `interpolated` one of two
    neighbours, fitted on other stimuli and subjects than are scored.
    """

    rdm: Dissimilarity = "correlation"
    compare: Literal[
        "rho_a", "spearman", "pearson", "tau_a", "tau_b", "cosine", "whitened_cosine", "whitened_pearson", "bures"
    ] = "rho_a"
    noise: Shrinkage = "shrinkage_diag"
    model: Literal["selected", "weighted", "interpolated"] = "selected"


class Trsa(Options):
    """Topological RSA: RDMs between two quantiles, `thresholds`, that are given or chosen on the training subjects.

    `nested` chooses among the pairs `step` apart on the whole plane, `topology` and `geometry` within their part of it.
    """

    rdm: Dissimilarity = "correlation"
    transform: Literal["rgtm", "gtm", "sigmoid"] = "rgtm"
    thresholds: Literal["nested", "topology", "geometry"] | Annotated[list[Fraction], Field(min_length=2, max_length=2)] = [
        0.2, 0.8,
    ]  # fmt: skip
    step: Annotated[float, Field(ge=0.05, le=0.5, strict=True)] = 0.2
    compare: Literal["pearson", "cosine"] = "pearson"
    noise: Shrinkage = "shrinkage_diag"


class GeodesicRsa(Options):
    """RSA of distances along a graph of near stimuli: the `share` of shortest edges, or of nearest neighbours of each."""

    rdm: Dissimilarity = "correlation"
    edges: Literal["p_shortest", "p_nearest"] = "p_shortest"
    share: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.2
    compare: Literal["pearson", "cosine"] = "pearson"
    noise: Shrinkage = "shrinkage_diag"


class Compare(Options):
    """Metrics between a region and a layer."""

    rsa: Rsa | None = None
    trsa: Trsa | None = None
    geodesic_rsa: GeodesicRsa | None = None


class ParticipationRatio(Options):
    """(Σλ)²/Σλ² of the covariance."""


class Geometry(Options):
    """Descriptors of one representation by itself."""

    participation_ratio: ParticipationRatio | None = None


METRICS = tuple(Compare.model_fields)
GEOMETRY = tuple(Geometry.model_fields)
# Metric → family: one compare job, and one file, per family.
FAMILIES: dict[str, str] = dict.fromkeys(("rsa", "trsa", "geodesic_rsa"), "rdm")
NEEDS_PATTERNS: frozenset[str] = frozenset()  # metrics that an RDM alone cannot give
