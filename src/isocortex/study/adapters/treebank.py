"""Brain Treebank: intracranial recordings while films are watched, with the onset of every word."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr, model_validator

from isocortex.study.adapters.timed import TimedSubject
from isocortex.study.options.base import Options, Positive


class File(Options):
    """A file of the data set."""

    path: StrictStr


class Localization(Options):
    """The table of electrodes; `labels` are its columns that tell regions."""

    path: StrictStr
    labels: Annotated[list[StrictStr], Field(min_length=1)] = ["DesikanKilliany"]


class Words(Options):
    """The table of a film's words: `id` is the column that holds stimulus ids."""

    path: StrictStr
    id: StrictStr = "Unnamed: 0"


class TreebankSubject(TimedSubject):
    """One film of one subject: `path` is its recording; `subject_key` names the subject among the corrupted electrodes.

    `signal` is raw (the mean per bin) or high_gamma (the mean power per bin of what lies within `band`, in Hz).
    """

    adapter: Literal["brain_treebank"]
    path: StrictStr
    electrodes: File
    words: Words
    timings: File
    localization: Localization | None = None
    corrupted: File | None = None
    subject_key: StrictStr | None = None
    rate: Positive = 2048.0
    signal: Literal["raw", "high_gamma"] = "raw"
    band: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [70.0, 150.0]

    @model_validator(mode="after")
    def _band_is_below_half_the_rate(self) -> TreebankSubject:
        if not self.band[0] < self.band[1] < self.rate / 2:
            raise ValueError(f"band: found {self.band}, expected [low, high] below {self.rate / 2:g} Hz, half the rate")
        if (self.corrupted is None) != (self.subject_key is None):
            raise ValueError("subject_key: goes with corrupted: the subject's name in that file, as sub_1; give both or none")
        return self
