"""One subject's score with layers chosen on one half of the stimuli and scored on the other, its draws and its null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocortex.inference import layers
from isocortex.inference.tables import Table


@dataclass(frozen=True)
class CrossFit:
    """Values (D,) with choices made in every draw, `fixed` (D,) with given ones, `chosen` (K, D, 2) and its shares (C,).

    `moved` (D,) are scores of the whole sample with the choices of every draw. `lost` (D,): splits that have no value, which
    `values` is the mean without.
    """

    values: np.ndarray
    fixed: np.ndarray
    moved: np.ndarray
    chosen: np.ndarray
    votes: np.ndarray
    lost: np.ndarray


def cross_fit(table: Table, counts: np.ndarray, masks: np.ndarray, fixed: np.ndarray | None = None) -> CrossFit:
    """Cross-fitted scores of a table of one subject in draws (D, n): both directions of all splits, and their mean.

    `masks` (K, n) are halves of the stimuli. `fixed` (K, 1, 2): candidates chosen elsewhere, as `CrossFit.chosen` of the
    whole sample.
    """
    values = np.empty((len(masks), len(counts)))
    held, moved = np.full_like(values, np.nan), np.full_like(values, np.nan)
    once = np.ones((1, masks.shape[1]), dtype=np.int64)
    chosen = np.empty((*values.shape, 2), dtype=np.int64)
    for k, mask in enumerate(masks):
        scores = []
        for keep in (mask, ~mask):
            kept = np.flatnonzero(keep)
            scores.append(table.part(kept).drawn(counts[:, kept])[:, 0])
        values[k], chosen[k] = layers.across_halves(*scores, higher_is_closer=table.higher_is_closer)
        if fixed is not None:
            first, second = (int(c) for c in fixed[k, 0])
            held[k] = 0.5 * (scores[1][:, first] + scores[0][:, second])
            inside, outside = (table.part(np.flatnonzero(keep)).drawn(once[:, keep])[0, 0] for keep in (mask, ~mask))
            moved[k] = 0.5 * (outside[chosen[k, :, 0]] + inside[chosen[k, :, 1]])
    votes = np.bincount(chosen.ravel(), minlength=table.shape[2])
    lost = (~np.isfinite(values)).sum(axis=0)
    return CrossFit(_mean(values), _mean(held), _mean(moved), chosen, votes / max(votes.sum(), 1), lost)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over splits (K, D), without those in which a half has too few stimuli left."""
    present = np.isfinite(values)
    mean = np.where(present, values, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return np.where(present.any(axis=0), mean, np.nan)


def cross_fit_null(table: Table, masks: np.ndarray, orders: np.ndarray) -> tuple[float, np.ndarray]:
    """The statistic tested for a cross-fitted score, and its values (P,) with the candidates' stimuli in `orders` (P, n).

    The layer is chosen anew under every permutation: with choices fixed, 8 to 9 % of pure noise is significant at 5 %.
    """
    everything = np.vstack([np.arange(masks.shape[1])[None], orders])
    inside, outside = table.halves(masks, everything)
    values = layers.across_halves(inside, outside, higher_is_closer=table.higher_is_closer)[0].mean(axis=1)
    return float(values[0]), values[1:]
