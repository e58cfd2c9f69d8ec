"""Which penalties float32 is good enough for."""

from __future__ import annotations

import torch

# Below this share of the largest eigenvalue float32 loses more than .001 sd of a held-out prediction: float64 there.
FLOAT32_FROM = 2e-5


def needs_float64(alphas: torch.Tensor, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Which of `alphas` (A,) must not be used in `dtype`, for kernel eigenvalues `values` in descending order: (A,) bool.

    A held-out residual's error in float32, in units of its sd, is about 2e-8 · s_max/α (p > n).
    """
    if dtype == torch.float64:
        return torch.zeros(alphas.shape, dtype=torch.bool, device=alphas.device)
    return alphas.to(torch.float64) < FLOAT32_FROM * values[0].to(torch.float64)
