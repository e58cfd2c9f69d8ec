"""Sessions of Steinmetz et al. (2019)."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictStr, field_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Positive


class SteinmetzSubject(Subject):
    """One session of spike counts in bins of 10 ms from the stimulus on; `bin`: the width of the bins that are kept, in s."""

    adapter: Literal["steinmetz"]
    path: StrictStr
    bin: Positive = 0.01

    @field_validator("bin")
    @classmethod
    def _bin_is_of_whole_bins(cls, value: float) -> float:
        if abs(value * 100 - round(value * 100)) > 1e-6 or value < 0.01:
            raise ValueError(f"found {value:g}, expected a multiple of 0.01, the width in seconds of the bins of the file")
        return value
