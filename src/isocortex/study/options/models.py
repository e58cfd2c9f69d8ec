"""Sources of models: names and options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr, field_validator, model_validator

from isocortex.study.layer_names import parse_layer
from isocortex.study.options.base import Count, Options, Positive, Seed

Pool = Literal["none", "gap", "mean", "cls", "last"] | Count
Byte = Annotated[int, Field(ge=0, le=255, strict=True)]


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


class Placement(Options):
    """Images laid in the centre of a square that spans `degrees` of visual angle, the network's field of view."""

    degrees: Positive
    background: Literal["gray"] | Annotated[list[Byte], Field(min_length=3, max_length=3)] = "gray"


class Network(Model):
    """What every network may say: its layers, how they are pooled and projected, and the seed of an untrained twin.

    `layers: auto` is the network's own ladder, and is held as None: the source alone knows it. `pool` left out is `none` for
    images, `mean` for texts and sounds.
    """

    layers: Literal["auto"] | Annotated[list[StrictStr], Field(min_length=1)] | None = None
    pool: Pool | dict[StrictStr, Pool] | None = None
    project: Literal["auto", "none"] | Count = "auto"
    projection_seed: Seed = 0
    batch: Count = 32
    seed: Seed = 0

    @field_validator("layers")
    @classmethod
    def _auto_is_none(cls, value: list[str] | str | None) -> list[str] | str | None:
        if value is None or isinstance(value, str):
            return None
        for name in value:
            parse_layer(name)
        return value


class ImageNetwork(Network):
    """What networks that see images may say."""

    preprocess: Literal["model", "imagenet", "unit"] = "model"
    place: Placement | None = None


class Callable(ImageNetwork):
    """Any torch.nn.Module that a Python function builds."""

    source: Literal["callable"]
    call: StrictStr
    weights: StrictStr | None = None
    options: dict[StrictStr, Any] = {}

    @field_validator("call")
    @classmethod
    def _names_a_function(cls, value: str) -> str:
        if value.count(":") != 1 or not all(value.split(":")):
            raise ValueError(f"found {value!r}, expected 'package.module:function' or 'file.py:function'")
        return value


class Torchvision(ImageNetwork):
    """A classifier of torchvision. `name` left out is the model's id.

    `weights`: DEFAULT, one of the library's names, a file, or random. `transforms`: the weights whose preparation is taken,
    where these are a file or random.
    """

    source: Literal["torchvision"]
    name: StrictStr | None = None
    weights: StrictStr = "DEFAULT"
    transforms: StrictStr | None = None
    options: dict[StrictStr, Any] = {}


class Timm(ImageNetwork):
    """A network of timm. As of torchvision; `weights` are tags, as a1_in1k."""

    source: Literal["timm"]
    name: StrictStr | None = None
    weights: StrictStr = "DEFAULT"
    transforms: StrictStr | None = None
    options: dict[StrictStr, Any] = {}


class Transformers(ImageNetwork):
    """A network of transformers, from a local folder or by its name on the hub: of images, texts or sounds.

    `input`: image, sound, caption, or a label column; left out, what the network takes (of several, images). `modality` says
    it of a network whose configuration does not.
    """

    source: Literal["transformers"]
    path: StrictStr
    revision: StrictStr | None = None
    weights: Literal["random"] | None = None
    modality: Literal["auto", "vision", "text", "audio"] = "auto"
    input: StrictStr | None = None


class OpenClip(ImageNetwork):
    """The image tower of a CLIP of open_clip, or with `input: caption`, or a label column, its text tower.

    `name`: of an architecture (left out, the model's id), or a folder with open_clip_config.json. `weights`: a tag, a file,
    random; of a folder, left out.
    """

    source: Literal["open_clip"]
    name: StrictStr | None = None
    weights: StrictStr | None = None
    transforms: StrictStr | None = None
    input: StrictStr = "image"


class Onnx(ImageNetwork):
    """A network in an ONNX file; layers are names of its tensors."""

    source: Literal["onnx"]
    path: StrictStr
    weights: Literal["random"] | None = None


class Labels(Model):
    """Label columns of the stimulus table as features: category models."""

    source: Literal["labels"]
    columns: Annotated[list[StrictStr], Field(min_length=1)]


SOURCES: dict[str, type[Model]] = {
    "pixels": Pixels,
    "gabor": Gabor,
    "precomputed": Precomputed,
    "callable": Callable,
    "torchvision": Torchvision,
    "timm": Timm,
    "transformers": Transformers,
    "open_clip": OpenClip,
    "onnx": Onnx,
    "labels": Labels,
}
SOURCES_WITH_WEIGHTS = tuple(name for name, options in SOURCES.items() if "weights" in options.model_fields)
