"""Regions of subjects with their single trials, and equal numbers of trials and units of two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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

    @property
    def valid(self) -> np.ndarray:
        """Which trials there are: bool (stimulus, repeat)."""
        return self.shown >= 0

    @property
    def counts(self) -> np.ndarray:
        """Trials of each stimulus, (n_stimuli,)."""
        return self.valid.sum(axis=1)

    @property
    def n_units(self) -> int:
        """Units, each with a response in every trial."""
        return self.trials.shape[2]

    @property
    def name(self) -> str:
        """Names region and subject in messages."""
        return f"region {self.region}, subject {self.subject}"


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
