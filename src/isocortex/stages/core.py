"""Stage `core`: networks trained from scratch on one region's responses, an encoder of it beside those that read models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isocortex.compute import resolve_device
from isocortex.encoding.cores.partition import Share, partition
from isocortex.encoding.cores.together import Recipe, Trained, train_all
from isocortex.encoding.cores.training import Seen
from isocortex.encoding.cores.weights import save_cores, trained_of
from isocortex.encoding.nested import OuterFit
from isocortex.encoding.scores import pearson
from isocortex.inference.core_cells import LAYER, Curve, Judged, with_cores
from isocortex.inference.encoder_cells import build_cell
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import Predictions, SubjectResult, evaluate
from isocortex.inference.layer_fits import collect
from isocortex.stages.core_images import Pictures, read_pictures
from isocortex.stages.encode import context_of, settings_of
from isocortex.stages.subjects import FIRST_FOLD, Subject, subjects_of
from isocortex.storage.tables import write_netcdf


def run(spec: dict[str, Any], device: str) -> None:
    """Write the cell and the weights of `spec["options"]` region × core.

    Only the first outer fold is tested: for all of them every network would have to be trained again. What is judged is the
    mean prediction of the networks of all seeds.
    """
    options, inputs, output = spec["options"], spec["inputs"], spec["output"]
    where, settings = resolve_device(device), settings_of(options)
    members = subjects_of(inputs, options)
    recipe = Recipe.of(options["core"], options["readouts"])
    pictures = read_pictures(inputs["stimuli"], options["root"], members, recipe.plan)
    shares = partition(pictures.digests, {name: subject.split["outer"][0] for name, subject in members.items()})
    seen = {
        name: Seen(pictures.rows[name], subject.y, shares[name].train, shares[name].validation)
        for name, subject in members.items()
    }
    trained = train_all(pictures.images, seen, recipe, where)
    tested = {
        name: _Tested(pictures, subject, shares[name], trained, place) for place, (name, subject) in enumerate(members.items())
    }
    results = {name: one.result(settings) for name, one in tested.items()}
    several = any(len(subject.split["outer"]) > 1 for subject in members.values())
    context = context_of(options, "core", _told(options), [LAYER], settings, *([FIRST_FOLD] if several else []))
    cell = build_cell({recipe.readout: results}, {name: subject.brain for name, subject in members.items()}, context)
    degrees = options.get("degrees") or {}
    judged = {name: one.judged(degrees.get(members[name].set_name)) for name, one in tested.items()}
    save_cores(output["weights"], trained.cores)
    write_netcdf(with_cores(cell, judged, _curves(trained), _filters(trained)), output["cell"])


def _told(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The options that the rows' `params_id` stands for."""
    return {name: {**value, "core": options["core"]} for name, value in options["readouts"].items()}


def _curves(trained: Trained) -> list[Curve]:
    return [Curve(one.train, one.validation, one.rate, one.best) for one in trained.histories]


def _filters(trained: Trained) -> np.ndarray:
    """First filters of the network with the least validation error."""
    best = int(np.argmin([one.validation[one.best] for one in trained.histories]))
    return trained_of(trained.cores.networks[best]).network.first.detach().cpu().numpy()


class _Tested:
    """Predictions of one subject's held-out and validation stimuli by all networks and the control."""

    def __init__(self, pictures: Pictures, subject: Subject, share: Share, trained: Trained, place: int) -> None:
        self.subject, self.share, self.place, self.networks = subject, share, place, trained.cores.networks
        images = pictures.images[pictures.rows[subject.name]]
        self.tested = [core.predict(images[share.test], place) for core in self.networks]
        self.checked = np.mean([core.predict(images[share.validation], place) for core in self.networks], axis=0)
        self.control = trained.control.predict(images[share.test], place)

    def result(self, settings: Settings) -> SubjectResult:
        """Score, null, ceiling and interval of the mean prediction, as readouts are judged."""
        subject, share = self.subject, self.share
        train = np.sort(np.concatenate([share.train, share.validation]))
        outer = {"train": train.tolist(), "test": share.test.tolist(), "inner": [share.validation.tolist()]}
        y = torch.as_tensor(subject.y).double()
        oof = torch.full((len(train), y.shape[1]), torch.nan, dtype=y.dtype)
        oof[torch.as_tensor(np.searchsorted(train, share.validation))] = torch.as_tensor(self.checked).double()
        made = OuterFit(torch.as_tensor(np.mean(self.tested, axis=0)).double(), oof, torch.full((y.shape[1],), torch.nan), 0.0)
        fit = collect([made], y, outer, subject.ids, settings, choosing=False)
        trials = subject.trials[: len(share.test)]
        return evaluate(Predictions(subject.ids, y, trials, [outer], [[fit]], subject.runs), settings)

    def judged(self, width: float | None) -> Judged:
        """Networks one by one, the control, and where the neuroids look, mean over networks."""
        y = self.subject.y[self.share.test]
        seed_r = np.stack([pearson(one, y) for one in self.tested])
        fields = [core.fields(self.place) for core in self.networks]
        places = np.mean([[one.x, one.y, one.size] for one in fields], axis=0)
        return Judged(seed_r, pearson(self.control, y), self._masks(), places, width, self.share.left_out)

    def _masks(self) -> np.ndarray:
        """Mean over networks of where the neuroids look, of length 1."""
        masks = np.mean([np.abs(core.masks(self.place)) for core in self.networks], axis=0)
        length = np.sqrt(np.square(masks).sum((1, 2), keepdims=True))
        return masks / np.where(length > 0, length, 1.0)
