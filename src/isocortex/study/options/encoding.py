"""Encoders, readouts, decoders and joint encoders: names and options."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from isocortex.study.options.base import Count, Number, Options, Positive, Seed
from isocortex.study.options.readouts import Factorized, Fwrf, Gaussian, Linear, Semantic


class Ridge(Options):
    """Ridge regression with one penalty per neuroid."""

    alphas: Literal["auto"] | Annotated[list[Positive], Field(min_length=1)] = "auto"


class Pls(Options):
    """Partial least squares with a fixed number of components; Brain-Score's has `standardize: false`."""

    components: Count = 25
    standardize: StrictBool = True


class Fractional(Options):
    """Fractional ridge: weights a fraction as long as those of least squares, one fraction per neuroid."""

    fractions: Annotated[list[Annotated[float, Field(gt=0, le=1, strict=True)]], Field(min_length=1)] = [
        0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
    ]  # fmt: skip


class Detrend(Options):
    """Slow drift of a run taken out of its responses: Savitzky–Golay over `window` seconds, `tr` seconds per sample."""

    tr: Positive
    window: Positive = 120.0
    order: Annotated[int, Field(ge=0, le=10, strict=True)] = 3


class Encode(Options):
    """Encoders: features → responses by regression; `delays` (samples) makes time series of their stimuli."""

    ridge: Ridge | None = None
    pls: Pls | None = None
    fractional: Fractional | None = None
    delays: Annotated[list[StrictInt], Field(min_length=1)] | None = None
    detrend: Detrend | None = None
    zscore_runs: StrictBool | None = None

    @model_validator(mode="after")
    def _delays_of_encoders(self) -> Encode:
        if self.delays and len(set(self.delays)) < len(self.delays):
            raise ValueError(f"delays: found {self.delays}, expected each delay once")
        methods = (getattr(self, name) for name in type(self).model_fields if name not in NOT_METHODS)
        if self.delays and all(method is None for method in methods):
            raise ValueError("delays: found no encoder beside them; name one, as ridge: {}")
        return self


class Readout(Options):
    """Readouts: trained heads on spatial feature maps; `layers` says which layers of which models give their maps."""

    linear: Linear | None = None
    factorized: Factorized | None = None
    gaussian: Gaussian | None = None
    fwrf: Fwrf | None = None
    semantic: Semantic | None = None
    layers: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] = {}


class Decoder(Options):
    """Decoder: responses, or a model's layers, → the labels of a column of the stimulus table.

    `unit`: responses averaged over repeats, or single presentations, of which a region has some and no model has any. `above`:
    the target is a number, and what is decoded is whether it is above this one. `folds`: single stimuli, whole `groups`, blocks
    of time, or, for comparison only, presentations at random. `penalty`: what is tried, in units of a pattern's mean square.
    """

    target: StrictStr
    classifier: Literal["logistic", "ridge", "lda"] = "logistic"
    unit: Literal["stimulus", "presentation"] = "stimulus"
    above: Annotated[Number, Field(allow_inf_nan=False)] | None = None
    folds: Literal["stimulus", "grouped", "blocked", "random"] = "stimulus"
    groups: StrictStr | None = None
    penalty: Literal["auto"] | Annotated[list[Positive], Field(min_length=1)] = "auto"

    @model_validator(mode="after")
    def _fits_together(self) -> Decoder:
        if self.folds == "grouped" and self.groups is None:
            raise ValueError("groups: missing; folds: grouped needs the column whose values are held out together")
        if self.folds in ("stimulus", "random") and self.groups is not None:
            raise ValueError(f"groups: found {self.groups!r} with folds: {self.folds}, expected folds: grouped or blocked")
        if self.folds == "random" and self.unit != "presentation":
            raise ValueError("folds: found random with unit: stimulus, expected unit: presentation, or folds: stimulus")
        if self.classifier == "lda" and self.penalty != "auto":
            raise ValueError("penalty: found with classifier: lda, which sets its own shrinkage; leave it out")
        return self


class Banded(Options):
    """Banded ridge: a penalty per feature space and neuroid; `candidates`: weights of the spaces that are tried."""

    candidates: Count = 30
    alphas: Literal["auto"] | Annotated[list[Positive], Field(min_length=1)] = "auto"
    seed: Seed = 0


class Stacking(Options):
    """Stacked ridge: a ridge per feature space, and a convex combination of them per neuroid."""


class Joint(Options):
    """Joint encoder: `of` names its feature spaces, each `model` (every layer is one) or `model/layer`."""

    of: Annotated[list[StrictStr], Field(min_length=1)]
    label: StrictStr | None = None
    banded: Banded | None = None
    stacking: Stacking | None = None

    @model_validator(mode="after")
    def _some_method(self) -> Joint:
        if all(getattr(self, name) is None for name in JOINT):
            raise ValueError(f"found no method, expected {' or '.join(JOINT)}; name one, as banded: {{}}")
        return self


NOT_METHODS = frozenset({"layers", "delays", "detrend", "zscore_runs"})  # keys of encode and readout that name no method
ENCODERS = tuple(name for name in Encode.model_fields if name not in NOT_METHODS)
READOUTS = tuple(name for name in Readout.model_fields if name not in NOT_METHODS)
JOINT = tuple(name for name in Joint.model_fields if name not in ("of", "label"))
CLASSIFIERS: tuple[str, ...] = get_args(Decoder.model_fields["classifier"].annotation)
