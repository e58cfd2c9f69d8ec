"""The cell of the decoders of a region, or of a model's layers: one dataset for the page, rows for the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray

from isocortex.inference.decoding import Judged, least_variance
from isocortex.inference.intervals import interval, stimulus_variance
from isocortex.inference.nulls import extreme95, monte_carlo_error, p_value
from isocortex.inference.pooling import ENOUGH_SUBJECTS, Draws, spread
from isocortex.inference.rows import new_row, rows_to_json
from isocortex.inference.subjects import prevalence_note

ALL = "all"
# What a fold that was never fitted on stands for.
GENERALISE = {"stimulus": "stimulus", "grouped": "category", "blocked": "time", "random": "presentation"}


@dataclass(frozen=True)
class Decoder:
    """What the rows of one decoder say of it: target column, classifier, kind of folds, id of its options."""

    target: str
    classifier: str
    kind: str
    params_id: str


@dataclass(frozen=True)
class Context:
    """What all rows share: `key` columns, layer names ("" for the region itself), contaminated subjects, seed, confidence,
    counts {subject: columns}, notes {decoder: {subject: notes}}."""

    key: Mapping[str, str]
    layers: Sequence[str]
    contaminated: Sequence[str] = ()
    seed: int = 0
    confidence: float = 0.95
    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


def build_cell(
    results: Mapping[str, Mapping[str, Judged]], decoders: Mapping[str, Decoder], context: Context
) -> xarray.Dataset:
    """The cell of `results[decoder][subject]`; `confusion` is padded to the largest number of classes, whose names the
    attribute `classes` has by decoder."""
    subjects = list(next(iter(results.values())))
    rows, scores, draws, chosen, tables = [], [], [], [], []
    for name, by_subject in results.items():
        judged = [by_subject[subject] for subject in subjects]
        together = _together(judged)
        rows += _rows(name, by_subject, together, decoders[name], context)
        profiles = np.stack([one.layer_score for one in judged])
        scores.append(np.vstack([profiles, together.layer_score]))
        draws.append(np.stack([*(one.draws for one in judged), together.draws]))
        chosen.append([*(one.chosen for one in judged), together.chosen])
        tables.append(_confusions(judged))
    most = max(table.shape[1] for table in tables)
    edges = [(0, most - table.shape[1]) for table in tables]
    padded = [np.pad(table, [(0, 0), edge, edge], constant_values=np.nan) for table, edge in zip(tables, edges, strict=True)]
    classes = {name: all_classes(list(by_subject.values())) for name, by_subject in results.items()}
    return xarray.Dataset(
        {
            "draws": (("method", "subject", "draw"), np.array(draws, dtype=np.float32)),
            "layer_score": (("method", "subject", "layer"), np.array(scores)),
            "chosen": (("method", "subject"), np.array(chosen, dtype=np.int64)),
            "confusion": (("method", "subject", "truth", "predicted"), np.array(padded)),
        },
        coords={"method": list(results), "subject": [*subjects, ALL], "layer": list(context.layers)},
        attrs={
            **context.key,
            "family": "decoding",
            "classes": json.dumps(classes, ensure_ascii=False),
            "rows": rows_to_json(rows),
        },
    )


def all_classes(judged: Sequence[Judged]) -> list[str]:
    """The classes of all subjects, sorted."""
    return sorted({name for one in judged for name in one.classes})


def _confusions(judged: Sequence[Judged]) -> np.ndarray:
    """Counts (subjects and their sum, K, K) in the order of `all_classes`."""
    classes = all_classes(judged)
    tables = np.zeros((len(judged) + 1, len(classes), len(classes)))
    for number, one in enumerate(judged):
        places = [classes.index(name) for name in one.classes]
        tables[number][np.ix_(places, places)] = one.confusion
    tables[-1] = tables[:-1].sum(0)
    return tables


@dataclass(frozen=True)
class _Together:
    """The mean over subjects: score, profile, chosen layer, votes, null, draws, and the variance of the score."""

    score: float
    layer_score: np.ndarray
    chosen: int
    votes: np.ndarray
    null: np.ndarray
    draws: np.ndarray
    variance: float
    dof: int


def _together(judged: Sequence[Judged]) -> _Together:
    known = [number for number, one in enumerate(judged) if np.isfinite(one.score)]
    score, draws, var, dof = float("nan"), np.full(len(judged[0].draws), np.nan), float("nan"), 0
    if known:
        scores = np.array([judged[number].score for number in known])
        drawn = np.stack([judged[number].draws for number in known], axis=1)
        pooled = Draws(drawn)
        var, dof, _ = spread(scores, pooled, min(judged[number].n_units for number in known))
        score, draws = float(scores.mean()), pooled.main
        var = max(var, sum(least_variance(judged[number].confusion) for number in known) / len(known) ** 2)
    n_null = min(len(one.null) for one in judged)
    return _Together(
        score=score,
        layer_score=_mean([one.layer_score for one in judged]),
        chosen=int(np.bincount([one.chosen for one in judged]).argmax()),
        votes=_mean([one.votes for one in judged]),
        null=_mean([one.null[:n_null] for one in judged]),
        draws=draws,
        variance=var,
        dof=dof,
    )


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over subjects without NaN; NaN where none has a value."""
    stacked = np.stack(values)
    count = np.isfinite(stacked).sum(0)
    return np.where(count > 0, np.nansum(stacked, 0) / np.maximum(count, 1), np.nan)


def _rows(
    name: str, by_subject: Mapping[str, Judged], together: _Together, decoder: Decoder, context: Context
) -> list[dict[str, Any]]:
    """One row per subject and layer, and the same for their mean, "all"."""
    rows = []
    for subject, one in by_subject.items():
        notes = [*one.notes, *context.notes.get(name, {}).get(subject, ()), *_cautions(one)]
        if not context.key.get("model"):
            notes.append(f"does not generalise to other subjects than {subject}")
        values = _inference(one.score, one.null, _variance(one), one.n_units - 1, context)
        values |= {"null_kind": one.null_kind, "ci_kind": _interval_kind(one, context, subjects=False)}
        shared = _shared(name, subject, decoder, context, subject in context.contaminated)
        shared |= {"n_subjects": 1, **context.counts.get(subject, {}), "n_stimuli": one.n_stimuli}
        values |= _tested(shared["contaminated"], [one], values, notes)
        rows += _layer_rows(shared, one.layer_score, one.chosen, one.votes, values, context)
    judged = list(by_subject.values())
    values = _inference(together.score, together.null, together.variance, together.dof, context)
    many = len(judged) >= ENOUGH_SUBJECTS
    values |= {"null_kind": judged[0].null_kind, "ci_kind": _interval_kind(judged[0], context, subjects=many)}
    shared = _shared(name, ALL, decoder, context, any(subject in context.contaminated for subject in by_subject))
    shared |= {"n_subjects": len(judged), **context.counts.get(ALL, {}), "n_stimuli": min(one.n_stimuli for one in judged)}
    notes = [*_shared_notes(name, list(by_subject), context), *_of_subjects(judged, context)]
    values |= _tested(shared["contaminated"], judged, values, notes)
    return rows + _layer_rows(shared, together.layer_score, together.chosen, together.votes, values, context)


def _tested(contaminated: bool, judged: Sequence[Judged], values: Mapping[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """p and note; what was trained on the data is shown and not tested."""
    if contaminated:
        return {"p": None, "note": _joined([*notes, "contaminated: shown, not tested"])}
    return {"p": values["p"], "note": _joined([*notes, _error(judged, values)])}


def _shared(name: str, subject: str, decoder: Decoder, context: Context, contaminated: bool) -> dict[str, Any]:
    return {
        **context.key,
        "subject": subject,
        "family": "decoding",
        "method": name,
        "params_id": decoder.params_id,
        "target": decoder.target,
        "generalise": GENERALISE[decoder.kind],
        "contaminated": contaminated,
        "seed": context.seed,
        "version": version("isocortex"),
    }


def _layer_rows(
    shared: dict[str, Any], scores: np.ndarray, chosen: int, votes: np.ndarray, values: dict[str, Any], context: Context
) -> list[dict[str, Any]]:
    rows = []
    for number, layer in enumerate(context.layers):
        row = {**shared, "layer": layer, "score": scores[number], "is_chosen": number == chosen}
        if number == chosen:
            row |= values
            if layer:
                shares = {name: round(float(share), 4) for name, share in zip(context.layers, votes, strict=True) if share > 0}
                row["layer_votes"] = json.dumps(shares)
        rows.append(new_row(**row))
    return rows


def _variance(one: Judged) -> float:
    if one.n_units < 2 or not np.isfinite(one.score):
        return float("nan")
    return max(float(stimulus_variance(one.draws, one.n_units)), least_variance(one.confusion))


def _inference(score: float, null: np.ndarray, variance: float, dof: int, context: Context) -> dict[str, Any]:
    """Score, null, p and interval; balanced accuracy lies in [0, 1], and so does its interval."""
    known = np.isfinite(null).any()
    null_mean = float(np.nanmean(null)) if known else float("nan")
    low, high = interval(score, variance, dof, context.confidence)
    return {
        "score": score,
        "calibrated": (score - null_mean) / (1 - null_mean) if null_mean < 1 else None,
        "null_mean": null_mean,
        "null_extreme95": extreme95(null) if known else None,
        "n_null": len(null),
        "p": p_value(score, null),
        "ci_low": np.clip(low, 0, 1),
        "ci_high": np.clip(high, 0, 1),
    }


def _interval_kind(one: Judged, context: Context, *, subjects: bool) -> str:
    over = f"{one.n_units} {one.unit_kind}" + (" and subjects (dual, corrected)" if subjects else "")
    chosen = "; layer chosen anew in each draw" if len(context.layers) > 1 else ""
    return f"bootstrap over {over}, conditional on the fit, no narrower than Agresti and Coull's{chosen}"


def _cautions(one: Judged) -> list[str]:
    return [f"{one.absent:.0%} of draws lack a class, which is left out there"] if one.absent >= 0.005 else []


def _shared_notes(name: str, subjects: Sequence[str], context: Context) -> list[str]:
    """Notes that every subject has."""
    notes = [context.notes.get(name, {}).get(subject, ()) for subject in subjects]
    return [note for note in notes[0] if all(note in others for others in notes)]


def _error(judged: Sequence[Judged], values: Mapping[str, Any]) -> str:
    """How coarse p is: by chance, or because there are no more labellings."""
    p, n_null = values["p"], values["n_null"]
    if not np.isfinite(p):
        return ""
    if all(one.exhausted for one in judged):
        return f"all {n_null} shifts of the labels are in the null: p is {1 / (n_null + 1):.2g} or more"
    return f"Monte-Carlo error of p {monte_carlo_error(p, n_null):.2g}"


def _of_subjects(judged: Sequence[Judged], context: Context) -> list[str]:
    """What the mean says of others: of the region's subjects, or of a model, whose subjects only bring their stimuli."""
    if context.key.get("model"):
        same = len(judged) > 1 and all(one is judged[0] for one in judged)
        return ["one set of stimuli: the same value for every subject"] if same else []
    if len(judged) == 1:
        return ["one subject: does not generalise to other subjects"]
    return [prevalence_note([one.p for one in judged])] if len(judged) < ENOUGH_SUBJECTS else []


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))
