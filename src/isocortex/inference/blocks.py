"""Score, null, ceiling and draws of any comparison, for subjects that saw the same stimuli, all candidates at once.

Candidates are layers, or layers × variants of a method (thresholds): what is chosen is chosen where the score is not taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from isocortex.inference import layers, nulls
from isocortex.inference.ceilings import Ceiling
from isocortex.inference.crossfit import cross_fit, cross_fit_null
from isocortex.inference.pooling import ENOUGH_SUBJECTS, Draws
from isocortex.inference.resampling import halves, subject_counts
from isocortex.inference.table_draws import Drawn, Settings, as_draws, drawn_counts, left_out, n_permutations, null_values
from isocortex.inference.tables import Table

N_SPLITS = 20
# Bootstrap draws of subjects: they cost nothing, and their variance is compared with a variance that is exact.
N_GROUPS = 2000
# The draws of halves that a cross-fitted bootstrap may make, as a part of the draws of the whole that take seconds.
_HALVED = 0.4
# The fewest stimuli that are split to choose a layer; more where a block says that a half needs them (`fewest`).
FEWEST_TO_SPLIT = 6


class Compared(Protocol):
    """Subjects that saw the same stimuli, and how they are compared with the layers of a model."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """Their names."""
        ...

    @property
    def stimulus_ids(self) -> tuple[str, ...]:
        """The stimuli, in the order of all arrays."""
        ...

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants of the method; one where there is nothing to choose."""
        ...

    @property
    def kind(self) -> str:
        """How a score is normalised: "rdm", "pattern" or "distance" (`scores.md` §2)."""
        ...

    @property
    def null(self) -> str:
        """What the null does, by the names of `scores.md` §3."""
        ...

    def table(self) -> Table:
        """All subjects with all candidates; candidate v·L + l is layer l in variant v."""
        ...

    def ceiling(self, variant: int, masks: np.ndarray | None, settings: Settings) -> Ceiling:
        """Ceilings in a variant; `masks` where a single subject's score was taken on halves of the stimuli."""
        ...


@dataclass(frozen=True)
class Evaluated:
    """Results of a block: score and layer (S,), all layers' scores (S, L), null (P, S), draws and votes (S, L).

    `tested` (S,) is the statistic of which `null` holds the null values: the score, or what stands for it in a cross-fit; or,
    where `test_null` (P, S) is not None, that of which this holds them, and `null` only says where chance lies for the score.
    `variant_votes` (S, V) are the shares of the variants. `resampled` says how stimuli were drawn,
    `mixture` how layers were put together, where none was chosen: votes are then their shares. `reasons` say why subjects have
    no score, where that is known; empty for those who have one.
    """

    block: Compared
    score: np.ndarray
    chosen: np.ndarray
    layer_scores: np.ndarray
    tested: np.ndarray
    null: np.ndarray
    null_kind: str
    draws: Draws
    votes: np.ndarray
    variant_votes: np.ndarray
    ceiling: Ceiling
    choice: str
    resampled: str
    higher_is_closer: bool
    mixture: str = ""
    test_null: np.ndarray | None = None
    reasons: tuple[str, ...] = ()


def evaluate(block: Compared, settings: Settings) -> Evaluated:
    """All of a block: with two or more subjects the layer is chosen on the others, else by cross-fit over stimuli."""
    table = block.table()
    chooser = _on_other_subjects if len(block.subjects) > 1 else _alone
    return chooser(block, table, settings)


def _split(values: np.ndarray, n_layers: int) -> np.ndarray:
    """(…, V·L) as (…, V, L)."""
    return values.reshape(*values.shape[:-1], -1, n_layers)


def _on_other_subjects(block: Compared, table: Table, settings: Settings) -> Evaluated:
    closer, scores = table.higher_is_closer, table.scores()
    n_layers = table.shape[2] // len(block.variants)
    score, chosen = layers.on_other_subjects(scores, higher_is_closer=closer)
    counts, factor = drawn_counts(block.stimulus_ids, table, settings)
    candidate_draws = table.drawn(counts)
    values, drawn = layers.on_other_subjects(candidate_draws, higher_is_closer=closer)
    own = (..., np.arange(len(score)), chosen)
    moved = scores[np.arange(len(score)), drawn]
    parts = Drawn(values, candidate_draws[own], moved, left_out(table, table.shape[0])[own])
    regrouped = _regrouped(block, scores, settings, closer)
    draws = replace(as_draws(parts, score, counts, table.resample, factor), regrouped=regrouped)
    null = null_values(table, settings, lambda s: layers.on_other_subjects(s, higher_is_closer=closer)[0], score)
    variant = chosen // n_layers
    votes = np.stack([layers.vote_shares(drawn[:, s], table.shape[2]) for s in range(len(score))])
    single = table.shape[2] == 1
    return Evaluated(
        block=block,
        score=score,
        chosen=chosen % n_layers,
        layer_scores=_split(scores, n_layers)[np.arange(len(score)), variant],
        tested=score,
        null=null,
        null_kind=_null_kind(block, n_layers),
        draws=draws,
        votes=_split(votes, n_layers).sum(axis=1),
        variant_votes=_split(votes, n_layers).sum(axis=2),
        ceiling=_chosen_ceiling(block, variant, None, settings),
        choice="one layer" if single else f"{_what(block, n_layers)} chosen on the other subjects",
        resampled=table.resample,
        higher_is_closer=closer,
        reasons=_reasons(block, score, None, own=scores),
    )


def _reasons(block: Compared, score: np.ndarray, masks: np.ndarray | None, own: np.ndarray | None = None) -> tuple[str, ...]:
    """Why subjects have no score; `own` (S, C): scores in all layers, where these were chosen on others."""
    said = getattr(block, "reason", None)
    found = []
    for s, value in enumerate(score):
        text = said(s, masks) if said is not None and not np.isfinite(value) else ""
        lonely = own is not None and bool(np.isfinite(own[s]).any()) and not np.isfinite(value)
        found.append(text or ("no other subject has a score to choose the layer by" if lonely else ""))
    return tuple(found)


def _regrouped(block: Compared, scores: np.ndarray, settings: Settings, closer: bool) -> np.ndarray | None:
    """Scores (B, S) in a bootstrap of subjects, which choose anew, times their multiplicities; None of few subjects."""
    kept = np.flatnonzero(np.isfinite(scores).any(axis=1))
    if len(kept) < ENOUGH_SUBJECTS:
        return None
    weights = subject_counts([block.subjects[s] for s in kept], N_GROUPS, settings.seed)
    scores = scores[kept]
    chosen = layers.on_other_subjects(np.broadcast_to(scores, (len(weights), *scores.shape)), weights, higher_is_closer=closer)[
        1
    ]
    found = np.full((len(weights), len(block.subjects)), np.nan)
    found[:, kept] = weights * scores[np.arange(len(scores)), chosen]
    return found


def _null_kind(block: Compared, n_layers: int) -> str:
    if n_layers * len(block.variants) == 1:
        return block.null
    return f"{block.null}, {_what(block, n_layers)} chosen anew"


def _what(block: Compared, n_layers: int) -> str:
    chosen = [name for name, n in (("layer", n_layers), ("thresholds", len(block.variants))) if n > 1]
    return " and ".join(chosen) or "layer"


def _chosen_ceiling(block: Compared, variant: np.ndarray, masks: np.ndarray | None, settings: Settings) -> Ceiling:
    """Each subject's ceiling in the variant in which it was scored."""
    found = {int(v): block.ceiling(int(v), masks, settings) for v in np.unique(variant)}
    if len(found) == 1:
        return next(iter(found.values()))
    first, subjects = next(iter(found.values())), np.arange(len(variant))

    def pick(name: str) -> np.ndarray:
        return np.array([getattr(found[int(variant[s])], name)[s] for s in subjects])

    null = np.stack([found[int(variant[s])].null[:, s] for s in subjects], axis=1)
    return Ceiling(pick("low"), pick("high"), pick("observed"), null, first.kind, first.note, first.higher_is_closer)


def _alone(block: Compared, table: Table, settings: Settings) -> Evaluated:
    closer, n, n_candidates = table.higher_is_closer, table.shape[0], table.shape[2]
    n_layers = n_candidates // len(block.variants)
    fitted = n_candidates > 1 and n >= max(FEWEST_TO_SPLIT, 2 * getattr(block, "fewest", 0))
    masks = halves(block.stimulus_ids, N_SPLITS, settings.seed) if fitted else None
    found = _chosen_alone(table, settings) if masks is None else _cross_fitted(table, masks, settings)
    what = _what(block, n_layers)
    choice = f"{what} chosen on half of the stimuli and scored on the other, {N_SPLITS} splits"
    if masks is None:
        choice = "one layer" if n_candidates == 1 else f"{what} chosen on the scored stimuli: too few to split"
    counts, factor = drawn_counts(block.stimulus_ids, table, settings)
    drawn, votes = found.drawn(counts)
    variant = found.chosen // n_layers
    return Evaluated(
        block=block,
        score=found.score,
        chosen=found.chosen % n_layers,
        layer_scores=_split(table.scores(), n_layers)[np.arange(1), variant],
        tested=found.tested,
        null=found.null,
        null_kind=_null_kind(block, n_layers),
        draws=as_draws(drawn, found.centre, counts, table.resample, factor),
        votes=_split(votes, n_layers).sum(axis=0)[None],
        variant_votes=_split(votes, n_layers).sum(axis=1)[None],
        ceiling=_chosen_ceiling(block, variant, masks, settings),
        choice=choice,
        resampled=table.resample,
        higher_is_closer=closer,
        test_null=found.test_null,
        reasons=_reasons(block, found.score, masks),
    )


@dataclass(frozen=True)
class _Alone:
    """One subject: score, choice, what is tested and its null; `drawn` maps multiplicities (D, n) to draws and votes (C,).
    `centre` (1,) is the score that these are draws of."""

    score: np.ndarray
    chosen: np.ndarray
    tested: np.ndarray
    null: np.ndarray
    centre: np.ndarray
    drawn: Callable[[np.ndarray], tuple[Drawn, np.ndarray]]
    test_null: np.ndarray | None = None


def _chosen_alone(table: Table, settings: Settings) -> _Alone:
    """The closest candidate on all stimuli: of one candidate, or of too few stimuli to split."""
    closer, scores = table.higher_is_closer, table.scores()
    chosen = layers.best(scores, higher_is_closer=closer)
    score = scores[0, chosen]
    pick: Callable[..., np.ndarray] = np.max if closer else np.min

    def drawn(counts: np.ndarray) -> tuple[Drawn, np.ndarray]:
        values = table.drawn(counts)[:, 0]
        winners = layers.best(values, higher_is_closer=closer)
        anew = np.take_along_axis(values, winners[:, None], axis=1)
        without = left_out(table, table.shape[0])[:, 0, chosen]
        moved = scores[0, winners][:, None]
        return Drawn(anew, values[:, chosen], moved, without), layers.vote_shares(winners, table.shape[2])

    return _Alone(score, chosen, score, null_values(table, settings, lambda s: pick(s, axis=2), score), score, drawn)


def _cross_fitted(table: Table, masks: np.ndarray, settings: Settings) -> _Alone:
    n, once = table.shape[0], np.ones((1, table.shape[0]), dtype=np.int64)
    score = cross_fit(table, once, masks)
    missing = bool(score.lost[0])  # the mean of the splits that have a value is that of the best of them
    orders = nulls.permutations(n, n_permutations(table, settings, 6 * N_SPLITS), settings.seed)
    tested, null = cross_fit_null(table, masks, orders)
    test_null = None
    if getattr(table, "dear", False):
        # One split has little power: the closest layer on all stimuli is tested, chosen anew under every permutation.
        pick: Callable[..., np.ndarray] = np.max if table.higher_is_closer else np.min
        best = pick(table.scores(), axis=1)
        tested, test_null = float(best[0]), null_values(table, settings, lambda s: pick(s, axis=2), best)

    def drawn(counts: np.ndarray) -> tuple[Drawn, np.ndarray]:
        some = masks[: _n_splits(table, len(counts))]
        fixed = cross_fit(table, once, some).chosen
        anew = cross_fit(table, counts, some, fixed)
        without = np.empty((0, 1))
        if table.resample == "pair_weights":
            without = cross_fit(table, 1 - np.eye(n, dtype=np.int64), some, fixed).fixed[:, None]
        return Drawn(anew.values[:, None], anew.fixed[:, None], anew.moved[:, None], without), anew.votes

    centre = cross_fit(table, once, masks[: _n_splits(table, min(settings.draws, table.most_draws()))]).values
    values, tested, centre = (np.full(1, np.nan) if missing else v for v in (score.values, np.array([tested]), centre))
    return _Alone(values, layers.best(score.votes)[None], tested, null[:, None], centre, drawn, test_null)


def _n_splits(table: Table, n_draws: int) -> int:
    """Splits of which draws are made: as many as take seconds."""
    return int(np.clip(_HALVED * table.most_draws() / n_draws, 2, N_SPLITS))
