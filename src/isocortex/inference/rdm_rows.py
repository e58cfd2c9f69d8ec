"""Rows and arrays of a cell of RDM comparisons, one method, all subjects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.inference import layers as layer_choice
from isocortex.inference.intervals import interval, stimulus_variance
from isocortex.inference.nulls import extreme95, p_value
from isocortex.inference.pooling import ENOUGH_SUBJECTS, Draws, pool, spread, weighted_mean
from isocortex.inference.rdm_blocks import Evaluated, Settings
from isocortex.inference.resampling import subject_counts
from isocortex.inference.rows import new_row
from isocortex.inference.subjects import prevalence_note

SIGNAL = 0.05


@dataclass(frozen=True)
class Context:
    """What a row says beside its numbers: constant columns, per-subject counts, layers, and notes on layers left out."""

    common: Mapping[str, Any]
    counts: Mapping[str, Mapping[str, Any]]
    layers: tuple[str, ...]
    contaminated: frozenset[str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """Rows, and arrays by subject (last: "all"): draws (S + 1, D), layer scores (S + 1, L), chosen layers (S + 1,)."""

    rows: list[dict[str, Any]]
    subjects: list[str]
    draws: np.ndarray
    pooled: Draws
    layers: tuple[str, ...]
    layer_score: np.ndarray
    chosen: np.ndarray


@dataclass(frozen=True)
class _Numbers:
    score: float
    tested: float
    null: np.ndarray
    low: float
    high: float
    ceiling_p: float
    var: float
    dof: int
    generalise: str
    n_draws: int
    votes: np.ndarray


def build(evaluated: list[Evaluated], context: Context, settings: Settings) -> Cell:
    """Rows of every subject and of "all" from the blocks of a method (one block, or one per subject)."""
    subjects = [name for item in evaluated for name in item.block.subjects]
    n_draws = min(len(item.draws) for item in evaluated)
    n_null = min(len(item.null) for item in evaluated)
    score = np.concatenate([item.score for item in evaluated])
    draws = np.concatenate([item.draws[:n_draws] for item in evaluated], axis=1)
    null = np.concatenate([item.null[:n_null] for item in evaluated], axis=1)
    layer_score = np.concatenate([item.layer_scores for item in evaluated])
    votes = np.concatenate([item.votes for item in evaluated])
    chosen = np.concatenate([item.chosen for item in evaluated])
    chosen_all = int(np.argmax(np.bincount(chosen, minlength=len(context.layers)) + 0.5 * votes.mean(axis=0)))
    pooled = _pooled(evaluated, score, draws, subjects, settings)
    numbers = _subject_numbers(evaluated, draws, null, votes)
    numbers.append(_all_numbers(evaluated, score, null, pooled, votes))
    notes = [_subject_note(item) for item in evaluated for _ in item.block.subjects]
    notes.append(_all_note(evaluated, [float(p_value(n.tested, n.null)) for n in numbers[:-1]]))
    chosen = np.append(chosen, chosen_all)
    layer_score = np.vstack([layer_score, layer_score.mean(axis=0)])
    rows = []
    null_kind, ceiling_kind = evaluated[0].null_kind, evaluated[0].ceiling.kind
    for k, name in enumerate([*subjects, "all"]):
        shared = _identity(name, subjects, context)
        rows.extend(
            new_row(**shared, layer=layer, score=layer_score[k, index])
            for index, layer in enumerate(context.layers)
            if index != chosen[k]
        )
        kinds = {"null_kind": null_kind, "ceiling_kind": ceiling_kind}
        rows.append(_full_row({**shared, **kinds}, context.layers[chosen[k]], numbers[k], notes[k], context, settings))
    return Cell(rows, subjects, np.vstack([draws.T, pooled.main]), pooled, context.layers, layer_score, chosen)


def _pooled(evaluated: list[Evaluated], score: np.ndarray, draws: np.ndarray, subjects: list[str], settings: Settings) -> Draws:
    """As `pool`; where layers are chosen on other subjects, chosen anew among those that were drawn."""
    layer_draws = evaluated[0].layer_draws
    if layer_draws is None or len(subjects) < ENOUGH_SUBJECTS:
        return pool(score, draws, subjects, settings.seed)
    counts = subject_counts(subjects, len(draws), settings.seed)
    fixed = np.broadcast_to(evaluated[0].layer_scores, layer_draws.shape)
    parts = [weighted_mean(layer_choice.on_other_subjects(values, counts)[0], counts) for values in (fixed, layer_draws)]
    return Draws(draws.mean(axis=1), *parts)


def _subject_numbers(evaluated: list[Evaluated], draws: np.ndarray, null: np.ndarray, votes: np.ndarray) -> list[_Numbers]:
    numbers: list[_Numbers] = []
    for item in evaluated:
        n = len(item.block.stimulus_ids)
        for s in range(len(item.block.subjects)):
            k = len(numbers)
            var = float(stimulus_variance(draws[:, k], n))
            ceiling = item.ceiling
            low, high, p = float(ceiling.low[s]), float(ceiling.high[s]), ceiling.p(s)
            numbers.append(
                _Numbers(
                    float(item.score[s]),
                    float(item.tested[s]),
                    null[:, k],
                    low,
                    high,
                    p,
                    var,
                    n - 1,
                    "stimulus",
                    len(draws),
                    votes[k],
                )
            )
    return numbers


def _all_numbers(evaluated: list[Evaluated], score: np.ndarray, null: np.ndarray, pooled: Draws, votes: np.ndarray) -> _Numbers:
    n = min(len(item.block.stimulus_ids) for item in evaluated)
    var, dof, generalise = spread(pooled, len(score), n)
    low = float(np.mean(np.concatenate([item.ceiling.low for item in evaluated])))
    high = float(np.mean(np.concatenate([item.ceiling.high for item in evaluated])))
    p = float("nan")
    if all(item.ceiling.null.size for item in evaluated):
        observed = np.concatenate([item.ceiling.observed for item in evaluated])
        p = float(p_value(observed.mean(), np.concatenate([i.ceiling.null for i in evaluated], axis=1).mean(axis=1)))
    tested = float(np.mean(np.concatenate([item.tested for item in evaluated])))
    votes = votes.mean(axis=0)
    return _Numbers(
        float(score.mean()), tested, null.mean(axis=1), low, high, p, var, dof, generalise, len(pooled.stimuli), votes
    )


def _subject_note(item: Evaluated) -> str:
    return "; ".join(part for part in (item.choice, item.ceiling.note) if part)


def _all_note(evaluated: list[Evaluated], p: list[float]) -> str:
    parts = [evaluated[0].choice]
    if len(p) == 1:
        parts.append("does not generalise to other subjects")
    elif len(p) < ENOUGH_SUBJECTS:
        parts.extend([prevalence_note(p), "interval over stimuli, subjects fixed"])
    else:
        parts.append(prevalence_note(p))
    parts.extend(sorted({item.ceiling.note for item in evaluated if item.ceiling.note}))
    return "; ".join(parts)


def _identity(subject: str, subjects: list[str], context: Context) -> dict[str, Any]:
    contaminated = bool(context.contaminated.intersection(subjects if subject == "all" else [subject]))
    return {**context.common, **context.counts[subject], "subject": subject, "contaminated": contaminated}


def normalized(score: float, low: float, p: float) -> tuple[float, str]:
    """score / ceiling_low, missing with a reason where there is no ceiling or no signal under it; noted above 1."""
    if not np.isfinite(low) or not np.isfinite(p):
        return float("nan"), ""
    if p >= SIGNAL or low <= 0.0:
        return float("nan"), f"no reliable signal (ceiling {low:.3f}, p = {p:.3f})"
    value = score / low
    return value, "above the lower ceiling" if value > 1.0 else ""


def _full_row(
    shared: Mapping[str, Any], layer: str, numbers: _Numbers, note: str, context: Context, settings: Settings
) -> dict[str, Any]:
    null_mean = float(numbers.null.mean())
    value, remark = normalized(numbers.score, numbers.low, numbers.ceiling_p)
    ci_low, ci_high = interval(numbers.score, numbers.var, numbers.dof, settings.confidence)
    contaminated = "contaminated: shown, not tested" if shared["contaminated"] else ""
    resampled = "dual bootstrap" if "subject" in numbers.generalise else "stimulus bootstrap"
    return new_row(
        **shared,
        layer=layer,
        score=numbers.score,
        calibrated=(numbers.score - null_mean) / (1.0 - null_mean),
        normalized=value,
        ceiling_low=numbers.low,
        ceiling_high=numbers.high,
        ceiling_ref=numbers.low,
        ceiling_p=numbers.ceiling_p,
        null_mean=null_mean,
        null_extreme95=extreme95(numbers.null),
        n_null=len(numbers.null),
        p=None if shared["contaminated"] else p_value(numbers.tested, numbers.null),
        ci_low=ci_low,
        ci_high=ci_high,
        ci_kind=f"{resampled} of {numbers.n_draws} draws, variance corrected, t({numbers.dof})",
        generalise=numbers.generalise,
        is_chosen=True,
        layer_votes=json.dumps({name: round(float(v), 4) for name, v in zip(context.layers, numbers.votes, strict=True)}),
        seed=settings.seed,
        note="; ".join(part for part in (note, remark, contaminated, *context.notes) if part),
    )
