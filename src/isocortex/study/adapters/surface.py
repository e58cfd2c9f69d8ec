"""fMRI on surfaces and in grayordinates: estimates per trial or condition, or runs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import StrictBool, StrictInt, StrictStr, model_validator

from isocortex.study.adapters.base import Place, Subject
from isocortex.study.adapters.nifti import Confounds, Glm
from isocortex.study.options.base import Options, Positive


class Named(Options):
    """One file."""

    path: StrictStr


class RunEvents(Named):
    """A BIDS table of events; `column` names the stimulus."""

    column: StrictStr = "trial_type"


class Run(Options):
    """What every run may say."""

    events: RunEvents | None = None
    confounds: Confounds | None = None
    tr: Positive | None = None


class Sides(Options):
    """A file per hemisphere."""

    left: Named | None = None
    right: Named | None = None

    @model_validator(mode="after")
    def _some_side(self) -> Self:
        if self.left is None and self.right is None:
            raise ValueError("found neither left nor right, expected {left: {path: …}, right: {path: …}}")
        return self


class SideBetas(Sides):
    """Estimates on both hemispheres, a frame per trial or condition."""

    ids: Place | None = None
    session: StrictStr = ""
    run: StrictInt = 0


class SideRun(Sides, Run):
    """A run on both hemispheres."""

    session: StrictStr = ""
    run: StrictInt = 0


class SideLabels(Sides):
    """Labels of vertices; `names` or a FreeSurfer colour `table` for files of numbers only."""

    names: dict[StrictInt, StrictStr] | None = None
    table: Named | None = None


class DenseBetas(Named):
    """A dscalar file, a map per trial or condition."""

    ids: Place | None = None
    session: StrictStr = ""
    run: StrictInt = 0


class DenseRun(Named, Run):
    """A dtseries file."""

    session: StrictStr = ""
    run: StrictInt = 0


class DenseLabels(Named):
    """A map of a dlabel file, by its name or number."""

    map: StrictStr | StrictInt | None = None


class Series(Subject):
    """What estimates and runs have in common."""

    ids: Place | None = None
    series: StrictBool = False
    glm: Glm | None = None
    space: StrictStr | None = None
    geometry: Sides | None = None

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


class SurfaceSubject(Series):
    """GIFTI or MGH files per hemisphere."""

    adapter: Literal["surface"]
    betas: list[SideBetas] = []
    runs: list[SideRun] = []
    mask: SideLabels | None = None
    labels: dict[StrictStr, SideLabels] = {}


class CiftiSubject(Series):
    """CIFTI-2 files."""

    adapter: Literal["cifti"]
    betas: list[DenseBetas] = []
    runs: list[DenseRun] = []
    structures: list[StrictStr] = []
    mask: DenseLabels | None = None
    labels: dict[StrictStr, DenseLabels] = {}
