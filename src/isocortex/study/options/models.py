"""Sources of models: names and options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, field_validator, model_validator

from isocortex.study.options.base import Count, Options, Seed


class Model(Options):
    """What every model may say."""

    label: StrictStr | None = None
    trained_on: list[StrictStr] = []


class Pixels(Model):
    """The image itself, made small."""

    source: Literal["pixels"]
    size: Annotated[int, Field(ge=2, le=512, strict=True)] = 32
    color: StrictBool = True


class Gabor(Model):
    """An energy pyramid of Gabor filters: a model of V1."""

    source: Literal["gabor"]
    size: Annotated[int, Field(ge=16, le=1024, strict=True)] = 96
    orientations: Annotated[int, Field(ge=2, le=32, strict=True)] = 8
    scales: Annotated[int, Field(ge=1, le=8, strict=True)] = 5


class Place(Options):
    """An array in a file."""

    path: StrictStr
    key: StrictStr | None = None
    ids: StrictStr | None = None


class Precomputed(Model):
    """Activations that the user has: NPZ, NPY, Zarr or NetCDF."""

    source: Literal["precomputed"]
    path: StrictStr | None = None
    key: StrictStr | None = None
    ids: StrictStr | None = None
    layers: Annotated[dict[StrictStr, Place], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Precomputed:
        if (self.path is None) == (self.layers is None):
            raise ValueError(
                "give either path (one layer) or layers (a mapping of layer name → {path, key}), not both or neither"
            )
        return self


class Callable(Model):
    """Any torch.nn.Module that a Python function builds."""

    source: Literal["callable"]
    call: StrictStr
    weights: StrictStr | None = None
    options: dict[StrictStr, Any] = {}
    layers: Annotated[list[StrictStr], Field(min_length=1)]
    pool: Literal["none", "gap"] | Count | dict[StrictStr, Literal["none", "gap"] | Count] = "none"
    preprocess: Literal["model", "imagenet", "unit"] = "model"
    batch: Count = 32
    seed: Seed = 0

    @field_validator("call")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        if value.count(":") != 1 or not all(value.split(":")):
            raise ValueError(f"found {value!r}, expected 'package.module:function' or 'file.py:function'")
        return value


class Labels(Model):
    """Label columns of the stimulus table as features: category models."""

    source: Literal["labels"]
    columns: Annotated[list[StrictStr], Field(min_length=1)]


SOURCES: dict[str, type[Model]] = {
    "pixels": Pixels,
    "gabor": Gabor,
    "precomputed": Precomputed,
    "callable": Callable,
    "labels": Labels,
}
SOURCES_WITH_WEIGHTS = ("callable",)
