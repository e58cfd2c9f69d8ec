"""Random halves of the repeats of every stimulus, as means or as trials."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def half_masks(valid: np.ndarray, n_splits: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of masks (n, R) that part the valid repeats (n, R) of every stimulus; of an odd number the second has one more."""
    generator = np.random.default_rng([int(seed), 0x68616C66])
    for _ in range(n_splits):
        rank = np.argsort(np.argsort(np.where(valid, generator.random(valid.shape), 2.0), axis=1), axis=1)
        first = (rank < (valid.sum(axis=1) // 2)[:, None]) & valid
        yield first, valid & ~first


def _valid(trials: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(trials).all(axis=2), dtype=bool)


def repeat_halves(trials: np.ndarray, n_splits: int, seed: int) -> np.ndarray:
    """Mean responses (n_splits, 2, n, p) of random halves of every stimulus's repeats (n, R, p), NaN repeats left out.

    Every stimulus needs two valid repeats.
    """
    valid = _valid(trials)
    filled = np.where(valid[:, :, None], trials, 0.0).astype(np.float64)
    halves = np.empty((n_splits, 2, len(trials), trials.shape[2]))
    for k, masks in enumerate(half_masks(valid, n_splits, seed)):
        for half, mask in enumerate(masks):
            halves[k, half] = np.einsum("nr,nrp->np", mask / mask.sum(axis=1, keepdims=True), filled)
    return halves


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
