"""Layer choice, null, ceiling and interval of the predictions of an encoder or a readout, for one subject and region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.encoding.ceilings import Ceiling, split_half_ceiling
from isocortex.encoding.scores import (
    fev_single_trials,
    fisher_mean,
    fold_moments,
    foldwise_r,
    normalized_score,
    r2_score,
    r_of_moments,
    region_median,
    weighted_foldwise,
)
from isocortex.inference.encoder_nulls import Refit, Settings, choose, null_of, to_array
from isocortex.inference.nulls import p_value
from isocortex.inference.resampling import stimulus_counts


@dataclass(frozen=True)
class Predictions:
    """What a fit says about one subject.

    y : (n, v) averaged responses. trials : (n, R, v), NaN for missing repeats. outer : splits with train, test, inner indices.
    test : [layer][outer] (n_test, v). oof : [layer][outer] (n_train, v); rows outside every inner fold are not looked at.
    penalty : (layer, outer, v). alpha_at_edge : (layer, outer).
    """

    ids: list[str]
    y: torch.Tensor
    trials: np.ndarray
    outer: Sequence[Mapping[str, Any]]
    test: list[list[torch.Tensor]]
    oof: list[list[torch.Tensor]]
    penalty: np.ndarray
    alpha_at_edge: np.ndarray


@dataclass(frozen=True)
class SubjectResult:
    """Everything of one subject that tables and pages show; shapes: L layers, v neuroids, B draws, K outer splits."""

    score: float
    layer_score: np.ndarray
    chosen_by_fold: np.ndarray
    chosen: int
    votes: np.ndarray
    draws: np.ndarray
    null: np.ndarray
    null_kind: str
    p: float
    normalized: float
    ceiling: Ceiling | None
    neuroids: dict[str, np.ndarray]
    layers: dict[str, np.ndarray]
    alpha_at_edge: float
    n_test: int
    notes: list[str] = field(default_factory=list)


def evaluate(fit: Predictions, settings: Settings, refit: Refit | None = None) -> SubjectResult:
    """Score a fit. With one outer split the null permutes fixed predictions; with several `refit` is asked for a null."""
    tests = [torch.as_tensor(split["test"], device=fit.y.device) for split in fit.outer]
    observed = [fit.y[rows] for rows in tests]
    inner, inner_r = _inner_scores(fit)
    chosen = choose(inner)
    by_layer = torch.stack([foldwise_r(layer, observed) for layer in fit.test])
    predicted = [fit.test[layer][fold] for fold, layer in enumerate(chosen)]
    r = foldwise_r(predicted, observed)
    draws, neuroid_draws, votes = _draws(fit, tests, chosen, settings)
    null, counts, kind = null_of(predicted, observed, r, settings, refit)
    rows = np.concatenate([np.asarray(split["test"]) for split in fit.outer])
    ceiling = split_half_ceiling(fit.trials[rows], settings.seed)
    score = float(region_median(r))
    normalized, notes = _normalized(to_array(r), ceiling)
    return SubjectResult(
        score=score,
        layer_score=to_array(region_median(by_layer)),
        chosen_by_fold=chosen,
        chosen=int(np.bincount(chosen, minlength=len(fit.test)).argmax()),
        votes=votes,
        draws=draws,
        null=null,
        null_kind=kind,
        p=float(p_value(score, null)),
        normalized=normalized,
        ceiling=ceiling,
        neuroids={
            "r": to_array(r),
            **_neuroid_scores(fit, predicted, observed, chosen),
            **counts,
            **_neuroid_intervals(neuroid_draws, settings.confidence),
        },
        layers={"r_layer": to_array(by_layer), "cv_r_layer": inner_r, "cv_score": fisher_mean(inner, axis=1)},
        alpha_at_edge=float(np.mean([fit.alpha_at_edge[layer, fold] for fold, layer in enumerate(chosen)])),
        n_test=len(rows),
        notes=notes,
    )


def _inner_parts(fit: Predictions, fold: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Rows of each inner fold, among the subject's stimuli and among the training rows."""
    train = torch.as_tensor(fit.outer[fold]["train"], device=fit.y.device)
    parts = [torch.as_tensor(part, device=fit.y.device) for part in fit.outer[fold]["inner"]]
    return [(part, torch.searchsorted(train, part)) for part in parts]


def _inner_scores(fit: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Median over neuroids of the out-of-fold r on training stimuli (L, K), and that r per neuroid (L, v)."""
    scores, per_neuroid = [], []
    for layer in fit.oof:
        values = []
        for fold, oof in enumerate(layer):
            parts = _inner_parts(fit, fold)
            values.append(foldwise_r([oof[where] for _, where in parts], [fit.y[rows] for rows, _ in parts]))
        scores.append(to_array(region_median(torch.stack(values))))
        per_neuroid.append(to_array(fisher_mean(torch.stack(values))))
    return np.stack(scores), np.stack(per_neuroid)


def _draws(
    fit: Predictions, tests: list[torch.Tensor], chosen: np.ndarray, settings: Settings
) -> tuple[np.ndarray, torch.Tensor, np.ndarray]:
    """Bootstrap over stimuli, conditional on the fit.

    Returns draws (B,) of the region's statistic, the layer chosen anew from resampled training stimuli in each draw; draws
    (B, v) per neuroid of the layer chosen from all; and the share of votes per layer (L,).
    """
    test_ids = [fit.ids[index] for rows in tests for index in rows.tolist()]
    counts = torch.as_tensor(stimulus_counts(test_ids, settings.draws, settings.seed), dtype=fit.y.dtype, device=fit.y.device)
    weights = counts.split([len(rows) for rows in tests], dim=1)
    drawn = [torch.as_tensor(_drawn_choice(fit, fold, settings), device=fit.y.device) for fold in range(len(tests))]
    fixed = [torch.full_like(winners, int(layer)) for winners, layer in zip(drawn, chosen, strict=True)]
    votes = torch.stack([torch.bincount(winners, minlength=len(fit.test)) for winners in drawn]).sum(0)
    neuroid = _drawn_r(fit, tests, weights, fixed)
    same = all(torch.equal(one, other) for one, other in zip(drawn, fixed, strict=True))
    region = neuroid if same else _drawn_r(fit, tests, weights, drawn)
    return to_array(region_median(region)), neuroid, to_array(votes) / (settings.draws * len(tests))


def _drawn_r(
    fit: Predictions, tests: list[torch.Tensor], weights: Sequence[torch.Tensor], winners: list[torch.Tensor]
) -> torch.Tensor:
    """r (B, v) in each draw, predicted in each fold by the layer (B,) that won it; neuroids in blocks of bounded memory."""
    n_draws, n_neuroids = weights[0].shape[0], fit.y.shape[1]
    r = torch.empty((n_draws, n_neuroids), dtype=fit.y.dtype, device=fit.y.device)
    for part in batches(n_neuroids, 48.0 * n_draws, 1 << 27):
        moments = torch.zeros((3, n_draws, part.stop - part.start), dtype=fit.y.dtype, device=fit.y.device)
        for fold, rows in enumerate(tests):
            for layer in winners[fold].unique().tolist():
                won = (winners[fold] == layer)[:, None]
                found = fold_moments(fit.test[layer][fold][:, part], fit.y[rows][:, part], weights[fold])
                moments += torch.where(won, found, 0.0)
        r[:, part] = r_of_moments(moments)
    return r


def _drawn_choice(fit: Predictions, fold: int, settings: Settings) -> np.ndarray:
    """The layer (B,) chosen in each draw of training stimuli, by weighted out-of-fold r."""
    if len(fit.oof) == 1:
        return np.zeros(settings.draws, dtype=np.int64)
    parts = _inner_parts(fit, fold)
    used = torch.cat([rows for rows, _ in parts])
    counts = stimulus_counts([fit.ids[index] for index in used.tolist()], settings.draws, settings.seed)
    weights = torch.as_tensor(counts, dtype=fit.y.dtype, device=fit.y.device).split([len(rows) for rows, _ in parts], dim=1)
    scores = []
    for layer in fit.oof:
        r = weighted_foldwise([layer[fold][where] for _, where in parts], [fit.y[rows] for rows, _ in parts], list(weights))
        scores.append(to_array(region_median(r)))
    return choose(np.stack(scores))


def _neuroid_scores(
    fit: Predictions, predicted: list[torch.Tensor], observed: list[torch.Tensor], chosen: np.ndarray
) -> dict[str, np.ndarray]:
    means = [fit.y[torch.as_tensor(split["train"], device=fit.y.device)].mean(0) for split in fit.outer]
    arrays = [[to_array(part) for part in parts] for parts in (predicted, observed, means)]
    rows = np.concatenate([np.asarray(split["test"]) for split in fit.outer])
    penalties = np.stack([fit.penalty[layer, fold] for fold, layer in enumerate(chosen)])
    return {
        "r2": r2_score(*arrays),
        "fev": fev_single_trials(fit.trials[rows], np.concatenate(arrays[0])),
        "penalty": np.exp(np.log(penalties).mean(0)),
    }


def _neuroid_intervals(draws: torch.Tensor, confidence: float) -> dict[str, np.ndarray]:
    tails = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=draws.dtype, device=draws.device)
    # Neuroid by neuroid in blocks: quantile refuses more than 16 million values at once.
    parts = [torch.nanquantile(draws[:, part], tails, dim=0) for part in batches(draws.shape[1], len(draws), 1 << 23)]
    low, high = to_array(torch.cat(parts, dim=1))
    mean = draws.nanmean(0)
    spread = (draws - mean).square().nanmean(0).sqrt()
    return {"ci_low": low, "ci_high": high, "sd": to_array(spread)}


def _normalized(r: np.ndarray, ceiling: Ceiling | None) -> tuple[float, list[str]]:
    if ceiling is None:
        return float("nan"), ["no ceiling: stimuli were not repeated"]
    if not ceiling.p < 0.05:
        return float("nan"), ["no reliable signal: the ceiling is not above its null"]
    value = normalized_score(r, ceiling.reliability)
    return value, ["normalized above 1"] if value > 1 else []
