"""Convolutional networks whose weights are a function of a seed: known truths for simulated brains, and their decoys."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isocortex.errors import StudyError


class Block(nn.Module):
    """3 × 3 convolution, halving the size if asked; each image's maps brought to zero mean and unit variance; rectified."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, padding_mode="reflect", bias=False)
        self.norm = nn.GroupNorm(1, outputs, affine=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, y, x) → (batch, outputs, y/stride, x/stride)."""
        return functional.relu(self.norm(self.conv(images)))


class SeededNetwork(nn.Module):
    """Layers conv1, conv2, … of `channels` maps each."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.names = [f"conv{index + 1}" for index in range(depth)]
        for index, name in enumerate(self.names):
            self.add_module(name, Block(channels if index else 3, channels, 2 if 0 < index < 4 else 1))

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        """uint8 (H, W, 3) → (3, H, W) about −1 to 1."""
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float32) / 127.5 - 1

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The last layer's maps."""
        for name in self.names:
            images = self.get_submodule(name)(images)
        return images


def build(weights: str | None = None, channels: int = 16, depth: int = 4, seed: int = 0) -> SeededNetwork:
    """A network whose weights are drawn with `seed`, He-scaled (He et al. 2015); no file of weights belongs to it."""
    if weights is not None:
        raise StudyError(
            f"weights: found {weights!r}, but a seeded network has none; leave it out and set options: {{seed: …}}"
        )
    if channels < 1 or depth < 1:
        raise StudyError(f"options: found channels {channels} and depth {depth}, expected at least 1 of each")
    network = SeededNetwork(channels, depth)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * math.sqrt(2 / fan_in))
    return network.eval()
