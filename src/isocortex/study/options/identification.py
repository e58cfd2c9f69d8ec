"""Identification of models: known models stand in for a region, and every method is asked to name them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr, model_validator

from isocortex.study.options.base import Count, Number, Options

Part = Annotated[Number, Field(gt=0, le=1)]
Level = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
Measured = Literal["units", "voxels", "nonlinear"]
MEASUREMENTS: tuple[str, ...] = ("units", "voxels", "nonlinear")


class IdentifyModels(Options):
    """Would the study's methods know the right model at a region's noise? Known models are put in its place.

    `worlds` are simulated at the region's own size and noise, and a quarter of them at every other level of `stimuli`, `noise`
    (times the measured standard deviation) and `neuroids`. `kinds`: name → {models: [of the study]}, {like: a model of the
    study, weights: random, seeds: [...]}, or a model's entry with `seeds`; `default: {}` among them stands for the eight
    families and the study's own models that are taken where none is named. `max_units` of each layer are kept, and at most
    `max_neuroids` of a subject's neuroids, drawn at random.
    """

    regions: Literal["all"] | Annotated[list[StrictStr], Field(min_length=1)] = "all"

    worlds: Annotated[int, Field(ge=8, le=10_000, strict=True)] = 200
    stimuli: Annotated[list[Part], Field(min_length=1)] = [0.25, 0.5, 1]
    noise: Annotated[list[Level], Field(min_length=1)] = [0, 1, 2]
    neuroids: Annotated[list[Part], Field(min_length=1)] = [0.5, 1]
    measurements: Annotated[list[Measured], Field(min_length=1)] = ["units", "voxels", "nonlinear"]
    kinds: Literal["default"] | Annotated[dict[StrictStr, dict[StrictStr, Any]], Field(min_length=1)] = "default"
    methods: Literal["all"] | Annotated[list[StrictStr], Field(min_length=1)] = "all"
    max_units: Count = 500
    max_neuroids: Count = 500

    @model_validator(mode="after")
    def _each_once(self) -> IdentifyModels:
        for key in ("regions", "stimuli", "noise", "neuroids", "measurements", "methods"):
            found = getattr(self, key)
            if found != "all" and len(set(found)) < len(found):
                raise ValueError(f"{key}: found {found}, expected each once")
        return self
