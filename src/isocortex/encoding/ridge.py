"""Exact ridge regression with one penalty per neuroid: all penalties, folds and neuroids from one basis per fold.

min ‖Xb − y‖² + α‖b‖², without 1/n, the intercept never penalised (centring within every training fold). The penalty is the one
with the least mean squared error on the inner folds, each fold with equal weight; the larger one wins ties (Dupré la Tour et
al. 2022, himalaya, do the same). The final solution is one product for all neuroids, whatever their penalties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.encoding.decomposition import Basis, basis_of_features, basis_of_kernel
from isocortex.encoding.nested import OuterFit, OuterKernel
from isocortex.encoding.penalties import CONSTANT, Fold, alpha_grid, constant_columns, edge_share, select, solve, sweep
from isocortex.errors import DataError


def fit_outer(kernel: OuterKernel, y: torch.Tensor, options: Mapping[str, Any]) -> OuterFit:
    """Fit every neuroid of `y` (n, v; rows are the subject's stimuli) on the outer training rows; penalty by the inner folds.

    options : {"alphas": "auto" or a list}. Neuroids in batches that fit the memory.
    """
    grid = torch.as_tensor(alpha_grid(float(kernel.final.basis.values[0]), options.get("alphas", "auto")), device=y.device)
    pieces = [_fit_batch(kernel, y[:, part], grid) for part in _neuroid_batches(kernel, y)]
    test, oof, best, valid = (torch.cat(parts, dim=-1) for parts in zip(*pieces, strict=True))
    alphas = torch.where(valid, grid[best], torch.nan)
    return OuterFit(test, oof, alphas, edge_share(best, len(grid), valid))


def _neuroid_batches(kernel: OuterKernel, y: torch.Tensor) -> Iterator[slice]:
    rank = len(kernel.final.basis.values)
    rows = max([len(fold.other) for fold in kernel.inner] + [len(kernel.final.other)])
    return batches(y.shape[1], 8 * (4 * len(y) + 2 * rank + 3 * rows), budget_bytes(y.device))


def _fit_batch(kernel: OuterKernel, y: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, ...]:
    best = select(sweep(kernel.inner, y, grid), grid)
    chosen = grid[best]
    oof = y.new_empty(len(kernel.final.train), y.shape[1])
    for fold, where in zip(kernel.inner, kernel.positions, strict=True):
        oof[where] = solve(fold.basis, y[fold.train], chosen)
    test = solve(kernel.final.basis, y[kernel.final.train], chosen)
    valid = torch.isfinite(y).all(0) & ~constant_columns(y[kernel.final.train])
    return test, oof, best, valid


@dataclass(frozen=True)
class RidgeFit:
    """A ridge fit: predictions are (x − x_mean)/x_scale · coef + intercept.

    coef : (p, v). intercept : (v,), for standardized features. alphas : (v,), NaN for a constant neuroid or one with NaN, whose
    coef is NaN too. errors : (A, v) mean squared error per penalty of `grid` (A,), ascending. alpha_at_edge : share of valid
    neuroids whose penalty is the first or last of the grid.
    """

    coef: Any
    intercept: Any
    alphas: Any
    grid: Any
    errors: Any
    x_mean: Any
    x_scale: Any
    alpha_at_edge: float

    def predict(self, x: Any) -> Any:
        """Predictions (m, v) for `x` (m, p)."""
        features = as_tensor(x).to(torch.float64)
        coef, mean, scale, intercept = (
            as_tensor(part, features.device, torch.float64) for part in (self.coef, self.x_mean, self.x_scale, self.intercept)
        )
        return like_input((features - mean) / scale @ coef + intercept, x)


def fold_indices(n: int, folds: int | Sequence[Any]) -> list[np.ndarray]:
    """Validation rows per fold: given, or `folds` contiguous parts of range(n)."""
    parts = (
        np.array_split(np.arange(n), folds) if isinstance(folds, int) else [np.asarray(part, dtype=np.int64) for part in folds]
    )
    if len(parts) < 2 or (isinstance(folds, int) and n < 2 * len(parts)):
        raise DataError(
            f"ridge: found {n} training stimuli and {len(parts)} folds, expected 2 folds or more and 2 stimuli for each"
        )
    return parts


def _checked(x: Any, y: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, responses with NaN columns filled, and which columns are valid."""
    features = as_tensor(x).to(torch.float64)
    responses = as_tensor(y, features.device).to(torch.float64)
    if features.ndim != 2 or responses.ndim != 2 or len(features) != len(responses):
        raise DataError(
            f"ridge: found x {tuple(features.shape)} and y {tuple(responses.shape)}, "
            "expected (stimuli, features) and (stimuli, neuroids)"
        )
    bad = ~torch.isfinite(features)
    if bool(bad.any()):
        row, column = (int(index) for index in bad.nonzero()[0])
        raise DataError(
            f"ridge: found {int(bad.sum())} NaN or infinite features, first at [{row}, {column}], expected finite numbers"
        )
    valid = torch.isfinite(responses).all(0) & ~constant_columns(responses)
    return features, torch.where(valid, responses, 0.0), valid


def _scaling(x: torch.Tensor, centre: bool, standardize: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean, scale and which columns vary, from training rows."""
    mean = x.mean(0) if centre or standardize else torch.zeros_like(x[0])
    if not standardize:
        return mean, torch.ones_like(mean), torch.ones_like(mean, dtype=torch.bool)
    spread = x.std(0, correction=0)
    varies = spread > CONSTANT * x.abs().amax(0)
    return mean, torch.where(varies, spread, 1.0), varies


def ridge_cv(
    x: Any,
    y: Any,
    folds: int | Sequence[Any] = 5,
    alphas: str | Sequence[float] = "auto",
    *,
    fit_intercept: bool = True,
    standardize: bool = True,
    shared_alpha: bool = False,
) -> RidgeFit:
    """Ridge with a cross-validated penalty per neuroid; primal (p × p) or kernel (n × n), whichever is smaller.

    x : (n, p), y : (n, v), NumPy or torch (a tensor stays on its device). folds : validation rows per fold, or a number of
    contiguous folds (shuffle by stimulus before). standardize : z-score features by all rows of `x`; columns without variance
    get no weight. shared_alpha : one penalty for all neuroids. Neuroids that are constant or hold NaN come back as NaN.
    Raises `DataError` for NaN in x, shapes that do not match, penalties ≤ 0, or fewer than two stimuli per fold.
    """
    features, responses, valid = _checked(x, y)
    parts = fold_indices(len(features), folds)
    mean, scale, varies = _scaling(features, fit_intercept, standardize)
    scaled = (features - mean) / scale * varies
    inner, everything = _bases(scaled, parts, fit_intercept)
    grid = torch.as_tensor(alpha_grid(float(everything.values[0]), alphas), device=scaled.device)
    errors = sweep(inner, responses, grid, fit_intercept)
    best = select(errors, grid)
    if shared_alpha:
        best = select(errors[:, valid].mean(1, keepdim=True), grid).expand(responses.shape[1])
    chosen = grid[best]
    intercept = responses.mean(0) if fit_intercept else torch.zeros_like(chosen)
    dual = (everything.vectors.T @ (responses - intercept)) / (everything.values[:, None] + chosen)
    coef = torch.where(valid, scaled.T @ (everything.vectors @ dual), torch.nan)
    intercept, chosen, errors = (torch.where(valid, part, torch.nan) for part in (intercept, chosen, errors))
    arrays = [like_input(part, x) for part in (coef, intercept, chosen, grid, errors, mean, scale)]
    edge = edge_share(best, len(grid), valid)
    return RidgeFit(*arrays, alpha_at_edge=edge)


def _bases(x: torch.Tensor, parts: list[np.ndarray], centre: bool) -> tuple[list[Fold], Basis]:
    """The basis of every inner fold and that of all rows, from the smaller of the two Gram matrices."""
    make = basis_of_features if x.shape[1] < len(x) else basis_of_kernel
    source = x if make is basis_of_features else x @ x.T
    rows = torch.arange(len(x), device=x.device)
    folds = []
    for part in parts:
        other = torch.as_tensor(part, device=x.device)
        train = rows[~torch.isin(rows, other)]
        folds.append(Fold(make(source, train, other, centre), train, other))
    return folds, make(source, rows, rows, centre)
