"""Exact ridge regression with one penalty per neuroid: all penalties, folds and neuroids at once.

min ‖Xb − y‖² + α‖b‖², without 1/n, the intercept never penalised (centring within every training fold). The penalty is the one
with the least mean squared error on the inner folds, each fold with equal weight; the larger one wins ties (Dupré la Tour et
al. 2022, himalaya, do the same). Three algorithms give the same numbers (`algorithms`); the final solution is one product for
all neuroids, whatever their penalties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes
from isocortex.encoding.algorithms import ALGORITHMS, Problem, fastest
from isocortex.encoding.decomposition import Basis, basis_of_features, basis_of_kernel
from isocortex.encoding.leave_out import LeaveOut
from isocortex.encoding.nested import OuterFit, OuterKernel
from isocortex.encoding.penalties import Fold, alpha_grid, constant_columns, edge_share, predict, select, sweep
from isocortex.encoding.precision import needs_float64
from isocortex.encoding.pruning import search
from isocortex.encoding.ridge_fit import RidgeFit
from isocortex.encoding.ridge_input import checked, fold_indices, largest_eigenvalue, scaling
from isocortex.errors import DataError


def fit_outer(kernel: OuterKernel, y: torch.Tensor, options: Mapping[str, Any]) -> OuterFit:
    """Fit every neuroid of `y` (n, v; rows are the subject's stimuli) on the outer training rows; penalty by the inner folds.

    options : {"alphas": "auto" or a list}, and "algorithm" to overrule the count of operations. Arithmetic in the dtype of `y`,
    but for penalties that need float64; neuroids in batches that fit the memory.
    """
    values = kernel.final.basis.values
    grid = torch.as_tensor(alpha_grid(float(values[0]), options.get("alphas", "auto")), device=y.device)
    sizes = [len(rows) for rows in kernel.held]
    problem = Problem(len(kernel.train), len(values), sizes, y.shape[1], len(grid), stored=kernel.has_folds)
    algorithm = fastest(problem, options.get("algorithm", "auto"))
    pieces = [_fit_batch(kernel, y[:, part], grid, algorithm) for part in _neuroid_batches(kernel, y)]
    test, oof, best, valid = (torch.cat(parts, dim=-1) for parts in zip(*pieces, strict=True))
    alphas = torch.where(valid, grid[best], torch.nan)
    return OuterFit(test, oof, alphas, edge_share(best, len(grid), valid))


def _neuroid_batches(kernel: OuterKernel, y: torch.Tensor) -> Iterator[slice]:
    size = y.element_size() * (6 * len(y) + 4 * len(kernel.final.basis.values))
    return batches(y.shape[1], size, budget_bytes(y.device))


def _fit_batch(kernel: OuterKernel, y: torch.Tensor, grid: torch.Tensor, algorithm: str) -> tuple[torch.Tensor, ...]:
    inside = y[kernel.train]
    if algorithm == "folds":
        best = select(sweep(kernel.inner, y, grid), grid)
        oof = torch.empty_like(inside)
        for fold, where in zip(kernel.inner, kernel.positions, strict=True):
            oof[where] = predict(fold, y, grid[best])
    else:
        source = kernel.leave_out
        best = search(source, inside, grid).best if algorithm == "pruned" else select(source.errors(inside, grid), grid)
        oof = inside - held_out(source, inside, grid[best])
    test = predict(kernel.final, y, grid[best])
    valid = torch.isfinite(y).all(0) & ~constant_columns(inside)
    return test, oof, best, valid


def held_out(source: LeaveOut, y: torch.Tensor, alphas: torch.Tensor) -> torch.Tensor:
    """Held-out residuals (n, v) of training responses `y` at one penalty per neuroid, in float64 where that needs it."""
    exact = needs_float64(alphas, source.basis.values, y.dtype)
    if not bool(exact.any()):
        return source.in_rows(source.residuals(source.scores(y), alphas))
    made = torch.empty_like(y)
    for dtype, wanted in ((torch.float64, exact), (y.dtype, ~exact)):
        if bool(wanted.any()):
            residuals = source.residuals(source.scores(y[:, wanted].to(dtype)), alphas[wanted])
            made[:, wanted] = source.in_rows(residuals).to(y.dtype)
    return made


def ridge_cv(
    x: Any,
    y: Any,
    folds: int | Sequence[Any] = 5,
    alphas: str | Sequence[float] = "auto",
    *,
    fit_intercept: bool = True,
    standardize: bool = True,
    shared_alpha: bool = False,
    algorithm: str = "auto",
) -> RidgeFit:
    """Ridge with a cross-validated penalty per neuroid; primal (p × p) or kernel (n × n), whichever is smaller.

    x : (n, p), y : (n, v), NumPy or torch (a tensor stays on its device); arithmetic in float32 if both are, but for penalties
    that need float64. folds : validation rows per fold, or a number of contiguous folds (shuffle by stimulus before).
    standardize : z-score features by all rows of `x`; columns without variance get no weight. shared_alpha : one penalty for
    all neuroids. algorithm : 'folds', 'leave_out' or 'pruned' (see `algorithms`) in place of the one with fewest operations.
    Neuroids that are constant or hold NaN come back as NaN.

    Raises `DataError` for NaN in x, shapes that do not match, penalties ≤ 0, or fewer than two stimuli per fold.
    """
    if algorithm not in ("auto", *ALGORITHMS):
        raise DataError(f"ridge: algorithm, found {algorithm!r}, expected auto, {', '.join(ALGORITHMS)}")
    features, responses, valid = checked(x, y)
    parts = fold_indices(len(features), folds)
    mean, scale, varies = scaling(features, fit_intercept, standardize)
    scaled = (features - mean) / scale * varies
    bases = _Bases(scaled, parts, fit_intercept, alphas)
    grid = bases.grid
    if shared_alpha and algorithm in ("auto", "pruned"):
        algorithm = "leave_out"  # a mean over neuroids needs every penalty's error
    problem = Problem(len(scaled), len(bases.whole.values), [len(part) for part in parts], responses.shape[1], len(grid))
    algorithm = fastest(problem, algorithm)
    cost = responses.element_size() * 8 * len(scaled)
    slices = list(batches(responses.shape[1], cost, budget_bytes(scaled.device)))
    errors = torch.cat([bases.errors(responses[:, part], algorithm) for part in slices], dim=1)
    best = select(errors, grid)
    if shared_alpha:
        best = select(errors[:, valid].mean(1, keepdim=True), grid).expand(responses.shape[1])
    chosen = grid[best]
    dual = torch.cat([bases.dual(responses[:, part], chosen[part]) for part in slices], dim=1)
    intercept = responses.mean(0) if fit_intercept else torch.zeros_like(responses[0])
    return RidgeFit(
        x, scaled, bases.whole.vectors.to(dual.dtype), dual, intercept, chosen, valid, grid, errors, (mean, scale),
        edge_share(best, len(grid), valid), algorithm,
    )  # fmt: skip


class _Bases:
    """The decompositions that an algorithm asks for, from the smaller of the two Gram matrices."""

    def __init__(self, x: torch.Tensor, parts: list[np.ndarray], centre: bool, alphas: str | Sequence[float]) -> None:
        n, p = x.shape
        self.centre = centre
        self.parts = [torch.as_tensor(part, device=x.device) for part in parts]
        self.rows = torch.arange(n, device=x.device)
        self.primal = p < n // 2 or (p < n and x.dtype == torch.float64)
        if self.primal:
            self.source = x.double()  # squaring costs half the digits, and p × p is small
        else:
            self.source = x @ x.T
            # What an eigenvalue is worth is known before the decomposition; penalties far below it need all of it in float64.
            grid = torch.as_tensor(alpha_grid(largest_eigenvalue(self.source, centre), alphas), device=x.device)
            if bool(needs_float64(grid, self.source.new_tensor([largest_eigenvalue(self.source, centre)]), x.dtype).any()):
                self.source = x.double() @ x.double().T
        self.whole = self._basis(self.rows, self.rows[:1])
        self.grid = torch.as_tensor(alpha_grid(float(self.whole.values[0]), alphas), device=x.device)

    def _basis(self, rows: torch.Tensor, other: torch.Tensor) -> Basis:
        return (basis_of_features if self.primal else basis_of_kernel)(self.source, rows, other, self.centre)

    def errors(self, y: torch.Tensor, algorithm: str) -> torch.Tensor:
        """Mean squared held-out errors (A, v)."""
        if algorithm == "folds":
            if not hasattr(self, "folds"):
                trains = [self.rows[~torch.isin(self.rows, part)] for part in self.parts]
                pairs = zip(trains, self.parts, strict=True)
                self.folds = [Fold(self._basis(train, part), train, part) for train, part in pairs]
            return sweep(self.folds, y, self.grid, self.centre)
        if not hasattr(self, "leave_out"):
            self.leave_out = LeaveOut(self.whole, self.parts, self.centre)
        return search(self.leave_out, y, self.grid).errors if algorithm == "pruned" else self.leave_out.errors(y, self.grid)

    def dual(self, y: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Vᵀ(y − ȳ)/(s + α), (r, v): the weights in the basis."""
        exact = bool(needs_float64(chosen, self.whole.values, y.dtype).any())
        dtype = torch.float64 if exact else y.dtype
        centred = (y - y.mean(0) if self.centre else y).to(dtype)
        weights = self.whole.vectors.to(dtype).T @ centred
        return weights.div_(self.whole.values.to(dtype)[:, None] + chosen.to(dtype)).to(y.dtype)
