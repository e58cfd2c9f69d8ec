"""Banded ridge regression: every feature space has a penalty of its own, found per neuroid by random search.

With weights γ of the spaces on the simplex the kernel is K = Σ γ_i K_i, and ridge with penalty α on it penalises space i by
α/γ_i (Nunez-Elizalde et al. 2019; Dupré la Tour et al. 2022, himalaya). The kernels are made once. For every γ the folds are
scored exactly for all penalties, and each neuroid keeps its best pair; the first γ wins ties, and the larger α.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.encoding.bands import Bands, bands_of_kernels, bands_of_spaces, checked_gammas, float_dtype
from isocortex.encoding.inverses import Rows, dual_weights, held_out_errors
from isocortex.encoding.penalties import alpha_grid, constant_columns, edge_share, select
from isocortex.encoding.precision import FLOAT32_FROM
from isocortex.encoding.ridge_input import fold_indices, largest_eigenvalue
from isocortex.errors import DataError


@dataclass(frozen=True)
class BandedFit:
    """A banded ridge fit of g spaces and v neuroids. Neuroids that are constant or hold NaN are NaN, with gamma_index −1.

    deltas : (g, v) log(γ/α), −∞ for a space without weight. gamma_index : (v,) row of the candidates. alphas : (v,).
    cv_scores : (n_gammas, v) minus the mean squared error, mean over folds, at the best α of each γ. grid : (A,) ascending.
    dual : (n, v) weights of the mixed kernel. coef : per space (p_i, v) for features as they came; empty for kernels.
    x_mean : per space (p_i,), and kernel_mean : (g, n): what predictions subtract. intercept : (v,). alpha_at_edge : share of
    valid neuroids whose penalty is the first or last of the grid.
    """

    deltas: Any
    gamma_index: Any
    alphas: Any
    cv_scores: Any
    grid: Any
    dual: Any
    coef: tuple[Any, ...]
    x_mean: tuple[Any, ...]
    kernel_mean: Any
    intercept: Any
    alpha_at_edge: float

    def predict(self, spaces: Any) -> Any:
        """Predictions (m, v) for spaces [(m, p_i)], or for kernels (g, m, n) between new and training stimuli."""
        parts = as_tensor(self.predict_split(spaces))
        return like_input(parts.sum(0) + as_tensor(self.intercept, parts.device), spaces[0])

    def predict_split(self, spaces: Any) -> Any:
        """The part of each space (g, m, v); with the intercept they sum to the prediction.

        Raises `DataError` where the number or the width of the spaces is not that of the fit.
        """
        given = [as_tensor(space) for space in spaces]
        device = given[0].device if given else None
        weights = [as_tensor(part, device) for part in self.coef] or self._kernel_weights(device)
        found, expected = [tuple(x.shape[1:]) for x in given], [(len(part),) for part in weights]
        if found != expected:
            raise DataError(f"banded: found spaces of width {found}, expected {expected}, as in the fit")
        means = [as_tensor(part, device) for part in (self.x_mean or self.kernel_mean)]
        parts = [(x.to(w.dtype) - mean) @ w for x, w, mean in zip(given, weights, means, strict=True)]
        return like_input(torch.stack(parts), spaces[0])

    def _kernel_weights(self, device: torch.device | None) -> list[torch.Tensor]:
        gammas = as_tensor(self.deltas, device).exp() * as_tensor(self.alphas, device)
        return [as_tensor(self.dual, device) * weight for weight in gammas]


@dataclass(frozen=True)
class _Problem:
    """responses : (n, v), without their mean if there is an intercept (`centre`), in the data's dtype. grid : (A,). gammas :
    (n_gammas, g). sizes : about the largest eigenvalue per γ."""

    bands: Bands
    responses: torch.Tensor
    folds: list[Rows]
    grid: torch.Tensor
    gammas: torch.Tensor
    sizes: list[float]
    centre: bool


def banded_ridge_cv(
    spaces_or_kernels: Any,
    y: Any,
    folds: int | Sequence[Any],
    alphas: str | Sequence[float],
    gammas: Any,
    *,
    fit_intercept: bool = True,
    standardize: bool = True,
    kernels: bool = False,
    dtype: torch.dtype | None = None,
) -> BandedFit:
    """Banded ridge: per neuroid the weights of the spaces and the penalty that predict held-out rows best, over all pairs.

    spaces_or_kernels : feature spaces [(n, p_i)], or with `kernels` their kernels (g, n, n). y : (n, v). NumPy or torch.
    folds : validation rows per fold, or a number of contiguous folds; every row is in one fold. alphas : 'auto' takes the grid
    of `ridge_cv` for the mean kernel. gammas : (n_gammas, g) on the simplex, as from `dirichlet.candidates`. standardize :
    z-score features by all rows (spaces only). dtype : of the arithmetic, in place of the widest of the data.

    Float32 data are computed in float32, but kernels, and penalties below 2e-5 of the largest eigenvalue, in float64. Penalties
    at rounding level of a kernel are never chosen for it. Memory: the kernels and some (4 + A) n², A by as many penalties as
    fit; the neuroids in batches. Raises `DataError` for shapes that do not match, NaN in features, γ off the simplex, α ≤ 0,
    folds without rows, or kernels for which every penalty is too small.
    """
    source = spaces_or_kernels
    options = {"centre": fit_intercept} if kernels else {"centre": fit_intercept, "standardize": standardize}
    make = partial(bands_of_kernels if kernels else bands_of_spaces, source, **options)
    bands, grid, sizes = _prepared(make, alphas, fit_intercept, float_dtype(as_tensor(y)))
    responses, mean, valid = _checked_responses(y, bands, fit_intercept, dtype)
    weights = checked_gammas(gammas, len(bands.kernels), responses.device)
    rows = _fold_rows(len(responses), folds, responses.device)
    problem = _Problem(bands, responses, rows, grid, weights, (weights @ sizes).tolist(), fit_intercept)
    gamma_index, alpha_index, scores = _search(problem)
    gamma_index = torch.where(valid, gamma_index, -1)
    dual = _refit(problem, gamma_index, alpha_index)
    gamma, chosen = weights[gamma_index].T, grid[alpha_index]
    coef = [space.coef(dual * part.to(dual.dtype)) for space, part in zip(bands.spaces, gamma, strict=False)]
    edge = edge_share(alpha_index, len(grid), valid)

    def out(part: torch.Tensor, per_neuroid: bool = True) -> Any:
        part = torch.where(valid, part, torch.nan) if per_neuroid else part
        return like_input(part.to(responses.dtype), source[0])

    return BandedFit(
        deltas=out((gamma / chosen).log()),
        gamma_index=like_input(gamma_index, source[0]),
        alphas=out(chosen),
        cv_scores=out(scores),
        grid=out(grid, False),
        dual=out(dual),
        coef=tuple(out(part) for part in coef),
        x_mean=tuple(out(space.mean, False) for space in bands.spaces),
        kernel_mean=out(bands.kernel_mean, False),
        intercept=out(mean),
        alpha_at_edge=edge,
    )


def _prepared(
    make: Callable[..., Bands], alphas: str | Sequence[float], centre: bool, dtype: torch.dtype
) -> tuple[Bands, torch.Tensor, torch.Tensor]:
    """The kernels, in float64 if responses (of `dtype`) or a penalty need it; the penalties; and about the largest eigenvalue
    of each kernel (g,)."""
    automatic = isinstance(alphas, str)  # reaches to 1e-6 of the largest eigenvalue
    bands = make(dtype=torch.float64 if automatic or dtype == torch.float64 else None)
    largest = float(torch.linalg.eigvalsh(bands.kernels.mean(0))[-1]) if automatic else 0.0
    grid = torch.as_tensor(alpha_grid(largest, alphas), device=bands.kernels.device)
    sizes = grid.new_tensor([largest_eigenvalue(kernel, centre) for kernel in bands.kernels])
    if bands.kernels.dtype != torch.float64 and float(grid[0]) < FLOAT32_FROM * float(sizes.max()):
        bands = make(dtype=torch.float64)
    return bands, grid, sizes


def _checked_responses(
    y: Any, bands: Bands, centre: bool, wanted: torch.dtype | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Responses without their mean, in the dtype to compute in; the mean; and which neuroids are valid, the others zero."""
    given = as_tensor(y, bands.kernels.device)
    if given.ndim != 2 or len(given) != bands.kernels.shape[1]:
        raise DataError(
            f"banded: found y {tuple(given.shape)} and {bands.kernels.shape[1]} stimuli in the spaces, expected (stimuli, "
            "neuroids)"
        )
    dtype = wanted or torch.promote_types(bands.dtype, float_dtype(given))
    valid = torch.isfinite(given).all(0) & ~constant_columns(given)
    values = (given if bool(valid.all()) else torch.where(valid, given, 0)).to(dtype)
    mean = values.mean(0, dtype=torch.float64) if centre else torch.zeros_like(values[0], dtype=torch.float64)
    return values - mean.to(dtype), mean, valid


def _fold_rows(n: int, folds: int | Sequence[Any], device: torch.device) -> list[Rows]:
    """Training and validation rows of every fold."""
    parts = fold_indices(n, folds)
    empty = [number for number, part in enumerate(parts) if not len(part)]
    if empty:
        raise DataError(f"banded: found no rows in fold {empty[0]} of {len(parts)}, expected one or more")
    rows = torch.arange(n, device=device)
    others = [torch.as_tensor(part, device=device) for part in parts]
    return [(rows[~torch.isin(rows, other)], other) for other in others]


def _search(problem: _Problem) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index of the best γ (v,) and of its best α (v,), and the score of every γ (n_gammas, v), float64."""
    v, device = problem.responses.shape[1], problem.responses.device
    least = torch.full((v,), torch.inf, dtype=torch.float64, device=device)
    gamma_index, alpha_index = (torch.zeros(v, dtype=torch.int64, device=device) for _ in range(2))
    scores = torch.empty(len(problem.gammas), v, dtype=torch.float64, device=device)
    margin = 1 - torch.finfo(problem.responses.dtype).eps
    for number in range(len(problem.gammas)):
        kernel = problem.bands.mixed(problem.gammas[number])
        errors = held_out_errors(kernel, problem.responses, problem.folds, problem.grid, problem.sizes[number], problem.centre)
        if not bool(torch.isfinite(errors).any()):
            raise DataError(
                f"banded: found no penalty above the rounding and the negative eigenvalues of the kernel of row {number} of "
                "gammas, expected positive kernels and penalties that count; mend the kernels or raise alphas"
            )
        chosen = select(errors, problem.grid)
        found = errors.gather(0, chosen[None])[0]
        scores[number] = -found
        better = found < least * margin
        least = torch.where(better, found, least)
        gamma_index = torch.where(better, number, gamma_index)
        alpha_index = torch.where(better, chosen, alpha_index)
    return gamma_index, alpha_index, scores


def _refit(problem: _Problem, gamma_index: torch.Tensor, alpha_index: torch.Tensor) -> torch.Tensor:
    """Dual weights (n, v) on all rows, each neuroid solved once; zero where gamma_index is −1."""
    dual = torch.zeros_like(problem.responses)
    for number in sorted({*gamma_index.tolist()} - {-1}):
        columns = (gamma_index == number).nonzero()[:, 0]
        kernel = problem.bands.mixed(problem.gammas[number])
        chosen = problem.grid[alpha_index[columns]]
        dual[:, columns] = dual_weights(kernel, problem.responses[:, columns], chosen, problem.sizes[number])
    return dual
