"""The cell of an encoder or a readout: one dataset for the page, one row per method, subject and layer for the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import xarray

from isocortex.encoding import ceilings
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import SubjectResult
from isocortex.inference.nulls import extreme95, monte_carlo_error, p_value
from isocortex.inference.resampling import subject_counts
from isocortex.inference.rows import new_row, rows_to_json
from isocortex.inference.subjects import prevalence_note

ALL = "all"
# From this number on subjects are resampled too; below it a sample of subjects says nothing about the others.
MANY_SUBJECTS = 6
PER_NEUROID = ("r", "r2", "fev", "penalty", "p", "p_max", "q", "ci_low", "ci_high", "sd")


@dataclass(frozen=True)
class Brain:
    """What a row says about a subject's part of the region, beside its scores. reliability is that of the training stimuli."""

    neuroid_id: np.ndarray
    xyz: np.ndarray
    reliability: np.ndarray
    n_repeats: int
    n_dropped: int
    dropped_reason: str


@dataclass(frozen=True)
class Context:
    """What all rows of a cell share: `key` columns, family, contaminated subjects, generalise, settings, layer names.

    own_notes, own_contaminated : what is true of some methods only, by method.
    """

    key: Mapping[str, str]
    family: str
    layers: Sequence[str]
    settings: Settings
    contaminated: Sequence[str] = ()
    generalise: str = "stimulus"
    params_id: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    own_notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    own_contaminated: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, method: str) -> Context:
        """What the rows of one method share."""
        seen = dict.fromkeys([*self.contaminated, *self.own_contaminated.get(method, ())])
        return replace(self, notes=[*self.notes, *self.own_notes.get(method, ())], contaminated=list(seen))


def build_cell(
    results: Mapping[str, Mapping[str, SubjectResult]], brains: Mapping[str, Brain], context: Context
) -> xarray.Dataset:
    """The cell of `results[method][subject]`; subjects in the order of `brains`."""
    rows = [
        row for method, by_subject in results.items() for row in method_rows(method, by_subject, brains, context.of(method))
    ]
    subjects, methods = list(brains), list(results)
    neuroid = {
        "neuroid_id": ("neuroid", np.concatenate([brain.neuroid_id for brain in brains.values()]).astype(str)),
        "neuroid_subject": ("neuroid", np.repeat(subjects, [len(brain.neuroid_id) for brain in brains.values()])),
    }
    places = np.concatenate([brain.xyz for brain in brains.values()], axis=1)
    coords = {name: ("neuroid", places[axis]) for axis, name in enumerate("xyz")}
    data = {
        "reliability": ("neuroid", np.concatenate([brain.reliability for brain in brains.values()]).astype(np.float32)),
        **_neuroid_arrays([results[method] for method in methods], subjects),
        **_subject_arrays([results[method] for method in methods], subjects, context.settings),
    }
    coords |= {"method": methods, "layer": list(context.layers), "subject": [*subjects, ALL], **neuroid}
    attrs = {**context.key, "family": context.family, "rows": rows_to_json(rows)}
    return xarray.Dataset(data, coords=coords, attrs=attrs)


def _neuroid_arrays(results: Sequence[Mapping[str, SubjectResult]], subjects: Sequence[str]) -> dict[str, Any]:
    """Values per neuroid, all subjects one after the other."""
    arrays: dict[str, Any] = {}
    for name in PER_NEUROID:
        values = [np.concatenate([by_subject[s].neuroids[name] for s in subjects]) for by_subject in results]
        arrays[name] = (
            ("method", "neuroid"),
            np.stack(values).astype(np.float64 if name in ("p", "p_max", "q", "penalty") else "f4"),
        )
    for name in ("r_layer", "cv_r_layer"):
        values = [np.concatenate([by_subject[s].layers[name] for s in subjects], axis=1) for by_subject in results]
        arrays[name] = (("method", "layer", "neuroid"), np.stack(values).astype("f4"))
    return arrays


def _subject_arrays(
    results: Sequence[Mapping[str, SubjectResult]], subjects: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Values per subject, "all" last."""

    def with_all(values: list[np.ndarray]) -> np.ndarray:
        return np.stack([*values, mean_over_subjects(np.stack(values))])

    listed = [[by_subject[s] for s in subjects] for by_subject in results]
    chosen = [[*(r.chosen for r in each), _mode([r.chosen for r in each])] for each in listed]
    draws = [np.stack([*(r.draws for r in each), all_draws(each, subjects, settings)]) for each in listed]
    return {
        "layer_score": (("method", "subject", "layer"), np.stack([with_all([r.layer_score for r in each]) for each in listed])),
        "layer_votes": (("method", "subject", "layer"), np.stack([with_all([r.votes for r in each]) for each in listed])),
        "chosen": (("method", "subject"), np.array(chosen, dtype=np.int64)),
        "alpha_at_edge": (
            ("method", "subject"),
            np.stack([with_all([np.asarray(r.alpha_at_edge) for r in each]) for each in listed]),
        ),
        "draws": (("method", "subject", "draw"), np.stack(draws)),
    }


def mean_over_subjects(values: np.ndarray) -> np.ndarray:
    """Mean over axis 0 without NaN; NaN where no subject has a value."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def _mode(values: Sequence[int]) -> int:
    return int(np.bincount(values).argmax())


class Drawn(Protocol):
    """A score of one subject and its draws (B,)."""

    @property
    def score(self) -> float: ...

    @property
    def draws(self) -> np.ndarray: ...


def all_draws(results: Sequence[Drawn], subjects: Sequence[str], settings: Settings) -> np.ndarray:
    """Draws (B,) of the mean over subjects; from six subjects on the subjects are resampled too.

    Resampling both stimuli and subjects counts the variance of single measurements twice. The draws are drawn together to the
    variance 2(σ²_subject + σ²_stimulus) − σ²_both, within its bounds, with S/(S−1) for subjects (Schütt et al. 2023).
    """
    draws = np.stack([result.draws for result in results])
    both_fixed = mean_over_subjects(draws)
    n_subjects = len(subjects)
    if n_subjects < MANY_SUBJECTS:
        return both_fixed
    weights = subject_counts(subjects, draws.shape[1], settings.seed) / n_subjects
    scores = np.array([result.score for result in results])
    correction = n_subjects / (n_subjects - 1)
    both = (weights.T * np.nan_to_num(draws)).sum(0)
    stimulus, subject = np.nanvar(both_fixed), np.var(weights @ np.nan_to_num(scores)) * correction
    raw = float(np.var(both))
    if raw == 0:
        return both
    wanted = np.clip(2 * (stimulus + subject) - raw * correction, max(stimulus, subject), raw * correction)
    return both.mean() + (both - both.mean()) * np.sqrt(wanted / raw)


def method_rows(
    method: str, results: Mapping[str, SubjectResult], brains: Mapping[str, Brain], context: Context
) -> list[dict[str, Any]]:
    """One row per subject and layer, and the same for their mean, "all"."""
    rows = []
    for subject, brain in brains.items():
        result = results[subject]
        shared = _shared(method, subject, context, subject in context.contaminated)
        shared |= {
            "n_stimuli": result.n_test,
            "n_neuroids": len(brain.neuroid_id),
            "n_repeats": brain.n_repeats,
            "n_subjects": 1,
            "n_dropped": brain.n_dropped,
            "dropped_reason": brain.dropped_reason,
        }
        rows += _layer_rows(shared, result.layer_score, result.chosen, context, _subject_values(result, context, subject))
    listed = [results[subject] for subject in brains]
    shared = _shared(method, ALL, context, any(s in context.contaminated for s in brains))
    shared |= {
        "n_stimuli": min(result.n_test for result in listed),
        "n_neuroids": sum(len(brain.neuroid_id) for brain in brains.values()),
        "n_repeats": min(brain.n_repeats for brain in brains.values()),
        "n_subjects": len(listed),
        "n_dropped": sum(brain.n_dropped for brain in brains.values()),
        "dropped_reason": "; ".join(f"{s}: {brain.dropped_reason}" for s, brain in brains.items() if brain.dropped_reason),
    }
    mean_layers = mean_over_subjects(np.stack([result.layer_score for result in listed]))
    values = _all_values(listed, list(brains), context)
    return rows + _layer_rows(shared, mean_layers, _mode([result.chosen for result in listed]), context, values)


def _shared(method: str, subject: str, context: Context, contaminated: bool) -> dict[str, Any]:
    return {
        **context.key,
        "subject": subject,
        "family": context.family,
        "method": method,
        "params_id": context.params_id.get(method, ""),
        "generalise": context.generalise,
        "contaminated": contaminated,
        "seed": context.settings.seed,
        "version": version("isocortex"),
    }


def _layer_rows(
    shared: dict[str, Any], scores: np.ndarray, chosen: int, context: Context, values: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    for number, layer in enumerate(context.layers):
        row = {**shared, "layer": layer, "score": scores[number], "is_chosen": number == chosen}
        if number == chosen:
            row |= values
            if row["contaminated"]:
                row |= {"p": None, "note": "; ".join(filter(None, [row["note"], "contaminated: shown, not tested"]))}
        rows.append(new_row(**row))
    return rows


def _inference(score: float, null: np.ndarray, draws: np.ndarray, context: Context) -> dict[str, Any]:
    """Score, null, p and interval of one statistic; similarity, so that 1 is the best."""
    null_mean = float(np.nanmean(null)) if np.isfinite(null).any() else float("nan")
    tails = [(1 - context.settings.confidence) / 2, (1 + context.settings.confidence) / 2]
    low, high = np.nanquantile(draws, tails) if np.isfinite(draws).any() else (np.nan, np.nan)
    return {
        "score": score,
        "calibrated": (score - null_mean) / (1 - null_mean),
        "null_mean": null_mean,
        "null_extreme95": extreme95(null),
        "n_null": len(null),
        "p": p_value(score, null),
        "ci_low": low,
        "ci_high": high,
    }


def _votes(votes: np.ndarray, context: Context) -> str:
    return json.dumps({layer: round(float(share), 4) for layer, share in zip(context.layers, votes, strict=True) if share > 0})


def _error_note(p: float, n_null: int) -> str:
    return f"Monte-Carlo error of p {monte_carlo_error(p, n_null):.2g}" if np.isfinite(p) else ""


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))


def _subject_values(result: SubjectResult, context: Context, subject: str) -> dict[str, Any]:
    """The inference of a subject's chosen layer."""
    values = _inference(result.score, result.null, result.draws, context)
    notes = [*context.notes, *result.notes, _error_note(values["p"], values["n_null"])]
    if not np.isfinite(result.score):
        notes.insert(0, "no score: predictions or responses are constant")
    if result.alpha_at_edge > 0.05:
        notes.append(f"penalty at the edge of its grid in {result.alpha_at_edge:.0%} of neuroids")
    if np.isfinite(result.normalized) and result.ceiling is not None and result.ceiling.n_stimuli < result.n_test:
        notes.append(f"ceiling from {result.ceiling.n_stimuli} of {result.n_test} stimuli, those with repeats")
    if result.ceiling is not None:
        ceiling = result.ceiling
        values |= {"ceiling_low": ceiling.low, "ceiling_high": ceiling.ref, "ceiling_ref": ceiling.ref, "ceiling_p": ceiling.p}
        values |= {"ceiling_kind": ceilings.KIND}
    return {
        **values,
        "normalized": result.normalized,
        "null_kind": result.null_kind,
        "ci_kind": "bootstrap over stimuli, conditional on the fit; layer chosen anew in each draw",
        "layer_votes": _votes(result.votes, context),
        "note": _joined([*notes, f"does not generalise to other subjects than {subject}"]),
    }


def _all_values(results: Sequence[SubjectResult], subjects: Sequence[str], context: Context) -> dict[str, Any]:
    """The inference of the mean over subjects: score, null and draws are averaged value by value."""
    n_null = min(len(result.null) for result in results)
    null = mean_over_subjects(np.stack([result.null[:n_null] for result in results]))
    score = float(mean_over_subjects(np.array([result.score for result in results])))
    values = _inference(score, null, all_draws(results, subjects, context.settings), context)
    notes = [*context.notes, *_all_ceiling(results, values), _error_note(values["p"], n_null)]
    many = len(results) >= MANY_SUBJECTS
    if len(results) == 1:
        notes.append("one subject: does not generalise to other subjects")
    elif not many:
        notes.append(prevalence_note([result.p for result in results]))
    resampled = "stimuli and subjects (dual, corrected)" if many else "stimuli, subjects fixed"
    return {
        **values,
        "null_kind": results[0].null_kind,
        "ci_kind": f"bootstrap over {resampled}, conditional on the fit; layer chosen anew in each draw",
        "layer_votes": _votes(mean_over_subjects(np.stack([result.votes for result in results])), context),
        "note": _joined(notes),
    }


def _all_ceiling(results: Sequence[SubjectResult], values: dict[str, Any]) -> list[str]:
    """Put the mean ceiling and the normalized score of the subjects that have one into `values`; return notes."""
    found = [result for result in results if result.ceiling is not None]
    known = [result.ceiling for result in results if result.ceiling is not None]
    if not known:
        return ["no ceiling: stimuli were not repeated"]
    null = np.mean([ceiling.null for ceiling in known], axis=0)
    p = p_value(np.mean([ceiling.statistic for ceiling in known]), null)
    ref = float(np.mean([ceiling.ref for ceiling in known]))
    values |= {"ceiling_low": float(np.mean([ceiling.low for ceiling in known])), "ceiling_high": ref, "ceiling_ref": ref}
    values |= {"ceiling_p": p, "ceiling_kind": ceilings.KIND}
    usable = [result.normalized for result in found if np.isfinite(result.normalized)]
    if not p < 0.05 or not any(ceiling.p < 0.05 for ceiling in known):
        return ["no reliable signal: the ceiling is not above its null"]
    if not usable:  # no score, whose reason the subjects' own rows tell
        return []
    values["normalized"] = float(np.mean(usable))
    notes = ["normalized above 1"] if values["normalized"] > 1 else []
    if len(usable) < len(results):
        notes.append(f"normalized over {len(usable)} of {len(results)} subjects, those with a reliable ceiling")
    return notes
