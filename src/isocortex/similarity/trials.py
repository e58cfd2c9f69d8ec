"""Single trials of a region: repeats of stimuli, when they were shown, and halves of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class Trials:
    """Responses (n, R, p) float64 with NaN for a missing repeat; `shown` (n, R), the place of each in the recording, −1 where
    missing, or None where it is not known. A half knows the `whole` that it is of."""

    values: np.ndarray
    shown: np.ndarray | None
    device: torch.device
    whole: Trials | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def valid(self) -> np.ndarray:
        """Which repeats there are: bool (n, R)."""
        return np.asarray(np.isfinite(self.values).all(axis=2), dtype=bool)

    def ranks(self) -> np.ndarray:
        """Place (n, R) of each trial among those of its stimulus, in order of time where that is known; missing ones last."""
        order = np.arange(self.values.shape[1]) if self.shown is None else self.shown
        return np.argsort(np.argsort(np.where(self.valid, order, np.iinfo(np.int64).max), axis=1, kind="stable"), axis=1)


def halves_of_trials(trials: Trials, n_splits: int, seed: int, n_blocks: int | None = None) -> list[tuple[Trials, Trials]]:
    """Pairs of halves of every stimulus's trials, NaN where a trial is in the other half.

    With `n_blocks`, where the order of trials is known, the trials of a stimulus are parted in so many stretches of time of two
    or more, which go to the halves by turns, a coin saying which begins: neighbouring trials share their state, and are not
    parted by chance. Else halves are random; of an odd number the second has one more.
    """
    generator = np.random.default_rng([int(seed), 0x74726961])
    blocked = n_blocks is not None and trials.shown is not None
    part = _by_stretches if blocked else _at_random
    return [_halves(trials, part(trials, generator, n_blocks or 0)) for _ in range(n_splits)]


def _halves(trials: Trials, first: np.ndarray) -> tuple[Trials, Trials]:
    whole = trials.whole or trials
    sides = (np.where((side & trials.valid)[:, :, None], trials.values, np.nan) for side in (first, ~first))
    one, other = (replace(trials, values=kept, whole=whole) for kept in sides)
    return one, other


def _at_random(trials: Trials, generator: np.random.Generator, _: int) -> np.ndarray:
    valid = trials.valid
    rank = np.argsort(np.argsort(np.where(valid, generator.random(valid.shape), 2.0), axis=1), axis=1)
    return rank < (valid.sum(axis=1) // 2)[:, None]


def _by_stretches(trials: Trials, generator: np.random.Generator, n_blocks: int) -> np.ndarray:
    counts = trials.valid.sum(axis=1)[:, None]
    number = np.maximum(np.minimum(n_blocks, counts // 2), 1)
    number = np.where(counts >= 2, np.maximum(number - number % 2, 2), 1)
    stretch = trials.ranks() * number // np.maximum(counts, 1)
    return (stretch % 2 == 0) ^ (generator.random((len(counts), 1)) < 0.5)


def shuffled_per_unit(trials: Trials, generator: np.random.Generator, n_blocks: int = 1) -> Trials:
    """Trials with those of each unit shuffled among the trials of a stimulus, within `n_blocks` stretches of time.

    What each unit does by itself stays, with its drift; what units share from trial to trial goes.
    """
    valid, (n, r, p) = trials.valid, trials.values.shape
    counts = valid.sum(axis=1)[:, None]
    number = np.maximum(np.minimum(n_blocks, counts // 2), 1)
    stretch = np.where(valid, trials.ranks() * number // np.maximum(counts, 1), n_blocks + r)
    # Places in the order of their stretches, and trials in that of their stretches and then of chance.
    home = np.argsort(stretch, axis=1, kind="stable")
    moved = np.argsort(stretch[:, :, None] + generator.random((n, r, p)), axis=1, kind="stable")
    found = np.empty_like(trials.values)
    np.put_along_axis(
        found, np.broadcast_to(home[:, :, None], found.shape), np.take_along_axis(trials.values, moved, axis=1), axis=1
    )
    return replace(trials, values=found)
