"""Pictures as networks take them: the weights' own transforms, or simpler ones, and placement by visual angle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import torch
from PIL import Image

from isocortex.errors import StudyError
from isocortex.features.model import Context

# Mean and standard deviation of ImageNet's training pixels, as every torchvision network expects them.
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GRAY = (128, 128, 128)

Prepare = Callable[[np.ndarray], torch.Tensor]


@dataclass(frozen=True)
class Preparation:
    """A function uint8 (H, W, 3) → (3, h, w).

    settings : all that it depends on, in JSON's types. seen : part of the picture's shorter side that a crop leaves.
    """

    function: Prepare
    settings: Any
    seen: float = 1.0


def unit_pixels(image: np.ndarray) -> torch.Tensor:
    """RGB from 0-255 to 0-1, at native size."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float32) / 255.0


def imagenet_pixels(image: np.ndarray) -> torch.Tensor:
    """RGB 0-1 less ImageNet's mean, over its standard deviation, at native size."""
    mean, sd = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SD))
    return (unit_pixels(image) - mean) / sd


UNIT, IMAGENET = Preparation(unit_pixels, "unit"), Preparation(imagenet_pixels, "imagenet")
NAMED = {"unit": UNIT, "imagenet": IMAGENET}


def preparation(entry: dict[str, Any], context: Context, own: Preparation = IMAGENET) -> Preparation:
    """The preparation of an entry {preprocess: model | imagenet | unit, place: {degrees, background}}.

    own : what `model` stands for. Raises `StudyError` for a placement of images whose size in degrees is not known.
    """
    chosen = NAMED.get(str(entry.get("preprocess", "model")), own)
    place = entry.get("place")
    if not place:
        return chosen
    if context.degrees is None:
        raise StudyError(
            f"models.{context.model}.place: how many degrees the images span is not known; give the stimulus set degrees:"
        )
    background = place.get("background", "gray")
    color = GRAY if background == "gray" else tuple(int(value) for value in background)
    # What the preparation will crop is added: the network then sees the degrees that were asked for.
    canvas, spans = float(place["degrees"]) / chosen.seen, context.degrees
    settings = {"prepare": chosen.settings, "canvas": canvas, "images": spans, "background": list(color)}
    return Preparation(lambda image: chosen.function(placed(image, spans, canvas, color)), settings, chosen.seen)


def placed(image: np.ndarray, degrees: float, canvas: float, color: tuple[int, ...] = GRAY) -> np.ndarray:
    """A square picture that spans `canvas` degrees, with an image whose width spans `degrees` at its centre, cut if larger.

    image : uint8 (H, W, 3). Returns uint8 (s, s, 3) with as many pixels per degree as the image has.
    """
    side = max(1, round(image.shape[1] * canvas / degrees))
    framed = np.empty((side, side, 3), np.uint8)
    framed[:] = np.asarray(color, np.uint8)
    (to_y, from_y), (to_x, from_x) = (_overlap(side, extent) for extent in image.shape[:2])
    framed[to_y, to_x] = image[from_y, from_x]
    return framed


def _overlap(side: int, extent: int) -> tuple[slice, slice]:
    """Where an image of `extent` pixels comes to lie in `side`, and which of it does."""
    shift = (side - extent) // 2
    return (slice(shift, shift + extent), slice(None)) if shift >= 0 else (slice(None), slice(-shift, -shift + side))


def of_picture(function: Callable[[Image.Image], Any], settings: Any, seen: float) -> Preparation:
    """A library's transform of a PIL image."""
    return Preparation(lambda image: torch.as_tensor(function(Image.fromarray(image))), plain(settings), seen)


def plain(value: Any) -> Any:
    """`value` in JSON's types: enumerations by their value, objects by their class, never by an address."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return f"{type(value).__module__}.{type(value).__qualname__}"
