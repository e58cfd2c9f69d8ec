"""The table of model sources. Functions are named, not imported, so that a study of labels never imports a network."""

from __future__ import annotations

import importlib
from typing import Any

from isocortex.errors import StudyError
from isocortex.features.model import Context, Model

SOURCES: dict[str, str] = {
    "pixels": "isocortex.features.sources.pixels:build_pixels",
    "gabor": "isocortex.features.sources.gabor:build_gabor",
    "precomputed": "isocortex.features.sources.tables:build_precomputed",
    "callable": "isocortex.features.sources.callable:build_callable",
    "torchvision": "isocortex.features.sources.torchvision:build_torchvision",
    "timm": "isocortex.features.sources.timm:build_timm",
    "transformers": "isocortex.features.sources.transformers:build_transformers",
    "open_clip": "isocortex.features.sources.open_clip:build_open_clip",
    "onnx": "isocortex.features.sources.onnx:build_onnx",
    "labels": "isocortex.features.sources.tables:build_labels",
}
# Functions (entry, context) → `Outline`: the layers of a model, told without reading weights.
OUTLINES: dict[str, str] = {
    "callable": "isocortex.features.sources.callable:outline_callable",
    "torchvision": "isocortex.features.sources.torchvision:outline_torchvision",
    "timm": "isocortex.features.sources.timm:outline_timm",
    "transformers": "isocortex.features.sources.transformers:outline_transformers",
    "open_clip": "isocortex.features.sources.open_clip:outline_open_clip",
    "onnx": "isocortex.features.sources.onnx:outline_onnx",
}


def build(entry: dict[str, Any], context: Context) -> Model:
    """The model that an entry describes. Raises `StudyError` for a wrong entry, `DataError` for wrong files."""
    source = entry.get("source")
    if source not in SOURCES:
        raise StudyError(f"models.{context.model}.source: found {source!r}, expected one of {', '.join(sorted(SOURCES))}")
    if source not in OUTLINES and entry.get("weights"):
        raise StudyError(f"models.{context.model}.like: a {source} model has no weights to make random; leave this model out")
    return function_of(SOURCES[source])(entry, context)


def function_of(place: str) -> Any:
    """The function 'package.module:name'."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
