"""Dissimilarity matrices instead of responses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr, model_validator

from isocortex.study.adapters.base import Place, Subject
from isocortex.study.options.base import Number, Options

Row = Annotated[int, Field(ge=0, strict=True)]


class Reliability(Options):
    """A cell of a table: how reliable an RDM is."""

    path: StrictStr
    column: StrictStr
    where: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] = {}


class RdmPlace(Options):
    """One subject's RDM of one region: distances, or similarities that say of what kind."""

    path: StrictStr
    key: StrictStr | None = None
    index: Row | None = None
    similarity: Literal["correlation", "cosine", "none"] = "none"
    keep: Annotated[list[Row], Field(min_length=3)] | None = None
    drop: Annotated[list[Row], Field(min_length=1)] | None = None
    ids: Place | None = None
    reliability: Annotated[Number, Field(ge=-1, le=1)] | Reliability | None = None

    @model_validator(mode="after")
    def _one_way(self) -> RdmPlace:
        given = [name for name in ("keep", "drop", "ids") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"found {' and '.join(given)}, expected at most one of keep, drop, ids: each says which rows stay")
        return self


class RdmSubject(Subject):
    """RDMs instead of responses."""

    adapter: Literal["rdm"]
    rdms: Annotated[dict[StrictStr, RdmPlace], Field(min_length=1)]
