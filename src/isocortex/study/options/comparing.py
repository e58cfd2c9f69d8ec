"""Metrics between a region and a layer: names and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from isocortex.study.alignments import MOVES_UNITS
from isocortex.study.options import similarity
from isocortex.study.options.base import Fraction, Options

Dissimilarity = Literal[
    "correlation", "euclidean", "cosine", "mahalanobis", "crossnobis", "poisson", "poisson_cv", "heat_geodesic"
]
Shrinkage = Literal["shrinkage_diag", "shrinkage_eye", "diag", "full", "none"]
Fewest = Annotated[int, Field(ge=10, strict=True)]


class Rsa(Options):
    """Representational similarity analysis.

    `rdm` is the brain's; models have no noise, and get Euclidean distances where the brain's are Mahalanobis, crossnobis or
    Poisson. `model`: one layer `selected`, a non-negative `weighted` sum of all layers' RDMs, or an `interpolated` one of two
    neighbours, fitted on other stimuli and subjects than are scored. At most `max_stimuli` are taken, drawn at random.
    """

    rdm: Dissimilarity = "correlation"
    compare: Literal[
        "rho_a", "spearman", "pearson", "tau_a", "tau_b", "cosine", "whitened_cosine", "whitened_pearson", "bures"
    ] = "rho_a"
    noise: Shrinkage = "shrinkage_diag"
    model: Literal["selected", "weighted", "interpolated"] = "selected"
    max_stimuli: Fewest = 2000


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
    max_stimuli: Fewest = 2000


class GeodesicRsa(Options):
    """RSA of distances along a graph of near stimuli: the `share` of shortest edges, or of nearest neighbours of each."""

    rdm: Dissimilarity = "correlation"
    edges: Literal["p_shortest", "p_nearest"] = "p_shortest"
    share: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.2
    compare: Literal["pearson", "cosine"] = "pearson"
    noise: Shrinkage = "shrinkage_diag"
    max_stimuli: Fewest = 2000


Share = Annotated[float, Field(gt=0, le=1, strict=True)]


class Ricci(Options):
    """Ollivier–Ricci curvature of graphs of near stimuli: Spearman correlation of node curvature, the mean over `shares`.

    `rule`: each stimulus's `nearest` share of the others, or the `shortest` share of all pairs; joined by the minimum spanning
    tree. `alpha` is the mass that stays on a node, the rest goes to neighbours at lengths w by exp(−w^exp_power). `shares` are
    fixed beforehand, and none is chosen. At most `max_stimuli` are taken, drawn at random.
    """

    rdm: Dissimilarity = "correlation"
    noise: Shrinkage = "shrinkage_diag"
    rule: Literal["nearest", "shortest"] = "nearest"
    shares: Annotated[list[Share], Field(min_length=1, max_length=12)] = [0.05, 0.1, 0.2]
    alpha: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.5
    exp_power: Annotated[float, Field(ge=0, le=4, strict=True)] = 1.0
    max_stimuli: Fewest = 120


class RicciPartial(Ricci):
    """As `ricci`, of what each node's mean distance and its share of neighbours leave of its curvature."""


class RicciDistribution(Ricci):
    """Distance of the distributions of curvature, whichever stimulus it is of; the null rewires the model's graph."""

    of: Literal["edges", "nodes"] = "edges"
    distance: Literal["wasserstein", "kolmogorov_smirnov"] = "wasserstein"


class RicciEdges(Ricci):
    """Edges that both graphs have, as a share of the mean number that each has; 0 by chance, 1 for the same graph."""


class RicciCommunities(Ricci):
    """Agreement of the communities that Ricci flow leaves: adjusted mutual information, adjusted Rand index, or 1 less the
    variation of information per log n; 0 where either has no more than one."""

    shares: Annotated[list[Share], Field(min_length=1, max_length=12)] = [0.1]
    agreement: Literal["ami", "ari", "vi"] = "ami"
    iterations: Annotated[int, Field(ge=1, le=200, strict=True)] = 20


class Shape(Options):
    """Distance of shapes after the best alignment of units: `alpha` from 0 (any linear map) to 1 (rotations).

    `group`: `orthogonal`; `permutation`, one unit to one; or `soft`, units shared out.
    """

    alpha: Annotated[float, Field(ge=0, le=1, strict=True)] = 1.0
    kind: Literal["angular", "euclidean"] = "angular"
    group: Literal["orthogonal", "permutation", "soft"] = "orthogonal"

    @model_validator(mode="after")
    def _fits_its_group(self) -> Shape:
        if self.group != "orthogonal" and self.alpha != 1.0:
            raise ValueError(f"alpha: found {self.alpha:g} with group: {self.group}, expected 1.0; whitening mixes units")
        return self


class ShapeMoments(Options):
    """Similarity of shapes from few stimuli by the method of moments, without the bias of the sample's own.

    `balance` from 0 (least variance) over 1 (least mean square error) to 2 (least bias); `bias`: the largest bias allowed.
    """

    moments: Annotated[int, Field(ge=2, le=25, strict=True)] = 7
    bootstraps: Annotated[int, Field(ge=10, le=1000, strict=True)] = 50
    balance: Annotated[float, Field(ge=0, le=2, strict=True)] = 1.0
    bias: Annotated[float, Field(gt=0, le=10, strict=True)] = 1.0
    max_stimuli: Fewest = 200


class StochasticShape(Options):
    """Distance of noisy representations: their means and covariances (`gaussian`) or single trials (`energy`).

    `auto` is Gaussian where enough stimuli have `least_trials` repeats. `alpha` weighs means (2: means alone) against
    covariances (0). `noise`: what a model without any is given, at the region's own ratio of noise to signal. `components`: of
    the patterns, at most half of the repeats. `blocks` of neighbouring trials alternate between the halves of a self-distance.
    """

    distribution: Literal["auto", "gaussian", "energy"] = "auto"
    alpha: Annotated[float, Field(ge=0, le=2, strict=True)] = 1.0
    noise: Literal["isotropic", "proportional", "none"] = "isotropic"
    components: Literal["auto"] | Annotated[int, Field(ge=1, le=200, strict=True)] = "auto"
    least_trials: Annotated[int, Field(ge=2, strict=True)] = 8
    starts: Annotated[int, Field(ge=1, le=100, strict=True)] = 2
    blocks: Annotated[int, Field(ge=2, le=1000, strict=True)] = 10
    max_stimuli: Fewest = 200


class Compare(Options):
    """Metrics between a region and a layer."""

    rsa: Rsa | None = None
    trsa: Trsa | None = None
    geodesic_rsa: GeodesicRsa | None = None
    ricci: Ricci | None = None
    ricci_partial: RicciPartial | None = None
    ricci_distribution: RicciDistribution | None = None
    ricci_edges: RicciEdges | None = None
    ricci_communities: RicciCommunities | None = None
    shape: Shape | None = None
    shape_moments: ShapeMoments | None = None
    stochastic_shape: StochasticShape | None = None
    cka: similarity.Cka | None = None
    deconfounded_cka: similarity.DeconfoundedCka | None = None
    deconfounded_rsa: similarity.DeconfoundedRsa | None = None
    noise_corrected_rsa: similarity.NoiseCorrectedRsa | None = None
    gulp: similarity.Gulp | None = None
    cca: similarity.Cca | None = None
    svcca: similarity.Svcca | None = None
    pwcca: similarity.Pwcca | None = None
    procrustes: similarity.Procrustes | None = None
    linear_predictivity: similarity.LinearPredictivity | None = None
    reverse_predictivity: similarity.ReversePredictivity | None = None
    prediction_rsa: similarity.PredictionRsa | None = None
    mutual_knn: similarity.MutualKnn | None = None
    cknna: similarity.Cknna | None = None
    relative: similarity.Relative | None = None
    relative_product: similarity.RelativeProduct | None = None
    one_to_one: similarity.OneToOne | None = None
    soft_matching: similarity.SoftMatching | None = None
    one_to_many: similarity.OneToMany | None = None
    many_to_many: similarity.ManyToMany | None = None
    best_buddies: similarity.BestBuddies | None = None


METRICS = tuple(Compare.model_fields)
_OF_FAMILY: dict[str, tuple[str, ...]] = {
    "rdm": ("rsa", "trsa", "geodesic_rsa"),
    "graph": ("ricci", "ricci_partial", "ricci_distribution", "ricci_edges", "ricci_communities"),
    "shape": ("shape", "shape_moments"),
    "stochastic": ("stochastic_shape",),
    "kernel": ("cka", "deconfounded_cka", "deconfounded_rsa", "noise_corrected_rsa", "gulp"),
    "linear": ("cca", "svcca", "pwcca", "procrustes", "linear_predictivity", "reverse_predictivity", "prediction_rsa"),
    "neighbours": ("mutual_knn", "cknna", "relative", "relative_product"),
    "matching": ("one_to_one", "soft_matching", "one_to_many", "many_to_many", "best_buddies"),
}
# Metric → family: one compare job, and one file, per family.
FAMILIES: dict[str, str] = {name: family for family, names in _OF_FAMILY.items() for name in names}
# Metrics that an RDM alone can give; all others need patterns.
_OF_RDMS = frozenset({*_OF_FAMILY["rdm"], *_OF_FAMILY["graph"], "deconfounded_rsa"})
NEEDS_PATTERNS: frozenset[str] = frozenset(METRICS) - _OF_RDMS
# Metrics whose distances span a space: all subjects and layers of a region are set out in it.
SPANNING: tuple[str, ...] = ("shape", "stochastic_shape")
# Metrics of a model's own units, whatever their options.
OF_UNITS: frozenset[str] = frozenset({*_OF_FAMILY["matching"], "reverse_predictivity", "relative_product"})


def reads_units(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a metric with these options reads a layer's units, and not only their inner products."""
    return name in OF_UNITS or options.get("group") in MOVES_UNITS
