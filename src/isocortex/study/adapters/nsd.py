"""The Natural Scenes Dataset: which files a subject's entry stands for, and which images a stimulus set holds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictStr, field_validator, model_validator

from isocortex.study.adapters.base import Subject
from isocortex.study.options.base import Count, Options

# Sessions that subjects 1 to 8 completed (NSD data manual, technical notes).
SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)
DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"
IMAGES = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
Number = Annotated[int, Field(ge=1, le=8, strict=True)]
Names = Annotated[list[StrictStr], Field(min_length=1)]
Sessions = Annotated[list[Count], Field(min_length=1)] | Literal["all"]


class NsdFile(Options):
    """A file of the public bucket."""

    path: StrictStr


class NsdSession(NsdFile):
    """Estimates of one session."""

    session: Count


class NsdFiles(Options):
    """All that is read of a subject; made from the other options."""

    design: NsdFile
    betas: list[NsdSession]
    masks: list[NsdFile]
    rois: dict[StrictStr, NsdFile]
    ncsnr: NsdFile


def check_sessions(number: int, sessions: list[int] | str) -> list[int]:
    """The sessions in their order; a `ValueError` for one that the subject does not have, or that is named twice."""
    last = SESSIONS[number - 1]
    if isinstance(sessions, str):
        return list(range(1, last + 1))
    beyond = [session for session in sessions if session > last]
    if beyond:
        raise ValueError(f"sessions: found {beyond[0]}, expected 1 to {last}, which subject {number} has; correct sessions")
    if len(set(sessions)) < len(sessions):
        raise ValueError(f"sessions: found {sessions}, expected each once; remove the repeated one")
    return sorted(sessions)


class NsdSubject(Subject):
    """Single-trial estimates of one of the eight subjects, of the voxels in `mask`, with a label for each of `rois`.

    `images: shared` keeps the presentations of the thousand images that all subjects were to see.
    """

    adapter: Literal["nsd"]
    number: Number
    repeats: Count = 3
    sessions: Sessions = "all"
    preparation: Literal["betas_assumehrf", "betas_fithrf", "betas_fithrf_GLMdenoise_RR"] = "betas_fithrf_GLMdenoise_RR"
    space: Literal["func1pt8mm", "func1mm"] = "func1pt8mm"
    rois: list[StrictStr] = ["prf-visualrois", "streams"]
    mask: Names = ["nsdgeneral"]
    images: Literal["all", "shared"] = "all"
    files: NsdFiles | None = None

    @field_validator("mask", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _files(self) -> Self:
        sessions = check_sessions(self.number, self.sessions)
        betas = f"nsddata_betas/ppdata/subj{self.number:02d}/{self.space}/{self.preparation}"
        roi = f"nsddata/ppdata/subj{self.number:02d}/{self.space}/roi"
        files = NsdFiles(
            design=NsdFile(path=DESIGN),
            betas=[NsdSession(path=f"{betas}/betas_session{one:02d}.hdf5", session=one) for one in sessions],
            masks=[NsdFile(path=f"{roi}/{name}.nii.gz") for name in self.mask],
            rois={name: NsdFile(path=f"{roi}/{name}.nii.gz") for name in self.rois},
            ncsnr=NsdFile(path=f"{betas}/ncsnr.nii.gz"),
        )
        object.__setattr__(self, "files", files)
        return self


class NsdStimuli(Options):
    """The images that a subject saw in `sessions`, or those of them that all subjects were to see."""

    number: Number
    images: Literal["all", "shared"] = "all"
    sessions: Sessions = "all"
    design: NsdFile = NsdFile(path=DESIGN)
    brick: NsdFile = NsdFile(path=IMAGES)

    @model_validator(mode="after")
    def _sessions_are_there(self) -> Self:
        check_sessions(self.number, self.sessions)
        return self
