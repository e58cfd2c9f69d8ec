"""What metrics with summaries compare, by their level: RDMs, patterns or trials of a region, and a model's layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.inference.blocks import N_SPLITS
from isocortex.inference.half_repeats import repeat_halves
from isocortex.similarity.coordinates import coordinates
from isocortex.similarity.rdm import to_square
from isocortex.similarity.trials import Trials, halves_of_trials
from isocortex.stages.compare_inputs import Subject, all_layers, halves, layer_patterns, subject_rdm, subject_trials
from isocortex.stages.compare_subjects import repeated
from isocortex.storage.store import Store
from isocortex.study.options.comparing import MOVES_UNITS

# Units of a layer that are counted one by one: no region that is compared has more.
MOST_COUNTED = 4096


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

    `halves`: whether halves of the repeats are asked for.
    """

    options: dict[str, Any]
    settings: dict[str, Any]
    kernels: dict[str, Store]
    features: dict[str, Store]
    seed: int
    device: torch.device
    halves: bool = True


def _rdms(subjects: list[Subject], reading: Reading) -> Systems:
    layers = all_layers(subjects, reading.kernels, reading.options, reading.settings["rdm"], reading.device)[subjects[0].name]
    region = reading.options["region"]
    brain = [to_square(subject_rdm(s, reading.settings, reading.device, region)) for s in subjects]
    repeats: list[list[tuple[Any, Any]]] = []
    for subject in subjects if reading.halves else ():
        found = halves(subject, reading.settings, reading.seed, reading.device)
        repeats.append([] if found is None else [(to_square(a), to_square(b)) for a, b in found])
    return Systems(brain, [to_square(v) for v in layers.rdms], layers.names, layers.refused, repeats)


def _layers(subjects: list[Subject], reading: Reading) -> tuple[list[torch.Tensor], tuple[str, ...]]:
    """Patterns of the layers: their units, where the metric needs these, else others that have their Gram matrices."""
    subject = subjects[0]
    if reading.settings.get("group") in MOVES_UNITS:
        store = reading.features[subject.set_name]
        place = {str(name): row for row, name in enumerate(store.sidecar["stimulus_ids"])}
        rows = np.array([place[name] for name in subject.stimulus_ids])
        wanted = reading.options.get("layers")
        groups = {attributes["layer"]: group for group, attributes in sorted(store.groups.items())}
        names = tuple(name for name in (wanted or groups) if name in groups)
        _refuse_projected(store, reading, {name: groups[name] for name in names})
        units = [np.asarray(store.array(groups[name], "activation")[:])[rows] for name in names]
        return [torch.as_tensor(x, dtype=torch.float64, device=reading.device) for x in units], names
    found = list(layer_patterns(reading.kernels[subject.set_name], subject, reading.options, reading.device))
    layers = [_widened(x, n_features, reading.settings) for _, x, n_features in found]
    return layers, tuple(name for name, _, _ in found)


def _refuse_projected(store: Store, reading: Reading, groups: dict[str, str]) -> None:
    """Raise `DataError` for a layer whose own units were not stored."""
    for name, group in groups.items():
        attributes = store.groups[group]
        if "projected" in attributes:
            raise DataError(
                f"compare: model {reading.options['model']!r}, layer {name!r}: found {attributes['n_units']} units projected "
                f"to {attributes['projected']} dimensions, expected the units, which group: {reading.settings['group']} "
                "matches; set project: none for the model, or pool the layer"
            )


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
) -> tuple[torch.Tensor, list[tuple[Any, Any]]]:
    """Mean responses (n, p), and those of two halves of the repeats, several times; none where a stimulus has one repeat."""
    whole = torch.as_tensor(np.asarray(subject.data["response"].values, dtype=np.float64), device=device)
    counts_units = settings.get("group", "orthogonal") in MOVES_UNITS or "moments" in settings
    narrow = _as_it_is if counts_units else _narrow
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
    layers, names = _layers(subjects, reading)
    region = reading.options["region"]
    found = [read(subject, reading.settings, reading.seed, reading.device, region) for subject in subjects]
    return Systems([system for system, _ in found], layers, names, {}, [pairs for _, pairs in found])


LEVELS: dict[str, Callable[[list[Subject], Reading], Systems]] = {
    "rdm": _rdms,
    "patterns": partial(_with_layers, patterns_of),
    "trials": partial(_with_layers, trials_of),
}
