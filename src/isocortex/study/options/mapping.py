"""Identification of regions across subjects, and the searchlight: names and options."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictStr, field_validator, model_validator

from isocortex.study.options.base import Count, Number, Options, Positive


class Whole(Options):
    """A statistic of the RDM as it is; it has no options."""


class Plane(Options):
    """A statistic with two thresholds, chosen on the training subjects from a grid of quantiles `step` apart."""

    step: Annotated[float, Field(ge=0.02, le=0.2, strict=True)] = 0.05

    @field_validator("step")
    @classmethod
    def _divides_one(cls, value: float) -> float:
        if abs(round(1 / value) * value - 1) > 1e-9:
            raise ValueError(f"found {value}, expected a whole part of 1, as 0.05")
        return value


class Statistics(Options):
    """What regions are identified by: the RDM, its ranks, or a geo-topological transform of these (Lin & Kriegeskorte)."""

    rsa: Whole | None = None
    rsa_rank: Whole | None = None
    topology: Plane | None = None
    geometry: Plane | None = None
    trsa: Plane | None = None


class IdentifyRegions(Options):
    """Identification of regions across subjects: whose RDMs of the other subjects is a held-out subject's RDM nearest to?

    `stimuli`: numbers of stimuli, `subsets` random ones of each; `noise`: added, in standard deviations of the patterns (of
    the RDM, where there are only RDMs).
    """

    regions: Literal["all"] | Annotated[list[StrictStr], Field(min_length=2)] = "all"
    stimuli: Literal["all"] | Annotated[list[Annotated[int, Field(ge=3, strict=True)]], Field(min_length=1)] = "all"
    noise: Annotated[list[Annotated[Number, Field(ge=0, allow_inf_nan=False)]], Field(min_length=1)] = [0]
    subsets: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 200
    rdm: Literal["correlation", "euclidean", "cosine"] = "correlation"
    statistics: Statistics = Statistics(rsa=Whole(), rsa_rank=Whole(), topology=Plane(), geometry=Plane(), trsa=Plane())

    @model_validator(mode="after")
    def _each_once(self) -> IdentifyRegions:
        for key, found in (("stimuli", self.stimuli), ("noise", self.noise), ("regions", self.regions)):
            if found != "all" and len(set(found)) < len(found):
                raise ValueError(f"{key}: found {found}, expected each once")
        if all(getattr(self.statistics, name) is None for name in IDENTIFIERS):
            raise ValueError("statistics: found none; name one, as rsa: {}")
        return self


IDENTIFIERS = tuple(Statistics.model_fields)


class SearchlightRsa(Options):
    """RSA in every neighbourhood: all neuroids within `radius` mm, or the `nearest`; none with fewer than `min_neuroids`.

    `layer`: a layer's name, or model → layer; without one a place has the best of all layers, and so has every permutation.
    `correct`: p by the largest score of a map, or by clusters of places with a p of at most `cluster_p` by themselves.
    `common_space`: positions of all subjects are of one space, hence a mean map is made, too.
    """

    rdm: Literal["correlation", "euclidean", "cosine"] = "correlation"
    compare: Literal["rho_a", "spearman", "pearson", "cosine"] = "rho_a"
    radius: Positive = 6.0
    nearest: Count | None = None
    min_neuroids: Count = 10
    layer: StrictStr | dict[StrictStr, StrictStr] | None = None
    correct: Literal["max", "cluster"] = "max"
    permutations: Annotated[int, Field(ge=99, le=100_000, strict=True)] = 1000
    cluster_p: Annotated[float, Field(gt=0, le=0.05, strict=True)] = 0.001
    cluster_by: Literal["mass", "size"] = "mass"
    connectivity: Literal[6, 18, 26] = 26
    common_space: StrictBool = False

    @model_validator(mode="after")
    def _fits_together(self) -> SearchlightRsa:
        if self.nearest is not None and self.nearest < self.min_neuroids:
            raise ValueError(f"nearest: found {self.nearest}, expected at least min_neuroids, {self.min_neuroids}")
        if self.correct == "cluster" and (self.permutations + 1) * self.cluster_p < 1 - 1e-9:
            needed = math.ceil(1 / self.cluster_p - 1e-9) - 1
            raise ValueError(
                f"permutations: found {self.permutations}, expected at least {needed} for a cluster_p of {self.cluster_p:g}"
            )
        return self


class Searchlight(Options):
    """Metrics in a moving neighbourhood of neuroids, as maps."""

    rsa: SearchlightRsa | None = None
