"""What float32 is good enough for."""

from __future__ import annotations

import torch

# Below this share of the largest eigenvalue float32 loses more than .001 sd of a held-out prediction: float64 there.
FLOAT32_FROM = 2e-5
# Operations up to which float64 costs next to nothing.
SMALL = 2e11


def needs_float64(alphas: torch.Tensor, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Which of `alphas` (A,) must not be used in `dtype`, for kernel eigenvalues `values` in descending order: (A,) bool.

    A held-out residual's error in float32, in units of its sd, is about 2e-8 · s_max/α (p > n).
    """
    if dtype == torch.float64:
        return torch.zeros(alphas.shape, dtype=torch.bool, device=alphas.device)
    return alphas.to(torch.float64) < FLOAT32_FROM * values[0].to(torch.float64)


def work_dtype(n: int, n_neuroids: int, n_alphas: int = 20) -> torch.dtype:
    """Float64 for a fit whose products are small, else float32: a function of the problem, never of the machine."""
    return torch.float64 if 2.0 * n * n * n_neuroids * n_alphas <= SMALL else torch.float32
