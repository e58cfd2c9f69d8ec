"""Single trials of a region: repeats of stimuli, when they were shown; choices, halves and shuffles of them.

`valid` (n, R) says which trials there are. `shown` (n, R) has the places of trials in the recording, of which the order within
a stimulus counts; None where trials stand in their order, or none is known. What drifts slowly is alike in neighbouring trials:
shuffles within stretches of time keep it, and halves of alternating stretches do not part neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

LEAST_STRETCH = 2  # trials of a stretch: fewer, and nothing can be shuffled within it


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
        return present(self.values)


def present(values: np.ndarray) -> np.ndarray:
    """Which trials (…, R, p) there are: bool (…, R), finite in every unit."""
    return np.asarray(np.isfinite(values).all(axis=-1), dtype=bool)


def _order(valid: np.ndarray, keys: np.ndarray | None) -> np.ndarray:
    by = np.broadcast_to(np.arange(valid.shape[1]) if keys is None else keys, valid.shape)
    return np.lexsort((by, ~valid), axis=1)


def ranks(valid: np.ndarray, keys: np.ndarray | None = None) -> np.ndarray:
    """Place (n, R) of each trial among the valid ones of its stimulus, by `keys` (n, R) or as they stand; others come last."""
    return np.argsort(_order(valid, keys), axis=1)


def packed(values: np.ndarray, kept: np.ndarray, rank: np.ndarray | None = None) -> np.ndarray:
    """The `kept` trials (n, R) of values (n, R, p) moved to the front: (n, most kept, p), NaN at the end of a row with fewer.

    They stand in the order of `rank` (n, R), or as they stood.
    """
    order = _order(kept, rank)[:, : int(kept.sum(axis=1).max(initial=0))]
    found = np.take_along_axis(values, order[:, :, None], axis=1)
    found[~np.take_along_axis(kept, order, axis=1)] = np.nan
    return found


def chosen(values: np.ndarray, valid: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """`numbers` (n,) random ones of the valid trials (n, R) of each stimulus, `packed` in the order of the draw."""
    rank = ranks(valid, generator.random(valid.shape))
    return packed(values, valid & (rank < numbers[:, None]), rank)


def some(valid: np.ndarray, numbers: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A mask (n, R) of `numbers` (n,) random ones of the valid trials (n, R) of each stimulus."""
    return valid & (ranks(valid, generator.random(valid.shape)) < numbers[:, None])


# --- stretches of time -------------------------------------------------------------------------------------------------


def parted(rank: np.ndarray, counts: np.ndarray, number: np.ndarray | int) -> np.ndarray:
    """The part (n, R) of each trial by its rank, of `number` parts (n, 1) of `counts` trials (n, 1), the larger ones first.

    Sizes differ by one at most. Ranks from `counts` on, of missing trials, are in no part that a valid one is in.
    """
    size, larger = np.divmod(counts, number)
    bound = larger * (size + 1)
    return np.where(rank < bound, rank // (size + 1), larger + (rank - bound) // np.maximum(size, 1))


def stretches(valid: np.ndarray, shown: np.ndarray | None, blocks: int, fewest: int = 1) -> np.ndarray:
    """The stretch of time (n, R) of each trial: at most `blocks` of a stimulus, of two trials or more, and an even number.

    One where there are too few trials for two, or `fewest`.
    """
    counts = valid.sum(axis=1)[:, None]
    number = np.minimum(blocks, counts // LEAST_STRETCH)
    return parted(ranks(valid, shown), counts, np.maximum(number - number % 2, fewest))


def alternating(stretch: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Every other stretch (n, R): a mask; a coin for each stimulus says whether the first one is in it."""
    return (stretch % 2 == 0) ^ (generator.random((len(stretch), 1)) < 0.5)


# --- halves ------------------------------------------------------------------------------------------------------------


def random_half(valid: np.ndarray, generator: np.random.Generator, *_: object) -> np.ndarray:
    """A mask (n, R) of half of the valid trials (n, R) of each stimulus, at random; of an odd number the other has one more."""
    return some(valid, valid.sum(axis=1) // 2, generator)


def blocked_half(valid: np.ndarray, generator: np.random.Generator, shown: np.ndarray | None, blocks: int) -> np.ndarray:
    """The same of alternating stretches, a coin saying which come first. Halves differ by one trial at most.

    What drifts from stretch to stretch differs between them; between random halves it is shared out.
    """
    return valid & alternating(stretches(valid, shown, blocks, fewest=2), generator)


Half = Callable[[np.ndarray, np.random.Generator, "np.ndarray | None", int], np.ndarray]
HALVES: dict[str, Half] = {"blocked": blocked_half, "random": random_half}


def halves_of_trials(trials: Trials, n_splits: int, seed: int, n_blocks: int | None = None) -> list[tuple[Trials, Trials]]:
    """Pairs of halves of every stimulus's trials, NaN where a trial is in the other half.

    In `n_blocks` stretches of time, where these are given and the order of trials is known; else at random.
    """
    generator = np.random.default_rng([int(seed), 0x74726961])
    half = HALVES["random" if n_blocks is None or trials.shown is None else "blocked"]
    masks = [half(trials.valid, generator, trials.shown, n_blocks or 0) for _ in range(n_splits)]
    return [(_kept(trials, first), _kept(trials, ~first)) for first in masks]


def _kept(trials: Trials, side: np.ndarray) -> Trials:
    values = np.where((side & trials.valid)[:, :, None], trials.values, np.nan)
    return replace(trials, values=values, whole=trials.whole or trials)


# --- shuffles ----------------------------------------------------------------------------------------------------------


def shuffled_within(values: np.ndarray, stretch: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Trials (n, R, p) with those of each unit shuffled by themselves within each stretch (n, R) of a stimulus.

    What each unit does by itself stays, with means of stretches, hence drift; what units share from trial to trial goes. No
    missing trial may be in a stretch with one that is there.
    """
    # Places in the order of their stretches, and trials in that of their stretches and then of chance.
    home = np.argsort(stretch, axis=1, kind="stable")[:, :, None]
    moved = np.argsort(stretch[:, :, None] + generator.random(values.shape), axis=1)
    found = np.empty_like(values)
    np.put_along_axis(found, np.broadcast_to(home, values.shape), np.take_along_axis(values, moved, axis=1), axis=1)
    return found


def shuffled_per_unit(trials: Trials, generator: np.random.Generator, n_blocks: int = 1) -> Trials:
    """`shuffled_within` stretches of time, at most `n_blocks` of them, as halves have them."""
    stretch = stretches(trials.valid, trials.shown, n_blocks)
    return replace(trials, values=shuffled_within(trials.values, stretch, generator))
