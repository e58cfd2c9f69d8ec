"""Responses around the onset of each stimulus, in bins of time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Number, Positive

Span = Annotated[list[Annotated[Number, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)]


def check_span(value: list[float] | None) -> None:
    """Raise `ValueError` for a stretch of time that ends before it starts."""
    if value is not None and value[1] <= value[0]:
        raise ValueError(f"found {value}, expected its end after its start")


class TimedSubject(Subject):
    """What is recorded from `window[0]` to `window[1]` seconds after each onset, in bins of `bin` seconds."""

    window: Span = [0.0, 0.4]
    bin: Positive | None = 0.01

    @model_validator(mode="after")
    def _bins_fill_the_window(self) -> TimedSubject:
        try:
            check_span(self.window)
        except ValueError as error:
            raise ValueError(f"window: {error}") from None
        if self.bin is not None:
            n = (self.window[1] - self.window[0]) / self.bin
            if n < 1 - 1e-6 or abs(n - round(n)) > 1e-6:
                raise ValueError(f"bin: found {self.bin:g}, expected a width that fills the window {self.window} in whole bins")
        return self
