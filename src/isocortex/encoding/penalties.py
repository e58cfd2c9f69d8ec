"""Every penalty of a ridge regression at once: predictions, errors and the choice of one penalty per neuroid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes
from isocortex.encoding.decomposition import Basis
from isocortex.encoding.precision import needs_float64
from isocortex.errors import DataError

N_ALPHAS = 20
ALPHA_RANGE = (-6.0, 2.0)
# Spread over size below which a column is constant: above the rounding of float32 activations.
CONSTANT = 1e-6


@dataclass(frozen=True)
class Fold:
    """One inner fold: its basis, and which rows of the responses are its training and its validation rows."""

    basis: Basis
    train: torch.Tensor
    other: torch.Tensor


def alpha_grid(largest: float, alphas: str | Sequence[float] = "auto") -> np.ndarray:
    """The penalties, ascending: those given, or 20 from 1e-6 to 1e2 times the largest eigenvalue of the training kernel."""
    if isinstance(alphas, str):
        if alphas != "auto":
            raise DataError(f"ridge: alphas, found {alphas!r}, expected 'auto' or a list of positive numbers")
        return (largest if largest > 0 else 1.0) * np.logspace(*ALPHA_RANGE, N_ALPHAS)
    grid = np.sort(np.asarray(alphas, dtype=np.float64).ravel())
    if grid.size == 0 or not np.isfinite(grid).all() or grid[0] <= 0:
        raise DataError(f"ridge: alphas, found {list(map(float, grid))}, expected positive numbers; zero is not a penalty")
    return grid


def fold_predictions(basis: Basis, y_train: torch.Tensor, alphas: torch.Tensor, centre: bool = True) -> torch.Tensor:
    """Predictions of the other rows for every penalty: (A, n_other, v)."""
    mean = y_train.mean(0) if centre else torch.zeros_like(y_train[0])
    scores = basis.vectors.T @ (y_train - mean)
    weights = 1 / (basis.values + alphas[:, None])
    stacked = (basis.cross * weights[:, None, :]).flatten(0, 1) @ scores
    return stacked.unflatten(0, (len(alphas), -1)) + mean


def solve(basis: Basis, y_train: torch.Tensor, chosen: torch.Tensor, centre: bool = True) -> torch.Tensor:
    """Predictions (n_other, v) with penalty `chosen` (v,) per neuroid: one product."""
    mean = y_train.mean(0) if centre else torch.zeros_like(y_train[0])
    scores = basis.vectors.T @ (y_train - mean)
    return basis.cross @ (scores / (basis.values[:, None] + chosen)) + mean


def _fold_errors(fold: Fold, y: torch.Tensor, alphas: torch.Tensor, centre: bool) -> torch.Tensor:
    """Mean squared error (A, v) on one fold, the penalties in pieces that fit the memory."""
    y_train, y_other = y[fold.train], y[fold.other]
    cost = 8 * 3 * len(fold.other) * (y.shape[1] + len(fold.basis.values))
    pieces = [
        (fold_predictions(fold.basis, y_train, alphas[part], centre) - y_other).square().mean(1)
        for part in batches(len(alphas), cost, budget_bytes(y.device))
    ]
    return torch.cat(pieces)


def as_dtype(fold: Fold, dtype: torch.dtype) -> Fold:
    """The fold with its basis in `dtype`."""
    basis = fold.basis
    if basis.values.dtype == dtype:
        return fold
    return Fold(Basis(basis.values.to(dtype), basis.vectors.to(dtype), basis.cross.to(dtype)), fold.train, fold.other)


def sweep(folds: Sequence[Fold], y: torch.Tensor, alphas: torch.Tensor, centre: bool = True) -> torch.Tensor:
    """Mean over folds, with equal weight, of the mean squared error per penalty and neuroid: (A, v) float64.

    The arithmetic is in the dtype of `y`, but for penalties that need float64.
    """
    errors = torch.zeros(len(alphas), y.shape[1], dtype=torch.float64, device=y.device)
    for fold in folds:
        exact = needs_float64(alphas, fold.basis.values, y.dtype)
        for dtype, wanted in ((torch.float64, exact), (y.dtype, ~exact)):
            if bool(wanted.any()):
                errors[wanted] += _fold_errors(as_dtype(fold, dtype), y.to(dtype), alphas[wanted].to(dtype), centre).double()
    return errors / len(folds)


def predict(fold: Fold, y: torch.Tensor, chosen: torch.Tensor, centre: bool = True) -> torch.Tensor:
    """Predictions (n_other, v) of a fold's other rows with penalty `chosen` (v,) per neuroid, in float64 where it must be."""
    exact = needs_float64(chosen, fold.basis.values, y.dtype)
    if not bool(exact.any()):
        return solve(as_dtype(fold, y.dtype).basis, y[fold.train], chosen.to(y.dtype), centre)
    made = y.new_empty(len(fold.other), y.shape[1])
    for dtype, wanted in ((torch.float64, exact), (y.dtype, ~exact)):
        basis = as_dtype(fold, dtype).basis
        made[:, wanted] = solve(basis, y[:, wanted][fold.train].to(dtype), chosen[wanted].to(dtype), centre).to(y.dtype)
    return made


def select(errors: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
    """Index (v,) of the penalty with the least error; `alphas` ascending, and the larger one wins ties."""
    return len(alphas) - 1 - errors.flip(0).argmin(0)


def constant_columns(y: torch.Tensor) -> torch.Tensor:
    """Columns of `y` (n, v) without variance: (v,) bool."""
    return y.amax(0) == y.amin(0)


def edge_share(chosen: torch.Tensor, n_alphas: int, valid: torch.Tensor) -> float:
    """Share of valid neuroids whose penalty index is the first or the last."""
    at_edge = ((chosen == 0) | (chosen == n_alphas - 1)) & valid
    return float(at_edge.sum()) / max(int(valid.sum()), 1)
