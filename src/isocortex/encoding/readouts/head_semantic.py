"""Semantic spatial transformer: the mask of a factorised readout, moved for every image by what a localiser sees on it.

arXiv 2410.14031. The localiser looks at maps of its own (`guide`): a 1 × 1 convolution to a few channels, a hidden layer, and
the numbers of an affine warp per neuroid. Its last layer starts at zero, so that training starts at the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.readouts.fields import Fields, fields_of_masks
from isocortex.encoding.readouts.head_factorized import read_out
from isocortex.encoding.readouts.options import checked
from isocortex.encoding.readouts.start import half_sized, lengths_one, spectral_start
from isocortex.encoding.readouts.warps import numbers, read_warped, thetas
from isocortex.errors import DataError
from isocortex.study.options.readouts import Semantic

State = dict[str, torch.Tensor]


def no_guide() -> DataError:
    """What is raised where the localiser has nothing to look at."""
    return DataError(
        "readout semantic: found no guide, expected the maps that its localiser looks at; name guide: {model: …, layer: …}"
    )


class SemanticHead:
    """State: mask (v, h, w), features (v, c), bias (v,); with a warp also turn (v, k, hidden), turn_bias (v, k) and
    shared.mix (channels, c'), shared.mix_bias, shared.hidden (hidden, channels · h' · w'), shared.hidden_bias."""

    def __init__(self, options: Mapping[str, Any] | Semantic | None = None) -> None:
        self.options = checked(Semantic, options)
        self.numbers = numbers(self.options.warp)

    def start(
        self, maps: torch.Tensor, y: torch.Tensor, generator: torch.Generator, guide: torch.Tensor | None = None
    ) -> State:
        """A factorised readout's start; the localiser's first layers at random, its last at zero."""
        masks, features = spectral_start(maps, y)
        masks = masks.clamp(min=0)
        state = {"mask": masks, "features": features, "bias": features.new_zeros(len(features))}
        state["features"] = half_sized(features, read_out(maps, lengths_one(masks), features, state["bias"]))
        return {**state, **self._localiser(guide, maps, len(masks), generator)} if self.numbers else state

    def _localiser(self, guide: torch.Tensor | None, maps: torch.Tensor, v: int, generator: torch.Generator) -> State:
        seen, k = self._guide(guide), self.options.channels
        inputs = k * seen.shape[2] * seen.shape[3]

        def uniform(rows: int, columns: int) -> torch.Tensor:
            return ((2 * torch.rand(rows, columns, generator=generator) - 1) * columns**-0.5).to(maps)

        return {
            "turn": maps.new_zeros(v, self.numbers, self.options.hidden),
            "turn_bias": maps.new_zeros(v, self.numbers),
            "shared.mix": uniform(k, seen.shape[1]),
            "shared.mix_bias": maps.new_zeros(k),
            "shared.hidden": uniform(self.options.hidden, inputs),
            "shared.hidden_bias": maps.new_zeros(self.options.hidden),
        }

    def __call__(
        self, maps: torch.Tensor, state: State, *, generator: torch.Generator | None = None, guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Responses (n, v)."""
        masks = lengths_one(state["mask"].clamp(min=0))
        if not self.numbers:
            return read_out(maps, masks, state["features"], state["bias"])
        return read_warped(maps, masks, self.theta(guide, state), state["features"]) + state["bias"]

    def theta(self, guide: torch.Tensor | None, state: State) -> torch.Tensor:
        """Rows of the sampling matrices (n, v, 6) for `guide` (n, c', h', w')."""
        if not self.numbers:
            seen = self._guide(guide)
            return thetas(seen.new_zeros(len(seen), len(state["mask"]), 0), "none")
        flat = self._guide(guide).flatten(2)
        mixed = (state["shared.mix"] @ flat + state["shared.mix_bias"][:, None]).flatten(1)
        hidden = torch.relu(mixed @ state["shared.hidden"].T + state["shared.hidden_bias"])
        bias = state["turn_bias"]
        raw = (hidden @ state["turn"].flatten(0, 1).T).to(bias.dtype)
        # Where a mask is read is a matter of fractions of a pixel: in float32 whatever the rest is in.
        return thetas(raw.view(len(flat), -1, self.numbers) + bias, self.options.warp)

    def _guide(self, guide: torch.Tensor | None) -> torch.Tensor:
        if guide is None:
            raise no_guide()
        return guide

    def penalty(self, state: State) -> torch.Tensor:
        """l2 · ‖f‖²."""
        return self.options.l2 * state["features"].square().sum(1)

    def project(self, state: State) -> None:
        """Masks are not negative."""
        state["mask"].clamp_(min=0)

    def masks(self, state: State, size: tuple[int, int]) -> torch.Tensor:
        """Unwarped masks, of length 1."""
        return lengths_one(state["mask"].clamp(min=0))

    def fields(self, state: State, size: tuple[int, int]) -> Fields:
        """Those of the unwarped masks."""
        return fields_of_masks(self.masks(state, size))
