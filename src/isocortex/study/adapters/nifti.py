"""fMRI in volumes: estimates per trial or condition, or runs for a GLM or as time series."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from isocortex.study.adapters.glm import Estimates, Measured, Run, Whole
from isocortex.study.options.base import Options, Positive


class Volumes(Options):
    """A 3D or 4D image, or the volumes `volumes[0]` up to (without) `volumes[1]` of one."""

    path: StrictStr
    volumes: Annotated[list[Whole], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _some_volume(self) -> Self:
        if self.volumes and self.volumes[0] >= self.volumes[1]:
            raise ValueError(f"volumes: found {self.volumes}, expected the first and one more than the last, from 0")
        return self


class Betas(Volumes, Estimates):
    """Estimates: one stimulus for all volumes of the file, or an id per volume."""

    stimulus_id: StrictStr | None = None

    @model_validator(mode="after")
    def _known_once(self) -> Self:
        if (self.stimulus_id is None) == (self.ids is None):
            raise ValueError("expected one of stimulus_id (of all volumes) and ids: {path: …, column: …} (one per volume)")
        return self


class VolumeRun(Run):
    """One run."""

    bold: Volumes


class Image(Options):
    """A mask."""

    path: StrictStr


class LabelTable(Options):
    """A table with a row per label."""

    path: StrictStr
    index: StrictStr = "index"
    name: StrictStr = "name"


class LabelImage(Options):
    """A mask, or an image of whole numbers that `names` or `table` name."""

    path: StrictStr
    names: dict[StrictInt, StrictStr] | None = None
    table: LabelTable | None = None


class NiftiSubject(Measured):
    """NIfTI images."""

    adapter: Literal["nifti"]
    betas: list[Betas] = []
    scale: Positive = 1.0
    runs: list[VolumeRun] = []
    smoothing: Positive | None = None
    mask: Image | None = None
    labels: dict[StrictStr, LabelImage] = {}
    resample: Literal["refuse", "nearest"] = "refuse"

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("betas"), dict):
            return {**value, "betas": [value["betas"]]}
        return value

    @model_validator(mode="after")
    def _events_of_every_run(self) -> Self:
        if self.glm and (missing := [run.bold.path for run in self.runs if run.events is None]):
            raise ValueError(f"runs: {missing[0]} has no events, which a GLM needs; say events: {{path: …_events.tsv}}")
        return self
