"""Regions by place: a mask, labels of an atlas, spheres, bounds of a coordinate; all that are given must hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from isocortex.study.options.base import Number, Options, Positive

Finite = Annotated[Number, Field(allow_inf_nan=False)]


class Mask(Options):
    """A volume (NIfTI); voxels above `threshold` are in. `space` as the recording calls it; `any` leaves it unchecked."""

    path: StrictStr
    threshold: Finite = 0
    space: StrictStr | None = None


class AtlasTable(Options):
    """Names of an atlas's numbers: a CSV or TSV file with a column of each."""

    path: StrictStr
    index: StrictStr = "index"
    name: StrictStr = "name"


class Atlas(Options):
    """A label image: one that nilearn fetches, by its `name`, or a file of one's own with a table of names.

    `space` is that of the image; `any` leaves it unchecked. Of an image that is fetched it is known.
    """

    name: Literal["aal", "destrieux", "harvard_oxford", "juelich", "schaefer_2018", "yeo_2011"] | None = None
    path: StrictStr | None = None
    table: AtlasTable | None = None
    space: StrictStr | None = None
    image: StrictStr | None = None
    n_rois: Literal[100, 200, 300, 400, 500, 600, 700, 800, 900, 1000] | None = None
    networks: Literal[7, 17] | None = None
    resolution_mm: Literal[1, 2] | None = None
    version: StrictStr | None = None
    thickness: Literal["thick", "thin"] | None = None
    lateralized: StrictBool | None = None

    @model_validator(mode="after")
    def _named_or_a_file(self) -> Atlas:
        if (self.name is None) == (self.path is None):
            raise ValueError("give name (of an atlas that nilearn fetches) or path (of a label image), one of them")
        offered = ATLAS_OPTIONS[self.name or ""]
        for option in ATLAS_CHOICES:
            if getattr(self, option) is not None and option not in offered:
                of = f"{self.name}, which has {', '.join(offered) or 'no options'}" if self.name else "path, a file has none"
                raise ValueError(f"{option}: found with {of}")
        if self.table is not None and self.path is None:
            raise ValueError(f"table: found with name: {self.name}, which brings its own names; leave it out")
        if "image" in offered and self.image is None:
            raise ValueError(
                f"image: missing with name: {self.name}, expected as nilearn calls it, say {IMAGES[str(self.name)]}"
            )
        if "image" in offered and "maxprob" not in str(self.image):
            raise ValueError(f"image: found {self.image!r}, expected one of most probable labels, say {IMAGES[str(self.name)]}")
        return self

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen of an atlas that is fetched."""
        return {name: value for name in ATLAS_CHOICES if (value := getattr(self, name)) is not None}


class Sphere(Options):
    """All within `radius` mm of `center`."""

    center: Annotated[list[Finite], Field(min_length=3, max_length=3)]
    radius: Positive | Annotated[StrictInt, Field(gt=0)]
    space: StrictStr | None = None


Bounds = Annotated[dict[StrictStr, Finite], Field(min_length=1)]


class Placed(Options):
    """Neuroids by coordinates' values and by place; a neuroid must fit all that is given."""

    where: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] | None = None
    mask: Mask | None = None
    atlas: Atlas | None = None
    labels: Annotated[list[StrictStr], Field(min_length=1)] | None = None
    sphere: Sphere | None = None
    spheres: Annotated[list[Sphere], Field(min_length=1)] | None = None
    at_least: Bounds | None = None
    at_most: Bounds | None = None

    @field_validator("mask", mode="before")
    @classmethod
    def _mask_by_its_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @field_validator("atlas", mode="before")
    @classmethod
    def _atlas_by_its_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _belong_together(self) -> Placed:
        if (self.atlas is None) != (self.labels is None):
            found, lacking = ("atlas", "labels") if self.labels is None else ("labels", "atlas")
            raise ValueError(f"{found}: found without {lacking}; give both")
        if self.sphere is not None and self.spheres is not None:
            raise ValueError("give sphere or spheres, not both")
        return self

    @property
    def places(self) -> bool:
        """Whether anything but `where` is given."""
        return any(getattr(self, name) is not None for name in ("mask", "atlas", "sphere", "spheres", "at_least", "at_most"))


# Atlas → what may be chosen of it; "" is a file of one's own.
ATLAS_OPTIONS: dict[str, tuple[str, ...]] = {
    "": (),
    "aal": ("version",),
    "destrieux": ("lateralized",),
    "harvard_oxford": ("image",),
    "juelich": ("image",),
    "schaefer_2018": ("n_rois", "networks", "resolution_mm"),
    "yeo_2011": ("networks", "thickness"),
}
ATLAS_CHOICES = tuple(dict.fromkeys(option for options in ATLAS_OPTIONS.values() for option in options))
IMAGES = {"harvard_oxford": "cort-maxprob-thr25-2mm", "juelich": "maxprob-thr25-2mm"}
