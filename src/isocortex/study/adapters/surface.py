"""fMRI on surfaces and in grayordinates: estimates per trial or condition, or runs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import StrictInt, StrictStr, model_validator

from isocortex.study.adapters.base import Place
from isocortex.study.adapters.glm import Estimates, Measured, Named, Run
from isocortex.study.options.base import Options


class Sides(Options):
    """A file per hemisphere."""

    left: Named | None = None
    right: Named | None = None

    @model_validator(mode="after")
    def _some_side(self) -> Self:
        if self.left is None and self.right is None:
            raise ValueError("found neither left nor right, expected {left: {path: …}, right: {path: …}}")
        return self


class SideBetas(Sides, Estimates):
    """Estimates on both hemispheres, a frame per trial or condition."""


class SideRun(Sides, Run):
    """A run on both hemispheres."""


class SideLabels(Sides):
    """Labels of vertices; `names` or a FreeSurfer colour `table` for files of numbers only."""

    names: dict[StrictInt, StrictStr] | None = None
    table: Named | None = None


class DenseBetas(Named, Estimates):
    """A dscalar file, a map per trial or condition."""


class DenseRun(Named, Run):
    """A dtseries file."""


class DenseLabels(Named):
    """A map of a dlabel file, by its name or number."""

    map: StrictStr | StrictInt | None = None


class Series(Measured):
    """What surfaces and grayordinates have in common."""

    ids: Place | None = None
    geometry: Sides | None = None


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
