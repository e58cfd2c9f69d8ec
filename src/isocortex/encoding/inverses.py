"""Kernel ridge for all penalties of one kernel, by one Cholesky factor per penalty.

For a search over kernels, each used for few penalties and never again: ten inverses cost as much as one eigendecomposition and
the change to its basis, and leave products that are one fold's rows high.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes
from isocortex.encoding.precision import needs_float64
from isocortex.encoding.spanning import spanning

# Working memory of one product; more does not make it faster.
PRODUCT_BYTES = 1 << 28
# Roundings of one number that a prediction may be off by where it is a combination of others.
ROUNDING = 32

# Training and validation rows of a fold.
Rows = tuple[torch.Tensor, torch.Tensor]


def held_out_errors(
    kernel: torch.Tensor, y: torch.Tensor, folds: Sequence[Rows], alphas: torch.Tensor, size: float, centre: bool
) -> torch.Tensor:
    """Mean over folds, with equal weight, of the mean squared held-out error: (A, v) float64.

    kernel : (n, n); with an intercept (`centre`) doubly centred, and `y` (n, v) without its mean. size : about the largest
    eigenvalue. alphas : (A,) ascending. Arithmetic in the dtype of `y`, but for penalties that need float64. ∞ for penalties at
    rounding level of the kernel, or too small to make it positive.
    """
    n = len(kernel)
    errors = torch.full((len(alphas), y.shape[1]), torch.inf, dtype=torch.float64, device=y.device)
    if size <= 0:  # every penalty predicts the mean, and rounding must not choose among them
        return errors.copy_(_sweep(kernel, 0.0, y, folds, alphas[-1:], 1.0, centre))
    # A centred kernel has eigenvalue 0 along the ones: α alone would make them the largest part of its inverse, which is to be
    # taken off again. With the mean eigenvalue there they are a small part of it, and float32 does.
    along_ones = float(kernel.diagonal().mean()) if centre else 0.0
    system = kernel + along_ones / n
    usable = alphas > n * torch.finfo(torch.float64).eps * size
    exact = needs_float64(alphas, alphas.new_tensor([size]), y.dtype)
    for dtype, wanted in ((torch.float64, usable & exact), (y.dtype, usable & ~exact)):
        indices = wanted.nonzero()[:, 0]
        cast = system.to(dtype)
        for part in batches(len(indices), cast.nbytes, budget_bytes(y.device) / 4):
            errors[indices[part]] = _sweep(cast, along_ones, y, folds, alphas[indices[part]], 2 * size, centre)
    return errors


def _sweep(
    system: torch.Tensor,
    along_ones: float,
    y: torch.Tensor,
    folds: Sequence[Rows],
    alphas: torch.Tensor,
    largest: float,
    centre: bool,
) -> torch.Tensor:
    """The errors (A, v) of some penalties in the dtype of `system`, whose eigenvalues are at most `largest`."""
    dtype = system.dtype
    solved, mixing = spanning(alphas.cpu().numpy(), largest, ROUNDING * torch.finfo(dtype).eps)
    others = np.setdiff1d(np.arange(len(alphas)), solved)
    weights = torch.as_tensor(mixing[others], dtype=dtype, device=y.device)
    maps = _held_out_maps(system, along_ones, folds, alphas[solved].tolist(), centre)
    errors = torch.zeros(len(alphas), y.shape[1], dtype=torch.float64, device=y.device)
    for (train, other), linear in zip(folds, maps, strict=True):
        cost = system.element_size() * (2 * len(other) * len(alphas) + 2 * len(system))
        for columns in batches(y.shape[1], cost, min(PRODUCT_BYTES, budget_bytes(y.device) / 4)):
            y_train, y_other = (y[:, columns][rows].to(dtype) for rows in (train, other))
            residual = (linear.flatten(0, 1) @ y_train).unflatten(0, (len(solved), -1)).add_(y_other)
            if len(others):  # what the weights of the predictions leave to 1 is the mean's
                plain = y_other - y_train.mean(0) if centre else y_other
                rest = torch.tensordot(weights, residual, 1).add_((1 - weights.sum(1))[:, None, None] * plain)
                errors[others, columns] += rest.square_().mean(1).double() / len(folds)
            errors[solved, columns] += residual.square_().mean(1).double() / len(folds)
    return errors.nan_to_num_(nan=torch.inf)


def _held_out_maps(
    system: torch.Tensor, along_ones: float, folds: Sequence[Rows], alphas: list[float], centre: bool
) -> list[torch.Tensor]:
    """Per fold S the maps (A, m, n − m) from training responses to minus the predictions of the fold; NaN if unsolvable.

    With R = α (K + α)⁻¹, less its part along the ones if there is an intercept, the residuals of S when it is left out are
    R_SS⁻¹ (R y)_S, those of a fit centred on the training rows T. So the map is R_SS⁻¹ R_ST, whatever the factor α: one inverse
    serves all folds, and I − H, which loses all digits in float32, is never formed.
    """
    maps = [system.new_empty(len(alphas), len(other), len(train)) for train, other in folds]
    for index, alpha in enumerate(alphas):
        inverse = _inverse(_shifted(system, alpha))
        if centre:
            inverse -= 1 / (len(system) * (alpha + along_ones))
        for (train, other), out in zip(folds, maps, strict=True):
            rows = inverse[other]
            torch.mm(_inverse(rows[:, other]), rows[:, train], out=out[index])
    return maps


def _shifted(kernel: torch.Tensor, alpha: float) -> torch.Tensor:
    """K + α I."""
    shifted = kernel.clone()
    shifted.diagonal().add_(alpha)
    return shifted


def _inverse(matrix: torch.Tensor) -> torch.Tensor:
    """The inverse of a symmetric matrix; NaN where it is not positive."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    return torch.cholesky_inverse(factor) if int(info) == 0 else torch.full_like(matrix, torch.nan)


def dual_weights(kernel: torch.Tensor, y: torch.Tensor, alphas: torch.Tensor, size: float) -> torch.Tensor:
    """(K + α)⁻¹ y (n, v) with penalty `alphas` (v,) per neuroid; arguments as in `held_out_errors`.

    By one Cholesky factor for every penalty in use: twenty of them cost less than an eigendecomposition.
    """
    dual = torch.empty_like(y)
    for alpha in alphas.unique():
        exact = bool(needs_float64(alpha[None], alpha.new_tensor([size]), y.dtype))
        dtype = torch.float64 if exact else y.dtype
        columns = (alphas == alpha).nonzero()[:, 0]
        factor = torch.linalg.cholesky(_shifted(kernel.to(dtype), float(alpha)))
        dual[:, columns] = torch.cholesky_solve(y[:, columns].to(dtype), factor).to(y.dtype)
    return dual


def held_out_residuals(
    kernel: torch.Tensor, y: torch.Tensor, folds: Sequence[Rows], alphas: torch.Tensor, size: float, centre: bool
) -> torch.Tensor:
    """Held-out residuals (n, v) of every fold with penalty `alphas` (v,) per neuroid; other arguments as in `held_out_errors`.

    R_SS⁻¹ (R y)_S of each fold S, R as in `_held_out_maps`: one inverse for every penalty in use.
    """
    along_ones = float(kernel.diagonal().mean()) if centre else 0.0
    system = kernel + along_ones / len(kernel)
    residuals = torch.empty_like(y)
    for alpha in alphas.unique():
        exact = bool(needs_float64(alpha[None], alpha.new_tensor([size]), y.dtype))
        dtype = torch.float64 if exact else y.dtype
        columns = (alphas == alpha).nonzero()[:, 0]
        inverse = _inverse(_shifted(system.to(dtype), float(alpha)))
        if centre:
            inverse -= 1 / (len(system) * (float(alpha) + along_ones))
        made = inverse @ y[:, columns].to(dtype)
        for _, other in folds:
            residuals[other[:, None], columns] = (_inverse(inverse[other[:, None], other]) @ made[other]).to(y.dtype)
    return residuals
