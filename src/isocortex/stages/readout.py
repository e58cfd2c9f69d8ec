"""Readouts of one region and model: trained heads on the feature maps of the layers that the study names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from isocortex.compute import resolve_device
from isocortex.encoding import READOUTS
from isocortex.encoding.nested import OuterFit
from isocortex.errors import DataError
from isocortex.inference.encoder_cells import build_cell
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import Predictions, SubjectResult, evaluate
from isocortex.inference.layer_fits import collect
from isocortex.stages.encode import bind, context_of, layer_groups, settings_of
from isocortex.stages.subjects import FIRST_FOLD, Subject, subjects_of
from isocortex.storage.store import Store
from isocortex.storage.tables import write_netcdf


def run(spec: dict[str, Any], device: str) -> None:
    """Write readout.nc of `spec["options"]` region × model.

    One inner fold of the training stimuli stops the training and chooses the layer. With cross-validated splits only the first
    outer fold is tested: a permutation null for all of them would have to train again for every permutation.
    """
    options, inputs = spec["options"], spec["inputs"]
    where = resolve_device(device)
    stores = {name: Store(path) for name, path in inputs["features"].items()}
    layers = layer_groups(stores, options["layers"])
    members = subjects_of(inputs, options)
    settings = settings_of(options)
    results: dict[str, dict[str, SubjectResult]] = {}
    masks = []
    for method, method_options in options["readouts"].items():
        train = bind(READOUTS, method)
        results[method], drawn = {}, []
        for subject in members.values():
            source = _Maps(stores[subject.set_name], subject, where)
            results[method][subject.name], mask = _subject(source, layers, train, method_options, settings)
            drawn.append(mask)
        masks.append(drawn)
    several = any(len(subject.split["outer"]) > 1 for subject in members.values())
    context = context_of(options, "readout", options["readouts"], list(layers), settings, *([FIRST_FOLD] if several else []))
    cell = build_cell(results, {name: subject.brain for name, subject in members.items()}, context)
    cell["rf"] = (("method", "neuroid", "y", "x"), _joined(masks))
    write_netcdf(cell, spec["output"])


def _joined(masks: list[list[np.ndarray]]) -> np.ndarray:
    """Masks (method, neuroid, y, x); where the chosen layers differ in size, smaller maps are enlarged to the largest."""
    height = max(mask.shape[1] for each in masks for mask in each)
    width = max(mask.shape[2] for each in masks for mask in each)

    def sized(mask: np.ndarray) -> np.ndarray:
        resized = torch.nn.functional.interpolate(torch.as_tensor(mask)[:, None], size=(height, width), mode="nearest")
        return resized[:, 0].numpy().astype(np.float32)

    return np.stack([np.concatenate([sized(mask) for mask in each]) for each in masks])


class _Maps:
    """Feature maps of one subject's stimuli."""

    def __init__(self, store: Store, subject: Subject, device: torch.device) -> None:
        self.store, self.subject, self.device = store, subject, device
        position = {name: row for row, name in enumerate(store.sidecar["stimulus_ids"])}
        lost = [name for name in subject.ids if name not in position]
        if lost:
            raise DataError(
                f"{store.path}: found no features for {len(lost)} stimuli of subject {subject.name} (first {lost[0]!r}), "
                "expected all; run the features of the whole stimulus set"
            )
        self.rows = np.array([position[name] for name in subject.ids])

    def read(self, group: str, which: list[int]) -> torch.Tensor:
        """Maps (n, channel, y, x) of the stimuli `which`."""
        array = self.store.array(group, "maps")
        return torch.as_tensor(np.asarray(array.oindex[self.rows[which]]), device=self.device)


def _subject(
    source: _Maps, layers: Mapping[str, str], train: Callable[..., Any], options: Mapping[str, Any], settings: Settings
) -> tuple[SubjectResult, np.ndarray]:
    """Train every layer on one outer split; the result, and the masks of the chosen layer."""
    subject, outer = source.subject, source.subject.split["outer"][0]
    rows, held = outer["train"], outer["inner"][0]
    judged = {**outer, "inner": [held]}
    places = torch.as_tensor(np.searchsorted(rows, held), device=source.device)
    y = torch.as_tensor(subject.y, device=source.device).double()
    fits, masks = [], []
    for group in layers.values():
        maps = source.read(group, rows)
        fit = train(maps, y[torch.as_tensor(rows, device=y.device)], places.cpu().numpy(), options)
        predicted = torch.full((len(rows), y.shape[1]), torch.nan, dtype=y.dtype, device=y.device)
        predicted[places] = fit.predict(maps[places]).to(y.dtype)
        tested = fit.predict(source.read(group, outer["test"])).to(y.dtype)
        no_penalty = torch.full((y.shape[1],), torch.nan)
        made = OuterFit(tested, predicted, no_penalty, 0.0)
        fits.append([collect([made], y, judged, subject.ids, settings, choosing=len(layers) > 1)])
        masks.append(fit.spatial.cpu().numpy())
    trials = subject.trials[: len(outer["test"])]
    result = evaluate(Predictions(subject.ids, y, trials, [judged], fits, subject.runs), settings)
    return result, masks[result.chosen]
