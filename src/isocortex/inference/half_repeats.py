"""Random halves of the repeats of every stimulus, as means or as trials."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isocortex.similarity.trials import present, random_half


def repeat_halves(trials: np.ndarray, n_splits: int, seed: int) -> np.ndarray:
    """The halves of `each_repeat_halves`, all at once: (n_splits, 2, n, p)."""
    halves = np.empty((n_splits, 2, len(trials), trials.shape[2]))
    for k, pair in enumerate(each_repeat_halves(trials, n_splits, seed)):
        halves[k] = pair
    return halves


def each_repeat_halves(trials: np.ndarray, n_splits: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mean responses (n, p) of both halves of every stimulus's repeats (n, R, p), NaN repeats left out, of each random split.

    Every stimulus needs two valid repeats; of an odd number the second half has one more.
    """
    valid, generator = present(trials), np.random.default_rng([int(seed), 0x68616C66])
    filled = np.where(valid[:, :, None], trials, 0.0).astype(np.float64)
    for _ in range(n_splits):
        first = random_half(valid, generator)
        a, b = (np.einsum("nr,nrp->np", mask / mask.sum(axis=1, keepdims=True), filled) for mask in (first, valid & ~first))
        yield a, b


def half_trials(trials: np.ndarray, n_splits: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The trials (n, R, p) of both halves of each split, NaN where a repeat is in the other.

    The same repeats are in a half for all stimuli, because what is cross-validated over repeats needs those that two stimuli
    have in common, and because repeats of a run share noise.
    """
    repeats = trials.shape[1]
    generator = np.random.default_rng([int(seed), 0x6861_6C66, repeats])
    for _ in range(n_splits):
        first = np.zeros(repeats, dtype=bool)
        first[generator.permutation(repeats)[: repeats // 2]] = True
        inside = first[None, :, None]
        yield np.where(inside, trials, np.nan), np.where(inside, np.nan, trials)
