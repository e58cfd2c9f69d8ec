"""Ratings of the similarity or the distance of two stimuli as dissimilarities of pairs."""

from __future__ import annotations

from typing import Literal

import numpy as np

Direction = Literal["similarity", "distance"]


def as_distance(values: np.ndarray, direction: Direction, low: float, high: float) -> np.ndarray:
    """Ratings between `low` and `high` as distances from 0 (as alike as the scale can say) to 1."""
    share = (values - low) / (high - low)
    return {"similarity": 1 - share, "distance": share}[direction]


def judgement_rdm(pairs: np.ndarray, values: np.ndarray, judges: np.ndarray, n: int) -> np.ndarray:
    """Dissimilarities of n stimuli from ratings.

    `pairs` is (n_ratings, 2), the stimuli's indices; `values` (n_ratings,) distances; `judges` (n_ratings,) whose they are.
    Both orders of a pair are the same pair. A judge's ratings of a pair are averaged, then the judges', so that each counts
    once. Returns float64 (n, n) with a diagonal of 0 and NaN for a pair that nobody rated.
    """
    total, count = np.zeros((n, n)), np.zeros((n, n))
    for judge in np.unique(judges):
        own = judges == judge
        summed, rated = np.zeros((n, n)), np.zeros((n, n))
        np.add.at(summed, tuple(pairs[own].T), values[own])
        np.add.at(rated, tuple(pairs[own].T), 1)
        summed, rated = summed + summed.T, rated + rated.T
        seen = rated > 0
        total[seen] += summed[seen] / rated[seen]
        count[seen] += 1
    rdm = np.divide(total, count, out=np.full((n, n), np.nan), where=count > 0)
    np.fill_diagonal(rdm, 0.0)
    return rdm
