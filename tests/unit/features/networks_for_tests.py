"""Small modules that the tests of `callable` build by name."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class Small(nn.Module):
    """Convolution, batch normalisation, a ReLU that works in place, a linear output, and a branch that never runs."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential()
        self.stem.add_module("conv", nn.Conv2d(3, width, 3, padding=1))
        self.stem.add_module("norm", nn.BatchNorm2d(width))
        self.stem.add_module("relu", nn.ReLU(inplace=True))
        self.head = nn.Linear(width, 2)
        self.unused = nn.Linear(1, 1)
        self.passes = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.head(self.stem(images).mean((2, 3)))


def small(weights: str | None = None, width: int = 4) -> nn.Module:
    module = Small(width)
    if weights is not None:
        module.load_state_dict(torch.load(weights, weights_only=True))
    return module


def stubborn(weights: str | None = None) -> nn.Module:
    """Comes with weights of its own whatever is asked."""
    module = Small()
    with torch.no_grad():
        for value in module.state_dict().values():
            value.fill_(7)
    return module


class Prepared(Small):
    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        return torch.full((3, 4, 4), float(image.mean()))


def prepared(weights: str | None = None) -> nn.Module:
    return Prepared()


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.pair = Pair()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.pair(self.conv(self.conv(images)))[0]


class Pair(nn.Module):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images, images.mean((2, 3))


def twice(weights: str | None = None) -> nn.Module:
    return Twice()


def tokens(weights: str | None = None) -> nn.Module:
    return nn.Sequential(nn.Flatten(2), nn.Linear(16, 5))


def nothing(weights: str | None = None) -> str:
    return "not a module"


def broken(weights: str | None = None) -> nn.Module:
    raise ValueError("no such\nthing")
