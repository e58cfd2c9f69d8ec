"""The source `gabor`: an energy pyramid, the classical model of complex cells in V1 (Adelson & Bergen 1985; Nishimoto 2011).

Each scale sees the luminance image at half the size of the one before, through the same quadrature pairs of Gabor kernels with
a wavelength of four pixels: the finest scale passes size/4 cycles per image, and each next one an octave less.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from isocortex.errors import StudyError
from isocortex.features.inputs import Pictures
from isocortex.features.model import Context
from isocortex.features.network import Layers, Network, NetworkModel, Run
from isocortex.features.sources.pixels import luminance, resize, resized_to

WAVELENGTH = 4.0  # pixels of a scale's own image
BANDWIDTH = 1.0  # octaves at half amplitude
FINEST_GRID, COARSEST_GRID = 8, 2  # positions per side over which energy is averaged, at the finest and the coarsest scale
COLOR_GRID = 8
LAYERS = ("energy", "energy_color", "simple")


def gabor_kernels(orientations: int) -> torch.Tensor:
    """Quadrature pairs of kernels, (orientation, phase, y, x) float32, each of zero mean and unit norm.

    Orientation k is the direction of the wave vector, πk/orientations from the x axis towards +y; phases are cosine and sine.
    The envelope is round, with the standard deviation that gives `BANDWIDTH` (Petkov & Kruizinga 1997, eq. 4).
    """
    ratio = 2.0**BANDWIDTH
    sigma = WAVELENGTH / math.pi * math.sqrt(math.log(2) / 2) * (ratio + 1) / (ratio - 1)
    radius = math.ceil(2.5 * sigma)
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle = torch.arange(orientations, dtype=torch.float64)[:, None, None] * math.pi / orientations
    wave = 2 * math.pi / WAVELENGTH * (x * torch.cos(angle) + y * torch.sin(angle))
    envelope = torch.exp(-(x**2 + y**2) / (2 * sigma**2))
    pair = torch.stack([envelope * torch.cos(wave), envelope * torch.sin(wave)], dim=1)
    # The cosine phase is made blind to uniform light by a scaled envelope: the carrier alone would leave a trace.
    pair = pair - envelope * (pair.sum((2, 3), keepdim=True) / envelope.sum())
    return (pair / pair.square().sum((2, 3), keepdim=True).sqrt()).to(torch.float32)


class GaborPyramid(nn.Module):
    """Local energy √(cos² + sin²), half-rectified simple cells, and a small grid of colour, as layers of a network."""

    kernels: torch.Tensor

    def __init__(self, orientations: int, scales: int) -> None:
        super().__init__()
        self.register_buffer("kernels", gabor_kernels(orientations))
        self.scales = scales
        self.energy, self.energy_color, self.simple = nn.Identity(), nn.Identity(), nn.Identity()

    def grid(self, scale: int) -> int:
        """Positions per side at a scale: from 8 at the finest to 2 at the coarsest, falling with the resolution."""
        part = scale / max(self.scales - 1, 1)
        return round(FINEST_GRID * (COARSEST_GRID / FINEST_GRID) ** part)

    def filtered(self, light: torch.Tensor) -> torch.Tensor:
        """(batch, 1, y, x) → (batch, orientation, phase, y, x); edges are continued, so that they make no contour."""
        orientations, phases, height, width = self.kernels.shape
        padded = functional.pad(light, (width // 2, width // 2, height // 2, height // 2), mode="replicate")
        return functional.conv2d(padded, self.kernels.reshape(-1, 1, height, width)).unflatten(1, (orientations, phases))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, 3, size, size) in 0-1 → energy (batch, feature), ordered scale, orientation, y, x."""
        light = luminance(images)
        energy, simple = [], []
        for scale in range(self.scales):
            pair = self.filtered(resize(light, round(light.shape[-1] / 2**scale)))
            grid = self.grid(scale)
            energy.append(functional.adaptive_avg_pool2d(pair.square().sum(2).sqrt(), grid).flatten(1))
            phases = torch.cat([pair, -pair], 2).relu().flatten(1, 2)
            simple.append(functional.adaptive_avg_pool2d(phases, grid).flatten(1))
        found = self.energy(torch.cat(energy, 1))
        self.simple(torch.cat(simple, 1))
        self.energy_color(torch.cat([found, functional.adaptive_avg_pool2d(images, COLOR_GRID).flatten(1)], 1))
        return found


def build_gabor(entry: dict[str, Any], context: Context) -> NetworkModel:
    """The model of an entry {size: 96, orientations: 8, scales: 5}.

    Layers: `energy`, and `energy_color` with a grid of 8 × 8 mean colours beside it; `simple` if the entry's `layers` name it.
    Raises `StudyError` where the coarsest image would be smaller than one wavelength.
    """
    size, orientations, scales = (
        int(entry.get(key, default)) for key, default in (("size", 96), ("orientations", 8), ("scales", 5))
    )
    if size / 2 ** (scales - 1) < WAVELENGTH:
        most = int(math.log2(size / WAVELENGTH)) + 1
        raise StudyError(f"models.{context.model}.scales: found {scales}, expected at most {most} for size {size}; lower it")
    code = f"gabor, {orientations} orientations, {scales} scales"
    network = Network(GaborPyramid(orientations, scales), Pictures(resized_to(size)), code=code)
    layers = Layers(tuple(entry.get("layers") or LAYERS[:2]), model=context.model)
    return NetworkModel(network, layers, Run(64, context.device))
