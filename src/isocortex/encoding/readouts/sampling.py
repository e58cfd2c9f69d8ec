"""Reading maps at points, bilinearly, and the noise that moves the points while they are learnt.

Points are (x, y) in [−1, 1]², x along the width, y downwards, as in torch's grid_sample. `align_corners`: ±1 are the centres of
the outermost pixels; else their outer edges, and what lies outside is zero.
"""

from __future__ import annotations

import math

import torch

GOLDEN, FIRST, SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


def corners(points: torch.Tensor, size: tuple[int, int], align_corners: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The four pixels around each of `points` (…, 2) as indices into h·w, and their weights: (…, 4) both."""
    index, weight = [], []
    for axis, length in ((0, size[1]), (1, size[0])):
        position = points[..., axis]
        place = (position + 1) / 2 * (length - 1) if align_corners else ((position + 1) * length - 1) / 2
        low = place.detach().floor()
        share = place - low
        near = torch.stack([low, low + 1], -1).long()
        inside = (near >= 0) & (near < length)
        index.append(near.clamp(0, length - 1))
        weight.append(torch.stack([1 - share, share], -1) * inside)
    index_x, index_y = index
    flat = index_y[..., :, None] * size[1] + index_x[..., None, :]
    return flat.flatten(-2), (weight[1][..., :, None] * weight[0][..., None, :]).flatten(-2)


def footprints(points: torch.Tensor, size: tuple[int, int], align_corners: bool) -> torch.Tensor:
    """The weights with which points (v, 2) are read, on the map: (v, h, w)."""
    index, weight = corners(points, size, align_corners)
    return weight.new_zeros(len(points), size[0] * size[1]).scatter_add(1, index, weight).view(-1, *size)


def sample(maps: torch.Tensor, points: torch.Tensor, features: torch.Tensor, align_corners: bool) -> torch.Tensor:
    """Σ_c f_c F_c(point): maps (n, c, h, w), points (n, v, 2), features (v, c) → (n, v).

    On small maps every pixel is mixed first, by one product, and four of them are read; on large ones the maps are read first.
    """
    n, channels, height, width = maps.shape
    if height * width > MIXED_UP_TO:
        taken = torch.nn.functional.grid_sample(maps, points[:, :, None], align_corners=align_corners)[..., 0]
        return (taken * features.T).sum(1)
    mixed = maps.flatten(2).transpose(1, 2).reshape(-1, channels) @ features.T
    index, weight = corners(points, (height, width), align_corners)
    mixed = mixed.view(n, height * width, -1)
    return (mixed.gather(1, index.transpose(1, 2)) * weight.transpose(1, 2)).sum(1)


# Pixels of a map up to which mixing all of them costs less than reading all channels at four.
MIXED_UP_TO = 200


def column_keys(y: torch.Tensor) -> torch.Tensor:
    """A number per column of `y` (n, v) by its content: (v,) int64."""
    rows = torch.arange(1, len(y) + 1, device=y.device, dtype=torch.int64)
    bits = y.to(torch.float32).contiguous().view(torch.int32).to(torch.int64)
    return _mixed(((bits + 1) * _mixed(rows * GOLDEN)[:, None]).sum(0))


def normal_noise(keys: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """Standard normal numbers (n, v, 2), by the generator's state and a key per neuroid (v,).

    A neuroid's numbers depend on nothing but its own key: not on its company, nor on the device.
    """
    seeds = torch.randint(-(1 << 62), 1 << 62, (n,), generator=generator, dtype=torch.int64).to(keys.device)
    bits = _mixed(seeds[:, None] ^ keys)
    first, second = ((bits >> shift) & 0xFFFFFF for shift in (0, 24))
    radius = (-2 * ((first + 1).to(torch.float32) / (1 << 24)).log()).sqrt()
    angle = second.to(torch.float32) * (2 * math.pi / (1 << 24))
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1)


def _mixed(bits: torch.Tensor) -> torch.Tensor:
    """The finaliser of SplitMix64 on int64, whose products wrap around."""
    for shift, factor in ((30, FIRST), (27, SECOND), (31, 1)):
        bits = (bits ^ ((bits >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return bits
