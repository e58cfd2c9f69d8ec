"""Searchlights of a study: the layer that each model's map is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from isocortex.study.explain import unknown

if TYPE_CHECKING:
    from isocortex.study.model import Study


def for_model(options: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A searchlight's options as one model's job takes them: `layer` is its own, or is not there (the best of all)."""
    layer = options.get("layer")
    own = layer.get(model) if isinstance(layer, Mapping) else layer
    rest = {key: value for key, value in options.items() if key != "layer"}
    return {**rest, "layer": own} if own is not None else rest


def check_searchlights(study: Study) -> None:
    """Raises `StudyError` for a layer, or its model, that is not there; layers that only a source knows are checked later."""
    for region in study.regions:
        for method, options in study.searchlights(region).items():
            where, layer = f"searchlight.{method}.layer", options.get("layer")
            for model in layer if isinstance(layer, Mapping) else ():
                if model not in study.models:
                    raise unknown(where, model, study.models, "model")
            for model, entry in study.models.items():
                own, offered = for_model(options, model).get("layer"), entry.get("layers")
                if own is not None and offered is not None and own not in offered:
                    key = f"{where}.{model}" if isinstance(layer, Mapping) else where
                    raise unknown(key, own, offered, f"layer of {model}")
