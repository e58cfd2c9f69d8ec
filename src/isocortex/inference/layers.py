"""Choosing a layer where the score is not taken."""

from __future__ import annotations

from typing import Any

import numpy as np


def best(scores: Any, *, higher_is_closer: bool = True) -> np.ndarray:
    """Index of the closest layer along the last axis; NaN never wins, the first of equals does."""
    scores = np.asarray(scores, dtype=np.float64)
    signed = scores if higher_is_closer else -scores
    return np.argmax(np.where(np.isfinite(signed), signed, -np.inf), axis=-1)


def on_other_subjects(
    scores: np.ndarray, weights: np.ndarray | None = None, *, higher_is_closer: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Each subject's score in the layer that is best for the other subjects.

    `scores` (..., S, L) and `weights` (..., S), how often each subject was drawn (None: once). All copies of a subject are
    left out of its own choice. A subject that has no score in a layer, NaN, has no say in it. Returns values (..., S), NaN
    where no other subject was drawn or has a score, and layers (..., S).
    """
    if scores.shape[-1] == 1:  # nothing to choose, hence no other subject needed
        return scores[..., 0], np.zeros(scores.shape[:-1], dtype=np.int64)
    present = np.isfinite(scores)
    voices = present if weights is None else present * weights[..., None]
    weighted = np.where(present, scores, 0.0) * voices
    others = weighted.sum(axis=-2, keepdims=True) - weighted
    if not present.all():
        # Sums of different numbers of subjects are not alike: means are.
        heard = voices.sum(axis=-2, keepdims=True) - voices
        others = np.where(heard > 0, others / np.maximum(heard, 1), np.nan)
    chosen = best(others, higher_is_closer=higher_is_closer)
    values = np.take_along_axis(scores, chosen[..., None], axis=-1)[..., 0]
    values = np.where(np.isfinite(np.take_along_axis(others, chosen[..., None], axis=-1)[..., 0]), values, np.nan)
    if weights is not None:
        total = weights.sum(axis=-1, keepdims=True)
        values = np.where(weights < total, values, np.nan)
    return values, chosen


def across_halves(first: np.ndarray, second: np.ndarray, *, higher_is_closer: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Two-fold cross-fit: scores (..., L) of both halves of the stimuli; the layer of one half is scored on the other.

    Returns the mean of the two scores (...) and the two layers (..., 2): chosen on the first, chosen on the second half.
    """
    chosen = np.stack([best(half, higher_is_closer=higher_is_closer) for half in (first, second)], axis=-1)
    on_second = np.take_along_axis(second, chosen[..., :1], axis=-1)[..., 0]
    on_first = np.take_along_axis(first, chosen[..., 1:], axis=-1)[..., 0]
    return 0.5 * (on_first + on_second), chosen


def vote_shares(chosen: np.ndarray, n_layers: int) -> np.ndarray:
    """Share of the choices (any shape) that fell on each layer: (n_layers,)."""
    return np.bincount(np.asarray(chosen).ravel(), minlength=n_layers) / max(1, np.asarray(chosen).size)
