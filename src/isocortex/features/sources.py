"""The table of model sources. Functions are named, not imported, so that a study of labels never imports a network."""

from __future__ import annotations

import importlib
from typing import Any

from isocortex.errors import StudyError
from isocortex.features.model import Context, Model

SOURCES: dict[str, str] = {
    "pixels": "isocortex.features.pixels:build_pixels",
    "gabor": "isocortex.features.gabor:build_gabor",
    "precomputed": "isocortex.features.tables:build_precomputed",
    "callable": "isocortex.features.callable:build_callable",
    "labels": "isocortex.features.tables:build_labels",
}


def build(entry: dict[str, Any], context: Context) -> Model:
    """The model that an entry describes. Raises `StudyError` for a wrong entry, `DataError` for wrong files."""
    source = entry.get("source")
    if source not in SOURCES:
        raise StudyError(f"models.{context.model}.source: found {source!r}, expected one of {', '.join(sorted(SOURCES))}")
    if source != "callable" and entry.get("weights"):
        raise StudyError(f"models.{context.model}.like: a {source} model has no weights to make random; leave this model out")
    module, _, function = SOURCES[source].partition(":")
    return getattr(importlib.import_module(module), function)(entry, context)
