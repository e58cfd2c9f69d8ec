"""Convolutional networks whose weights are a function of a seed: known truths for simulated brains, and their decoys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isocortex.errors import StudyError

# What a unit gives of its input, and how maps are halved: by leaving out every other place, by means, or by maxima.
NONLINEARITIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "tanh": torch.tanh,
    "square": torch.square,
    "abs": torch.abs,
}
POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "average": lambda maps: functional.avg_pool2d(maps, 2, ceil_mode=True),
    "max": lambda maps: functional.max_pool2d(maps, 2, ceil_mode=True),
}
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "image": lambda maps: nn.GroupNorm(1, maps, affine=False),
    "map": lambda maps: nn.GroupNorm(maps, maps, affine=False),
    "none": lambda _: nn.Identity(),
}


@dataclass(frozen=True)
class Style:
    """What all blocks of a network have in common, beside their width."""

    kernel: int = 3
    nonlinearity: str = "relu"
    norm: str = "image"
    pooling: str = "stride"

    def __post_init__(self) -> None:
        for name, table in (("nonlinearity", NONLINEARITIES), ("norm", NORMS), ("pooling", ("stride", *POOLINGS))):
            if (found := getattr(self, name)) not in table:
                raise StudyError(f"options: found {name} {found!r}, expected one of {', '.join(table)}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise StudyError(f"options: found kernel {self.kernel}, expected an odd number")


class Block(nn.Module):
    """Convolution, halving the size if asked; each image's maps brought to zero mean and unit variance; rectified.

    `style` says otherwise: the kernel's side, the norm (of an image's maps together, of each map, or none), the nonlinearity.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, style: Style | None = None) -> None:
        super().__init__()
        style = style or Style()
        step, padding = (stride if style.pooling == "stride" else 1), style.kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, style.kernel, stride=step, padding=padding, padding_mode="reflect", bias=False)
        self.norm = NORMS[style.norm](outputs)
        self.act = NONLINEARITIES[style.nonlinearity]
        self.pool = POOLINGS[style.pooling] if stride > step else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, y, x) → (batch, outputs, y/stride, x/stride)."""
        maps = self.act(self.norm(self.conv(images)))
        return maps if self.pool is None else self.pool(maps)


class SeededNetwork(nn.Module):
    """Layers conv1, conv2, … of `channels` maps each; images are made `size` × `size` where it is given."""

    def __init__(self, channels: int, depth: int, style: Style | None = None, size: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.names = [f"conv{index + 1}" for index in range(depth)]
        for index, name in enumerate(self.names):
            self.add_module(name, Block(channels if index else 3, channels, 2 if 0 < index < 4 else 1, style))

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        """uint8 (H, W, 3) → (3, H, W) about −1 to 1."""
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float32) / 127.5 - 1
        if self.size is None or pixels.shape[1:] == (self.size, self.size):
            return pixels
        return functional.interpolate(pixels[None], (self.size, self.size), mode="bilinear", antialias=True)[0]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The last layer's maps."""
        for name in self.names:
            images = self.get_submodule(name)(images)
        return images


def build(
    weights: str | None = None,
    channels: int = 16,
    depth: int = 4,
    seed: int = 0,
    *,
    size: int | None = None,
    kernel: int = 3,
    nonlinearity: str = "relu",
    norm: str = "image",
    pooling: str = "stride",
) -> SeededNetwork:
    """A network whose weights are drawn with `seed`, He-scaled (He et al. 2015); no file of weights belongs to it.

    size : side in pixels that images are brought to first. kernel : side of the filters, odd. nonlinearity : relu, tanh,
    square or abs. norm : of all maps of an image together, of each map, or none. pooling : how maps are halved.
    """
    if weights is not None:
        raise StudyError(
            f"weights: found {weights!r}, but a seeded network has none; leave it out and set options: {{seed: …}}"
        )
    if channels < 1 or depth < 1:
        raise StudyError(f"options: found channels {channels} and depth {depth}, expected at least 1 of each")
    network = SeededNetwork(channels, depth, Style(kernel, nonlinearity, norm, pooling), size)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * math.sqrt(2 / fan_in))
    return network.eval()
