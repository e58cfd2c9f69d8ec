"""Assemblies of Brain-Score."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr, field_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Number


class BrainscoreSubject(Subject):
    """One netCDF file of presentations × neuroids × time bins.

    `where` keeps the neuroids whose levels have these values ({animal: [Tito]}); `window` averages the time bins that lie
    within it, in seconds after the stimulus.
    """

    adapter: Literal["brainscore"]
    path: StrictStr
    variable: StrictStr | None = None
    where: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] = {}
    window: Annotated[list[Annotated[Number, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)] | None = None

    @field_validator("window")
    @classmethod
    def _window_is_in_order(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError(f"found {value}, expected its end after its start")
        return value
