"""Regions, splits and inference: options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, model_validator

from isocortex.study.options.base import Fraction, Options, Seed
from isocortex.study.options.places import Placed


class Region(Placed):
    """A named set of neuroids: the data set's region of that name, or of another (`of`), or of several together (`any_of`).

    What else is given cuts it: values of coordinates (`where`), a mask, labels of an atlas, spheres, bounds. Where that is
    given alone, it is cut out of all neuroids.
    """

    label: StrictStr | None = None
    of: StrictStr | None = None
    any_of: Annotated[list[StrictStr], Field(min_length=1)] | None = None
    min_reliability: Fraction | None = None
    encode: dict[str, Any] | None = None
    readout: dict[str, Any] | None = None
    compare: dict[str, Any] | None = None
    searchlight: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Region:
        if self.of is not None and self.any_of is not None:
            raise ValueError("give at most one of of, any_of")
        return self


class Splits(Options):
    """Which stimuli are held out; test: 0 means cross-validation over all stimuli.

    `groups`: label columns whose values stay together. `near_duplicates`: whether pictures that are nearly the same do.
    """

    test: Fraction = 0.2
    folds: Annotated[int, Field(ge=2, le=1000, strict=True)] = 5
    groups: StrictStr | Annotated[list[StrictStr], Field(min_length=1)] | None = None
    near_duplicates: StrictBool = True
    seed: Seed = 0
    kind: Literal["stimulus", "blocked", "run"] = "stimulus"
    gap: Annotated[int, Field(ge=0, strict=True)] = 0

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Splits:
        if self.gap and self.kind != "blocked":
            raise ValueError(f"gap is {self.gap} with kind: {self.kind}, expected kind: blocked; only blocks have neighbours")
        if self.groups and self.kind == "blocked":
            raise ValueError("groups go with kind: stimulus or run; blocks of time would divide them")
        return self


class Inference(Options):
    """How numbers get their nulls and intervals."""

    primary: StrictStr | None = None
    generalise: Literal["auto", "stimulus", "subject"] = "auto"
    confidence: Annotated[float, Field(gt=0.5, lt=1, strict=True)] = 0.95
    seed: Seed = 0
    draws: Annotated[int, Field(ge=100, le=100_000, strict=True)] = 1000
    permutations: Literal["auto"] | Annotated[int, Field(ge=99, le=1_000_000, strict=True)] = "auto"
