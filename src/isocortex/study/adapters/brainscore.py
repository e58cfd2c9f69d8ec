"""Assemblies of Brain-Score."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr

from isocortex.study.adapters.base import Subject


class BrainscoreSubject(Subject):
    """One netCDF file of presentations × neuroids × time bins.

    `where` keeps the neuroids whose levels have these values ({animal: [Tito]}).
    """

    adapter: Literal["brainscore"]
    path: StrictStr
    variable: StrictStr | None = None
    where: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] = {}
