"""Electrodes and sensors, through MNE-Python: epochs, or a continuous recording with a table of events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.adapters.nwb import Value
from isocortex.study.adapters.timed import Span, check_span
from isocortex.study.options.base import Options, Positive


class Companion(Options):
    """A file that is read along with another, as the .eeg and .vmrk of a .vhdr."""

    path: StrictStr


class Events(Options):
    """A table (TSV or CSV) of events; `stimulus` is the column of stimulus ids. Onsets are in s from the recording's start."""

    path: StrictStr
    onset: StrictStr = "onset"
    stimulus: StrictStr | Annotated[list[StrictStr], Field(min_length=1)] = "trial_type"
    where: dict[StrictStr, Annotated[list[Value], Field(min_length=1)]] = {}
    drop: dict[StrictStr, Annotated[list[Value], Field(min_length=1)]] = {}


class Channels(Options):
    """A table (TSV or CSV) with a row per channel, whose columns `labels` tell regions."""

    path: StrictStr
    name: StrictStr = "name"
    labels: Annotated[list[StrictStr], Field(min_length=1)]


class MneSubject(Subject):
    """What MNE reads: epochs (.fif), or with `events` a continuous recording of any of its formats.

    `window` and `baseline` are seconds after the onset, from the start up to the end; `bin` is the width of the bins that
    samples are averaged in, one of each sample where it is left out; `stimulus` is a column of the epochs' metadata.
    """

    adapter: Literal["mne"]
    path: StrictStr
    companions: list[Companion] = []
    events: Events | None = None
    stimulus: StrictStr | None = None
    window: Span | None = None
    bin: Positive | None = None
    baseline: Span | None = None
    types: list[StrictStr] = []
    channels: Channels | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> MneSubject:
        for name in ("window", "baseline"):
            try:
                check_span(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        if self.events is not None and self.window is None:
            raise ValueError("window: missing; say [start, end] in seconds after each event")
        if self.events is not None and self.stimulus is not None:
            raise ValueError("stimulus: found beside events; name the column there, 'events: {stimulus: …}'")
        for name in ("session", "run"):
            place = getattr(self, name)
            if place is not None and (place.value is None or place.column or place.key or place.path):
                raise ValueError(f"{name}: expected {{value: …}}, one for the whole file")
        return self
