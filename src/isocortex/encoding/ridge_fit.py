"""What a ridge regression found, its weights made when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input


class RidgeFit:
    """A ridge fit: predictions are (x − x_mean)/x_scale · coef + intercept. Arrays are what `x` was: NumPy or torch.

    alphas : (v,), NaN for a constant neuroid or one with NaN, whose weights are NaN too. grid : (A,) penalties, ascending.
    errors : (A, v) mean squared held-out error per penalty; inf where pruning ruled a penalty out. alpha_at_edge : share of
    valid neuroids whose penalty is the first or last of the grid. algorithm : which one chose the penalties.
    """

    def __init__(
        self,
        like: Any,
        scaled: torch.Tensor,
        vectors: torch.Tensor,
        weights: torch.Tensor,
        intercept: torch.Tensor,
        chosen: torch.Tensor,
        valid: torch.Tensor,
        grid: torch.Tensor,
        errors: torch.Tensor,
        scaling: tuple[torch.Tensor, torch.Tensor],
        alpha_at_edge: float,
        algorithm: str,
    ) -> None:
        self._like, self._scaled, self._vectors, self._weights, self._valid = like, scaled, vectors, weights, valid
        self.intercept = like_input(torch.where(valid, intercept, torch.nan), like)
        self.alphas = like_input(torch.where(valid, chosen, torch.nan), like)
        self.grid = like_input(grid, like)
        self.errors = like_input(torch.where(valid, errors, torch.nan), like)
        self.x_mean, self.x_scale = (like_input(part, like) for part in scaling)
        self.alpha_at_edge, self.algorithm = alpha_at_edge, algorithm

    @cached_property
    def coef(self) -> Any:
        """Weights (p, v) of the standardized features: (Xᵀ V) · weights, one product for all neuroids."""
        return self._masked((self._scaled.T.to(self._vectors.dtype) @ self._vectors) @ self._weights)

    @cached_property
    def dual(self) -> Any:
        """Weights (n, v) of the training stimuli; coef is Xᵀ dual."""
        return self._masked(self._vectors @ self._weights)

    def _masked(self, weights: torch.Tensor) -> Any:
        return like_input(weights if bool(self._valid.all()) else torch.where(self._valid, weights, torch.nan), self._like)

    def predict(self, x: Any) -> Any:
        """Predictions (m, v) for `x` (m, p)."""
        dtype = self._weights.dtype
        features = as_tensor(x, dtype=dtype)
        coef, mean, scale, intercept = (
            as_tensor(part, features.device, dtype) for part in (self.coef, self.x_mean, self.x_scale, self.intercept)
        )
        return like_input((features - mean) / scale @ coef + intercept, x)
