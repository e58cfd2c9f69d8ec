"""Generic Object Decoding: one file of bdpy per subject."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictStr, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Options


class GodFile(Options):
    """A subject's file."""

    path: StrictStr


class GodSubject(Subject):
    """Trials of one of the five subjects; `file` is made from `number` where it is not given."""

    adapter: Literal["god"]
    number: Annotated[int, Field(ge=1, le=5, strict=True)]
    trials: Annotated[list[Literal["training", "test", "imagery"]], Field(min_length=1)] = ["training", "test"]
    file: GodFile | None = None

    @model_validator(mode="after")
    def _known_file(self) -> Self:
        if self.file is None:
            object.__setattr__(self, "file", GodFile(path=f"Subject{self.number}.h5"))
        return self
