"""Cores of several seeds, their readout as the study names it, and the control with shuffled responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isocortex.encoding.cores.architecture import Architecture
from isocortex.encoding.cores.frozen import READERS, fit_reader
from isocortex.encoding.cores.trained import FrozenCore, TrainedCore
from isocortex.encoding.cores.training import History, Seen, Training, train_core
from isocortex.encoding.cores.weights import Core, Cores
from isocortex.encoding.readouts.heads import HEADS
from isocortex.errors import DataError

# What a core is trained with whose readout has a closed form: that is fitted once its maps no longer change.
STAND_IN: tuple[str, dict[str, Any]] = ("factorized", {})


@dataclass(frozen=True)
class Recipe:
    """Architecture, training, the readout by name with its options, the number of networks and the first one's seed."""

    plan: Architecture
    training: Training
    readout: str
    options: Mapping[str, Any]
    seeds: int = 5
    seed: int = 0

    @classmethod
    def of(cls, core: Mapping[str, Any], readout: Mapping[str, Mapping[str, Any]]) -> Recipe:
        """From a study's options of a core and {name: options} of its readout."""
        ((name, options),) = readout.items()
        if name not in {*HEADS, *READERS}:
            raise DataError(f"core: found readout {name!r}, expected one of {sorted({*HEADS, *READERS})}")
        counts = {key: int(core[key]) for key in ("seeds", "seed") if key in core}
        return cls(Architecture.of(core), Training.of(core), name, options, **counts)

    @property
    def head(self) -> dict[str, dict[str, Any]]:
        """The readout that the network is trained with."""
        name, options = STAND_IN if self.readout in READERS else (self.readout, dict(self.options))
        return {name: options}


@dataclass(frozen=True)
class Trained:
    """Cores of all seeds, what each training said, and the network of the control, trained on shuffled responses."""

    cores: Cores
    histories: Sequence[History]
    control: Core


def train_all(images: Any, seen: Mapping[str, Seen], recipe: Recipe, device: torch.device) -> Trained:
    """Networks of all seeds on what the subjects saw, and one on responses that are shuffled over their stimuli."""
    made = [_train(images, list(seen.values()), recipe, recipe.seed + k, device) for k in range(recipe.seeds)]
    shuffled = [shuffle(part, recipe.seed) for part in seen.values()]
    control, _ = _train(images, shuffled, recipe, recipe.seed, device)
    sizes = {name: part.y.shape[1] for name, part in seen.items()}
    cores = Cores([core for core, _ in made], sizes, recipe.plan, recipe.head)
    return Trained(cores, [history for _, history in made], control)


def shuffle(part: Seen, seed: int) -> Seen:
    """Responses whose stimuli change places, within training and within validation; those of one stimulus stay together."""
    rng, y = np.random.default_rng([seed, 1]), part.y.copy()
    for rows in (part.train, part.validation):
        y[rows] = part.y[rng.permutation(rows)]
    return replace(part, y=y)


def _train(images: Any, seen: Sequence[Seen], recipe: Recipe, seed: int, device: torch.device) -> tuple[Core, History]:
    ((name, options),) = recipe.head.items()
    core, history = train_core(images, seen, recipe.plan, recipe.training, HEADS[name](options), seed, device)
    if recipe.readout not in READERS:
        return core, history
    return FrozenCore(core, [_reader(images, part, core, recipe, device) for part in seen]), history


def _reader(images: Any, part: Seen, core: TrainedCore, recipe: Recipe, device: torch.device) -> Any:
    """The closed form on maps of a subject's training and validation stimuli; penalties are chosen on the latter."""
    rows = np.concatenate([part.train, part.validation])
    maps = torch.cat([maps.cpu() for maps in core.batches(np.asarray(images)[part.images[rows]])])
    places = np.arange(len(part.train), len(rows))
    return fit_reader(recipe.readout, maps, part.y[rows], places, recipe.options, device)
