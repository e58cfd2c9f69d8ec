"""Shape metrics of convolutional layers: rotations of channels and circular shifts of the map, and nothing else."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.errors import DataError
from isocortex.similarity.shape.factors import check_kind, distance, factor


def _maps(x: Any, y: Any) -> tuple[torch.Tensor, torch.Tensor]:
    a = as_tensor(x)
    b = as_tensor(y, a.device)
    if a.ndim != 4 or b.ndim != 4 or a.shape[:3] != b.shape[:3]:
        raise DataError(
            f"convolutional_distance: found maps of shape {tuple(a.shape)} and {tuple(b.shape)}, "
            "expected (images, H, W, channels) with the same images, H and W; resize one of them first"
        )
    return a, b


def shift_distances(x: Any, y: Any, alpha: float = 1.0, kind: str = "angular", centre: bool = True) -> Any:
    """Distances (H, W) of maps `x` (images, H, W, C) at every circular shift to maps `y` (images, H, W, D).

    Entry (i, j) is for `x` rolled by i − H//2 rows and j − W//2 columns. A shift only reorders the rows of the
    (images H W) × C patterns, so that their factors are computed once, and products at all shifts are one correlation by
    FFT: C D products per frequency where each shift on its own would take (images H W) C D. Options as of `shape_distance`.
    """
    check_kind(kind)
    a, b = _maps(x, y)
    shape = a.shape[:3]
    f, g = (factor(z.reshape(-1, z.shape[-1]), alpha, centre) for z in (a, b))
    norms = torch.linalg.matrix_norm(f), torch.linalg.matrix_norm(g)
    f, g = f.reshape(*shape, -1), g.reshape(*shape, -1)
    height, width = shape[1:]
    spectra = [torch.fft.rfft2(z, dim=(1, 2)).permute(1, 2, 3, 0) for z in (f, g)]  # (H, W//2 + 1, channels, images)
    product = spectra[0].conj() @ spectra[1].mT
    product = torch.fft.irfft2(product, s=(height, width), dim=(0, 1)).reshape(height * width, *product.shape[2:])
    shared = product.new_empty(height * width)
    size = 8 * 3 * product.shape[1] * product.shape[2]
    for part in batches(len(product), size, budget_bytes(product.device)):
        shared[part] = torch.linalg.svdvals(product[part]).sum(-1)
    table = distance(norms[0], norms[1], shared, kind).reshape(height, width)
    return like_input(torch.roll(table, (height // 2, width // 2), (0, 1)), x)


def convolutional_distance(x: Any, y: Any, alpha: float = 1.0, kind: str = "angular", centre: bool = True) -> float:
    """The least of `shift_distances`: maps `x` (images, H, W, C) and `y` (images, H, W, D), one shift for all images.

    A metric for one alpha and centring (Williams et al. 2021). Raises DataError where images, H or W differ.
    """
    return float(as_tensor(shift_distances(x, y, alpha, kind, centre)).amin())
