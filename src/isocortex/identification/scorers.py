"""How well a candidate's layers fit many worlds at once: RDMs, and metrics that summarise systems.

A layer is chosen where its score is not taken: on one half of the stimuli for the other, both ways. Higher is closer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.identification.worlds import Block, Response
from isocortex.similarity.comparators.table import Comparator
from isocortex.similarity.metric import Metric
from isocortex.similarity.rdm import ESTIMATORS, brain_rdm, rdm, to_square
from isocortex.similarity.summaries import Summaries, fitted


class Scorer(Protocol):
    """A method on one block of stimuli."""

    @property
    def adapts(self) -> bool:
        """Whether the method is fitted to a point's worlds, and what is kept of networks with it."""
        ...

    def fitted(self, worlds: Sequence[Response]) -> Scorer:
        """The method for a point, some of whose worlds are given."""
        ...

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


class Fixed:
    """A method that is the same for all worlds."""

    adapts = False

    def fitted(self, worlds: Sequence[Response]) -> Self:  # noqa: ARG002
        """Itself."""
        return self


@dataclass(frozen=True)
class Rdms(Fixed):
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


def world_rdm(world: Response, settings: Mapping[str, Any], device: torch.device, *, of_trials: bool = False) -> torch.Tensor:
    """The RDM vector of a world, by the estimator of the settings, from its trials where that or `of_trials` needs them."""
    estimator, noise = ESTIMATORS[settings["rdm"]], settings.get("noise", "shrinkage_diag")
    needed = estimator.needs == "trials" or (estimator.noise and noise != "none")
    patterns = torch.as_tensor(world.mean_of_trials if needed or of_trials else world.patterns, device=device)
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
    fit: Summaries | None = None

    @property
    def sign(self) -> float:
        """What makes higher closer."""
        return 1.0 if self.metric.higher_is_closer else -1.0

    @cached_property
    def method(self) -> Any:
        """The summaries, fitted if they have been."""
        return self.metric.summarised(self.settings) if self.fit is None else self.fit

    @property
    def adapts(self) -> bool:
        """Whether summaries depend on what is common to the worlds."""
        return hasattr(self.metric.summarised(self.settings), "fitted_to")

    def fitted(self, worlds: Sequence[Response]) -> Summarised:
        """The method brought to these worlds; as it is where none of them is a system."""
        systems = self._systems(worlds)[1] if self.adapts else []
        return replace(self, fit=fitted(self.metric.summarised(self.settings), systems)) if systems else self

    def _systems(self, worlds: Sequence[Response]) -> tuple[list[int], list[Any]]:
        return _each(worlds, lambda world: self.level.world(world, self.settings, self.device))

    def _summaries(self, systems: Sequence[Any]) -> list[tuple[list[int], list[Any]]]:
        """Of each half the places and summaries of the systems that have one."""
        if self.adapts and self.fit is None:
            return [([], []) for _ in self.block.halves]
        return [_each(systems, lambda system, h=half: self.method.of(system, h)) for half in self.block.halves]

    def candidate(self, layers: Sequence[np.ndarray]) -> tuple[int, list[tuple[list[int], list[Any]]]]:
        """How many layers are a system, and of each half the places and summaries of those that have one."""
        systems = _each(layers, lambda x: self.level.layer(x, self.settings, self.device))[1]
        return len(systems), self._summaries(systems)

    def responses(self, worlds: Sequence[Response]) -> list[tuple[list[int], list[Any]]]:
        """Of each half the places and summaries of worlds that have one."""
        kept, systems = self._systems(worlds)
        return [([kept[place] for place in places], found) for places, found in self._summaries(systems)]

    def scored(self, candidate: Any, responses: Any, which: np.ndarray) -> np.ndarray:
        n_layers, summaries = candidate
        values = np.full((2, len(which), max(1, n_layers)), np.nan)
        for side, ((layers, own), (worlds, found)) in enumerate(zip(summaries, responses, strict=True)):
            asked = np.flatnonzero(np.isin(which, worlds))
            if layers and len(asked):
                rows = np.searchsorted(worlds, which[asked])
                compared = self.method.compare(own, [found[row] for row in rows])
                values[side][np.ix_(asked, np.array(layers))] = self.sign * np.asarray(compared, dtype=np.float64).T
        return cross_fitted(values)
