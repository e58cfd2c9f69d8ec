"""The source `pixels`: the image itself, made small."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isocortex.features.inputs import Pictures
from isocortex.features.model import Context
from isocortex.features.network import Layers, Network, NetworkModel, Run
from isocortex.features.preparing import Preparation, unit_pixels

# Rec. 601 luma, the weights with which an RGB image is made grey.
LUMA = (0.299, 0.587, 0.114)


class Pixels(nn.Module):
    """Images as they are, or their luminance."""

    def __init__(self, color: bool) -> None:
        super().__init__()
        self.color, self.pixels = color, nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, 3, size, size) → (batch, 3 or 1, size, size)."""
        return self.pixels(images if self.color else luminance(images))


def luminance(images: torch.Tensor) -> torch.Tensor:
    """(batch, 3, y, x) RGB → (batch, 1, y, x)."""
    return (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """(batch, channel, y, x) → (batch, channel, size, size), bilinear with antialiasing."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)


def resized_to(size: int) -> Preparation:
    """uint8 (H, W, 3) → float (3, size, size) in 0-1. The aspect ratio is not kept."""
    return Preparation(lambda image: resize(unit_pixels(np.asarray(image))[None], size)[0], {"resized": size})


def build_pixels(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {size: 32, color: true}; its one layer is `pixels`."""
    color = bool(entry.get("color", True))
    network = Network(Pixels(color), Pictures(resized_to(int(entry.get("size", 32)))), code=f"pixels, color {color}")
    return NetworkModel(network, Layers(("pixels",), model=context.model), Run(256, context.device))
