"""Layer outputs made into rows of features, and into small spatial maps."""

from __future__ import annotations

import torch
from torch.nn import functional

from isocortex.errors import StudyError

MAPS_LARGEST = 28  # readouts learn one weight per position; finer maps cost disk and gain nothing

Pool = str | int


def pool_rows(output: torch.Tensor, pool: Pool, layer: str) -> torch.Tensor:
    """(batch, feature) from a layer's output.

    Parameters
    ----------
    output : (batch, channel, y, x), (batch, token, embedding) or (batch, unit).
    pool : "none" flattens; "gap" averages over positions or tokens; an integer g averages onto a g × g grid (only 4-D; a map
        smaller than g stays as it is). Features are ordered channel, y, x.

    A layer of single units is never pooled. Raises `StudyError` for a grid over what has none.
    """
    if output.ndim < 3 or pool == "none":
        return output.flatten(1)
    if pool == "gap":
        return output.flatten(2).mean(2) if output.ndim > 3 else output.mean(1)
    if output.ndim != 4:
        raise StudyError(
            f"pool: layer {layer!r} gives shape {tuple(output.shape[1:])}, a {pool} × {pool} grid needs maps; use none or gap"
        )
    return _shrink(output, int(pool)).flatten(1)


def pool_maps(output: torch.Tensor, layer: str) -> torch.Tensor:
    """(batch, channel, y, x) averaged onto at most 28 × 28 positions. Raises `StudyError` for a layer without positions."""
    if output.ndim != 4:
        raise StudyError(
            f"readout.layers: layer {layer!r} gives shape {tuple(output.shape[1:])}, expected maps (channel, y, x); "
            "name a convolutional layer"
        )
    return _shrink(output, MAPS_LARGEST)


def _shrink(output: torch.Tensor, grid: int) -> torch.Tensor:
    size = (min(grid, output.shape[2]), min(grid, output.shape[3]))
    return output if size == tuple(output.shape[2:]) else functional.adaptive_avg_pool2d(output, size)
