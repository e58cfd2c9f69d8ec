"""Which stimuli and subjects a draw holds: a function of the seed, the ids and the number of the draw, and of nothing else.

Equal ids give equal draws for every model, layer and method, so that their draws are paired; the order of the rows and the
number of draws asked for change nothing in any draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from isocortex.errors import DataError


def _sorted_generator(ids: Sequence[Any] | np.ndarray, seed: int, purpose: str) -> tuple[np.random.Generator, np.ndarray]:
    """The generator of these ids, and `order` with `sorted(ids)[k] == ids[order[k]]`."""
    texts = [str(item) for item in ids]
    if len(set(texts)) != len(texts):
        raise DataError(
            f"{purpose} ids: found {len(texts) - len(set(texts))} duplicates, expected unique ids; name every {purpose} once"
        )
    order = sorted(range(len(texts)), key=texts.__getitem__)
    digest = hashlib.sha256("\0".join([purpose, *(texts[k] for k in order)]).encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u4").tolist()
    return np.random.default_rng([int(seed), *words]), np.asarray(order, dtype=np.int64)


def _counts(ids: Sequence[Any] | np.ndarray, n_draws: int, seed: int, purpose: str) -> np.ndarray:
    generator, order = _sorted_generator(ids, seed, purpose)
    n = len(order)
    counts = np.zeros((n_draws, n), dtype=np.int64)
    if n == 0 or n_draws == 0:
        return counts
    # Floats, filled row by row: draw d uses the same n numbers however many draws are asked for.
    drawn = np.minimum((generator.random((n_draws, n)) * n).astype(np.int64), n - 1)
    flat = np.bincount((drawn + n * np.arange(n_draws)[:, None]).ravel(), minlength=n_draws * n)
    counts[:, order] = flat.reshape(n_draws, n)
    return counts


def stimulus_counts(stimulus_ids: Sequence[Any] | np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """How often each stimulus is in each bootstrap draw: int (n_draws, n), every row sums to n.

    Raises `DataError` for duplicate ids.
    """
    return _counts(stimulus_ids, n_draws, seed, "stimulus")


def subject_counts(subjects: Sequence[Any] | np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """How often each subject is in each bootstrap draw: int (n_draws, S); independent of the draws of stimuli."""
    return _counts(subjects, n_draws, seed, "subject")


def subsamples(stimulus_ids: Sequence[Any] | np.ndarray, n_draws: int, size: int, seed: int) -> np.ndarray:
    """`size` different stimuli per draw, as ascending row indices: int (n_draws, size)."""
    return subsamples_within(stimulus_ids, stimulus_ids, n_draws, size, seed)


def subsamples_within(
    every: Sequence[Any] | np.ndarray, stimulus_ids: Sequence[Any] | np.ndarray, n_draws: int, size: int, seed: int
) -> np.ndarray:
    """The first `size` of `stimulus_ids` per draw in a random order of `every` id, as ascending rows: int (n_draws, size).

    Subjects who saw different stimuli of `every` have the same of those that they share, as far as both have as many.
    Raises ValueError for a size outside 1 to n, or ids that are not among `every`.
    """
    generator, order = _sorted_generator(every, seed, "stimulus")
    place = {str(item): row for row, item in enumerate(stimulus_ids)}
    rows = np.array([place.get(str(every[k]), -1) for k in order], dtype=np.int64)
    if not 0 < size <= len(stimulus_ids):
        raise ValueError(f"subsamples: size {size}, expected 1 to {len(stimulus_ids)}")
    if (rows >= 0).sum() != len(stimulus_ids):
        raise ValueError("subsamples: found stimuli that are not among all, or twice")
    ranked = rows[np.argsort(generator.random((n_draws, len(order))), axis=1, kind="stable")]
    return np.sort(ranked[ranked >= 0].reshape(n_draws, len(stimulus_ids))[:, :size], axis=1)


def halves(stimulus_ids: Sequence[Any] | np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Random halves of the stimuli: bool (n_draws, n), True in ⌊n/2⌋ places of every row."""
    n = len(stimulus_ids)
    masks = np.zeros((n_draws, n), dtype=bool)
    np.put_along_axis(masks, subsamples(stimulus_ids, n_draws, n // 2, seed), values=True, axis=1)
    return masks


# A subsample holds this share of the stimuli: enough that what depends on neighbours is still there.
SUBSAMPLE = 0.8


def draws_of(kind: str, stimulus_ids: Sequence[Any] | np.ndarray, n_draws: int, seed: int) -> tuple[np.ndarray, float]:
    """Multiplicities (D, n) of stimuli in draws of a kind, and the factor that makes their variance that of a score.

    "pair_weights": a bootstrap, for what drops pairs of a stimulus with itself; factor n/(n − 1). "mask_duplicates": the
    same, of which only the m̄ different stimuli (on average) are seen. "subsample": m = 80 % of the stimuli. "jackknife": all
    but one, n draws. A subset of m stimuli differs from all n by σ²(1/m − 1/n), hence the factor m/(n − m) (delete-d
    jackknife, Shao & Wu 1989; it tends to m/n for small m), which for the jackknife is n − 1.
    Raises ValueError for another kind.
    """
    n = len(stimulus_ids)
    if kind == "jackknife":
        return 1 - np.eye(n, dtype=np.int64), float(n - 1)
    if kind == "subsample":
        size = min(max(round(SUBSAMPLE * n), min(3, n)), n - 1)
        counts = np.zeros((n_draws, n), dtype=np.int64)
        np.put_along_axis(counts, subsamples(stimulus_ids, n_draws, size, seed), 1, axis=1)
        return counts, size / (n - size)
    counts = stimulus_counts(stimulus_ids, n_draws, seed)
    if kind == "pair_weights":
        return counts, n / (n - 1)
    if kind == "mask_duplicates":
        size = float((counts > 0).sum(axis=1).mean())
        return (counts > 0).astype(np.int64), size / (n - size)
    raise ValueError(f"resampling: found kind {kind!r}, expected pair_weights, mask_duplicates, subsample or jackknife")


def as_bootstrap(draws: np.ndarray, centre: np.ndarray, kind: str, factor: float, n: int) -> np.ndarray:
    """Draws (D, …) of a kind as those of a bootstrap around `centre` (…): n/(n − 1) times their variance is the score's."""
    if kind == "pair_weights":
        return draws
    present = np.isfinite(draws)
    middle = np.where(present, draws, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return centre + (draws - middle) * np.sqrt(factor * (n - 1) / n)
