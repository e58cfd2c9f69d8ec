"""Gaussian receptive fields on a pyramid of sizes, and how much of each falls on every pixel of a map."""

from __future__ import annotations

import numpy as np
import torch

from isocortex.encoding.readouts.fields import pixel_centres
from isocortex.study.options.readouts import Fwrf


def pyramid(options: Fwrf, height: int, width: int) -> torch.Tensor:
    """Candidate fields (C, 3): x, y (upwards) and σ in image widths.

    Sizes are spaced evenly in their logarithm, places a σ apart over `span` image widths. A map cannot tell fields apart that
    are narrower, or nearer to one another, than half a pixel: such sizes become one.
    """
    least = 0.5 / max(height, width)
    sizes = np.unique(np.maximum(np.geomspace(options.smallest, options.largest, options.sizes), least))
    fields = []
    for size in sizes:
        steps = max(1, round(options.span / size))
        places = (np.arange(steps) - (steps - 1) / 2) * (options.span / steps)
        y, x = np.meshgrid(places, places, indexing="ij")
        fields.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, size)], 1))
    return torch.as_tensor(np.concatenate(fields))


def gaussian_mass(fields: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Mass (C, h, w) of Gaussian `fields` (C, 3) per pixel: density times area, or the integral where σ is below a pixel."""
    x, y = pixel_centres(height, width, like=fields)
    along = []
    for centres, places, pixel in ((fields[:, 1:2], y, 1 / height), (fields[:, :1], x, 1 / width)):
        size, off = fields[:, 2:], places - centres
        density = torch.exp(-0.5 * (off / size).square()) * (pixel / (size * (2 * torch.pi) ** 0.5))
        root = size * 2**0.5
        mass = (torch.erf((off + pixel / 2) / root) - torch.erf((off - pixel / 2) / root)) / 2
        along.append((density, mass))
    (density_y, mass_y), (density_x, mass_x) = along
    narrow = (fields[:, 2] < 1 / min(height, width))[:, None, None]
    product = lambda a, b: a[:, :, None] * b[:, None, :]
    return torch.where(narrow, product(mass_y, mass_x), product(density_y, density_x))
