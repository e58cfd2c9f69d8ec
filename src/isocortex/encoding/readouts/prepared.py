"""What goes into a readout, checked, and standardised by its training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import as_tensor
from isocortex.encoding.readouts.maps import Maps, as_maps
from isocortex.encoding.readouts.training import Samples
from isocortex.errors import DataError

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Responses:
    """y : (n, k) float32, z-scored by training rows, of those `neuroids` (k,) of `count` that have a value and vary; NaN where
    missing. mean, scale : (k,) float64."""

    y: torch.Tensor
    neuroids: torch.Tensor
    count: int
    mean: torch.Tensor
    scale: torch.Tensor

    def raw(self, predicted: torch.Tensor) -> torch.Tensor:
        """Predictions (m, k) of z-scores as predictions (m, v) in raw units, NaN for neuroids that were left out."""
        return self.spread(predicted.double() * self.scale + self.mean, 1)

    def spread(self, values: torch.Tensor, axis: int = 0) -> torch.Tensor:
        """Values of the fitted neuroids (…, k, …) among those of all, the others NaN."""
        shape = list(values.shape)
        shape[axis] = self.count
        return values.new_full(shape, torch.nan).index_copy_(axis, self.neuroids, values)


@dataclass(frozen=True)
class Prepared:
    """fitted, held : indices of the training and the validation rows. samples : standardised, of all rows. channels, guided :
    mean and scale per channel of maps and guide."""

    fitted: torch.Tensor
    held: torch.Tensor
    samples: Samples
    responses: Responses
    channels: Pair
    guided: Pair | None


def rows_of(name: str, n: int, validation: Any, device: torch.device) -> Pair:
    """Training and validation rows. Raises `DataError` where either is missing or a row does not exist."""
    held = torch.as_tensor(validation, dtype=torch.int64, device=device).reshape(-1)
    wrong = held.numel() == 0 or int(held.min()) < 0 or int(held.max()) >= n or len(held.unique()) < len(held)
    if wrong or n - len(held) < 2:
        raise DataError(
            f"readout {name}: found {len(held)} validation rows for {n} stimuli, expected some indices below {n}, each once, "
            "and 2 stimuli or more beside them; use fewer inner folds or more stimuli"
        )
    inside = torch.ones(n, dtype=torch.bool, device=device)
    inside[held] = False
    return inside.nonzero().squeeze(1), held


def responses_of(name: str, y: Any, n: int, rows: Pair, device: torch.device, *, missing: bool = False) -> Responses:
    """Responses z-scored by training rows. missing : single values may be missing; else such a neuroid is left out."""
    raw = as_tensor(y).to(device, torch.float64)
    if raw.ndim != 2 or len(raw) != n:
        raise DataError(
            f"readout {name}: found maps of {n} stimuli and responses {tuple(raw.shape)}, expected (stimuli, neuroids), "
            "a row per stimulus"
        )
    there = torch.isfinite(raw)
    inside, held = there[rows[0]], there[rows[1]]
    known = torch.where(there, raw, 0.0)[rows[0]]
    count = inside.sum(0).clamp(min=1)
    mean = known.sum(0) / count
    scale = (torch.where(inside, known - mean, 0.0).square().sum(0) / count).sqrt()
    low, high = (torch.where(inside, known, fill) for fill in (torch.inf, -torch.inf))
    valid = (high.amax(0) > low.amin(0)) & ((inside.sum(0) > 1) & held.any(0) if missing else there.all(0))
    neuroids = valid.nonzero().squeeze(1)
    mean, scale = mean[neuroids], scale[neuroids]
    return Responses(((raw[:, neuroids] - mean) / scale).float(), neuroids, raw.shape[1], mean, scale)


def prepared(
    name: str,
    maps: Any,
    y: Any,
    validation: Any,
    device: torch.device | str | None,
    guide: Any = None,
    *,
    missing: bool = False,
) -> Prepared:
    """Everything that a trained readout needs. Raises `DataError` for what does not fit or is not finite."""
    source = as_maps(maps, device)
    rows = rows_of(name, len(source), validation, source.device)
    responses = responses_of(name, y, len(source), rows, source.device, missing=missing)
    channels = _moments(source, rows)
    looked, guided = None, None
    if guide is not None:
        looked = as_maps(guide, source.device)
        if len(looked) != len(source):
            raise DataError(
                f"readout {name}: found {len(looked)} stimuli in the guide and {len(source)} in the maps, expected the same; "
                "extract the guiding layer for the same stimuli"
            )
        guided = _moments(looked, rows)
        looked = looked.standardized(*guided)
    samples = Samples(source.standardized(*channels), responses.y, looked)
    return Prepared(*rows, samples, responses, channels, guided)


def _moments(maps: Maps, rows: Pair) -> Pair:
    maps.take(rows[1]).moments()  # raises what the training rows would
    return maps.take(rows[0]).moments()
