"""The map of all regions of all subjects: names and options of its distances."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr, model_validator

from isocortex.study.options.base import Count, Options


class SpaceShape(Options):
    """Shape distance of condition means: what is left after the best alignment.

    `alpha`: 1 leaves each region's own axes, 0 whitens them; `kind`: the angle, or the length of what is left; `group`: what
    aligns, a rotation or a matching of units.
    """

    alpha: Annotated[float, Field(ge=0, le=1, strict=True)] = 1.0
    kind: Literal["angular", "euclidean"] = "angular"
    group: Literal["orthogonal", "permutation"] = "orthogonal"

    @model_validator(mode="after")
    def _fits_its_group(self) -> SpaceShape:
        if self.group != "orthogonal" and self.alpha != 1.0:
            raise ValueError(f"alpha: found {self.alpha:g} with group: {self.group}, expected 1.0; whitening mixes units")
        return self


class SpaceStochasticShape(Options):
    """Shape distance of the trials' distributions.

    `alpha`: 0 compares covariances only, 2 means only (Gaussian); a condition has at least `least_trials` trials on either
    side; `blocks`: stretches of time that halves are made of, and that trials are shuffled within; `splits`: halves that are
    averaged; `shuffles`: of each null.
    """

    distribution: Literal["auto", "gaussian", "energy"] = "auto"
    alpha: Annotated[float, Field(ge=0, le=2, strict=True)] = 1.0
    least_trials: Annotated[int, Field(ge=4, le=1000, strict=True)] = 8
    blocks: Annotated[int, Field(ge=2, le=1000, strict=True)] = 10
    splits: Annotated[int, Field(ge=1, le=1000, strict=True)] = 20
    shuffles: Annotated[int, Field(ge=19, le=10_000, strict=True)] = 99


class Space(Options):
    """Distances between all regions, of all subjects, that have `least_units` units or more, and a map of them."""

    shape: SpaceShape | None = None
    stochastic_shape: SpaceStochasticShape | None = None
    regions: Literal["all"] | Annotated[list[StrictStr], Field(min_length=1)] = "all"
    least_units: Count = 10

    @model_validator(mode="after")
    def _something(self) -> Space:
        if all(getattr(self, name) is None for name in SPACES):
            raise ValueError(f"found no distance; name one of {', '.join(SPACES)}, as shape: {{}}")
        if self.regions != "all" and len(set(self.regions)) < len(self.regions):
            raise ValueError(f"regions: found {self.regions}, expected each once")
        return self

    def job(self) -> dict[str, Any]:
        """Methods with their options, and the halves that all of them are judged by."""
        halves = (self.stochastic_shape or SpaceStochasticShape()).model_dump(include=set(HALVES))
        return {
            "methods": {
                name: getattr(self, name).model_dump(exclude=set(HALVES)) for name in SPACES if getattr(self, name) is not None
            },
            "halves": halves,
            "least_units": self.least_units,
        }


# Options of the stochastic shape that the shape is judged by, too.
HALVES = ("least_trials", "blocks", "splits", "shuffles")
SPACES = ("shape", "stochastic_shape")
