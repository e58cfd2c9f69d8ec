"""The network of a core: convolutions whose last maps a readout looks at.

Depth-separable layers as in the compact models of Cowley et al. (2023); a Laplacian penalty keeps the first filters smooth, as
in Klindt et al. (2017) and Lurz et al. (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isocortex.errors import DataError

LUMA = (0.299, 0.587, 0.114)  # Rec. 601
NONLINEARITIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "elu": functional.elu,
    "softplus": functional.softplus,
}
# How a layer makes its maps smaller: by its stride, or by what is taken of each square of positions.
POOLING: dict[str, Callable[[torch.Tensor, int], torch.Tensor] | None] = {
    "stride": None,
    "mean": functional.avg_pool2d,
    "max": functional.max_pool2d,
}


@dataclass(frozen=True)
class Architecture:
    """size : pixels of the square input. color : RGB, else luminance. channels, kernels, strides : per layer, kernels odd.

    pooling : "stride" (of the convolution), "mean" or "max" (of squares of `strides` positions after it). separable : layers
    but the first are depthwise, then pointwise. normalize : batch normalisation. dropout : share of channels left out of a
    step.
    """

    size: int = 56
    color: bool = True
    channels: tuple[int, ...] = (32, 32, 32)
    kernels: tuple[int, ...] = (5, 5, 5)
    strides: tuple[int, ...] = (2, 2, 1)
    pooling: str = "mean"
    separable: bool = True
    normalize: bool = True
    nonlinearity: str = "elu"
    dropout: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Architecture:
        """From a mapping that may hold other keys too. Raises `DataError` for layers that do not fit together."""
        known = {item.name for item in fields(cls)}
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in options.items() if key in known
        }
        made = cls(**given)
        lengths = {len(made.channels), len(made.kernels), len(made.strides)}
        if len(lengths) != 1 or 0 in lengths or any(kernel % 2 == 0 for kernel in made.kernels):
            raise DataError(
                f"core: found channels {list(made.channels)}, kernels {list(made.kernels)}, strides {list(made.strides)}, "
                "expected as many of each and odd kernels"
            )
        for name, table in (("pooling", POOLING), ("nonlinearity", NONLINEARITIES)):
            if getattr(made, name) not in table:
                raise DataError(f"core: {name}, found {getattr(made, name)!r}, expected one of {', '.join(table)}")
        return made


class Layer(nn.Module):
    """Convolution (whole, or depthwise then pointwise), pooling, batch normalisation, nonlinearity."""

    def __init__(self, place: int, inputs: int, plan: Architecture) -> None:
        super().__init__()
        outputs, kernel, stride = plan.channels[place], plan.kernels[place], plan.strides[place]
        self.pool = POOLING[plan.pooling] if stride > 1 else None
        self.stride, self.nonlinearity = stride, NONLINEARITIES[plan.nonlinearity]
        shape: dict[str, Any] = {"kernel_size": kernel, "padding": kernel // 2, "stride": 1 if self.pool else stride}
        if place and plan.separable:
            self.depth: nn.Module = nn.Conv2d(inputs, inputs, groups=inputs, bias=False, **shape)
            self.point: nn.Conv2d = nn.Conv2d(inputs, outputs, 1, bias=not plan.normalize)
        else:
            self.depth = nn.Identity()
            self.point = nn.Conv2d(inputs, outputs, bias=not plan.normalize, **shape)
        self.norm: nn.Module = nn.BatchNorm2d(outputs) if plan.normalize else nn.Identity()
        self.drop: nn.Module = nn.Dropout2d(plan.dropout) if plan.dropout else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, y, x) → (batch, outputs, y/stride, x/stride)."""
        maps = self.point(self.depth(maps))
        if self.pool is not None:
            # A remainder that fills no square is continued, not cut: maps cover the whole image.
            short = [-extent % self.stride for extent in (maps.shape[3], maps.shape[2])]
            maps = functional.pad(maps, (0, short[0], 0, short[1]), mode="replicate") if any(short) else maps
            maps = self.pool(maps, self.stride)
        return self.drop(self.nonlinearity(self.norm(maps)))


class CoreNetwork(nn.Module):
    """Layers of an architecture on images that are brought to zero mean and unit variance per channel."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, plan: Architecture) -> None:
        super().__init__()
        self.plan = plan
        inputs = [3 if plan.color else 1, *plan.channels[:-1]]
        self.layers = nn.ModuleList([Layer(place, before, plan) for place, before in enumerate(inputs)])
        self.register_buffer("mean", torch.zeros(inputs[0]))
        self.register_buffer("scale", torch.ones(inputs[0]))
        for kernel in (value for value in self.parameters() if value.ndim == 4):
            # The order in which processors take convolutions fastest.
            kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)

    @property
    def first(self) -> torch.Tensor:
        """Filters of the first layer: (filter, channel, y, x)."""
        return self.layers[0].get_parameter("point.weight")

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the last maps."""
        side = self.plan.size
        for stride in self.plan.strides:
            side = -(-side // stride)
        return side, side

    def measure(self, images: torch.Tensor) -> None:
        """Take mean and spread per channel from the training images, uint8 (n, channel, y, x)."""
        n = images.numel() / images.shape[1]
        mean = torch.stack([part.double().sum((0, 2, 3)) for part in images.split(256)]).sum(0) / n
        off = [(part.double() - mean[:, None, None]).square().sum((0, 2, 3)) for part in images.split(256)]
        square = torch.stack(off).sum(0) / n
        self.mean.copy_(mean)
        self.scale.copy_(square.sqrt().clamp(min=1.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (batch, channel, size, size) → maps (batch, channels[-1], y, x), contiguous."""
        maps = (images.to(self.mean.dtype) - self.mean[:, None, None]) / self.scale[:, None, None]
        maps = maps.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            maps = layer(maps)
        return maps.contiguous()

    def roughness(self) -> torch.Tensor:
        """Squared Laplacian of the first filters, whose borders are 0, over their squared length."""
        laplacian = self.first.new_tensor([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]])
        planes = self.first.flatten(0, 1)[:, None]
        bent = functional.conv2d(planes, laplacian[None, None], padding=1)
        return bent.square().sum() / self.first.square().sum().clamp(min=1e-12)


def prepare(image: np.ndarray, size: int, color: bool) -> np.ndarray:
    """uint8 (H, W, 3) → uint8 (3 or 1, size, size), bilinear with antialiasing; the aspect ratio is not kept."""
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float32)[None]
    if not color:
        pixels = (pixels * pixels.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    if pixels.shape[-2:] != (size, size):
        pixels = functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return pixels[0].round().clamp(0, 255).to(torch.uint8).numpy()
