"""Runs of fMRI over any grid: their events and confounds, the model that makes estimates of them, and what goes together."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from isocortex.study.adapters.base import Place, Subject
from isocortex.study.options.base import Count, Fraction, Options, Positive

Whole = Annotated[int, Field(ge=0, strict=True)]
Terms = Literal["basic", "power2", "derivatives", "full"]


class Named(Options):
    """One file."""

    path: StrictStr


class Events(Named):
    """A BIDS table of events; with `per: volume` a table with a label for each volume of the run, or of the whole file.

    `column: "*"`: the whole row is the label, that of a pattern of 0 and 1, and the table has no header.
    """

    column: StrictStr = "trial_type"
    per: Literal["event", "volume"] = "event"
    separator: Annotated[str, Field(min_length=1, max_length=1, strict=True)] | None = None

    @model_validator(mode="after")
    def _rows_are_of_volumes(self) -> Self:
        if self.column == "*" and self.per != "volume":
            raise ValueError('column: found "*" with per: event, expected per: volume, where a row may be a pattern')
        return self


class ConfoundColumns(Options):
    """Columns of a table with a row per volume, by their names or by a strategy of nilearn's `load_confounds`."""

    columns: list[StrictStr] = []
    strategy: list[Literal["motion", "wm_csf", "global_signal", "compcor", "high_pass"]] = []
    motion: Terms = "full"
    wm_csf: Terms = "basic"
    global_signal: Terms = "basic"
    compcor: Literal["anat_combined", "anat_separated", "temporal"] = "anat_combined"
    n_compcor: StrictInt | Literal["all"] = "all"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.columns) == bool(self.strategy):
            raise ValueError("expected either columns or strategy")
        return self


class Confounds(ConfoundColumns):
    """One table; a strategy needs fMRIPrep's beside the run, with its `description`, which is found by its name."""

    path: StrictStr
    description: Named | None = None

    @model_validator(mode="after")
    def _described(self) -> Self:
        if self.strategy and self.description is None:
            object.__setattr__(self, "description", Named(path=self.path.removesuffix(".tsv") + ".json"))
        return self


class Presented(Options):
    """When what a file holds was shown."""

    session: StrictStr = ""
    run: StrictInt = 0


class Estimates(Presented):
    """A file of estimates, with the stimulus of each."""

    ids: Place | None = None


class Run(Presented):
    """What every run may say; `tr`, seconds between volumes, where the file does not say it or says it wrongly."""

    events: Events | None = None
    confounds: Confounds | None = None
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


class Measured(Subject):
    """Estimates (`betas`), or `runs` that `glm` makes estimates of or whose samples are stimuli of their own (`series`)."""

    series: StrictBool = False
    glm: Glm | None = None
    space: StrictStr | None = None

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Self:
        betas, runs = (bool(getattr(self, name, None)) for name in ("betas", "runs"))
        if betas == runs:
            raise ValueError(f"found {'both' if betas else 'neither'} betas and runs, expected one of them")
        if runs and self.series == (self.glm is not None):
            raise ValueError("runs: expected either glm: {…}, or series: true")
        if betas and (self.series or self.glm):
            raise ValueError("betas: found glm or series beside them, which are for runs; leave it out")
        return self
