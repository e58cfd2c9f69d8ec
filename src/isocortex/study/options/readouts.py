"""Readouts: names and options of the heads from spatial feature maps to responses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictStr, field_validator

from isocortex.study.options.base import Count, Options, Positive, Seed

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Alphas = Literal["auto"] | Annotated[list[Positive], Field(min_length=1)]
# What a warp may be made of; any of them joined by "+", all six numbers freely ("full"), or nothing.
MOVES = ("translation", "rotation", "scale", "shear")


class Linear(Options):
    """Fully linear readout: ridge on the flattened maps, one penalty per neuroid."""

    alphas: Alphas = "auto"


class Trained(Options):
    """What all readouts share that are trained by gradients.

    A neuroid's rate falls after `patience` epochs without gain on the validation stimuli, and its training ends after the third
    such stretch. `mixed`: products in bfloat16, everything that adds up in float32; `auto` is that on CUDA.
    """

    epochs: Count = 200
    patience: Count = 10
    batch: Count = 64
    learning_rate: Positive = 0.01
    precision: Literal["auto", "float32", "mixed"] = "auto"
    seed: Seed = 0


class Factorized(Trained):
    """Factorised readout: one spatial mask and one feature vector per neuroid (Klindt et al. 2017)."""

    sparsity: Weight = 0.0
    l2: Weight = 1e-3
    smoothness: Weight = 0.0
    nonnegative: Literal["none", "masks", "features", "both"] = "none"


class Gaussian(Trained):
    """Gaussian readout: the features at one place per neuroid, sampled around it while it is learnt (Lurz et al. 2021)."""

    covariance: Literal["full", "isotropic", "uncorrelated"] = "full"
    spread: Positive = 0.1
    align_corners: StrictBool = True
    sparsity: Weight = 0.0
    l2: Weight = 1e-3


class Fwrf(Options):
    """Feature-weighted receptive field: the best of a pyramid of Gaussian fields, and ridge on what it pools."""

    sizes: Count = 8
    smallest: Positive = 0.03
    largest: Positive = 0.4
    span: Positive = 1.1
    nonlinearity: Literal["none", "log"] = "none"
    alphas: Alphas = "auto"


class Guide(Options):
    """The model and layer whose maps the localiser sees."""

    model: StrictStr
    layer: StrictStr


class Semantic(Trained):
    """Semantic spatial transformer: a mask per neuroid that is moved for every image by what is on it.

    `nested`: a neuroid whose warp gains no more than a standard error on the validation stimuli keeps the fit without one.
    """

    warp: StrictStr = "full"
    nested: StrictBool = True
    guide: Guide | None = None
    l2: Weight = 1e-3
    channels: Count = 4
    hidden: Count = 32
    weight_decay: Weight = 1.0

    @field_validator("warp")
    @classmethod
    def _known_warp(cls, value: str) -> str:
        parts = value.split("+")
        if value not in ("full", "none") and (len(set(parts)) < len(parts) or not set(parts) <= set(MOVES)):
            raise ValueError(f"found {value!r}, expected full, none, or some of {', '.join(MOVES)} joined by '+'")
        return value
