"""Draws and permutations of a table of comparisons, and what the variance of its scores is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isocortex.inference import nulls
from isocortex.inference.intervals import influences, linear_part
from isocortex.inference.nulls import PERMUTATIONS
from isocortex.inference.pooling import Draws
from isocortex.inference.resampling import as_bootstrap, draws_of
from isocortex.inference.tables import Table

# A null value of these takes so long that more of them are no answer to a wish for a smaller p.
DEAR = ("costly", "heavy")


@dataclass(frozen=True)
class Settings:
    """What the inference needs to know; `permutations` None: by cost and until precise enough; `generalise` as in `spread`."""

    draws: int = 1000
    permutations: int | None = None
    seed: int = 0
    confidence: float = 0.95
    generalise: str = "auto"


def drawn_counts(stimulus_ids: Sequence[str], table: Table, settings: Settings) -> tuple[np.ndarray, float]:
    """Multiplicities (D, n) of the draws that a table can afford, and their factor (`resampling.draws_of`)."""
    n_draws = min(settings.draws, table.most_draws())
    return draws_of(table.resample, stimulus_ids, n_draws, settings.seed)


def n_permutations(table: Table, settings: Settings, times: int = 1) -> int:
    """Permutations: as many as asked for, but of what is dear no more than its cost allows; by the cost alone if none are asked
    for."""
    if settings.permutations is None:
        return table.most_permutations(times)
    return min(settings.permutations, PERMUTATIONS[table.permuting]) if table.permuting in DEAR else settings.permutations


def null_values(
    table: Table, settings: Settings, statistic: Callable[[np.ndarray], np.ndarray], observed: np.ndarray
) -> np.ndarray:
    """Null values (P, S) of `statistic`, which maps scores (P, S, C) to (P, S): a few first, more where they decide."""
    limit = n_permutations(table, settings)
    enough, stage = nulls.first_stage(table.permuting)
    stage = min(stage, limit) if settings.permutations is None else limit
    null = np.empty((0, table.shape[1]))
    for size in sorted({stage, limit}):
        null = statistic(table.permuted(_moves(table, size, limit, settings.seed)))[:size]
        closer, scored = table.higher_is_closer, np.isfinite(observed)
        if not scored.any():  # nothing to be decided
            break
        reached = [
            *nulls.exceedances(observed[scored], null[:, scored], higher_is_closer=closer),
            nulls.exceedances(observed[scored].mean(), null[:, scored].mean(axis=1), higher_is_closer=closer),
        ]
        if np.all(np.asarray(reached) >= enough):
            break
    return null


def _moves(table: Table, size: int, limit: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Orders of the candidates' and of the brain's stimuli that make `size` null values, by pairs of few of either."""
    if table.rewired:
        return nulls.permutations(table.shape[0], limit, seed)[:size], np.arange(table.shape[0])[None]
    side, most = (math.isqrt(max(number - 1, 0)) + 1 for number in (size, limit))
    order = nulls.permutations(table.shape[0], 2 * most, seed)
    return order[0 : 2 * side : 2], order[1 : 2 * side : 2]


@dataclass(frozen=True)
class Drawn:
    """Draws (D, S) with choices made `anew` and with those of the whole sample (`fixed`); scores of the whole sample with the
    draws' choices (`moved`); scores (n, S) without each stimulus, with the choices of the whole sample."""

    anew: np.ndarray
    fixed: np.ndarray
    moved: np.ndarray
    left_out: np.ndarray


def as_draws(drawn: Drawn, score: np.ndarray, counts: np.ndarray, kind: str, factor: float) -> Draws:
    """Draws (D, S) of a score (S,) from multiplicities (D, n), and what their variance is made of."""
    n = counts.shape[1]
    if kind != "pair_weights":
        # Subsets of stimuli have no weights to be linear in: their variance is that of a delete-d jackknife.
        return Draws(as_bootstrap(drawn.anew, score, kind, factor, n))
    influence = influences(score, drawn.left_out)
    return Draws(drawn.fixed + drawn.moved - score, drawn.fixed, linear_part(counts, influence), influence)


def left_out(table: Table, n: int) -> np.ndarray:
    """Scores (n, S, C) without each stimulus; empty for tables that draw subsets."""
    return table.drawn(1 - np.eye(n, dtype=np.int64)) if table.resample == "pair_weights" else np.empty((0, *table.shape[1:]))
