"""Stacked encoders: per neuroid the convex combination of several encoders that predicts held-out responses best.

Weights w on the simplex minimise wᵀQw, Q_ij the mean over out-of-fold stimuli of the product of the residuals of encoders i and
j (Breiman 1996; Lin et al. 2024). Weights are found exactly, by an active set, in float64.
"""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.encoding.penalties import constant_columns
from isocortex.errors import DataError

# An encoder enters where the loss falls along it by more than this, relative to the largest entry of Q.
TOLERANCE = 1e-12
RIDGE = 1e-14
TINY = 1e-300
# Steps per encoder after which what is left to gain is rounding.
STEPS = 20


def residual_products(predictions: Any, y: Any) -> Any:
    """Q (v, g, g) float64 from out-of-fold predictions (g, n, v) and responses (n, v); NaN for constant neuroids and any NaN.

    Raises `DataError` for shapes that do not match.
    """
    made, responses = as_tensor(predictions), as_tensor(y)
    if made.ndim != 3 or not len(made) or responses.ndim != 2 or made.shape[1:] != responses.shape:
        raise DataError(
            f"stacking: found predictions {tuple(made.shape)} and y {tuple(responses.shape)}, expected (encoders, stimuli, "
            "neuroids) and (stimuli, neuroids)"
        )
    g, n, v = made.shape
    pieces = []
    for part in batches(v, 8 * 3 * (g + 1) * n, budget_bytes(made.device)):
        observed = responses[:, part].to(made.device, torch.float64)
        residual = (made[:, :, part].to(torch.float64) - observed).permute(2, 0, 1)
        products = residual @ residual.mT / n
        pieces.append(torch.where(constant_columns(observed)[:, None, None], torch.nan, products))
    return like_input(torch.cat(pieces), predictions)


def simplex_weights(products: Any) -> Any:
    """Weights (v, g) on the simplex that minimise wᵀQw for each Q of `products` (v, g, g), positive semidefinite; NaN for NaN.

    Q + c 11ᵀ has the same minimiser, since weights sum to 1, and turns the problem into non-negative least squares, ½uᵀQu − 1ᵀu
    with w = u/Σu, bounded even where an encoder is perfect. Lawson & Hanson's active set (1974), all neuroids at once. Of
    encoders with the same residuals the first has the weight. Raises `DataError` for other shapes.
    """
    given = as_tensor(products)
    matrices = given.to(torch.float64)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not matrices.shape[1]:
        raise DataError(f"stacking: found products {tuple(matrices.shape)}, expected (neuroids, encoders, encoders)")
    valid = torch.isfinite(matrices).all(2).all(1)
    weights = matrices.new_full(matrices.shape[:2], torch.nan)
    weights[valid] = _non_negative(matrices[valid])
    return like_input(weights.to(given.dtype if given.is_floating_point() else torch.float64), products)


def _non_negative(products: torch.Tensor) -> torch.Tensor:
    """Weights (v, g) for `products` (v, g, g), by non-negative least squares."""
    v, g, _ = products.shape
    scale = products.diagonal(dim1=1, dim2=2).amax(1)
    system = products / torch.where(scale > 0, scale, 1.0)[:, None, None] + 1
    # Encoders with the same residuals must not make a singular system of rounding.
    system.diagonal(dim1=1, dim2=2).add_(RIDGE)
    u = products.new_zeros(v, g)
    inside = torch.zeros(v, g, dtype=torch.bool, device=products.device)
    todo = torch.arange(v, device=products.device)
    for _ in range(STEPS * g):
        pull = 1 - (system[todo] @ u[todo, :, None]).squeeze(2)
        most, entering = pull.masked_fill(inside[todo], -torch.inf).max(1)
        todo, entering = todo[most > TOLERANCE], entering[most > TOLERANCE]
        if not len(todo):
            break
        inside[todo, entering] = True
        _descend(system, u, inside, todo)
    return u / u.sum(1, keepdim=True)


def _descend(system: torch.Tensor, u: torch.Tensor, inside: torch.Tensor, rows: torch.Tensor) -> None:
    """Move `u` of some neuroids to the optimum of the encoders `inside`, in place; those that would turn negative leave."""
    identity = torch.eye(u.shape[1], dtype=u.dtype, device=u.device)
    while len(rows):
        members = inside[rows]
        both = members[:, :, None] & members[:, None, :]
        target = torch.linalg.solve(torch.where(both, system[rows], identity), members.to(u.dtype))
        short = members & (target <= 0)
        stays = short.any(1)
        u[rows[~stays]] = target[~stays]
        rows, target, short = rows[stays], target[stays], short[stays]
        current = u[rows]
        share = torch.where(short, current / (current - target).clamp(min=TINY), torch.inf)
        step = share.amin(1, keepdim=True)
        leaving = share <= step
        u[rows] = (current + step * (target - current)).clamp(min=0).masked_fill(leaving, 0.0)
        inside[rows] &= ~leaving


def duality_gap(products: Any, weights: Any) -> Any:
    """Certificate (v,): wᵀQw less the least of (Qw)_i, zero at the optimum; twice it bounds what the loss could still fall."""
    matrices, w = as_tensor(products), as_tensor(weights)
    gradient = (matrices @ w[:, :, None]).squeeze(2)
    return like_input((gradient * w).sum(1) - gradient.amin(1), products)


def stack(predictions: Any, y: Any) -> Any:
    """Stacking weights (g, v) from out-of-fold predictions (g, n, v) of g encoders and responses (n, v).

    NaN for constant neuroids and those with NaN. Raises `DataError` for shapes that do not match.
    """
    weights = as_tensor(simplex_weights(residual_products(predictions, y))).T
    return like_input(weights, predictions)


def combine(weights: Any, predictions: Any) -> Any:
    """The stacked prediction Σ w_i ŷ_i (m, v) from weights (g, v) and predictions (g, m, v)."""
    made = as_tensor(predictions)
    return like_input((as_tensor(weights, made.device).to(made.dtype)[:, None, :] * made).sum(0), predictions)
