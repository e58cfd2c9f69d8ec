"""Metrics of patterns: kernels, linear maps, neighbours, and matchings of units: names and options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr

from isocortex.study.options.base import Count, Options, Positive

Fewest = Annotated[int, Field(ge=10, strict=True)]
Neighbours = Annotated[int, Field(ge=1, le=1000, strict=True)]
Folds = Annotated[int, Field(ge=2, le=20, strict=True)]
Width = Annotated[int, Field(ge=1, le=1000, strict=True)]
Patterns = Literal["correlation", "euclidean", "cosine"]
Whole = Literal["pearson", "spearman", "rho_a"]


class OfPatterns(Options):
    """At most `max_stimuli` are taken, drawn at random."""

    max_stimuli: Fewest = 2000


class Cka(OfPatterns):
    """Centred kernel alignment, debiased by default: the biased value of unrelated noise nears 1 with many units.

    `kernel: rbf` takes distances by `bandwidth` times their median. `batch`: the mean over batches of so many stimuli.
    """

    kernel: Literal["linear", "rbf"] = "linear"
    estimator: Literal["debiased", "biased"] = "debiased"
    bandwidth: Positive = 1.0
    batch: Annotated[int, Field(ge=4, strict=True)] | None = None


class DeconfoundedCka(OfPatterns):
    """Centred kernel alignment of what a `confounder`, a model of the study, leaves of both Gram matrices.

    `residual: signed` is its authors' form, which reads the diagonals that noise adds to and is biased upward by it, and
    `clipped` takes negative eigenvalues away from what is left.
    """

    confounder: StrictStr = "pixels"
    residual: Literal["debiased", "signed", "clipped"] = "debiased"


class DeconfoundedRsa(OfPatterns):
    """Correlation of RDMs with the RDMs of a `confounder`, a model of the study, regressed out of both."""

    confounder: StrictStr = "pixels"
    rdm: Patterns = "correlation"
    compare: Literal["pearson", "spearman"] = "pearson"


class NoiseCorrectedRsa(OfPatterns):
    """Correlation of RDMs by the root of the reliability of the brain's, from `splits` halves of its repeats."""

    rdm: Patterns = "correlation"
    compare: Literal["pearson", "spearman"] = "pearson"
    splits: Annotated[int, Field(ge=2, le=20, strict=True)] = 20


class Gulp(OfPatterns):
    """Distance of the predictions that ridge regressions with the penalty `ridge` make of any task, on average over tasks."""

    ridge: Positive = 0.1


class Cca(OfPatterns):
    """Mean canonical correlation, or its mean `square`; refused below ten stimuli for each dimension of either side."""

    summary: Literal["mean", "square"] = "square"


class Svcca(Cca):
    """As `cca`, of principal components: as many as explain `variance`, and at most a tenth of the stimuli."""

    components: Literal["auto"] | Width = "auto"
    variance: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.99


class Pwcca(OfPatterns):
    """Canonical correlations by how much of the smaller side each accounts for, of principal components as of `svcca`."""

    components: Literal["auto"] | Width = "auto"
    variance: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.99


class Procrustes(OfPatterns):
    """Distance of patterns of length one after the best rotation: scales of a model and of a region are not commensurate."""


class LinearPredictivity(OfPatterns):
    """Mean correlation of held-out responses with those that ridge regression predicts from the model, over neuroids."""

    folds: Folds = 5


class ReversePredictivity(LinearPredictivity):
    """The same in the other direction: the model's units from the responses."""

    units: Count = 1000


class PredictionRsa(OfPatterns):
    """RSA of held-out responses as ridge regression predicts them from the model."""

    rdm: Patterns = "correlation"
    compare: Whole = "rho_a"
    folds: Folds = 5


class MutualKnn(OfPatterns):
    """Share of the `neighbours` of a stimulus that both representations have; neighbours by cosine."""

    neighbours: Neighbours = 10


class Cknna(MutualKnn):
    """Debiased kernel alignment of mutual neighbours only."""


class Relative(OfPatterns):
    """Mean cosine of stimuli by their similarities to `anchors`, so many that are drawn at random; auto: all other stimuli."""

    anchors: Literal["auto"] | Annotated[int, Field(ge=2, strict=True)] = "auto"


Similarity = Literal["cosine", "euclidean", "manhattan", "chebyshev"]


class RelativeProduct(Relative):
    """As `relative`, by several `similarities` side by side: a product of spaces that mind different transformations."""

    similarities: Annotated[list[Similarity], Field(min_length=2, max_length=4)] = [
        "cosine",
        "euclidean",
        "manhattan",
        "chebyshev",
    ]
    units: Count = 1000


class OneToOne(OfPatterns):
    """Mean correlation of units that are matched one to one on half of the stimuli, on the other half.

    Of more than `units` of a layer so many are drawn at random; of fewer units than neuroids, the other neuroids count as 0.
    """

    units: Count = 1000


class SoftMatching(OneToOne):
    """As `one_to_one`, each unit shared out over several."""


class OneToMany(OneToOne):
    """Median held-out R² of neuroids by `active` units of the layer each, chosen by matching pursuit on the other half."""

    active: Annotated[int, Field(ge=1, le=50, strict=True)] = 5


class ManyToMany(OneToOne):
    """Mean correlation of the mean responses of `groups` of units that belong together, groups found on the other half."""

    groups: Literal["auto"] | Annotated[int, Field(ge=2, le=100, strict=True)] = "auto"


class BestBuddies(OneToOne):
    """Mean held-out correlation of pairs that are each other's best match, times the share of neuroids that have one.

    `top`: a unit may be among so many best of the neuroid whose best it is.
    """

    top: Annotated[int, Field(ge=1, le=100, strict=True)] = 1
