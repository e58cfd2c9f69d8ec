"""Exact ridge regression with one penalty per neuroid: all penalties, folds and neuroids at once.

min ‖Xb − y‖² + α‖b‖², without 1/n, the intercept never penalised (centring within every training fold). The penalty is the one
with the least mean squared error on the inner folds, each fold with equal weight; the larger one wins ties (Dupré la Tour et
al. 2022, himalaya, do the same). Three algorithms give the same numbers (`algorithms`); the final solution is one product for
all neuroids, whatever their penalties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes
from isocortex.encoding.algorithms import ALGORITHMS, Problem, fastest
from isocortex.encoding.decomposition import Basis, basis_of_features, basis_of_kernel
from isocortex.encoding.leave_out import LeaveOut, Scores
from isocortex.encoding.nested import OuterFit, OuterKernel
from isocortex.encoding.penalties import Fold, alpha_grid, constant_columns, edge_share, predict, select, sweep
from isocortex.encoding.precision import needs_float64
from isocortex.encoding.pruning import search
from isocortex.encoding.ridge_fit import RidgeFit
from isocortex.encoding.ridge_input import (
    checked_features,
    checked_responses,
    fold_indices,
    largest_eigenvalue,
    scaled_features,
    scaling,
)
from isocortex.errors import DataError


def fit_outer(kernel: OuterKernel, y: torch.Tensor, options: Mapping[str, Any]) -> OuterFit:
    """Fit every neuroid of `y` (n, v; rows are the subject's stimuli) on the outer training rows; penalty by the inner folds.

    options : {"alphas": "auto" or a list}, and "algorithm" to overrule the count of operations. Arithmetic in the dtype of `y`,
    but for penalties that need float64; neuroids in batches that fit the memory.
    """
    values = kernel.final.basis.values
    grid = torch.as_tensor(alpha_grid(float(values[0]), options.get("alphas", "auto")), device=y.device)
    sizes = tuple(len(rows) for rows in kernel.held)
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
    Neuroids that are constant or hold NaN come back as NaN. For several regions on the same stimuli see `RidgeBases`.

    Raises `DataError` for NaN in x, shapes that do not match, penalties ≤ 0, or fewer than two stimuli per fold.
    """
    both_single = as_tensor(x).dtype == as_tensor(y).dtype == torch.float32
    bases = RidgeBases(
        x if both_single else as_tensor(x).to(torch.float64),
        folds,
        alphas,
        fit_intercept=fit_intercept,
        standardize=standardize,
    )
    bases.like = x
    return bases.fit(y, shared_alpha=shared_alpha, algorithm=algorithm)


class RidgeBases:
    """Ridge on one set of stimuli and folds, decomposed once for any number of regions.

    x : (n, p); its dtype is that of the arithmetic. Other arguments as in `ridge_cv`. fits : how many regions will be fitted;
    decompositions of single folds pay off where there are several.
    """

    def __init__(
        self,
        x: Any,
        folds: int | Sequence[Any] = 5,
        alphas: str | Sequence[float] = "auto",
        *,
        fit_intercept: bool = True,
        standardize: bool = True,
        fits: int = 1,
    ) -> None:
        features = checked_features(x)
        self.like, self.centre, self.fits = x, fit_intercept, fits
        parts = fold_indices(len(features), folds)
        self.parts = [torch.as_tensor(part, device=features.device) for part in parts]
        self.rows = torch.arange(len(features), device=features.device)
        self.scaling = scaling(features, fit_intercept, standardize)
        self.scaled = scaled_features(features, self.scaling, standardize)
        n, p = self.scaled.shape
        self.primal = p < n // 2 or (p < n and features.dtype == torch.float64)
        self.source = self._source(alphas)
        self.whole = self._basis(self.rows, self.rows[:1])
        self.grid = torch.as_tensor(alpha_grid(float(self.whole.values[0]), alphas), device=features.device)

    def _source(self, alphas: str | Sequence[float]) -> torch.Tensor:
        x = self.scaled
        if self.primal:
            return x.double()  # squaring costs half the digits, and p × p is small
        kernel = x @ x.T
        # The size of the eigenvalues is known before the decomposition; penalties far below need all of it in float64.
        largest = largest_eigenvalue(kernel, self.centre)
        grid = torch.as_tensor(alpha_grid(largest, alphas), device=x.device)
        exact = bool(needs_float64(grid, kernel.new_tensor([largest]), x.dtype).any())
        return x.double() @ x.double().T if exact else kernel

    def _basis(self, rows: torch.Tensor, other: torch.Tensor) -> Basis:
        return (basis_of_features if self.primal else basis_of_kernel)(self.source, rows, other, self.centre)

    @cached_property
    def folds(self) -> list[Fold]:
        """A decomposition per fold."""
        trains = [self.rows[~torch.isin(self.rows, part)] for part in self.parts]
        return [Fold(self._basis(train, part), train, part) for train, part in zip(trains, self.parts, strict=True)]

    @cached_property
    def leave_out(self) -> LeaveOut:
        """All folds from the decomposition of all rows."""
        return LeaveOut(self.whole, self.parts, self.centre)

    def fit(self, y: Any, *, shared_alpha: bool = False, algorithm: str = "auto") -> RidgeFit:
        """Fit responses (n, v); raises and returns as `ridge_cv`."""
        if algorithm not in ("auto", *ALGORITHMS):
            raise DataError(f"ridge: algorithm, found {algorithm!r}, expected auto, {', '.join(ALGORITHMS)}")
        responses, valid = checked_responses(y, self.scaled)
        if shared_alpha and algorithm in ("auto", "pruned"):
            algorithm = "leave_out"  # a mean over neuroids needs every penalty's error
        sizes = tuple(len(part) for part in self.parts)
        ready = "folds" in self.__dict__
        shape = (len(self.scaled), len(self.whole.values), sizes, responses.shape[1], len(self.grid), ready, self.fits)
        algorithm = fastest(Problem(*shape), algorithm)
        slices = list(
            batches(responses.shape[1], responses.element_size() * 8 * len(self.scaled), budget_bytes(self.scaled.device))
        )
        known = [None if algorithm == "folds" else self.leave_out.scores(responses[:, part]) for part in slices]
        errors = _joined([self._errors(responses[:, part], algorithm, k) for part, k in zip(slices, known, strict=True)])
        best = select(errors, self.grid)
        if shared_alpha:
            best = select(errors[:, valid].mean(1, keepdim=True), self.grid).expand(responses.shape[1])
        chosen = self.grid[best]
        weights = _joined([self._weights(responses[:, p], chosen[p], k) for p, k in zip(slices, known, strict=True)])
        intercept = responses.mean(0) if self.centre else torch.zeros_like(responses[0])
        edge = edge_share(best, len(self.grid), valid)
        vectors = self.whole.vectors.to(weights.dtype)
        found = (intercept, chosen, valid, self.grid, errors, self.scaling[:2])
        return RidgeFit(self.like, self.scaled, vectors, weights, *found, edge, algorithm)

    def _errors(self, y: torch.Tensor, algorithm: str, scores: Scores | None) -> torch.Tensor:
        """Mean squared held-out errors (A, v)."""
        if algorithm == "folds":
            return sweep(self.folds, y, self.grid, self.centre)
        if algorithm == "pruned":
            return search(self.leave_out, y, self.grid, scores=scores).errors
        return self.leave_out.errors(y, self.grid, scores)

    def _weights(self, y: torch.Tensor, chosen: torch.Tensor, scores: Scores | None) -> torch.Tensor:
        """Vᵀ(y − ȳ)/(s + α), (r, v): the weights in the basis, 0 in directions of rounding. scores : of `y`, if known."""
        exact = bool(needs_float64(chosen, self.whole.values, y.dtype).any())
        dtype = torch.float64 if exact else y.dtype
        values = self.whole.values.to(dtype)
        if exact or scores is None:
            z = (y - y.mean(0) if self.centre else y).to(dtype).T @ self.whole.vectors.to(dtype)
        else:
            z = scores.z
        weights = z / (values + chosen[:, None].to(dtype))
        weights[:, values <= 0] = 0
        return weights.T.to(y.dtype)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
