"""Where a neuroid looks: centre and size of its receptive field, in image widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Fields:
    """x, y, size : (v,) each, in image widths. x runs from −½ (left) to ½ (right), y from −½ (bottom) to ½ (top); size is the
    standard deviation along one axis. NaN where there is none."""

    x: Any
    y: Any
    size: Any


def pixel_centres(height: int, width: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x (w,) and y (h,) of the centres of a map's pixels, in image widths; the map covers the whole (square) image."""
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width - 0.5
    y = 0.5 - (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
    return x, y


def fields_of_masks(masks: torch.Tensor) -> Fields:
    """Fields of masks (v, h, w), by the moments of their squares.

    A trained mask is noise outside its field: thousands of small weights would draw the centre to the middle and the size to
    that of the image if each counted by its size. Squared they hardly count. The square of a Gaussian is narrower by √2, which
    is put back, so that a Gaussian mask has its own standard deviation. A mask of zeros has no field.
    """
    weights = masks.square()
    total = weights.sum((1, 2))
    weights = weights / torch.where(total > 0, total, torch.nan)[:, None, None]
    x, y = pixel_centres(*masks.shape[1:], like=masks)
    along_x, along_y = weights.sum(1), weights.sum(2)
    centre_x, centre_y = along_x @ x, along_y @ y
    variance = (along_x * (x - centre_x[:, None]).square()).sum(1) + (along_y * (y - centre_y[:, None]).square()).sum(1)
    return Fields(centre_x, centre_y, variance.sqrt())
