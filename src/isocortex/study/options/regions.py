"""Regions, splits and inference: options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr, model_validator

from isocortex.study.options.base import Fraction, Options, Seed


class Region(Options):
    """A named set of neuroids: by default the data set's region of that name."""

    label: StrictStr | None = None
    of: StrictStr | None = None
    any_of: Annotated[list[StrictStr], Field(min_length=1)] | None = None
    where: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] | None = None
    min_reliability: Fraction | None = None
    encode: dict[str, Any] | None = None
    readout: dict[str, Any] | None = None
    compare: dict[str, Any] | None = None
    searchlight: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Region:
        if sum(way is not None for way in (self.of, self.any_of, self.where)) > 1:
            raise ValueError("give at most one of of, any_of, where")
        return self


class Splits(Options):
    """Which stimuli are held out; test: 0 means cross-validation over all stimuli."""

    test: Fraction = 0.2
    folds: Annotated[int, Field(ge=2, le=1000, strict=True)] = 5
    groups: StrictStr | None = None
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
