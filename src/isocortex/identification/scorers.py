"""How well a candidate's layers fit many worlds at once: RDMs, and metrics that summarise systems.

A layer is chosen where its score is not taken: on one half of the stimuli for the other, both ways. Higher is closer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.identification.worlds import Block, Response
from isocortex.similarity.comparators.table import Comparator
from isocortex.similarity.metric import Metric
from isocortex.similarity.rdm import ESTIMATORS, brain_rdm, rdm, to_square
from isocortex.similarity.summaries import fitted


class Scorer(Protocol):
    """A method on one block of stimuli."""

    def candidate(self, layers: Sequence[np.ndarray]) -> Any:
        """What is kept of the L layers (m, p) of one network."""
        ...

    def responses(self, worlds: Sequence[Response]) -> Any:
        """What is kept of some worlds."""
        ...

    def scored(self, candidate: Any, responses: Any, which: np.ndarray) -> np.ndarray:
        """Scores (len(which),) of the network in the worlds `which`, NaN where there is none."""
        ...


def cross_fitted(values: np.ndarray) -> np.ndarray:
    """Scores (W,) from values (2, W, L) on both halves: the layer with the highest value on one is scored on the other."""
    chosen = np.where(np.isfinite(values), values, -np.inf).argmax(axis=2)
    crossed = np.take_along_axis(values, chosen[::-1, :, None], axis=2)[:, :, 0]
    return crossed.mean(axis=0)


@dataclass(frozen=True)
class Rdms:
    """Metrics of RDMs that comparators tell; where there are several, one is chosen as a layer is, together with it."""

    metric: Metric
    settings: Mapping[str, Any]
    block: Block
    device: torch.device

    @cached_property
    def comparators(self) -> tuple[Comparator, ...]:
        """How RDMs are compared."""
        return self.metric.comparators(self.settings)

    @cached_property
    def pairs(self) -> list[torch.Tensor]:
        """Places of the pairs within either half in an RDM vector of the block."""
        m = len(self.block.rows)
        places = to_square(torch.arange(m * (m - 1) // 2, device=self.device))
        return [_within(places, half) for half in self.block.halves]

    def _prepared(self, vectors: torch.Tensor) -> list[list[torch.Tensor]]:
        return [
            [c.prepare(vectors[:, pairs]) if c.prepare else vectors[:, pairs] for c in self.comparators] for pairs in self.pairs
        ]

    def candidate(self, layers: Sequence[np.ndarray]) -> tuple[list[int], list[list[torch.Tensor]]]:
        """Of each half and comparator the layers that have an RDM."""
        method = ESTIMATORS[self.settings["rdm"]].model
        kept, found = _each(layers, lambda x: rdm(torch.as_tensor(x, device=self.device, dtype=torch.float64), method))
        return kept, self._prepared(torch.stack(found)) if found else []

    def responses(self, worlds: Sequence[Response]) -> tuple[list[int], list[list[torch.Tensor]]]:
        """Of each half and comparator the worlds that have an RDM."""
        kept, found = _each(worlds, self._brain)
        return kept, self._prepared(torch.stack(found)) if found else []

    def _brain(self, world: Response) -> torch.Tensor:
        return world_rdm(world, self.settings, self.device)

    def scored(self, candidate: Any, responses: Any, which: np.ndarray) -> np.ndarray:
        (layers, own), (worlds, brain) = candidate, responses
        found = np.full(len(which), np.nan)
        asked = np.isin(which, worlds)
        if not layers or not asked.any():
            return found
        rows = torch.as_tensor(np.searchsorted(worlds, which[asked]), device=self.device)
        values = [
            [_compared(c, y[rows], x) for c, x, y in zip(self.comparators, first, second, strict=True)]
            for first, second in zip(own, brain, strict=True)
        ]
        found[asked] = cross_fitted(np.stack([np.concatenate(half, axis=1) for half in values]))
        return found


def _compared(comparator: Comparator, brain: torch.Tensor, layers: torch.Tensor) -> np.ndarray:
    """Values (W, L) of what `prepare` has made, where there is one."""
    found = brain @ layers.mT if comparator.prepare else comparator.compare(brain, layers)
    return found.cpu().numpy()


def _within(places: torch.Tensor, half: np.ndarray) -> torch.Tensor:
    first, second = np.triu_indices(len(half), 1)
    return places[torch.as_tensor(half[first]), torch.as_tensor(half[second])]


def _each(systems: Sequence[Any], made: Callable[[Any], Any]) -> tuple[list[int], list[Any]]:
    """What is made of each, and the places of those of which it can be."""
    kept, found = [], []
    for place, system in enumerate(systems):
        try:
            found.append(made(system))
        except DataError:
            continue
        kept.append(place)
    return kept, found


def world_rdm(world: Response, settings: Mapping[str, Any], device: torch.device) -> torch.Tensor:
    """The RDM vector of a world, by the estimator of the settings, from its trials where that needs them."""
    estimator, noise = ESTIMATORS[settings["rdm"]], settings.get("noise", "shrinkage_diag")
    patterns = torch.as_tensor(world.patterns, device=device)
    needed = estimator.needs == "trials" or (estimator.noise and noise != "none")
    trials = torch.as_tensor(world.trials, device=device) if needed else None
    return brain_rdm(patterns, settings["rdm"], trials, noise)


@dataclass(frozen=True)
class Level:
    """What a metric's level says that systems are: of a candidate's layer (m, p), and of a world."""

    layer: Callable[[np.ndarray, Mapping[str, Any], torch.device], Any]
    world: Callable[[Response, Mapping[str, Any], torch.device], Any]


@dataclass(frozen=True)
class Summarised:
    """Metrics that summarise systems; a distance counts as its negative."""

    metric: Metric
    settings: Mapping[str, Any]
    block: Block
    device: torch.device
    level: Level

    @property
    def sign(self) -> float:
        """What makes higher closer."""
        return 1.0 if self.metric.higher_is_closer else -1.0

    def candidate(self, layers: Sequence[np.ndarray]) -> list[Any]:
        """The layers that are a system; their summaries are made for the first worlds, to which some methods are fitted."""
        return [_each(layers, lambda x: self.level.layer(x, self.settings, self.device))[1], None]

    def responses(self, worlds: Sequence[Response]) -> Any:
        """The method, and of each half the places and summaries of worlds that have one."""
        kept, systems = _each(worlds, lambda world: self.level.world(world, self.settings, self.device))
        method = self.metric.summarised(self.settings)
        if not systems:
            return method, [([], []) for _ in self.block.halves]
        method = fitted(method, systems)
        halves = [_each(systems, lambda system, h=half: method.of(system, h)) for half in self.block.halves]
        return method, [([kept[place] for place in places], found) for places, found in halves]

    def scored(self, candidate: Any, responses: Any, which: np.ndarray) -> np.ndarray:
        systems, summaries = candidate
        method, brain = responses
        if summaries is None:
            summaries = [_each(systems, lambda system, h=half: method.of(system, h)) for half in self.block.halves]
            candidate[1] = summaries
        values = np.full((2, len(which), max(1, len(systems))), np.nan)
        for side, ((layers, own), (worlds, found)) in enumerate(zip(summaries, brain, strict=True)):
            asked = np.flatnonzero(np.isin(which, worlds))
            if layers and len(asked):
                rows = np.searchsorted(worlds, which[asked])
                compared = method.compare(own, [found[row] for row in rows])
                values[side][np.ix_(asked, np.array(layers))] = self.sign * np.asarray(compared, dtype=np.float64).T
        return cross_fitted(values)
