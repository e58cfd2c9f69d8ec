"""Ridge on pooled channels of many candidate fields at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from isocortex.encoding.penalties import CONSTANT


@dataclass(frozen=True)
class Solution:
    """weights : (v, c) of pooled channels in their own units; bias : (v,)."""

    weights: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True)
class Pooled:
    """x : (K, n, c) float64, z-scored channels, or with a column of ones at the end where the intercept is penalised."""

    x: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def of(cls, raw: torch.Tensor, fitted: torch.Tensor, *, scale_by_all: bool = False, penalised: bool = False) -> Pooled:
        """Raw pooled channels (K, n, c) z-scored by the fitted rows, or by all rows; constant channels become zero."""
        x = raw.double()
        inside = x if scale_by_all else x[:, fitted]
        mean, spread = inside.mean(1, keepdim=True), inside.std(1, correction=0, keepdim=True)
        scale = torch.where(spread > CONSTANT * inside.abs().amax(1, keepdim=True), spread, torch.inf)
        x = (x - mean) / scale
        return cls(torch.cat([x, x.new_ones(*x.shape[:2], 1)], 2) if penalised else x, mean, scale)


def searched(pooled: Pooled, y: torch.Tensor, rows: tuple[torch.Tensor, torch.Tensor], alphas: torch.Tensor) -> torch.Tensor:
    """Mean squared error on the held rows for every candidate and penalty: (K, A, v).

    y : (n, v) with mean 0 over the fitted rows, as the columns of `pooled` have, unless the intercept is penalised.
    """
    inside, outside = pooled.x[:, rows[0]], pooled.x[:, rows[1]]
    values, left, right = _decomposed(inside)
    scores, cross = left.transpose(1, 2) @ y[rows[0]], outside @ right
    held = y[rows[1]]
    errors = [
        torch.baddbmm(held.expand(len(cross), -1, -1), cross / (values + alpha)[:, None], scores, alpha=-1).square().mean(1)
        for alpha in alphas.tolist()
    ]
    return torch.stack(errors, 1)


def _decomposed(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """s (K, r), left (K, n, r), right (K, c, r) of x (K, n, c) with weights = right · (leftᵀ y)/(s + α): by the smaller of the
    Gram matrices."""
    if x.shape[2] <= x.shape[1]:
        values, basis = torch.linalg.eigh(x.transpose(1, 2) @ x)
        return values.clamp(min=0), x @ basis, basis
    values, basis = torch.linalg.eigh(x @ x.transpose(1, 2))
    return values.clamp(min=0), basis, x.transpose(1, 2) @ basis


def fitted_at(raw: torch.Tensor, y: torch.Tensor, rows: torch.Tensor, alphas: torch.Tensor) -> Solution:
    """The solution for raw pooled channels (n, c) of one field on `rows`, with penalty `alphas` (v,) per neuroid."""
    pooled = Pooled.of(raw[None], rows)
    values, left, right = (part[0] for part in _decomposed(pooled.x[:, rows]))
    mean = y[rows].mean(0)
    scores = left.T @ (y[rows] - mean) / (values[:, None] + alphas)
    weights = (right @ scores).T / pooled.scale[0]
    return Solution(weights, mean - (weights @ pooled.mean[0].T).squeeze(1))
