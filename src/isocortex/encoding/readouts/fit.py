"""What every readout returns, and the fit of those that are trained by gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from isocortex.compute import like_input
from isocortex.encoding.readouts.fields import Fields
from isocortex.encoding.readouts.heads import Head, State
from isocortex.encoding.readouts.maps import as_maps
from isocortex.encoding.readouts.prepared import Prepared, prepared
from isocortex.encoding.readouts.training import (
    Loss,
    Precision,
    Samples,
    Settings,
    Trained,
    mean_squares,
    predict,
    sum_of_squares,
    train,
)
from isocortex.study.options import readouts as options

__all__ = ["Fields", "ReadoutFit", "TrainedFit", "fit_head"]


class ReadoutFit(Protocol):
    """A fitted readout. Arrays are NumPy if the maps were, else tensors on the maps' device; neuroids without variance or with
    missing responses are NaN.

    validation : (n_val, v) predictions of the validation rows, in the order given, by a fit that was not trained on them.
    masks : (v, h, w), of length 1, where each neuroid looks. fields : centre and size of these. alphas : (v,) chosen penalty,
    NaN where none is chosen. loss : (v,) mean squared error of `validation` in units of the training variance. epochs : how
    many were run, 0 for a closed form.
    """

    @property
    def validation(self) -> Any: ...
    @property
    def masks(self) -> Any: ...
    @property
    def fields(self) -> Fields: ...
    @property
    def alphas(self) -> Any: ...
    @property
    def loss(self) -> Any: ...
    @property
    def epochs(self) -> int: ...

    def predict(self, maps: Any, guide: Any = None) -> Any:
        """Predictions (m, v) for `maps` (m, c, h, w)."""
        ...


@dataclass(frozen=True)
class TrainedFit:
    """A `ReadoutFit` of a head and its trained state; the state is that of z-scored maps and responses."""

    head: Head
    trained: Trained
    given: Prepared
    like: Any
    validation: Any
    masks: Any
    fields: Fields
    alphas: Any
    loss: Any

    @property
    def epochs(self) -> int:
        """How many were run until the last neuroid was done."""
        return self.trained.epochs

    def predict(self, maps: Any, guide: Any = None) -> Any:
        """Predictions (m, v) for `maps` (m, c, h, w), with the guide's maps (m, c', h', w') if the readout has one. Raises
        `DataError` where a guide is missing or the maps do not fit."""
        return like_input(self._predict(self._samples(maps, guide)), maps)

    def state(self) -> State:
        """Parameters per neuroid (v, …), NaN for those that were left out."""
        floats = {name: part for name, part in self.trained.state.items() if part.is_floating_point()}
        return {name: like_input(self.given.responses.spread(part), self.like) for name, part in floats.items()}

    def _samples(self, maps: Any, guide: Any) -> Samples:
        device, given = self.given.fitted.device, self.given
        source = as_maps(maps, device).standardized(*given.channels)
        looked = None if guide is None or given.guided is None else as_maps(guide, device).standardized(*given.guided)
        return Samples(source, torch.empty(0), looked)

    def _predict(self, samples: Samples) -> torch.Tensor:
        return self.given.responses.raw(by_snapshot(self.head, self.trained, samples))


def by_snapshot(head: Head, trained: Trained, samples: Samples) -> torch.Tensor:
    """Predictions (m, k) of z-scores in float32, each neuroid with the shared state of its own best epoch."""
    device = samples.maps.device
    made = torch.zeros(len(samples.maps), len(trained.snapshot), device=device)
    for which, state in trained.pieces():
        made[:, which] = predict(head, state, samples, Precision("float32", device))
    return made


def fit_head(
    name: str,
    head: Head,
    chosen: options.Trained,
    maps: Any,
    y: Any,
    validation: Any,
    device: torch.device | str | None = None,
) -> TrainedFit:
    """Train a head on the rows outside `validation`; raises `DataError` for arrays that do not fit or are not finite."""
    given = prepared(name, maps, y, validation, device)
    return assembled(head, trained_head(head, chosen, given), given, maps)


def trained_head(
    head: Head, chosen: options.Trained, given: Prepared, loss: Loss = sum_of_squares, weight_decay: float = 0.0
) -> Trained:
    """Train on the rows that are fitted, judged by those that are held."""
    settings = Settings(
        chosen.learning_rate, chosen.epochs, chosen.batch, chosen.patience, chosen.precision, chosen.seed, weight_decay, loss
    )
    return train(head, given.samples.take(given.fitted), given.samples.take(given.held), settings)


def assembled(head: Head, trained: Trained, given: Prepared, maps: Any) -> TrainedFit:
    """The fit of a trained state, its arrays of the kind that `maps` are."""
    (_, _, height, width), spread = given.samples.maps.shape, given.responses.spread
    size = height, width
    fields, held = head.fields(trained.state, size), given.samples.take(given.held)
    predicted = by_snapshot(head, trained, held)
    return TrainedFit(
        head,
        trained,
        given,
        maps,
        like_input(given.responses.raw(predicted), maps),
        like_input(spread(head.masks(trained.state, size)), maps),
        Fields(*(like_input(spread(part), maps) for part in (fields.x, fields.y, fields.size))),
        like_input(torch.full((given.responses.count,), torch.nan, device=given.fitted.device), maps),
        like_input(spread(mean_squares(predicted, held.y)), maps),
    )
