"""Layer choice, null, ceiling and interval of the predictions of an encoder or a readout, for one subject and region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
)
from isocortex.inference.encoder_nulls import Refit, Settings, choose, null_of, to_array
from isocortex.inference.layer_fits import LayerFit
from isocortex.inference.nulls import p_value
from isocortex.inference.resampling import stimulus_counts

# Neuroids are scored in blocks of about this size: what is per neuroid needs no more at once.
BLOCK_BYTES = 1 << 28


@dataclass(frozen=True)
class Predictions:
    """What a fit says about one subject.

    y : (n, v) averaged responses. trials : (Σ n_test, R, v) of the test stimuli, outer split after outer split, NaN for missing
    repeats. outer : splits with train, test, inner indices. fits : [layer][outer]. runs : run of every stimulus where stimuli
    are samples in time, whose null turns them within their runs.
    """

    ids: list[str]
    y: torch.Tensor
    trials: np.ndarray
    outer: Sequence[Mapping[str, Any]]
    fits: list[list[LayerFit]]
    runs: Sequence[str] | None = None

    def tests(self) -> list[torch.Tensor]:
        """Rows of `y` that each outer split tests."""
        return [torch.as_tensor(split["test"], device=self.y.device) for split in self.outer]

    def runs_of(self, tests: list[torch.Tensor]) -> list[str] | None:
        """Runs of the rows that a null permutes: those of the one test set, or all."""
        rows = tests[0].tolist() if len(tests) == 1 else range(len(self.ids))
        return None if self.runs is None else [self.runs[row] for row in rows]

    def blocks(self) -> Iterator[slice]:
        """Neuroids in blocks of bounded memory."""
        return batches(self.y.shape[1], 8.0 * (len(self.y) + 4 * self.trials.shape[0] * self.trials.shape[1]), BLOCK_BYTES)


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
    tests = fit.tests()
    inner = np.array([[one.inner for one in row] for row in fit.fits])
    chosen = choose(inner)
    picked = [fit.fits[layer][fold] for fold, layer in enumerate(chosen)]
    by_layer = _layer_r(fit, tests)
    r = _test_r(fit, tests, picked)
    draws, intervals, votes = _draws(fit, tests, chosen, settings)
    r_tensor = torch.as_tensor(r, device=fit.y.device)
    predicted, observed = [one.test for one in picked], [fit.y[rows] for rows in tests]
    null, counts, kind = null_of(predicted, observed, r_tensor, settings, refit, fit.runs_of(tests))
    ceiling = split_half_ceiling(fit.trials, settings.seed)
    score = float(region_median(torch.as_tensor(r)))
    normalized, notes = _normalized(r, ceiling)
    return SubjectResult(
        score=score,
        layer_score=to_array(region_median(torch.as_tensor(by_layer))),
        chosen_by_fold=chosen,
        chosen=int(np.bincount(chosen, minlength=len(fit.fits)).argmax()),
        votes=votes,
        draws=draws,
        null=null,
        null_kind=kind,
        p=float(p_value(score, null)),
        normalized=normalized,
        ceiling=ceiling,
        neuroids={"r": r, **_neuroid_scores(fit, tests, picked), **counts, **intervals},
        layers={
            "r_layer": by_layer,
            "cv_r_layer": np.stack([fisher_mean(np.stack([one.inner_r for one in row])) for row in fit.fits]),
            "cv_score": fisher_mean(inner, axis=1),
        },
        alpha_at_edge=float(np.mean([one.alpha_at_edge for one in picked])),
        n_test=len(fit.trials),
        notes=notes,
    )


def _test_r(fit: Predictions, tests: list[torch.Tensor], picked: Sequence[LayerFit]) -> np.ndarray:
    """Fold-wise r per neuroid (v,) of the test predictions of one fit per outer split."""
    values = []
    for part in fit.blocks():
        observed = [fit.y[rows][:, part].double() for rows in tests]
        values.append(to_array(foldwise_r([one.test[:, part].double() for one in picked], observed)))
    return np.concatenate(values)


def _layer_r(fit: Predictions, tests: list[torch.Tensor]) -> np.ndarray:
    return np.stack([_test_r(fit, tests, row) for row in fit.fits])


def _draws(
    fit: Predictions, tests: list[torch.Tensor], chosen: np.ndarray, settings: Settings
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Bootstrap over stimuli, conditional on the fit.

    Returns draws (B,) of the region's statistic, the layer chosen anew from resampled training stimuli in each draw; the
    interval and sd per neuroid of the layer chosen from all; and the share of votes per layer (L,).
    """
    test_ids = [fit.ids[index] for rows in tests for index in rows.tolist()]
    counts = torch.as_tensor(stimulus_counts(test_ids, settings.draws, settings.seed), device=fit.y.device)
    weights = counts.split([len(rows) for rows in tests], dim=1)
    drawn = [torch.as_tensor(_drawn_choice(fit, fold, settings), device=fit.y.device) for fold in range(len(tests))]
    fixed = [torch.full_like(winners, int(layer)) for winners, layer in zip(drawn, chosen, strict=True)]
    votes = torch.stack([torch.bincount(winners, minlength=len(fit.fits)) for winners in drawn]).sum(0)
    same = all(torch.equal(one, other) for one, other in zip(drawn, fixed, strict=True))
    # Float32 holds a correlation well enough for a quantile, in half the memory.
    region = torch.empty(settings.draws, fit.y.shape[1], dtype=torch.float32, device=fit.y.device)
    intervals = []
    for part in batches(fit.y.shape[1], 48.0 * (settings.draws + len(test_ids)), 1 << 27):
        r = _drawn_r(fit, tests, weights, fixed, part)
        intervals.append(_neuroid_intervals(r, settings.confidence))
        region[:, part] = r if same else _drawn_r(fit, tests, weights, drawn, part)
    joined = {name: np.concatenate([each[name] for each in intervals]) for name in intervals[0]}
    return to_array(region_median(region)), joined, to_array(votes) / (settings.draws * len(tests))


def _drawn_choice(fit: Predictions, fold: int, settings: Settings) -> np.ndarray:
    """The layer (B,) chosen in each draw of training stimuli, by out-of-fold r."""
    if len(fit.fits) == 1:
        return np.zeros(settings.draws, dtype=np.int64)
    return choose(np.stack([row[fold].drawn for row in fit.fits]))


def _drawn_r(
    fit: Predictions, tests: list[torch.Tensor], weights: Sequence[torch.Tensor], winners: list[torch.Tensor], part: slice
) -> torch.Tensor:
    """r (B, |part|) in each draw, predicted in each fold by the layer (B,) that won it."""
    moments: Any = 0
    for fold, rows in enumerate(tests):
        observed = fit.y[rows][:, part].double()
        for layer in winners[fold].unique().tolist():
            won = (winners[fold] == layer)[:, None]
            found = fold_moments(fit.fits[layer][fold].test[:, part].double(), observed, weights[fold].double())
            moments = moments + torch.where(won, found, 0.0)
    return r_of_moments(moments)


def _neuroid_scores(fit: Predictions, tests: list[torch.Tensor], picked: Sequence[LayerFit]) -> dict[str, np.ndarray]:
    trains = [torch.as_tensor(split["train"], device=fit.y.device) for split in fit.outer]
    r2, fev = [], []
    for part in fit.blocks():
        means = [to_array(fit.y[:, part][rows].double().mean(0)) for rows in trains]
        predicted = [to_array(one.test[:, part]) for one in picked]
        r2.append(r2_score(predicted, [to_array(fit.y[rows][:, part]) for rows in tests], means))
        fev.append(fev_single_trials(fit.trials[:, :, part], np.concatenate(predicted)))
    penalty = np.exp(np.mean([np.log(one.penalty) for one in picked], axis=0))
    return {"r2": np.concatenate(r2), "fev": np.concatenate(fev), "penalty": penalty}


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
