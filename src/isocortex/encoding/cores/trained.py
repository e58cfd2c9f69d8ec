"""A trained core with its readout: maps, predictions, fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from isocortex.encoding.cores.architecture import CoreNetwork
from isocortex.encoding.cores.frozen import Reader
from isocortex.encoding.readouts.adam import SHARED
from isocortex.encoding.readouts.fields import Fields

BATCH = 128  # images whose maps are made at once
FLOOR = 1e-6  # of a rate

State = dict[str, torch.Tensor]


def to_device(data: torch.Tensor, rows: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Some rows of data that lie on this or another device."""
    return data[rows.to(data.device)].to(device, non_blocking=True)


def own_state(state: State, columns: slice) -> State:
    """The part of a readout's state that is of some neuroids, and what all share."""
    return {name: value if name.startswith(SHARED) else value[columns] for name, value in state.items()}


def rate(predicted: torch.Tensor) -> torch.Tensor:
    """What the readout says, kept positive."""
    return functional.softplus(predicted) + FLOOR


@dataclass(frozen=True)
class TrainedCore:
    """network, the head that it was trained with and its state; scales : per subject what responses were centred and divided
    by, (v,) each, NaN for neuroids without variance; columns : the rows of the state that are a subject's."""

    network: CoreNetwork
    head: Any
    state: State
    scales: Sequence[tuple[np.ndarray, np.ndarray]]
    columns: Sequence[slice]
    loss: str = "mse"

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return self.network.mean.device

    @torch.no_grad()
    def batches(self, images: np.ndarray | torch.Tensor) -> Iterator[torch.Tensor]:
        """Maps (batch, channel, y, x) float32 of uint8 images (n, channel, size, size), on the core's device."""
        self.network.eval()
        for batch in torch.as_tensor(images).split(BATCH):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                maps = self.network(batch.to(self.device))
            yield maps.float()

    @torch.no_grad()
    def predict(self, images: np.ndarray | torch.Tensor, subject: int = 0) -> np.ndarray:
        """Responses (n, v) float32 of one subject's neuroids to uint8 images, in the responses' own units."""
        state = own_state(self.state, self.columns[subject])
        centre, spread = (torch.as_tensor(part, device=self.device) for part in self.scales[subject])
        made = []
        for maps in self.batches(images):
            answer = self.head(maps, state, guide=maps)
            answer = rate(answer) if self.loss == "poisson" else answer
            made.append((answer.double() * spread + centre).float().cpu())
        return torch.cat(made).numpy()

    def masks(self, subject: int = 0) -> np.ndarray:
        """Where one subject's neuroids look on the last maps: (v, y, x), of length 1; NaN for neuroids without variance."""
        state = own_state(self.state, self.columns[subject])
        return self._known(subject, self.head.masks(state, self.network.extent).detach().cpu().numpy())

    def fields(self, subject: int = 0) -> Fields:
        """Centre and size of these, in widths of the image."""
        found = self.head.fields(own_state(self.state, self.columns[subject]), self.network.extent)
        parts = (part.detach().cpu().numpy() for part in (found.x, found.y, found.size))
        return Fields(*(self._known(subject, part) for part in parts))

    def _known(self, subject: int, values: np.ndarray) -> np.ndarray:
        missing = np.isnan(self.scales[subject][1])
        return np.where(missing.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values)


@dataclass(frozen=True)
class FrozenCore:
    """A trained core whose maps are read by another readout, fitted when they no longer change; `readers` per subject."""

    core: TrainedCore
    readers: Sequence[Reader]

    @torch.no_grad()
    def predict(self, images: np.ndarray | torch.Tensor, subject: int = 0) -> np.ndarray:
        """Responses (n, v) float32 of one subject's neuroids to uint8 images, in the responses' own units."""
        return torch.cat([self.readers[subject].predict(maps).cpu() for maps in self.core.batches(images)]).numpy()

    def masks(self, subject: int = 0) -> np.ndarray:
        """Where one subject's neuroids look: (v, y, x), of length 1."""
        return self.readers[subject].masks

    def fields(self, subject: int = 0) -> Fields:
        """Centre and size of these, in widths of the image."""
        return self.readers[subject].fields
