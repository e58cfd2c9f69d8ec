"""Rows and arrays of a cell of comparisons, one method, all subjects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.inference.blocks import Evaluated
from isocortex.inference.intervals import interval
from isocortex.inference.nulls import extreme95, p_value
from isocortex.inference.pooling import ENOUGH_SUBJECTS, Draws, joined, mean_of_scored, spread
from isocortex.inference.rows import new_row
from isocortex.inference.subjects import prevalence_note
from isocortex.inference.table_draws import Settings

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
    """Rows, draws, and arrays by subject (last: "all"): layer scores (S + 1, L), chosen layers (S + 1,)."""

    rows: list[dict[str, Any]]
    subjects: list[str]
    draws: Draws
    layers: tuple[str, ...]
    layer_score: np.ndarray
    chosen: np.ndarray


@dataclass(frozen=True)
class _Numbers:
    score: float
    tested: float
    null: np.ndarray
    test_null: np.ndarray
    low: float
    high: float
    ceiling_p: float
    var: float
    dof: int
    generalise: str
    n_draws: int
    votes: np.ndarray
    kind: str
    resampled: str

    @property
    def reference(self) -> float:
        """What a normalized score is measured with: the lower ceiling of RDMs, else the region's agreement with itself."""
        return self.low if self.kind == "rdm" else self.high

    @property
    def higher_is_closer(self) -> bool:
        return self.kind != "distance"


def build(evaluated: list[Evaluated], context: Context, settings: Settings) -> Cell:
    """Rows of every subject and of "all" from the blocks of a method (one block, or one per subject)."""
    subjects = [name for item in evaluated for name in item.block.subjects]
    n_null = min(len(item.null) for item in evaluated)
    against = [item.null if item.test_null is None else item.test_null for item in evaluated]
    n_tests = min(map(len, against))
    test_null = np.concatenate([values[:n_tests] for values in against], axis=1)
    score = np.concatenate([item.score for item in evaluated])
    draws = joined([item.draws for item in evaluated])
    null = np.concatenate([item.null[:n_null] for item in evaluated], axis=1)
    layer_score = np.concatenate([item.layer_scores for item in evaluated])
    votes = np.concatenate([item.votes for item in evaluated])
    chosen = np.concatenate([item.chosen for item in evaluated])
    scored = np.isfinite(score) if np.isfinite(score).any() else np.ones(len(score), dtype=bool)
    chosen_all = int(np.argmax(np.bincount(chosen[scored], minlength=len(context.layers)) + 0.5 * votes[scored].mean(axis=0)))
    numbers = _subject_numbers(evaluated, draws, (null, test_null), votes)
    numbers.append(_all_numbers(evaluated, score, (null, test_null), draws, votes, settings))
    notes = [_subject_note(item, s) for item in evaluated for s in range(len(item.block.subjects))]
    notes.append(_all_note(evaluated, [_p(n) for n in numbers[:-1]]))
    chosen = np.append(chosen, chosen_all)
    layer_score = np.vstack([layer_score, mean_of_scored(layer_score)])
    rows = []
    null_kind, ceiling_kind, mixture = evaluated[0].null_kind, evaluated[0].ceiling.kind, evaluated[0].mixture
    for k, name in enumerate([*subjects, "all"]):
        shared = _identity(name, subjects, context)
        rows.extend(
            new_row(**shared, layer=layer, score=layer_score[k, index])
            for index, layer in enumerate(context.layers)
            if mixture or index != chosen[k]
        )
        kinds = {"null_kind": null_kind, "ceiling_kind": ceiling_kind}
        layer = mixture or context.layers[chosen[k]]
        rows.append(_full_row({**shared, **kinds}, layer, numbers[k], notes[k], context, settings))
    return Cell(rows, subjects, draws, context.layers, layer_score, chosen)


def _subject_numbers(
    evaluated: list[Evaluated], draws: Draws, nulls: tuple[np.ndarray, np.ndarray], votes: np.ndarray
) -> list[_Numbers]:
    numbers: list[_Numbers] = []
    for item in evaluated:
        n = len(item.block.stimulus_ids)
        for s in range(len(item.block.subjects)):
            k = len(numbers)
            var = draws.variance(n, k)
            ceiling = item.ceiling
            low, high, p = float(ceiling.low[s]), float(ceiling.high[s]), ceiling.p(s)
            numbers.append(
                _Numbers(
                    score=float(item.score[s]),
                    tested=float(item.tested[s]),
                    null=nulls[0][:, k],
                    test_null=nulls[1][:, k],
                    low=low,
                    high=high,
                    ceiling_p=p,
                    var=var,
                    dof=n - 1,
                    generalise="stimulus",
                    n_draws=len(draws.values),
                    votes=votes[k],
                    kind=item.block.kind,
                    resampled=item.resampled,
                )
            )
    return numbers


def _all_numbers(
    evaluated: list[Evaluated],
    score: np.ndarray,
    nulls: tuple[np.ndarray, np.ndarray],
    draws: Draws,
    votes: np.ndarray,
    settings: Settings,
) -> _Numbers:
    n = min(len(item.block.stimulus_ids) for item in evaluated)
    tested = np.concatenate([item.tested for item in evaluated])
    scored = np.flatnonzero(np.isfinite(score))
    if 0 < len(scored) < len(score):
        # "all" is those who have a score; which of them have none, and why, is in its note.
        score, tested, draws, votes = score[scored], tested[scored], draws.of([int(s) for s in scored]), votes[scored]
        nulls = (nulls[0][:, scored], nulls[1][:, scored])
    var, dof, generalise = spread(score, draws, n, settings.generalise)
    low = float(np.mean(np.concatenate([item.ceiling.low for item in evaluated])))
    high = float(np.mean(np.concatenate([item.ceiling.high for item in evaluated])))
    p = float("nan")
    if all(item.ceiling.null.size for item in evaluated):
        observed = np.concatenate([item.ceiling.observed for item in evaluated])
        closer = evaluated[0].ceiling.higher_is_closer
        null_ceiling = np.concatenate([i.ceiling.null for i in evaluated], axis=1).mean(axis=1)
        p = float(p_value(observed.mean(), null_ceiling, higher_is_closer=closer))
    return _Numbers(
        score=float(score.mean()),
        tested=float(tested.mean()),
        null=nulls[0].mean(axis=1),
        test_null=nulls[1].mean(axis=1),
        low=low,
        high=high,
        ceiling_p=p,
        var=var,
        dof=dof,
        generalise=generalise,
        n_draws=len(draws.values),
        votes=votes.mean(axis=0),
        kind=evaluated[0].block.kind,
        resampled=evaluated[0].resampled,
    )


def _p(numbers: _Numbers) -> float:
    return float(p_value(numbers.tested, numbers.test_null, higher_is_closer=numbers.higher_is_closer))


def _variant_note(shares: np.ndarray, variants: tuple[str, ...]) -> str:
    """Which variants were chosen in the draws; nothing where there is one."""
    if len(variants) == 1:
        return ""
    order = np.argsort(-shares, kind="stable")
    chosen = [f"{variants[v]} {shares[v]:.0%}" for v in order[:3] if shares[v] > 0]
    return f"thresholds in the draws: {', '.join(chosen)}"


def _subject_note(item: Evaluated, subject: int) -> str:
    variants = _variant_note(item.variant_votes[subject], item.block.variants)
    reason = item.reasons[subject] if item.reasons else ""
    return "; ".join(part for part in (reason, item.choice, variants, item.ceiling.note) if part)


def _prevalence(evaluated: list[Evaluated], p: list[float]) -> str:
    """Of all subjects: one that has no score is not significant."""
    missing = ~np.isfinite(np.concatenate([item.score for item in evaluated]))
    return prevalence_note([1.0 if lacks else value for value, lacks in zip(p, missing, strict=True)])


def _without(evaluated: list[Evaluated]) -> list[tuple[str, str]]:
    """Subjects that have no score, and why."""
    return [
        (name, reason)
        for item in evaluated
        for name, reason in zip(item.block.subjects, item.reasons, strict=False)
        if reason and len(item.block.subjects) + len(evaluated) > 2
    ]


def _all_note(evaluated: list[Evaluated], p: list[float]) -> str:
    shares = np.concatenate([item.variant_votes for item in evaluated]).mean(axis=0)
    parts = [evaluated[0].choice, _variant_note(shares, evaluated[0].block.variants)]
    if len(p) == 1:
        parts.append("does not generalise to other subjects")
    elif len(p) < ENOUGH_SUBJECTS:
        parts.extend([_prevalence(evaluated, p), "interval over stimuli, subjects fixed"])
    else:
        parts.append(_prevalence(evaluated, p))
    parts.extend(f"without subject {name}: {reason}" for name, reason in _without(evaluated))
    parts.extend(sorted({item.ceiling.note for item in evaluated if item.ceiling.note}))
    return "; ".join(part for part in parts if part)


def _identity(subject: str, subjects: list[str], context: Context) -> dict[str, Any]:
    contaminated = bool(context.contaminated.intersection(subjects if subject == "all" else [subject]))
    return {**context.common, **context.counts[subject], "subject": subject, "contaminated": contaminated}


def normalized(score: float, chance: float, reference: float, p: float, kind: str = "rdm") -> tuple[float, str]:
    """A score between chance and the ceiling, missing with a reason where there is no ceiling or no signal under it.

    RDMs: score / ceiling. Patterns: (score − chance)/(ceiling − chance); distances: (chance − score)/(chance − ceiling).
    Noted above 1.
    """
    if not np.isfinite(p):
        return float("nan"), ""
    above = reference if kind == "rdm" else (reference - chance) * (-1.0 if kind == "distance" else 1.0)
    if p >= SIGNAL or above <= 0.0:
        ceiling = f"ceiling {reference:.3f}, " if np.isfinite(reference) else ""
        return float("nan"), f"no reliable signal ({ceiling}p = {p:.3f})"
    if not np.isfinite(reference):
        return float("nan"), ""
    value = (score if kind == "rdm" else (score - chance) * (-1.0 if kind == "distance" else 1.0)) / above
    return value, "above the ceiling" if value > 1.0 else ""


# How stimuli were drawn, by the kind of resampling; with subjects drawn, too, where there are enough.
RESAMPLED = {
    "pair_weights": ("jackknife and bootstrap of stimuli", "subjects, jackknife and bootstrap of stimuli"),
    "mask_duplicates": ("bootstrap of stimuli without copies", "subjects, bootstrap of stimuli without copies"),
    "subsample": ("80 % subsamples of stimuli", "subjects, 80 % subsamples of stimuli"),
    "jackknife": ("jackknife of stimuli", "subjects, jackknife of stimuli"),
}


def _full_row(
    shared: Mapping[str, Any], layer: str, numbers: _Numbers, note: str, context: Context, settings: Settings
) -> dict[str, Any]:
    null_mean = float(numbers.null.mean())
    value, remark = normalized(numbers.score, null_mean, numbers.reference, numbers.ceiling_p, numbers.kind)
    ci_low, ci_high = interval(numbers.score, numbers.var, numbers.dof, settings.confidence)
    contaminated = "contaminated: shown, not tested" if shared["contaminated"] else ""
    resampled = f"{RESAMPLED[numbers.resampled]['subject' in numbers.generalise]} of {numbers.n_draws} draws"
    if numbers.generalise == "subject":
        resampled = "subjects, stimuli fixed"
    apart = (1.0 if numbers.higher_is_closer else 0.0) - null_mean
    return new_row(
        **shared,
        layer=layer,
        score=numbers.score,
        calibrated=(numbers.score - null_mean) / apart if abs(apart) > 1e-12 else None,  # chance itself is the best there is
        normalized=value,
        ceiling_low=numbers.low,
        ceiling_high=numbers.high,
        ceiling_ref=numbers.reference,
        ceiling_p=numbers.ceiling_p,
        null_mean=null_mean,
        null_extreme95=extreme95(numbers.null, higher_is_closer=numbers.higher_is_closer),
        n_null=len(numbers.test_null),
        p=None if shared["contaminated"] else _p(numbers),
        ci_low=ci_low,
        ci_high=ci_high,
        ci_kind=f"{resampled}, t({numbers.dof})",
        generalise=numbers.generalise,
        is_chosen=True,
        layer_votes=json.dumps({name: round(float(v), 4) for name, v in zip(context.layers, numbers.votes, strict=True)}),
        seed=settings.seed,
        note="; ".join(part for part in (note, remark, contaminated, *context.notes) if part),
    )
