"""THINGS-fMRI: single-trial responses in a table, with tables of trials and voxels."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictStr, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Count, Options

# Regions of the localizers, of which voxels are kept where `rois` is not given.
FUNCTIONAL = [
    "V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1", "LO2", "TO1", "TO2", "V3b", "V3a", "lEBA", "rEBA", "lFFA", "rFFA",
    "lOFA", "rOFA", "lSTS", "rSTS", "lPPA", "rPPA", "lRSC", "rRSC", "lTOS", "rTOS", "lLOC", "rLOC", "IT",
]  # fmt: skip
# Where OpenNeuro (ds004192) and figshare (20492835, betas_csv.zip) have the three files of a subject.
LAYOUTS = {
    "openneuro": (
        "derivatives/ICA-betas/{s}/voxel-metadata/{s}_task-things_voxel-wise-responses.h5",
        "derivatives/ICA-betas/{s}/voxel-metadata/{s}_task-things_stimulus-metadata.tsv",
        "derivatives/ICA-betas/{s}/voxel-metadata/{s}_task-things_voxel-metadata.tsv",
    ),
    "figshare": (
        "betas_csv/{s}_ResponseData.h5",
        "betas_csv/{s}_StimulusMetadata.csv",
        "betas_csv/{s}_VoxelMetadata.csv",
    ),
}


class ThingsFile(Options):
    """A file of a subject."""

    path: StrictStr


class ThingsFiles(Options):
    """All that is read of a subject; made from the other options."""

    responses: ThingsFile
    trials: ThingsFile
    voxels: ThingsFile


class ThingsSubject(Subject):
    """Responses of the voxels in any of `rois`, columns of the table of voxels."""

    adapter: Literal["things"]
    number: Annotated[int, Field(ge=1, le=3, strict=True)]
    repeats: Count = 12
    layout: Literal["openneuro", "figshare"] = "openneuro"
    rois: Annotated[list[StrictStr], Field(min_length=1)] = FUNCTIONAL
    files: ThingsFiles | None = None

    @model_validator(mode="after")
    def _files(self) -> Self:
        paths = [ThingsFile(path=path.format(s=f"sub-{self.number:02d}")) for path in LAYOUTS[self.layout]]
        object.__setattr__(self, "files", ThingsFiles(responses=paths[0], trials=paths[1], voxels=paths[2]))
        return self
