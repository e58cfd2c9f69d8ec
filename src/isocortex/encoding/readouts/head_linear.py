"""Fully linear head, trained by gradients; a frozen core has the closed form (`linear`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.readouts.fields import Fields, fields_of_masks
from isocortex.encoding.readouts.options import checked
from isocortex.encoding.readouts.start import lengths_one
from isocortex.study.options.readouts import Linear

State = dict[str, torch.Tensor]
# Weight of Σ w² beside the mean squared error of z-scored responses.
L2 = 1e-3


class LinearHead:
    """State: weights (v, c, h, w), bias (v,)."""

    def __init__(self, options: Mapping[str, Any] | Linear | None = None) -> None:
        self.options = checked(Linear, options)

    def start(
        self, maps: torch.Tensor, y: torch.Tensor, generator: torch.Generator, guide: torch.Tensor | None = None
    ) -> State:
        """From zero: the problem is convex."""
        return {"weights": maps.new_zeros(y.shape[1], *maps.shape[1:]), "bias": maps.new_zeros(y.shape[1])}

    def __call__(
        self, maps: torch.Tensor, state: State, *, generator: torch.Generator | None = None, guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Responses (n, v)."""
        return maps.flatten(1) @ state["weights"].flatten(1).T + state["bias"]

    def penalty(self, state: State) -> torch.Tensor:
        """Σ w² / 1000."""
        return L2 * state["weights"].flatten(1).square().sum(1)

    def project(self, state: State) -> None:
        """Every weight is in range."""

    def masks(self, state: State, size: tuple[int, int]) -> torch.Tensor:
        """Length of the weights over channels, at each place."""
        return lengths_one(state["weights"].norm(dim=1))

    def fields(self, state: State, size: tuple[int, int]) -> Fields:
        """By the moments of the squared masks."""
        return fields_of_masks(self.masks(state, size))
