"""What metrics with summaries compare, by their level: RDMs, patterns or trials of a region, and a model's layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.inference.blocks import N_SPLITS
from isocortex.inference.half_repeats import repeat_halves
from isocortex.similarity.coordinates import coordinates
from isocortex.similarity.deconfounded import Confounded
from isocortex.similarity.noise_corrected import Halved
from isocortex.similarity.rdm import to_square
from isocortex.similarity.trials import Trials, halves_of_trials
from isocortex.stages.compare_inputs import Subject, all_layers, halves, layer_patterns, subject_rdm, subject_trials
from isocortex.stages.compare_subjects import repeated
from isocortex.storage.store import Store
from isocortex.study.alignments import MOVES_UNITS

# Units of a layer that are counted one by one: no region that is compared has more.
MOST_COUNTED = 4096


class NotComparableError(DataError):
    """A metric has nothing to compare here; others of the job may have."""


@dataclass(frozen=True)
class Systems:
    """Of one stimulus set: `brain` S systems, `layers` L systems with their names, and of each subject pairs of halves."""

    brain: list[Any]
    layers: list[Any]
    names: tuple[str, ...]
    refused: dict[str, str]
    repeats: list[list[tuple[Any, Any]]]


@dataclass(frozen=True)
class Reading:
    """Where a job's systems come from: options of the job and of the method, stores of kernels and of features, device.

    `level`: what the `method` compares. `halves`: whether halves of the repeats are asked for. `confounders`: stores of kernels
    of the model whose part is taken out.
    """

    options: dict[str, Any]
    settings: dict[str, Any]
    kernels: dict[str, Store]
    features: dict[str, Store]
    seed: int
    device: torch.device
    method: str = ""
    level: str = "patterns"
    halves: bool = True
    confounders: dict[str, Store] = field(default_factory=dict)

    @property
    def units(self) -> bool:
        """Whether a layer's own units are compared."""
        return self.level == "units" or self.settings.get("group") in MOVES_UNITS

    @property
    def neuroids(self) -> bool:
        """Whether the region's own neuroids are, and not only their inner products."""
        return self.units or self.level == "responses" or "moments" in self.settings


def _rdms(subjects: list[Subject], reading: Reading) -> Systems:
    layers = all_layers(subjects, reading.kernels, reading.options, reading.settings["rdm"], reading.device)[subjects[0].name]
    region = reading.options["region"]
    brain = [to_square(subject_rdm(s, reading.settings, reading.device, region)) for s in subjects]
    repeats: list[list[tuple[Any, Any]]] = []
    for subject in subjects if reading.halves else ():
        found = halves(subject, reading.settings, reading.seed, reading.device)
        repeats.append([] if found is None else [(to_square(a), to_square(b)) for a, b in found])
    return Systems(brain, [to_square(v) for v in layers.rdms], layers.names, layers.refused, repeats)


def _layers(subjects: list[Subject], reading: Reading) -> tuple[list[torch.Tensor], tuple[str, ...], dict[str, str]]:
    """Patterns of the layers, their names, and why others have none {name: reason}.

    Their units, where the metric needs these, else others that have their Gram matrices.
    """
    subject = subjects[0]
    if not reading.units:
        found = list(layer_patterns(reading.kernels[subject.set_name], subject, reading.options, reading.device))
        layers = [_widened(x, n_features, reading.settings) for _, x, n_features in found]
        return layers, tuple(name for name, _, _ in found), {}
    store = reading.features[subject.set_name]
    place = {str(name): row for row, name in enumerate(store.sidecar["stimulus_ids"])}
    rows = np.array([place[name] for name in subject.stimulus_ids])
    groups = {attributes["layer"]: group for group, attributes in sorted(store.groups.items())}
    wanted = {name: groups[name] for name in reading.options.get("layers") or groups if name in groups}
    refused = _projected(store, reading, wanted)
    names = tuple(name for name in wanted if name not in refused)
    units = [np.asarray(store.array(wanted[name], "activation")[:])[rows] for name in names]
    return [torch.as_tensor(x, dtype=torch.float64, device=reading.device) for x in units], names, refused


def _projected(store: Store, reading: Reading, groups: dict[str, str]) -> dict[str, str]:
    """Layers whose own units were not stored, and what may be done."""
    attributes = {name: store.groups[group] for name, group in groups.items()}
    asked = f"group: {reading.settings['group']}" if "group" in reading.settings else reading.method
    return {
        name: f"compare: model {reading.options['model']!r}, layer {name!r}: found {found['n_units']} units projected to "
        f"{found['projected']} dimensions, expected the units, which {asked} matches; set project: none for the model, or pool "
        "the layer"
        for name, found in attributes.items()
        if "projected" in found
    }


def _widened(x: torch.Tensor, n_features: int, settings: dict[str, Any]) -> torch.Tensor:
    """Coordinates with as many silent ones as there are units more, for a metric that counts units; at most as many again.

    The moment estimator's bound goes by the narrower of two systems, which a region of few neuroids is.
    """
    missing = min(n_features, MOST_COUNTED) - x.shape[1] if settings.get("moments") else 0
    return torch.nn.functional.pad(x, (0, max(missing, 0)))


def patterns_of(
    subject: Subject,
    settings: dict[str, Any],
    seed: int,
    device: torch.device,
    region: str,  # noqa: ARG001
    *,
    neuroids: bool = False,
) -> tuple[torch.Tensor, list[tuple[Any, Any]]]:
    """Mean responses (n, p), and those of two halves of the repeats, several times; none where a stimulus has one repeat.

    `neuroids`: the neuroids themselves are compared, and not only their inner products.
    """
    whole = torch.as_tensor(np.asarray(subject.data["response"].values, dtype=np.float64), device=device)
    counted = neuroids or settings.get("group") in MOVES_UNITS or "moments" in settings
    narrow = _as_it_is if counted else _narrow
    trials = subject_trials(subject)
    if trials is None or np.isfinite(trials).all(axis=2).sum(axis=1).min() < 2:
        return narrow(whole), []
    found = torch.as_tensor(repeat_halves(trials, N_SPLITS, seed), device=device)
    return narrow(whole), [(narrow(a), narrow(b)) for a, b in found]


def _as_it_is(x: torch.Tensor) -> torch.Tensor:
    return x


def _narrow(x: torch.Tensor) -> torch.Tensor:
    """Patterns (n, p) by as many coordinates as stimuli, where units are more: what minds no rotation sees no difference."""
    return coordinates(x @ x.mT) if x.shape[1] > len(x) else x


def trials_of(
    subject: Subject, settings: dict[str, Any], seed: int, device: torch.device, region: str
) -> tuple[Trials, list[tuple[Any, Any]]]:
    """Single trials, and halves of them, parted in time where their order is known.

    Raises `DataError` where no stimulus was repeated: there is no noise to be seen.
    """
    values = subject_trials(subject)
    if values is None or not repeated(subject):
        raise DataError(
            f"compare: region {region!r}, subject {subject.name!r}: found one trial of each stimulus, expected repeats; "
            "leave stochastic_shape out"
        )
    shown = np.asarray(subject.data["shown"].values) if "shown" in subject.data else None
    whole = Trials(values.astype(np.float64), shown, device)
    return whole, list(halves_of_trials(whole, N_SPLITS, seed, settings.get("blocks")))


def _with_layers(read: Callable[..., tuple[Any, list[tuple[Any, Any]]]], subjects: list[Subject], reading: Reading) -> Systems:
    layers, names, refused = _layers(subjects, reading)
    region = reading.options["region"]
    found = [read(subject, reading.settings, reading.seed, reading.device, region) for subject in subjects]
    return Systems([system for system, _ in found], layers, names, refused, [pairs for _, pairs in found])


def _halved(subjects: list[Subject], reading: Reading) -> Systems:
    """RDMs of the region with those of halves of its repeats."""
    found = _rdms(subjects, replace(reading, halves=True))
    if not all(found.repeats):
        lacking = next(s.name for s, pairs in zip(subjects, found.repeats, strict=True) if not pairs)
        raise NotComparableError(
            f"compare: region {reading.options['region']!r}, subject {lacking!r}: found no two repeats of every stimulus, "
            f"expected them, for the noise that {reading.method} corrects for; use rsa"
        )
    splits = int(reading.settings["splits"])
    halved = [
        Halved(whole, torch.stack([torch.stack(pair) for pair in pairs[:splits]]))
        for whole, pairs in zip(found.brain, found.repeats, strict=True)
    ]
    return replace(found, brain=halved, repeats=[[] for _ in subjects])


_PATTERNS = partial(_with_layers, patterns_of)
_NEUROIDS = partial(_with_layers, partial(patterns_of, neuroids=True))
LEVELS: dict[str, Callable[[list[Subject], Reading], Systems]] = {
    "rdm": _rdms,
    "patterns": _PATTERNS,
    "responses": _NEUROIDS,
    "units": _NEUROIDS,
    "trials": partial(_with_layers, trials_of),
    "halves": _halved,
}


def systems_of(subjects: list[Subject], reading: Reading) -> Systems:
    """The systems of a level; where a confounder is taken out of them, each stands with the confounder's layers."""
    found = LEVELS[reading.level](subjects, reading)
    if not reading.confounders:
        return found
    options = {**reading.options, "model": reading.settings["confounder"], "layers": None}
    other = replace(reading, options=options, kernels=reading.confounders, confounders={}, halves=False)
    known = tuple(LEVELS[reading.level](subjects[:1], other).layers)

    def beside(system: Any) -> Confounded:
        return Confounded(system, known)

    return replace(
        found,
        brain=[beside(x) for x in found.brain],
        layers=[beside(x) for x in found.layers],
        repeats=[[(beside(a), beside(b)) for a, b in pairs] for pairs in found.repeats],
    )
