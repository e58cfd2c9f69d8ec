"""What every adapter needs to know of a subject."""

from __future__ import annotations

from pydantic import StrictStr

from isocortex.study.options.base import Count, Options


class Place(Options):
    """An array in a file, or one value for all."""

    path: StrictStr | None = None
    key: StrictStr | None = None
    value: StrictStr | None = None
    column: StrictStr | None = None


class Subject(Options):
    """What every adapter needs to know of a subject."""

    stimuli: StrictStr
    repeats: Count = 1
    session: Place | None = None
    run: Place | None = None
