"""fMRI in volumes: estimates per trial or condition, or runs for a GLM or as time series."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from isocortex.study.adapters.base import Place, Subject
from isocortex.study.options.base import Count, Fraction, Options, Positive

Whole = Annotated[int, Field(ge=0, strict=True)]


class Volumes(Options):
    """A 3D or 4D image, or the volumes `volumes[0]` up to (without) `volumes[1]` of one."""

    path: StrictStr
    volumes: Annotated[list[Whole], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _some_volume(self) -> Self:
        if self.volumes and self.volumes[0] >= self.volumes[1]:
            raise ValueError(f"volumes: found {self.volumes}, expected the first and one more than the last, from 0")
        return self


class Betas(Volumes):
    """Estimates: one stimulus for all volumes of the file, or an id per volume."""

    stimulus_id: StrictStr | None = None
    ids: Place | None = None
    session: StrictStr = ""
    run: StrictInt = 0

    @model_validator(mode="after")
    def _known_once(self) -> Self:
        if (self.stimulus_id is None) == (self.ids is None):
            raise ValueError("expected one of stimulus_id (of all volumes) and ids: {path: …, column: …} (one per volume)")
        return self


class Events(Options):
    """A BIDS table of events; with `per: volume` a table with a label for each volume of the run, or of the whole file.

    `column: "*"`: the whole row is the label, that of a pattern of 0 and 1, and the table has no header.
    """

    path: StrictStr
    column: StrictStr = "trial_type"
    per: Literal["event", "volume"] = "event"
    separator: Annotated[str, Field(min_length=1, max_length=1, strict=True)] | None = None

    @model_validator(mode="after")
    def _rows_are_of_volumes(self) -> Self:
        if self.column == "*" and self.per != "volume":
            raise ValueError('column: found "*" with per: event, expected per: volume, where a row may be a pattern')
        return self


class Confounds(Options):
    """Columns of a table with a row per volume."""

    path: StrictStr
    columns: Annotated[list[StrictStr], Field(min_length=1)]


class Run(Options):
    """One run; `tr`, seconds between volumes, where the header does not say it or says it wrongly."""

    bold: Volumes
    events: Events | None = None
    confounds: Confounds | None = None
    session: StrictStr = ""
    run: StrictInt = 0
    tr: Positive | None = None


class Glm(Options):
    """How events become estimates; see `isocortex.recordings.fmri.glm`. `leave_out`: labels that are no stimulus."""

    model: Literal["lsa", "lss", "condition"] = "lsa"
    hrf: Literal["spm", "glover", "spm + derivative", "glover + derivative", "fir", "none"] = "glover"
    fir_delays: Annotated[list[Whole], Field(min_length=1)] = [1, 2, 3]
    drift: Literal["cosine", "polynomial"] | None = "cosine"
    drift_order: Count = 1
    high_pass: Positive = 0.01
    standardize: Literal["percent", "zscore", "none"] = "percent"
    noise: Literal["ar1", "ols"] = "ar1"
    slice_time: Fraction = 0.0
    leave_out: list[StrictStr] = []


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


class NiftiSubject(Subject):
    """NIfTI images."""

    adapter: Literal["nifti"]
    betas: list[Betas] = []
    scale: Positive = 1.0
    runs: list[Run] = []
    glm: Glm | None = None
    series: StrictBool = False
    smoothing: Positive | None = None
    mask: Image | None = None
    labels: dict[StrictStr, LabelImage] = {}
    resample: Literal["refuse", "nearest"] = "refuse"
    space: StrictStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("betas"), dict):
            return {**value, "betas": [value["betas"]]}
        return value

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Self:
        if bool(self.betas) == bool(self.runs):
            raise ValueError(f"found {'both' if self.betas else 'neither'} betas and runs, expected one of them")
        if self.runs and self.series == (self.glm is not None):
            raise ValueError("runs: expected either glm: {…}, or series: true")
        if self.betas and (self.series or self.glm):
            raise ValueError("betas: found glm or series beside them, which are for runs; leave it out")
        if self.glm and (missing := [run.bold.path for run in self.runs if run.events is None]):
            raise ValueError(f"runs: {missing[0]} has no events, which a GLM needs; say events: {{path: …_events.tsv}}")
        return self
