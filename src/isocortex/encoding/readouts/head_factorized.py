"""Factorised head: y = Σ_c f_c Σ_xy s_xy F_cxy + b, one mask s and one feature vector f per neuroid.

Klindt et al. 2017 (Neural system identification for large populations separating "what" and "where"); masks are divided by
their L2 norm (+ 1e-6) as in neuralpredictors' FullFactorized2d, which removes the scale that could pass between s and f.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.readouts.fields import Fields, fields_of_masks
from isocortex.encoding.readouts.options import checked
from isocortex.encoding.readouts.start import half_sized, lengths_one, spectral_start
from isocortex.study.options.readouts import Factorized

State = dict[str, torch.Tensor]


def read_out(maps: torch.Tensor, masks: torch.Tensor, features: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Responses (n, v) to `maps` (n, c, h, w); the contraction that leaves the smaller intermediate comes first."""
    n, channels, height, width = maps.shape
    if channels <= height * width:
        pooled = maps.reshape(n * channels, -1) @ masks.flatten(1).T
        return (pooled.view(n, channels, -1) * features.T).sum(1) + bias
    mixed = maps.flatten(2).transpose(1, 2).reshape(-1, channels) @ features.T
    return (mixed.view(n, height * width, -1) * masks.flatten(1).T).sum(1) + bias


def penalty_l1(masks: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """‖s_v‖₁ ‖f_v‖₁ per neuroid: (v,)."""
    return masks.flatten(1).abs().sum(1) * features.abs().sum(1)


def roughness(masks: torch.Tensor) -> torch.Tensor:
    """Squared Laplacian of each mask (v, h, w), which is 0 outside: (v,)."""
    stencil = masks.new_tensor([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]])
    return torch.nn.functional.conv2d(masks[:, None], stencil[None, None], padding=1).square().sum((1, 2, 3))


class FactorizedHead:
    """State: mask (v, h, w), features (v, c), bias (v,)."""

    def __init__(self, options: Mapping[str, Any] | Factorized | None = None) -> None:
        self.options = checked(Factorized, options)
        self.ranged = [
            name for name, kind in (("mask", "masks"), ("features", "features")) if self.options.nonnegative in (kind, "both")
        ]

    def start(
        self, maps: torch.Tensor, y: torch.Tensor, generator: torch.Generator, guide: torch.Tensor | None = None
    ) -> State:
        """From the covariance of maps and responses."""
        masks, features = spectral_start(maps, y)
        state = {"mask": masks, "features": features, "bias": features.new_zeros(len(features))}
        self.project(state)
        state["features"] = half_sized(state["features"], self(maps, state))
        return state

    def __call__(
        self, maps: torch.Tensor, state: State, *, generator: torch.Generator | None = None, guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Responses (n, v)."""
        parts = self._ranged(state)
        return read_out(maps, lengths_one(parts["mask"]), parts["features"], state["bias"])

    def penalty(self, state: State) -> torch.Tensor:
        """sparsity · ‖s‖₁‖f‖₁ + l2 · ‖f‖² + smoothness · ‖∇²s‖²."""
        parts = self._ranged(state)
        cost = self.options.l2 * parts["features"].square().sum(1)
        if self.options.sparsity:
            cost = cost + self.options.sparsity * penalty_l1(lengths_one(parts["mask"]), parts["features"])
        if self.options.smoothness:
            cost = cost + self.options.smoothness * roughness(lengths_one(parts["mask"]))
        return cost

    def project(self, state: State) -> None:
        """No negative weights where they are not wanted."""
        for name in self.ranged:
            state[name].clamp_(min=0)

    def masks(self, state: State, size: tuple[int, int]) -> torch.Tensor:
        """(v, h, w), of length 1."""
        return lengths_one(self._ranged(state)["mask"])

    def fields(self, state: State, size: tuple[int, int]) -> Fields:
        """By the moments of the squared masks."""
        return fields_of_masks(self.masks(state, size))

    def _ranged(self, state: State) -> State:
        # At 0 the gradient of a clamp still passes: a weight that was put back there can rise again.
        return {name: state[name].clamp(min=0) if name in self.ranged else state[name] for name in ("mask", "features")}
