"""Judgements of people: odd-one-out triplets and ratings of pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Number

Values = dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]]
Bound = Annotated[Number, Field(allow_inf_nan=False)]


class BehaviourSubject(Subject):
    """What both kinds say: a file, which of its rows, how it names stimuli, and the name of the region that it makes."""

    path: StrictStr
    region: StrictStr = "behaviour"
    where: Values = {}
    numbered_from: Literal[0, 1] | None = None
    unseen: Literal["refuse", "mean"] = "refuse"


class TripletsSubject(BehaviourSubject):
    """Three stimuli, one of which was the odd one."""

    adapter: Literal["triplets"]
    key: StrictStr | None = None
    columns: Annotated[list[StrictStr], Field(min_length=3, max_length=3)] = ["a", "b", "odd"]
    odd: StrictStr | None = None

    @model_validator(mode="after")
    def _odd_is_told_once(self) -> TripletsSubject:
        if self.odd is not None and self.odd in self.columns:
            raise ValueError(f"odd is {self.odd!r}, one of columns, expected the column that names the odd one; leave odd out")
        return self


class JudgementsSubject(BehaviourSubject):
    """Two stimuli and a rating of them."""

    adapter: Literal["judgements"]
    columns: Annotated[list[StrictStr], Field(min_length=2, max_length=2)] = ["i", "j"]
    value: StrictStr = "value"
    direction: Literal["similarity", "distance"]
    range: Annotated[list[Bound], Field(min_length=2, max_length=2)]
    judge: StrictStr | None = None

    @model_validator(mode="after")
    def _range_has_a_length(self) -> JudgementsSubject:
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range is {self.range}, expected [least, greatest] rating that could be given")
        return self
