"""Halves of a recording's trials, in stretches of time or at random, and equal numbers of trials and units of two systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

LEAST_STRETCH = 2  # trials of a stretch: fewer, and nothing can be shuffled within it


@dataclass(frozen=True)
class System:
    """A region of one subject: `trials` (stimulus, repeat, unit) with NaN where missing, and the place of each in time.

    `shown` is int64 (stimulus, repeat), -1 where there is no trial; only the order of its values within a stimulus counts.
    `session` and `individual` say what is known of them, "" for nothing.
    """

    region: str
    subject: str
    stimulus_ids: Sequence[str]
    trials: np.ndarray
    shown: np.ndarray
    session: str = ""
    individual: str = ""
    order: list[np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ordered = [np.argsort(row, kind="stable") for row in self.shown]
        valid = [rows[self.shown[k, rows] >= 0] for k, rows in enumerate(ordered)]
        object.__setattr__(self, "order", valid)

    @property
    def counts(self) -> np.ndarray:
        """Trials of each stimulus, (n_stimuli,)."""
        return np.asarray([len(rows) for rows in self.order], dtype=np.int64)

    @property
    def n_units(self) -> int:
        """Units, each with a response in every trial."""
        return self.trials.shape[2]

    @property
    def name(self) -> str:
        """Names region and subject in messages."""
        return f"region {self.region}, subject {self.subject}"


def stretches(n: int, blocks: int) -> list[np.ndarray]:
    """0 … n − 1 in at most `blocks` contiguous stretches of two or more, as even as they can be, of an even number."""
    number = max(1, min(blocks, n // LEAST_STRETCH))
    number -= number % 2 if number > 1 else 0
    return np.array_split(np.arange(n), number)


@cache
def _stretch(n: int, blocks: int) -> np.ndarray:
    """The number of the stretch that each of n trials is in."""
    return np.repeat(np.arange(len(parts := stretches(n, blocks))), [len(part) for part in parts])


def blocked_halves(order: np.ndarray, blocks: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The trials of one stimulus, in order of time, in two halves of alternating stretches; a coin says which comes first.

    Halves differ by one trial at most. What drifts from stretch to stretch differs between them.
    """
    parts = stretches(len(order), blocks)
    if len(parts) == 1:
        parts = np.array_split(np.arange(len(order)), 2)
    halves = [order[np.concatenate(parts[start::2])] for start in (0, 1)]
    first = int(rng.integers(2))
    return halves[first], halves[1 - first]


def random_halves(order: np.ndarray, blocks: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001
    """The same in halves drawn at random, between which what drifts is shared out."""
    dealt = rng.permutation(order)
    middle = len(dealt) // 2
    return dealt[:middle], dealt[middle:]


HALVES = {"blocked": blocked_halves, "random": random_halves}


@dataclass(frozen=True)
class Match:
    """What two systems can be compared by: rows of their stimuli, trials of each that both have, and units that both have."""

    first: np.ndarray
    second: np.ndarray
    trials: np.ndarray
    units: int

    @property
    def n(self) -> int:
        """Stimuli."""
        return len(self.trials)

    @property
    def half(self) -> np.ndarray:
        """Trials of each stimulus in half of both, (n,)."""
        return self.trials // 2


def match(first: System, second: System, least_trials: int) -> Match:
    """Stimuli that both systems saw `least_trials` times or more, in the order of the first, with the smaller numbers."""
    place = {name: row for row, name in enumerate(second.stimulus_ids)}
    pairs = [(row, place[name]) for row, name in enumerate(first.stimulus_ids) if name in place]
    a, b = (np.asarray([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1))
    trials = np.minimum(first.counts[a], second.counts[b])
    kept = trials >= least_trials
    return Match(a[kept], b[kept], trials[kept], min(first.n_units, second.n_units))


def pick(trials: np.ndarray, dealt: Sequence[np.ndarray], numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`numbers` (n,) random ones of the trials `dealt` to each stimulus, of `trials` (n, repeats, units).

    Returns (n, most trials, units), with NaN at the end of stimuli that have fewer.
    """
    found = np.full((len(trials), int(numbers.max()), trials.shape[2]), np.nan)
    for row, places in enumerate(dealt):
        chosen = rng.permutation(places)[: numbers[row]]
        found[row, : len(chosen)] = trials[row, chosen]
    return found


def shuffled(trials: np.ndarray, order: Sequence[np.ndarray], blocks: int, rng: np.random.Generator) -> np.ndarray:
    """`trials` (n, repeats, units) with those of each unit shuffled within stretches of each stimulus.

    `order` holds each stimulus's trials in the order of time. Means of stretches, hence drift, and what each unit does by
    itself stay; what units share from trial to trial goes.
    """
    found = trials.copy()
    for row, places in enumerate(order):
        moved = np.argsort(_stretch(len(places), blocks)[:, None] + rng.random((len(places), trials.shape[2])), axis=0)
        found[row, places] = np.take_along_axis(trials[row, places], moved, axis=0)
    return found
