"""Responses in an array."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictStr, field_validator, model_validator

from isocortex.study.adapters.base import Place, Subject
from isocortex.study.options.base import Number, Positive


class Bins(Place):
    """Bins of time: an array of their starts or edges, or the first's start and the length of all, in seconds."""

    start: Annotated[Number, Field(allow_inf_nan=False)] | None = None
    step: Positive | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Bins:
        if (self.start is None) != (self.step is None) or (self.step is None) == (self.key is None and self.path is None):
            raise ValueError("expected {key: …}, the starts or edges of the bins, or {start: …, step: …}, in seconds")
        return self


class ArraySubject(Subject):
    """Responses in an array: NPZ, NPY, Zarr, netCDF, HDF5 or MAT."""

    adapter: Literal["npz", "zarr", "netcdf", "hdf5", "mat"]
    path: StrictStr
    key: StrictStr | None = None
    dims: Annotated[list[Literal["presentation", "stimulus", "repeat", "neuroid", "time"]], Field(min_length=2, max_length=4)]
    stimulus_id: Place | None = None
    neuroid: dict[StrictStr, Place] = {}
    time: Bins | None = None
    over_time: Literal["sum", "mean"] | None = None
    affine: Place | None = None
    shape: Place | None = None

    @field_validator("dims")
    @classmethod
    def _dims_fit(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value) or "neuroid" not in value or ("presentation" in value) == ("stimulus" in value):
            raise ValueError(f"found {value}, expected neuroid with stimulus (and repeat), or neuroid with presentation")
        if {"presentation", "repeat"} <= set(value):
            raise ValueError(f"found {value}, expected repeat beside stimulus only; presentations are numbered by themselves")
        return value

    @model_validator(mode="after")
    def _time_is_told(self) -> ArraySubject:
        timed = "time" in self.dims
        if timed and (self.time is None or self.over_time is None):
            raise ValueError(
                "dims has time, expected time: {key: …} or {start: 0, step: 0.01} (seconds) and over_time: sum (counts) or mean"
            )
        if not timed and (self.time is not None or self.over_time is not None):
            raise ValueError(f"found time or over_time and dims {self.dims}, expected time among dims; add it, or leave those")
        return self
