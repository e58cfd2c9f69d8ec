"""What every option type is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

Number = StrictFloat | StrictInt
Fraction = Annotated[float, Field(ge=0, lt=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]


class Options(BaseModel):
    """A mapping of the study with known keys only; defaults fill what is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)
