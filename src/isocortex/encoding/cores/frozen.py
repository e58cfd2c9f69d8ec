"""Readouts in closed form on the maps of a core that is trained: what they are made of, as arrays that can be written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.encoding.readouts.fields import Fields
from isocortex.encoding.readouts.fwrf import FwrfFit, fit_fwrf, pool
from isocortex.encoding.readouts.linear import LinearFit, fit_linear
from isocortex.encoding.readouts.maps import Maps

Arrays = dict[str, torch.Tensor]
WEIGHT_COLUMNS = 4096  # neuroids whose weights are made at once


@dataclass(frozen=True)
class Reader:
    """A readout by name, of one subject's neuroids. arrays : its parameters; neuroids (k,) of v that are fitted, mean and scale
    (k,) of their responses, masks (v, y, x), x, y, size (v,) of their fields."""

    name: str
    nonlinearity: str
    arrays: Arrays

    def predict(self, maps: torch.Tensor) -> torch.Tensor:
        """Responses (n, v) float32 to maps (n, channel, y, x), NaN for neuroids that are not fitted."""
        own = {name: value.to(maps.device) for name, value in self.arrays.items()}
        scored = READERS[self.name][2](maps, own, self.nonlinearity)
        made = torch.full((len(maps), len(own["masks"])), torch.nan, dtype=torch.float64, device=maps.device)
        made[:, own["neuroids"]] = scored * own["mean_scale"][1] + own["mean_scale"][0]
        return made.float()

    @property
    def masks(self) -> np.ndarray:
        """(v, y, x), of length 1."""
        return self.arrays["masks"].numpy()

    @property
    def fields(self) -> Fields:
        """Centre and size of these."""
        return Fields(*(part.numpy() for part in self.arrays["fields"]))


def fit_reader(
    name: str, maps: torch.Tensor, y: np.ndarray, validation: np.ndarray, options: Mapping[str, Any], device: Any
) -> Reader:
    """Fit the readout `name` (linear or fwrf) on maps (n, c, y, x) and responses (n, v); the rows `validation` choose its
    penalties."""
    fit, arrays_of, _ = READERS[name]
    found = fit(maps, torch.as_tensor(y), validation, options, device=device)
    fields = torch.stack([torch.as_tensor(part).double() for part in (found.fields.x, found.fields.y, found.fields.size)])
    responses = found.responses
    common = {
        "neuroids": responses.neuroids,
        "mean_scale": torch.stack([responses.mean, responses.scale]).double(),
        "masks": torch.as_tensor(found.masks).float(),
        "fields": fields,
    }
    arrays = {key: value.detach().cpu() for key, value in {**common, **arrays_of(found)}.items()}
    return Reader(name, str(options.get("nonlinearity", "none")), arrays)


def _of_linear(fit: LinearFit) -> Arrays:
    """Weights (p, k) of z-scored pixels, which the fit itself keeps only where they are few."""
    weights = fit.weights
    if weights is None:
        weights = torch.zeros(len(fit.pixels.mean), fit.dual.shape[1], dtype=torch.float32, device=fit.dual.device)
        for rows in fit.pixels.parts():
            block = fit.pixels.scores(rows)
            for start in range(0, weights.shape[1], WEIGHT_COLUMNS):
                columns = slice(start, start + WEIGHT_COLUMNS)
                weights[:, columns] += block.T @ fit.dual[rows, columns].float()
    bound = torch.tensor(fit.pixels.bound, dtype=torch.float32)
    return {
        "weights": weights,
        "intercept": fit.intercept,
        "pixels": torch.stack([fit.pixels.mean, fit.pixels.scale]),
        "bound": bound,
    }


def _linear(maps: torch.Tensor, own: Arrays, nonlinearity: str) -> torch.Tensor:  # noqa: ARG001 (all are called alike)
    z = (maps.flatten(1) - own["pixels"][0]) / own["pixels"][1]
    return (z.clamp(-own["bound"], own["bound"]) @ own["weights"]).double() + own["intercept"]


def _of_fwrf(fit: FwrfFit) -> Arrays:
    return {"chosen": fit.chosen, "weights": fit.solution.weights, "bias": fit.solution.bias}


def _fwrf(maps: torch.Tensor, own: Arrays, nonlinearity: str) -> torch.Tensor:
    unique, which = own["chosen"].unique(dim=0, return_inverse=True)
    pooled = pool(Maps(maps), unique, nonlinearity).double()
    made = own["bias"].expand(len(maps), -1).clone()
    for number, block in enumerate(pooled):
        columns = (which == number).nonzero().squeeze(1)
        made[:, columns] += block @ own["weights"][columns].T
    return made


# Name → how it is fitted, its own arrays, and what these say of maps, in units of the responses' standard deviation.
READERS: dict[str, tuple[Callable[..., Any], Callable[[Any], Arrays], Callable[[torch.Tensor, Arrays, str], torch.Tensor]]] = {
    "linear": (fit_linear, _of_linear, _linear),
    "fwrf": (fit_fwrf, _of_fwrf, _fwrf),
}
