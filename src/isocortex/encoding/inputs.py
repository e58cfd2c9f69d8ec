"""Features and responses at the door of a method of arrays: one dtype, one device, checked once."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor
from isocortex.encoding.penalties import constant_columns
from isocortex.errors import DataError

FLOATS = (torch.float32, torch.float64)


def floating(x: Any, device: torch.device | None = None) -> torch.Tensor:
    """`x` as a float32 or float64 tensor; any other dtype becomes float64."""
    tensor = as_tensor(x, device)
    return tensor if tensor.dtype in FLOATS else tensor.to(torch.float64)


def paired(x: Any, y: Any, method: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, p) and responses (n, v) in the wider of their float dtypes, on the device of `x`.

    Raises `DataError` for shapes that do not match, fewer than two stimuli, or features that are not finite; responses may hold
    NaN.
    """
    features = floating(x)
    responses = floating(y, features.device)
    if features.ndim != 2 or responses.ndim != 2 or len(features) != len(responses):
        raise DataError(
            f"{method}: found x {tuple(features.shape)} and y {tuple(responses.shape)}, "
            "expected (stimuli, features) and (stimuli, neuroids) with equal numbers of stimuli"
        )
    if len(features) < 2:
        raise DataError(f"{method}: found {len(features)} stimuli, expected at least 2; a fit needs variance")
    bad = ~torch.isfinite(features)
    if bool(bad.any()):
        row, column = (int(index) for index in bad.nonzero()[0])
        raise DataError(
            f"{method}: found {int(bad.sum())} NaN or infinite features, first at [{row}, {column}], expected finite numbers; "
            "mend the model's output for that stimulus"
        )
    dtype = torch.promote_types(features.dtype, responses.dtype)
    return features.to(dtype), responses.to(dtype)


def usable(responses: torch.Tensor) -> torch.Tensor:
    """Columns (v,) of `responses` (n, v) that are finite throughout and not constant."""
    return torch.isfinite(responses).all(0) & ~constant_columns(responses)
