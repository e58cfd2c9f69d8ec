"""Input of a regression: what is refused, what is filled, how features are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.encoding.penalties import CONSTANT, constant_columns
from isocortex.errors import DataError


def fold_indices(n: int, folds: int | Sequence[Any]) -> list[np.ndarray]:
    """Validation rows per fold: given, or `folds` contiguous parts of range(n). Together they are all rows, each once."""
    if isinstance(folds, int):
        parts = np.array_split(np.arange(n), max(folds, 1))
    else:
        parts = [np.asarray(part, dtype=np.int64) for part in folds]
        held = np.concatenate(parts)
        if sorted(held.tolist()) != list(range(n)):
            raise DataError(
                f"ridge: found folds that hold {len(held)} rows of {n}, expected every row in one fold and one only; "
                "give validation rows that divide the stimuli"
            )
    if len(parts) < 2 or (isinstance(folds, int) and n < 2 * len(parts)):
        raise DataError(
            f"ridge: found {n} training stimuli and {len(parts)} folds, expected 2 folds or more and 2 stimuli for each"
        )
    return parts


def checked_features(x: Any) -> torch.Tensor:
    """Features (n, p) as a tensor of float32, if they are that, or float64. Raises `DataError` for NaN or other shapes."""
    features = as_tensor(x)
    features = features if features.dtype == torch.float32 else features.to(torch.float64)
    if features.ndim != 2:
        raise DataError(f"ridge: found x {tuple(features.shape)}, expected (stimuli, features)")
    bad = ~torch.isfinite(features)
    if bool(bad.any()):
        row, column = (int(index) for index in bad.nonzero()[0])
        raise DataError(
            f"ridge: found {int(bad.sum())} NaN or infinite features, first at [{row}, {column}], expected finite numbers"
        )
    return features


def checked_responses(y: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Responses (n, v) in the dtype and on the device of features `x`, columns with NaN or without variance filled with zeros,
    and which are valid."""
    responses = as_tensor(y).to(x.device, x.dtype)
    if responses.ndim != 2 or len(x) != len(responses):
        raise DataError(
            f"ridge: found x {tuple(x.shape)} and y {tuple(responses.shape)}, "
            "expected (stimuli, features) and (stimuli, neuroids)"
        )
    valid = torch.isfinite(responses).all(0) & ~constant_columns(responses)
    return responses if bool(valid.all()) else torch.where(valid, responses, 0.0), valid


def scaling(x: torch.Tensor, centre: bool, standardize: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean, scale and which columns vary, from training rows."""
    mean = x.mean(0) if centre or standardize else torch.zeros_like(x[0])
    if not standardize:
        return mean, torch.ones_like(mean), torch.ones_like(mean, dtype=torch.bool)
    spread = x.std(0, correction=0)
    varies = spread > CONSTANT * x.abs().amax(0)
    return mean, torch.where(varies, spread, 1.0), varies


def scaled_features(
    x: torch.Tensor, scales: tuple[torch.Tensor, torch.Tensor, torch.Tensor], standardize: bool
) -> torch.Tensor:
    """Features less their mean, over their scale, zero where they do not vary."""
    mean, scale, varies = scales
    return (x - mean) / scale * varies if standardize else x - mean


def largest_eigenvalue(kernel: torch.Tensor, centre: bool = True, steps: int = 12) -> float:
    """The largest eigenvalue of a kernel (n, n), doubly centred or not, by a few power iterations: from below, its
    order of magnitude."""
    # A start that no kernel made of stimuli is orthogonal to, and the same at every call.
    vector = torch.cos(torch.arange(len(kernel), device=kernel.device, dtype=torch.float64).square()).to(kernel.dtype)
    size = 0.0
    for _ in range(steps):
        vector = vector - vector.mean() if centre else vector
        norm = float(vector.norm())
        if norm == 0:
            return 0.0
        vector = kernel @ (vector / norm)
        vector = vector - vector.mean() if centre else vector
        size = float(vector.norm())
    return size
