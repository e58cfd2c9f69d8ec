"""Neurodata Without Borders: spikes of units, or series of signals, around the trials of a table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, model_validator

from isocortex.study.adapters.base import Place
from isocortex.study.adapters.timed import TimedSubject
from isocortex.study.options.base import Number, Options

Value = Number | StrictStr
Limits = Annotated[list[Annotated[Number, Field(allow_inf_nan=False)] | None], Field(min_length=2, max_length=2)]


class Trials(Options):
    """The table of trials: `trials`, or the name of a table of intervals.

    `stimulus` is the column of stimulus ids, or a list of columns that are labels of the stimulus set. Rows are kept by
    `where`, left out by `drop` ({column: [values]}).
    """

    table: StrictStr = "trials"
    onset: StrictStr = "start_time"
    stimulus: StrictStr | Annotated[list[StrictStr], Field(min_length=1)]
    where: dict[StrictStr, Annotated[list[Value], Field(min_length=1)]] = {}
    drop: dict[StrictStr, Annotated[list[Value], Field(min_length=1)]] = {}


class Units(Options):
    """Units, and where each lies: `region` is a column of the units, or of the electrodes that `electrode` points to."""

    region: StrictStr | None = "location"
    electrode: StrictStr = "electrodes"
    where: dict[StrictStr, Annotated[list[Value], Field(min_length=1)]] = {}
    limits: dict[StrictStr, Limits] = {}
    labels: list[StrictStr] = []
    unassigned: Literal["refuse", "drop", "label"] = "refuse"
    sort: StrictBool = False


class Series(Options):
    """A series of signals (time, channel) of a processing module, or of the acquisition where `module` is left out."""

    name: StrictStr
    module: StrictStr | None = None
    region: StrictStr | None = None
    labels: list[StrictStr] = []
    unassigned: Literal["refuse", "drop", "label"] = "refuse"


class NwbSubject(TimedSubject):
    """One NWB file: spikes of `units` (counts per bin), or a `series` (means per bin)."""

    adapter: Literal["nwb"]
    path: StrictStr
    trials: Trials
    units: Units = Units()
    series: Series | None = None
    position: Literal["um", "mm"] = "um"

    @model_validator(mode="after")
    def _places_are_of_the_table(self) -> NwbSubject:
        for name in ("session", "run"):
            place: Place | None = getattr(self, name)
            if place is not None and ((place.value is None) == (place.column is None) or place.key or place.path):
                raise ValueError(f"{name}: found {_said(place)}, expected {{value: …}} or {{column: …}} of the table of trials")
        return self


def _said(place: Place) -> dict[str, Any]:
    return {key: value for key, value in place.model_dump().items() if value is not None}
