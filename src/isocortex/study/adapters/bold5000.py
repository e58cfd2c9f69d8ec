"""BOLD5000, release 2: estimates by GLMsingle in ten regions of four subjects."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictStr, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Count, Options

Roi = Literal[
    "LHEarlyVis", "RHEarlyVis", "LHLOC", "RHLOC", "LHOPA", "RHOPA", "LHPPA", "RHPPA", "LHRSC", "RHRSC"
]  # fmt: skip
ROIS: list[Roi] = [
    "LHEarlyVis", "RHEarlyVis", "LHLOC", "RHLOC", "LHOPA", "RHOPA", "LHPPA", "RHPPA", "LHRSC", "RHRSC"
]  # fmt: skip
# The archive BOLD5000_GLMsingle_ROI_betas.zip, unpacked into `betas`.
FOLDER = "betas/BOLD5000_GLMsingle_ROI_betas/py"


class BoldFile(Options):
    """A file of figshare article 14456124."""

    path: StrictStr


class BoldFiles(Options):
    """All that is read of a subject; made from the other options."""

    trials: BoldFile
    rois: dict[StrictStr, BoldFile]


class Bold5000Subject(Subject):
    """Responses of the voxels in `rois`; `runs`: how many runs each session has, where sessions are to be told apart.

    `folder` holds the NPY files.
    """

    adapter: Literal["bold5000"]
    name: Literal["CSI1", "CSI2", "CSI3", "CSI4"]
    rois: Annotated[list[Roi], Field(min_length=1)] = ROIS
    runs: Annotated[list[Count], Field(min_length=1)] | None = None
    folder: StrictStr = FOLDER
    files: BoldFiles | None = None

    @model_validator(mode="after")
    def _files(self) -> Self:
        betas = f"{self.folder}/{self.name}_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_allses"
        rois = {roi: BoldFile(path=f"{betas}_{roi}.npy") for roi in self.rois}
        object.__setattr__(self, "files", BoldFiles(trials=BoldFile(path=f"{self.name}_imgnames.txt"), rois=rois))
        return self
