"""Patterns as linear comparisons take them: checked, some of their stimuli, and no wider than they need to be."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError

# What centring leaves of a constant is rounding below this part of its length.
CONSTANT = 1e-12


def checked_pair(x: Any, y: Any, metric: str) -> tuple[torch.Tensor, torch.Tensor]:
    """`x` (n, p) and `y` (n, q) in float64 on the device of `x`.

    Raises `DataError` for arrays that are not matrices of as many stimuli with at least one unit, and for values that are not
    finite.
    """
    first = as_tensor(x, dtype=torch.float64)
    second = as_tensor(y, first.device, torch.float64)
    for name, given in (("x", first), ("y", second)):
        if given.ndim != 2 or given.shape[1] < 1:
            raise DataError(f"{metric}: found {name} of shape {tuple(given.shape)}, expected (stimuli, units >= 1)")
        if not bool(torch.isfinite(given).all()):
            raise DataError(f"{metric}: found NaN or infinite values in {name}, expected finite ones; leave those units out")
    if len(first) != len(second):
        raise DataError(f"{metric}: found {len(first)} stimuli in x and {len(second)} in y, expected the same stimuli")
    return first, second


def some_rows(system: Any, rows: np.ndarray) -> torch.Tensor:
    """The stimuli `rows` (m,) of a system (n, p), in float64."""
    whole = as_tensor(system, dtype=torch.float64)
    return whole[torch.as_tensor(rows, device=whole.device)]


def refuse_constant(x: torch.Tensor, metric: str) -> None:
    """Raise `DataError` where all stimuli have the same pattern."""
    if bool(torch.linalg.matrix_norm(x - x.mean(0)) <= CONSTANT * torch.linalg.matrix_norm(x)):
        raise DataError(f"{metric}: found the same pattern for all {len(x)} stimuli, expected some that differ; leave it out")


def narrowed(x: torch.Tensor) -> torch.Tensor:
    """Patterns (n, n) with the Gram matrix of `x` (n, p) where p is above n: x = RᵀQᵀ, and Q is a rotation."""
    return torch.linalg.qr(x.mT, mode="r")[1].mT if x.shape[1] > len(x) else x


def centred_columns(x: torch.Tensor) -> torch.Tensor:
    """Columns of `x` (..., n, v) less their means; exactly zero where they are constant."""
    moved = x - x.mean(-2, keepdim=True)
    constant = moved.square().sum(-2) <= CONSTANT**2 * x.square().sum(-2)
    return moved.masked_fill_(constant.unsqueeze(-2), 0.0)
