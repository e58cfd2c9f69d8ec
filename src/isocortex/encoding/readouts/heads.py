"""Differentiable heads: maps → responses, with their parameters in the caller's hands."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from isocortex.encoding.readouts.fields import Fields
from isocortex.encoding.readouts.head_factorized import FactorizedHead
from isocortex.encoding.readouts.head_gaussian import GaussianHead
from isocortex.encoding.readouts.head_linear import LinearHead
from isocortex.encoding.readouts.head_semantic import SemanticHead

State = dict[str, torch.Tensor]


class Head(Protocol):
    """A head is made from its readout's options and holds no parameters: these are the `state`, whose tensors have neuroids on
    their first axis, but for those called "shared.<name>". Integer tensors are not trained."""

    def start(
        self, maps: torch.Tensor, y: torch.Tensor, generator: torch.Generator, guide: torch.Tensor | None = None
    ) -> State:
        """A state to train from: maps (n, c, h, w), z-scored per channel, responses (n, v), z-scored, NaN where missing."""
        ...

    def __call__(
        self,
        maps: torch.Tensor,
        state: State,
        *,
        generator: torch.Generator | None = None,
        guide: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Responses (n, v). generator : (of the CPU) given while training, for heads that sample. guide : maps that the
        semantic head's localiser sees."""
        ...

    def penalty(self, state: State) -> torch.Tensor:
        """What is added to each neuroid's mean squared error: (v,)."""
        ...

    def project(self, state: State) -> None:
        """After each step: put what has left its range back, in place."""
        ...

    def masks(self, state: State, size: tuple[int, int]) -> torch.Tensor:
        """Where each neuroid looks on maps of `size`: (v, h, w), of length 1."""
        ...

    def fields(self, state: State, size: tuple[int, int]) -> Fields:
        """Centre and size of each neuroid's field."""
        ...


# Each is made of the options of its readout, a mapping.
HEADS: dict[str, Any] = {
    "linear": LinearHead,
    "factorized": FactorizedHead,
    "gaussian": GaussianHead,
    "semantic": SemanticHead,
}
