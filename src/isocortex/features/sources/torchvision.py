"""The source `torchvision`: its classifiers, with the preparation of their weights."""

from __future__ import annotations

import difflib
from typing import Any

from torch import nn

from isocortex.errors import StudyError
from isocortex.features.hubs import first_line, library, url_file
from isocortex.features.inputs import Pictures
from isocortex.features.model import Context
from isocortex.features.network import Network, NetworkModel
from isocortex.features.outline import Outline, model_of, outline_of, skeleton
from isocortex.features.pooling import Form
from isocortex.features.preparing import Preparation, of_picture, preparation
from isocortex.features.weights import fill, load_state, seeded


def build_torchvision(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {name, weights: DEFAULT | name | file | random, transforms, options, layers, …}.

    Raises `StudyError` for a name or weights that the library lacks, weights that do not fit, or no network to fetch them.
    """
    weights, path = _weights(entry, context)
    module = _module(entry, context)
    if weights is not None:
        path = url_file(weights.url, context.model, "weights")
    if path is not None:
        fill(module, load_state(path), f"models.{context.model}.weights: {path.name}")
    return model_of(_network(module, entry, context), entry, context)


def outline_torchvision(entry: dict[str, Any], context: Context) -> Outline:
    """The layers of the architecture, built on the meta device."""
    _weights(entry, context)
    module = skeleton(lambda: _module(entry, context))
    return outline_of(_network(module, entry, context), entry, context)


def _name(entry: dict[str, Any], context: Context) -> str:
    name, known = str(entry.get("name") or context.model), library("torchvision", context.model).models.list_models()
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.0))
        raise StudyError(f"models.{context.model}.name: torchvision has no {name!r}; nearest of {len(known)}: {near}")
    return name


def _module(entry: dict[str, Any], context: Context) -> nn.Module:
    models, name = library("torchvision", context.model).models, _name(entry, context)
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    try:
        with seeded(int(entry.get("seed", 0))):
            return models.get_model(name, weights=None, **{**extra, **(entry.get("options") or {})}).eval()
    except (TypeError, ValueError) as error:
        raise StudyError(f"models.{context.model}.options: {name} refuses them ({first_line(error)})") from error


def _member(name: str, entry: dict[str, Any], context: Context, key: str) -> Any:
    """The weights called `name` of the architecture."""
    kinds = library("torchvision", context.model).models.get_model_weights(_name(entry, context))
    if name not in kinds.__members__:
        known = ", ".join(dict.fromkeys(["DEFAULT", *(member.name for member in kinds)]))
        raise StudyError(
            f"models.{context.model}.{key}: found {name!r}, neither a file in {context.root} or {context.study_dir} nor one of "
            f"{known}"
        )
    return kinds[name]


def _weights(entry: dict[str, Any], context: Context) -> tuple[Any, Any]:
    """The library's weights, or the path of a file; both None for `random`."""
    asked = str(entry.get("weights") or "DEFAULT")
    if asked == "random":
        return None, None
    path = context.found(asked)
    return (None, path) if path is not None and path.is_file() else (_member(asked, entry, context, "weights"), None)


def _network(module: nn.Module, entry: dict[str, Any], context: Context) -> Network:
    vision = library("torchvision", context.model).models
    weights, _ = _weights(entry, context)
    named = entry.get("transforms")
    own = (
        _member(str(named), entry, context, "transforms") if named else weights or _member("DEFAULT", entry, context, "weights")
    )
    shown = _transforms(own, context.model)
    is_vit = isinstance(module, vision.VisionTransformer)
    form = Form(prefix=1 if is_vit else None, channels_last=isinstance(module, vision.SwinTransformer))
    pictures = Pictures(preparation(entry, context, shown), size=own.transforms().crop_size[0])
    return Network(module, pictures, form=form, code=f"torchvision {_name(entry, context)}")


def _transforms(weights: Any, model: str) -> Preparation:
    """The weights' own: resized, cropped at the centre, normalised."""
    try:
        preset = weights.transforms()
        settings = {
            name: getattr(preset, name) for name in ("resize_size", "crop_size", "mean", "std", "interpolation", "antialias")
        }
    except (AttributeError, TypeError) as error:
        raise StudyError(
            f"models.{model}.preprocess: {weights} are of no classifier of images ({first_line(error)}); use another network"
        ) from error
    return of_picture(preset, settings, settings["crop_size"][0] / settings["resize_size"][0])
