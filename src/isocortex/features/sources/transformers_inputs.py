"""What networks of transformers take: pictures, texts and sounds through the preparation that lies beside their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from isocortex.features.hubs import library
from isocortex.features.inputs import Arguments, Inputs, Pictures, Sounds, Texts, Tokenizer
from isocortex.features.model import Context
from isocortex.features.preparing import of_picture, plain, preparation
from isocortex.storage.atomic import digest_bytes, digest_json

if TYPE_CHECKING:
    from isocortex.features.sources.transformers import Place

# Networks that were trained on texts padded to one length, and without a mask.
PADDED = ("siglip", "siglip2", "siglip_text_model", "siglip2_text_model")


def pictures(place: Place, config: Any, entry: dict[str, Any], context: Context) -> Inputs:
    """Images through the weights' image processor."""
    processor = place.load(library("transformers", context.model).AutoImageProcessor)
    function = lambda image: processor(images=image, return_tensors="pt")["pixel_values"][0]
    settings = {"class": type(processor).__name__, **processor.to_dict()}
    own = of_picture(function, settings, _seen(processor))
    size = getattr(getattr(config, "vision_config", config), "image_size", None)
    chosen = preparation(entry, context, own)
    return Pictures(chosen, "pixel_values", size if isinstance(size, int) else None)


def _seen(processor: Any) -> float:
    """Part of the shorter side that the processor's crop leaves."""
    size = dict(getattr(processor, "size", None) or {})
    shorter = size.get("shortest_edge") or size.get("height")
    if not shorter:
        return 1.0
    if getattr(processor, "crop_pct", None) and shorter < 384:
        return float(processor.crop_pct)
    crop = dict(getattr(processor, "crop_size", None) or {}) if getattr(processor, "do_center_crop", False) else {}
    return float(crop.get("height", shorter)) / float(shorter)


def texts(place: Place, config: Any, entry: dict[str, Any], context: Context) -> Inputs:
    """A column of text through the weights' tokenizer, cut at the length that the network takes; nothing is padded."""
    tokenizer = place.load(library("transformers", context.model).AutoTokenizer)
    text = getattr(config, "text_config", config)
    positions = getattr(text, "max_position_embeddings", None)
    longest = min(int(tokenizer.model_max_length), int(positions or 512))
    if str(text.model_type) in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        longest = min(longest, int(positions or 512) - 2)  # whose positions start behind the padding's own
    padding = "max_length" if str(config.model_type) in PADDED else False

    def function(words: str) -> Arguments:
        given = tokenizer(words, truncation=True, max_length=longest, padding=padding, return_tensors="pt")
        return {name: value[0] for name, value in given.items()}

    settings = {"tokenizer": _vocabulary(tokenizer), "longest": longest, "padding": padding}
    mask = lambda arguments: arguments["attention_mask"].bool() if "attention_mask" in arguments else None
    return Texts(_column(entry), Tokenizer(function, settings, mask), context.table, context.model)


def _column(entry: dict[str, Any]) -> str:
    return str(entry.get("input") or "caption")


def _vocabulary(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return (
        digest_bytes(backend.to_str().encode()) if backend is not None else digest_json(sorted(tokenizer.get_vocab().items()))
    )


def sounds(place: Place, _config: Any, _entry: dict[str, Any], context: Context) -> Inputs:
    """Sounds at the rate of the weights' feature extractor; each by itself, so that silence is added only where it is asked."""
    extractor = place.load(library("transformers", context.model).AutoFeatureExtractor)
    rate = int(extractor.sampling_rate)

    def function(samples: np.ndarray) -> Arguments:
        given = extractor(samples, sampling_rate=rate, return_tensors="pt")
        return {name: torch.as_tensor(value)[0] for name, value in given.items()}

    return Sounds(function, rate, {"class": type(extractor).__name__, **plain(extractor.to_dict())})


INPUTS: dict[str, Callable[[Any, Any, dict[str, Any], Context], Inputs]] = {
    "vision": pictures,
    "text": texts,
    "audio": sounds,
}
