"""Windows of time after a stimulus, of recordings that have bins: options."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr, model_validator

from isocortex.study.options.base import Number, Options, Positive

Window = Annotated[list[Annotated[Number, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)]
MILLISECOND = 1e-3


class Course(Options):
    """Windows of a time course: `width` seconds each, every `step` (by default the width) from `start` to `stop`; or `windows`.

    `methods`: which of the study's encoders, metrics of RDMs and decoders are computed in every window; by default all of them.
    """

    start: Number | None = None
    stop: Number | None = None
    width: Positive | None = None
    step: Positive | None = None
    windows: Annotated[list[Window], Field(min_length=1)] | None = None
    methods: Annotated[list[StrictStr], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Course:
        regular = {"start": self.start, "stop": self.stop, "width": self.width}
        missing = [name for name, value in regular.items() if value is None]
        if self.windows is not None and (len(missing) < 3 or self.step is not None):
            raise ValueError("give windows, or start, stop and width, not both")
        if self.windows is None and missing:
            raise ValueError(f"{missing[0]}: missing; expected start, stop and width in seconds, or windows: [[start, end], …]")
        if not self.all_windows():
            raise ValueError(
                f"found no window of {self.width:g} s between start {self.start:g} and stop {self.stop:g}, expected one or more"
            )
        for window in self.all_windows():
            check_window(window)
        if len(set(map(tuple, self.all_windows()))) < len(self.all_windows()):
            raise ValueError(f"windows: found {self.all_windows()}, expected each window once")
        return self

    def all_windows(self) -> list[list[float]]:
        """Every window [start, end] in seconds, in the order of time for those that are made of `width` and `step`."""
        if self.windows is not None:
            return [[float(edge) for edge in window] for window in self.windows]
        start, stop, width = float(self.start or 0), float(self.stop or 0), float(self.width or 0)
        step = float(self.step or width)
        n = max(0, int((stop - start - width) / step + 1 + 1e-6))
        return [[round(start + k * step, 6), round(start + k * step + width, 6)] for k in range(n)]


class Time(Options):
    """Of a recording in bins of time: the `window` that every region's responses are of, and the windows of a time `course`.

    Seconds after the stimulus's onset; without a window all bins are taken together.
    """

    window: Window | None = None
    course: Course | None = None

    @model_validator(mode="after")
    def _window_is_one(self) -> Time:
        if self.window is not None:
            check_window(self.window)
        return self


def check_window(window: list[float]) -> None:
    """A ValueError for a window that ends before it starts, or whose edges are no whole milliseconds (it is named by these)."""
    if window[0] >= window[1]:
        raise ValueError(f"found window {window}, expected [start, end] in seconds with start before end")
    if any(abs(edge / MILLISECOND - round(edge / MILLISECOND)) > 1e-6 for edge in window):
        raise ValueError(f"found window {window}, expected edges of whole milliseconds, as [0.05, 0.1]")


def window_name(window: list[float]) -> str:
    """A window by its edges in milliseconds, as `0050_0100`."""
    return "_".join(f"{round(edge / MILLISECOND):0{4 + (edge < 0)}d}" for edge in window)
