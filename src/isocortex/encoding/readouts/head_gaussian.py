"""Gaussian head: y = Σ_c f_c F_c(μ) + b, read bilinearly at one place per neuroid.

Lurz et al. 2021 (Generalization in data-driven models of primary visual cortex): while training, the place is drawn for each
image from N(μ, Σ) with Σ = A Aᵀ learnt, so that the gradient sees more than four pixels; predictions are made at μ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.readouts.fields import Fields
from isocortex.encoding.readouts.options import checked
from isocortex.encoding.readouts.sampling import column_keys, footprints, normal_noise, sample
from isocortex.encoding.readouts.start import half_sized, lengths_one, spectral_start
from isocortex.study.options.readouts import Gaussian

State = dict[str, torch.Tensor]
# A (v, 2, 2) of what each kind of covariance learns.
AXES = {
    "full": lambda spread: spread,
    "uncorrelated": torch.diag_embed,
    "isotropic": lambda spread: spread[:, :, None] * torch.eye(2, dtype=spread.dtype, device=spread.device),
}


class GaussianHead:
    """State: position (v, 2), spread ((v, 2, 2), (v, 2) or (v, 1)), features (v, c), bias (v,), key (v,) int64."""

    def __init__(self, options: Mapping[str, Any] | Gaussian | None = None) -> None:
        self.options = checked(Gaussian, options)

    def start(
        self, maps: torch.Tensor, y: torch.Tensor, generator: torch.Generator, guide: torch.Tensor | None = None
    ) -> State:
        """At the peak of the mask that the covariance of maps and responses has: a random place lies on a plateau."""
        height, width = maps.shape[2:]
        masks, features = spectral_start(maps, y)
        peak = masks.flatten(1).abs().argmax(1)
        place = torch.stack([peak % width, peak // width], 1).to(maps.dtype)
        size = place.new_tensor([width, height])
        if self.options.align_corners:
            position = torch.where(size > 1, 2 * place / (size - 1).clamp(min=1) - 1, 0.0)
        else:
            position = (2 * place + 1) / size - 1
        v, spread = len(features), self.options.spread
        shapes = {"full": torch.eye(2).expand(v, 2, 2), "uncorrelated": torch.ones(v, 2), "isotropic": torch.ones(v, 1)}
        state = {
            "position": position,
            "spread": spread * shapes[self.options.covariance].to(maps, copy=True),
            "features": features,
            "bias": maps.new_zeros(v),
            "key": column_keys(y),
        }
        state["features"] = half_sized(features, self(maps, state))
        return state

    def __call__(
        self, maps: torch.Tensor, state: State, *, generator: torch.Generator | None = None, guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Responses (n, v): at μ, or with a generator around it."""
        points = state["position"].clamp(-1, 1).expand(len(maps), -1, -1)
        if generator is not None:
            noise = normal_noise(state["key"], len(maps), generator).to(points.dtype)
            points = (points + self._moved(noise, state["spread"])).clamp(-1, 1)
        return sample(maps, points, state["features"], self.options.align_corners) + state["bias"]

    def penalty(self, state: State) -> torch.Tensor:
        """sparsity · ‖f‖₁ + l2 · ‖f‖²."""
        features = state["features"]
        return self.options.sparsity * features.abs().sum(1) + self.options.l2 * features.square().sum(1)

    def project(self, state: State) -> None:
        """Places stay on the map."""
        state["position"].clamp_(-1, 1)

    def masks(self, state: State, size: tuple[int, int]) -> torch.Tensor:
        """The pixels that are read, with their weights."""
        return lengths_one(footprints(state["position"].clamp(-1, 1), size, self.options.align_corners))

    def fields(self, state: State, size: tuple[int, int]) -> Fields:
        """μ, and the standard deviation of N(μ, Σ) along one axis: how far off the place may be, not how much is summed."""
        ends = state["position"].new_tensor([size[1], size[0]])
        unit = (ends - 1) / ends / 2 if self.options.align_corners else torch.full_like(ends, 0.5)
        centre = state["position"].clamp(-1, 1) * unit
        factor = AXES[self.options.covariance](state["spread"]) * unit[:, None]
        return Fields(centre[:, 0], -centre[:, 1], (factor.square().sum((1, 2)) / 2).sqrt())

    def _moved(self, noise: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """A ε: noise (n, v, 2)."""
        return torch.einsum("vij,nvj->nvi", spread, noise) if self.options.covariance == "full" else noise * spread
