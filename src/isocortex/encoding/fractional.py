"""Fractional ridge regression (Rokem & Kay 2020): the penalty that shrinks weights to a given share of their length.

‖b_α‖ = f ‖b_OLS‖ is solved for α; an interpolated grid of penalties misses it by up to 2 %. All in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.encoding.decomposition import Basis, basis_of_features, basis_of_kernel
from isocortex.encoding.inputs import floating, paired, usable
from isocortex.encoding.penalties import Fold, solve
from isocortex.encoding.ridge_input import fold_indices
from isocortex.errors import DataError

FRACTIONS = tuple(number / 10 for number in range(1, 11))
Fractions = Sequence[float] | np.ndarray

# Penalties whose lengths one matrix product gives; Newton's steps begin between two of them.
KNOTS = 400
STEPS = 50
# Newton's error is squared at every step: after a step this small nothing is left to correct.
LAST_STEP = 1e-8


def checked_fractions(fractions: Fractions) -> np.ndarray:
    """The fractions (f,) as given. Raises `DataError` for none, or for one outside (0, 1]."""
    values = np.asarray(fractions, dtype=np.float64).ravel()
    if values.size == 0 or not (np.isfinite(values).all() and values.min() > 0 and values.max() <= 1):
        raise DataError(
            f"fractional ridge: fractions, found {list(map(float, values))}, expected numbers above 0 and up to 1, "
            "where 1 is no shrinkage"
        )
    return values


def fractions_to_alphas(values: torch.Tensor, scores: torch.Tensor, fractions: Fractions) -> torch.Tensor:
    """The penalties (f, v) at which the weights have `fractions` of the length of those without penalty.

    values : (r,) eigenvalues s² of the kernel, descending. scores : (r, v), Z = Vᵀ(y − ȳ). Both as of a `Basis`, the penalties
    for `penalties.solve`. Solves Σ (s²/(s²+α))² Z²/s² = f² Σ Z²/s². Fraction 1 gives exactly 0. Weights without any length get
    the penalty that the first direction would have, and a kernel without any eigenvalue above 0 gets 1, so that nothing is
    divided by zero. Raises `DataError` for fractions outside (0, 1].
    """
    shares = torch.as_tensor(checked_fractions(fractions), device=values.device)
    values, scores = values.to(torch.float64), scores.to(torch.float64)
    kept = values > 0
    if not bool(kept.any()):
        return scores.new_ones(len(shares), scores.shape[1])
    scale = values[0]
    values, scores = values[kept] / scale, scores[kept]
    cost = 8 * 4 * (len(values) * len(shares) + KNOTS)
    pieces = [
        _alphas(values, scores[:, part].square() / values[:, None], shares)
        for part in batches(scores.shape[1], cost, min(budget_bytes(values.device), 1 << 26))
    ]
    return torch.cat(pieces, dim=1) * scale


def _alphas(values: torch.Tensor, squares: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Newton on 1/‖b_α‖, for squared weights `squares` (r, v) without penalty.

    That function rises and is concave: the line between two knots meets f above the root, a tangent below it, and so all steps
    from the second on come from below. The bracket is for rounding.
    """
    total = squares.sum(0)
    first = torch.zeros_like(values)
    first[0] = 1
    squares = torch.where(total == 0, first[:, None], squares / total)
    goal = shares[:, None].expand(-1, squares.shape[1])
    alphas, low, high = _start(values, squares, goal)
    for _ in range(STEPS):
        shifted = values[:, None, None] + alphas
        weighted = squares[:, None, :] * (values[:, None, None] / shifted).square()
        square, slope = weighted.sum(0), (weighted / shifted).sum(0)
        low, high = torch.where(square > goal**2, alphas, low), torch.where(square < goal**2, alphas, high)
        stepped = torch.minimum(torch.maximum(alphas + square * (square.sqrt() / goal - 1) / slope, low), high)
        done = bool(((stepped - alphas).abs() <= LAST_STEP * alphas).logical_or(stepped.isnan()).all())
        alphas = stepped
        if done:
            break
    return torch.where(goal == 1, torch.where(total.isnan(), torch.nan, 0.0), alphas)


def _start(values: torch.Tensor, squares: torch.Tensor, goal: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """First penalties (f, v), and one below and one above the root: knots lie between those of the last and first direction."""
    inside = goal[:, :1][goal[:, :1] < 1]
    if len(inside) == 0:
        return (torch.zeros_like(goal),) * 3
    least, most = float(values[-1] * (1 / inside.max() - 1)), float(values[0] * (1 / inside.min() - 1))
    # A root at either end may lie a rounding outside.
    knots = torch.logspace(0, 1, KNOTS, base=most / least * (1 + 2e-9), dtype=values.dtype, device=values.device)
    knots = knots * least * (1 - 1e-9)
    inverse = ((values / (values + knots[:, None])).square() @ squares).rsqrt()
    above = torch.searchsorted(inverse.T.contiguous(), (1 / goal).T.contiguous()).T.clamp(1, KNOTS - 1)
    low, high = knots[above - 1], knots[above]
    left, right = inverse.gather(0, above - 1), inverse.gather(0, above)
    first = low + (high - low) * ((1 / goal - left) / (right - left)).clamp(0, 1)
    return torch.where(first.isnan(), low, first), low, high


@dataclass(frozen=True)
class FractionalFit:
    """Fits at every fraction: predictions are (x − x_mean) · coef + intercept.

    coef : (p, f, v). alpha : (f, v). intercept : (v,). x_mean : (p,). fractions : (f,). Neuroids that are constant or hold NaN
    are NaN.
    """

    coef: Any
    alpha: Any
    intercept: Any
    x_mean: Any
    fractions: Any

    def predict(self, x: Any) -> Any:
        """Predictions (m, f, v) for `x` (m, p)."""
        features = floating(x).to(torch.float64)
        coef, intercept, mean = (as_tensor(part, features.device) for part in (self.coef, self.intercept, self.x_mean))
        return like_input(((features - mean) @ coef.flatten(1)).unflatten(1, coef.shape[1:]) + intercept, x)


def fractional_ridge(x: Any, y: Any, fractions: Fractions = FRACTIONS, *, fit_intercept: bool = False) -> FractionalFit:
    """Weights of every length `fractions` of the least squares solution, of least length where p > n.

    x : (n, p), y : (n, v), NumPy or torch (a tensor stays on its device). Singular values up to max(n, p) · 2.2e-16 of the
    largest are rounding and left out. Raises `DataError` for fractions outside (0, 1], NaN in x, shapes that do not match, or
    fewer than two stimuli.
    """
    shares = checked_fractions(fractions)
    features, responses, valid = _prepared(x, y)
    inside, mean, intercept = _centred(features, responses, fit_intercept)
    left, singular, right = torch.linalg.svd(inside, full_matrices=False)
    kept = singular > max(features.shape) * torch.finfo(torch.float64).eps * singular[0]
    left, singular, right = left[:, kept], singular[kept], right[kept] * (inside != 0).any(0)
    scores = left.T @ (responses - intercept)
    alphas = fractions_to_alphas(singular**2, scores, shares)
    shrunk = singular[:, None, None] * scores[:, None, :] / ((singular**2)[:, None, None] + alphas)
    coef = (right.T @ shrunk.flatten(1)).unflatten(1, alphas.shape)
    arrays = [torch.where(valid, part, torch.nan) for part in (coef, alphas, intercept)]
    shared = [mean, torch.as_tensor(shares, device=mean.device)]
    return FractionalFit(*[like_input(part, x) for part in arrays + shared])


def _prepared(x: Any, y: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    features, responses = (part.to(torch.float64) for part in paired(x, y, "fractional ridge"))
    valid = usable(responses)
    return features, torch.where(valid, responses, 0.0), valid


def _centred(x: torch.Tensor, y: torch.Tensor, centre: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features about their mean, exactly 0 where constant, that mean, and that of the responses; both means 0 if not to be."""
    if not centre:
        return x, torch.zeros_like(x[0]), torch.zeros_like(y[0])
    mean = x.mean(0)
    return torch.where(x.amax(0) > x.amin(0), x - mean, 0.0), mean, y.mean(0)


@dataclass(frozen=True)
class FractionalCvFit:
    """One fraction per neuroid: predictions are (x − x_mean) · coef + intercept.

    coef : (p, v). intercept, fraction, alpha : (v,), NaN for neuroids that are constant or hold NaN. errors : (f, v) mean
    squared error per fraction of `fractions` (f,), ascending. x_mean : (p,).
    """

    coef: Any
    intercept: Any
    fraction: Any
    alpha: Any
    errors: Any
    fractions: Any
    x_mean: Any

    def predict(self, x: Any) -> Any:
        """Predictions (m, v) for `x` (m, p)."""
        features = floating(x).to(torch.float64)
        coef, intercept, mean = (as_tensor(part, features.device) for part in (self.coef, self.intercept, self.x_mean))
        return like_input((features - mean) @ coef + intercept, x)


def fractional_cv(
    x: Any,
    y: Any,
    folds: int | Sequence[Any] = 5,
    fractions: Fractions = FRACTIONS,
    *,
    fit_intercept: bool = True,
) -> FractionalCvFit:
    """Fractional ridge with the fraction of each neuroid chosen by cross-validation, then fitted on all rows.

    folds : validation rows per fold, or a number of contiguous folds. The fraction has the least mean squared error over folds,
    each with equal weight; the smaller one wins ties. In every fold it is a share of that fold's own least squares length,
    where directions at rounding level of the smaller Gram matrix are left out (`decomposition.trimmed`). Raises as
    `fractional_ridge`, and for fewer than two stimuli per fold.
    """
    shares = np.sort(checked_fractions(fractions))
    features, responses, valid = _prepared(x, y)
    inside, mean, intercept = _centred(features, responses, fit_intercept)
    inner = _folds(features, fold_indices(len(features), folds), fit_intercept)
    errors = fraction_errors(inner, responses, shares, fit_intercept)
    best = errors.argmin(0)  # the first, and so the smallest, of equal ones
    rows = torch.arange(len(features), device=features.device)
    basis = _basis(inside, rows, rows, fit_intercept)
    scores = basis.vectors.T @ (responses - intercept)
    alphas = fractions_to_alphas(basis.values, scores, shares).gather(0, best[None])[0]
    coef = inside.T @ (basis.vectors @ (scores / (basis.values[:, None] + alphas)))
    grid = torch.as_tensor(shares, device=features.device)
    arrays = [torch.where(valid, part, torch.nan) for part in (coef, intercept, grid[best], alphas, errors)]
    return FractionalCvFit(*[like_input(part, x) for part in [*arrays, grid, mean]])


def fraction_errors(folds: Sequence[Fold], y: torch.Tensor, fractions: Fractions, centre: bool = True) -> torch.Tensor:
    """Mean over folds, with equal weight, of the mean squared error (f, v) per fraction; `y` (n, v) holds no NaN."""
    errors = torch.zeros(len(checked_fractions(fractions)), y.shape[1], dtype=torch.float64, device=y.device)
    for fold in folds:
        inside, wanted = y[fold.train], y[fold.other]
        scores = fold.basis.vectors.T @ (inside - inside.mean(0) if centre else inside)
        for number, alphas in enumerate(fractions_to_alphas(fold.basis.values, scores, fractions)):
            errors[number] += (solve(fold.basis, inside, alphas, centre) - wanted).square().mean(0)
    return errors / len(folds)


def _folds(x: torch.Tensor, parts: Sequence[np.ndarray], centre: bool) -> list[Fold]:
    rows = torch.arange(len(x), device=x.device)
    folds = []
    for part in parts:
        other = torch.as_tensor(part, device=x.device)
        train = rows[~torch.isin(rows, other)]
        folds.append(Fold(_basis(x, train, other, centre), train, other))
    return folds


def _basis(x: torch.Tensor, train: torch.Tensor, other: torch.Tensor, centre: bool) -> Basis:
    if x.shape[1] < len(x):
        return basis_of_features(x, train, other, centre)
    return basis_of_kernel(x @ x.T, train, other, centre)
