"""Descriptors of one representation by itself: names and options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictStr

from isocortex.study.options.base import Count, Options, Positive

Neighbours = Annotated[int, Field(ge=2, le=1000, strict=True)]
Draws = Annotated[int, Field(ge=1, le=1000, strict=True)]
Lifetimes = Literal["total", "mean", "maximum", "entropy"]
Unit = Literal["median", "none"]
PerSide = Annotated[int, Field(ge=2, le=5, strict=True)]


class ParticipationRatio(Options):
    """(Σλ)²/Σλ² of the covariance."""


class ParticipationRatioCorrected(Options):
    """The ratio of the population of stimuli, without the bias of few; `units: sampled` also of the population of units."""

    units: Literal["fixed", "sampled"] = "fixed"


class ParticipationRatioCv(Options):
    """The ratio of the signal alone, from `splits` of the repeats in halves.

    `unbiased` also has no bias of few stimuli; `spectrum` is the ratio of cross-validated eigenvalues.
    """

    estimator: Literal["unbiased", "spectrum"] = "unbiased"
    splits: Draws = 20


class EffectiveRank(Options):
    """exp of the entropy of the shares of variance."""


class VonNeumannEntropy(Options):
    """Entropy of the spectrum of patterns of length 1, in nats; `centred` takes their mean away before."""

    centred: StrictBool = False


class TwoNn(Options):
    """Intrinsic dimension from the two nearest neighbours of each stimulus, without the share `discard` of largest ratios."""

    discard: Annotated[float, Field(gt=0, lt=1, strict=True)] = 0.1


class LocalRank(Options):
    """Participation ratio of each stimulus and its nearest `neighbours`, the mean."""

    neighbours: Neighbours = 10


class DiffusionEntropy(Options):
    """Entropy in bits of a diffusion over stimuli, of width `sigma`; auto: the median distance to the `neighbours`-th one.

    `time`: the power of the eigenvalues; more leaves coarser structure.
    """

    sigma: Literal["auto"] | Positive = "auto"
    neighbours: Neighbours = 10
    time: Positive = 1.0


class PersistenceH0(Options):
    """Distances at which clusters of stimuli merge, over their median or as they are (`scale`)."""

    summary: Lifetimes = "mean"
    scale: Unit = "median"


class PersistenceH1(Options):
    """Lifetimes of loops of stimuli, over the median distance or as they are; of at most `max_stimuli`, drawn at random."""

    summary: Lifetimes = "maximum"
    scale: Unit = "median"
    max_stimuli: Annotated[int, Field(ge=10, le=2000, strict=True)] = 300


class DiffusionInformation(DiffusionEntropy):
    """Bits that the label column `target` says about a diffusion over stimuli, against `draws` subsets of each class's size."""

    target: StrictStr
    draws: Draws = 5


class Parallelism(Options):
    """How parallel the axes between classes of the label column `target` are in the best of its dichotomies.

    These have at most `per_side` classes a side: every one, or `dichotomies` of them, drawn at random.
    """

    target: StrictStr
    dichotomies: Count = 35
    per_side: PerSide = 4


class Ccgp(Options):
    """Accuracy of a linear machine between classes of the label column `target` on classes that it has not seen.

    In the best of dichotomies as those of `parallelism`; `held_out`: pairs of classes left out of each; `c`: penalty of errors.
    """

    target: StrictStr
    dichotomies: Count = 35
    per_side: PerSide = 4
    held_out: Count = 4
    c: Positive = 10.0


class LabelAlignment(Options):
    """Centred kernel alignment with the classes of the label column `target`; `debiased` is about 0 for labels by chance."""

    target: StrictStr
    estimator: Literal["debiased", "biased"] = "debiased"


class Geometry(Options):
    """Descriptors of one representation by itself."""

    participation_ratio: ParticipationRatio | None = None
    participation_ratio_corrected: ParticipationRatioCorrected | None = None
    participation_ratio_cv: ParticipationRatioCv | None = None
    effective_rank: EffectiveRank | None = None
    von_neumann_entropy: VonNeumannEntropy | None = None
    two_nn: TwoNn | None = None
    local_rank: LocalRank | None = None
    diffusion_entropy: DiffusionEntropy | None = None
    persistence_h0: PersistenceH0 | None = None
    persistence_h1: PersistenceH1 | None = None
    diffusion_information: DiffusionInformation | None = None
    parallelism: Parallelism | None = None
    ccgp: Ccgp | None = None
    label_alignment: LabelAlignment | None = None


GEOMETRY = tuple(Geometry.model_fields)
