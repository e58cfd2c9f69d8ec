"""Affine warps of masks: from a few numbers per image and neuroid to the 2 × 3 matrices that say where a mask is read."""

from __future__ import annotations

import torch
import torch.utils.checkpoint

from isocortex.compute import batches

# How many numbers each move takes, all zero for no move at all.
NUMBERS = {"translation": 2, "rotation": 1, "scale": 2, "shear": 2}
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# Warped masks of at most this size are made at once.
PIECE_BYTES = 1 << 28


def numbers(warp: str) -> int:
    """Numbers per image and neuroid that a warp takes."""
    if warp in ("full", "none"):
        return 6 if warp == "full" else 0
    return sum(NUMBERS[part] for part in warp.split("+"))


def thetas(raw: torch.Tensor, warp: str) -> torch.Tensor:
    """Rows of the sampling matrices (…, 6) from `raw` (…, k): output place (x, y, 1) ↦ place on the mask.

    'full' takes all six less the identity. Else the matrix is rotation · shear · scale with a translation, whichever are named:
    angle in radians, scales as logarithms, translations in half maps.
    """
    identity = raw.new_tensor(IDENTITY)
    if warp in ("full", "none"):
        return raw + identity if warp == "full" else identity.expand(*raw.shape[:-1], 6)
    matrix, shift, used = torch.eye(2).to(raw), raw.new_zeros(*raw.shape[:-1], 2), 0
    given = {}
    for part in warp.split("+"):
        given[part] = raw[..., used : used + NUMBERS[part]]
        used += NUMBERS[part]
    for part in ("rotation", "shear", "scale"):
        if part in given:
            matrix = matrix @ MATRICES[part](given[part])
    matrix = matrix.expand(*raw.shape[:-1], 2, 2)
    return torch.cat([matrix, given.get("translation", shift)[..., None]], -1).flatten(-2)


def _rotation(raw: torch.Tensor) -> torch.Tensor:
    cos, sin = raw[..., 0].cos(), raw[..., 0].sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def _shear(raw: torch.Tensor) -> torch.Tensor:
    one = torch.ones_like(raw[..., 0])
    return torch.stack([torch.stack([one, raw[..., 0]], -1), torch.stack([raw[..., 1], one], -1)], -2)


MATRICES = {"rotation": _rotation, "shear": _shear, "scale": lambda raw: torch.diag_embed(raw.exp())}


def warped(masks: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Masks (v, h, w) read where `theta` (n, v, 6) says, bilinearly, zero outside: (n, v, h, w)."""
    n, v = theta.shape[:2]
    height, width = masks.shape[1:]
    grid = torch.nn.functional.affine_grid(theta.reshape(-1, 2, 3), [n * v, 1, height, width], align_corners=False)
    stacked = masks.expand(n, -1, -1, -1).reshape(n * v, 1, height, width)
    return torch.nn.functional.grid_sample(stacked, grid.to(masks.dtype), align_corners=False).view(n, v, height, width)


def read_warped(maps: torch.Tensor, masks: torch.Tensor, theta: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Σ_c f_c Σ_xy s_xy|image F_cxy: maps (n, c, h, w), masks (v, h, w), theta (n, v, 6), features (v, c) → (n, v).

    Warped masks are as large as neuroids × images × pixels: neuroids go in pieces, whose gradients are made by warping again.
    """
    parts = list(batches(len(masks), 4 * 4 * len(maps) * masks[0].numel(), PIECE_BYTES))
    if len(parts) == 1:
        return _read_warped(maps, masks, theta, features)
    pieces = []
    for part in parts:
        inputs = maps, masks[part], theta[:, part], features[part]
        if torch.is_grad_enabled():
            pieces.append(torch.utils.checkpoint.checkpoint(_read_warped, *inputs, use_reentrant=False))
        else:
            pieces.append(_read_warped(*inputs))
    return torch.cat(pieces, 1)


def _read_warped(maps: torch.Tensor, masks: torch.Tensor, theta: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    looks = warped(masks, theta).flatten(2)
    if maps.shape[1] < maps.shape[2] * maps.shape[3]:
        return ((looks @ maps.flatten(2).transpose(1, 2)) * features).sum(2)
    return ((features @ maps.flatten(2)) * looks).sum(2)
