"""Score, null, ceiling and draws of a model whose RDM is fitted: cross-validated over stimuli and subjects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isocortex.inference import nulls
from isocortex.inference.blocks import Evaluated
from isocortex.inference.ceilings import Ceiling
from isocortex.inference.flexible_folds import (
    Mixture,
    assigned,
    cross_validated,
    fold_keys,
    mean_present,
    mixture,
    n_folds,
)
from isocortex.inference.flexible_resampling import left_out, permuted
from isocortex.inference.intervals import influences, linear_part, variance
from isocortex.inference.pooling import Draws
from isocortex.inference.rdm_blocks import RdmBlock
from isocortex.inference.resampling import as_bootstrap, draws_of
from isocortex.inference.table_draws import Settings
from isocortex.similarity.comparators import pooled
from isocortex.similarity.paired import is_fast, paired_scores
from isocortex.similarity.rdm import to_square

# Ways to part all stimuli into folds, of which a score is the mean, and those of each draw. Folds of a draw are small, and
# what they add to its variance is several times the variance itself: two, as in rsatoolbox, leave a noisy difference.
N_ASSIGNMENTS = 20
N_RUNS = 4
# Products that draws, samples without a stimulus and permutations may make: a minute on one core.
_DRAWN = 6e11
_LEFT_OUT = 2e9
_PERMUTED = 3e10
# Assignments to folds in every permutation, at most.
_PERMUTED_ASSIGNMENTS = 8
_FEWEST = {"draws": 50, "permutations": 200}

_FITTED = {
    "weighted": "non-negative weights of all layers",
    "interpolated": "a mixture of two neighbouring layers",
    "selected": "one layer",
}


@dataclass(frozen=True, kw_only=True)
class EvaluatedMixture(Evaluated):
    """As `Evaluated`, of a fitted model: `votes` are the layers' shares in the mixture, in units of their spread.

    `runs` (4, D, S) are the scores of the draws in four assignments to folds each; `draws` are their means without the variance
    that these assignments add (`corrected_draws`).
    """

    runs: np.ndarray


def corrected_variance(runs: np.ndarray) -> Any:
    """Variance over draws without that of the assignment to folds, from `runs` (K, D, …) of K assignments each.

    (K V_mean − V_1)/(K − 1), V_mean the variance of the mean of the runs and V_1 the mean of their variances (Schütt et al.
    2023): what is left as K grows; for two runs their covariance. Not below zero; draws missing in any run are left out.
    """
    k = len(runs)
    whole = np.where(np.isfinite(runs).all(axis=0), runs, np.nan)
    of_mean, of_one = variance(whole.mean(axis=0)), variance(whole, axis=1).mean(axis=0)
    return np.maximum((k * of_mean - of_one) / (k - 1), 0.0)


def corrected_draws(runs: np.ndarray) -> np.ndarray:
    """Means (D, …) over runs (K, D, …), drawn together until their variance is `corrected_variance`."""
    mean = np.where(np.isfinite(runs).all(axis=0), runs, np.nan).mean(axis=0)
    found = np.asarray(variance(mean))
    present = np.isfinite(mean)
    middle = np.where(present, mean, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    share = np.where(found > 0, corrected_variance(runs) / np.where(found > 0, found, 1.0), 1.0)
    return middle + (mean - middle) * np.sqrt(share)


def evaluate_flexible(block: RdmBlock, settings: Settings, kind: str) -> EvaluatedMixture:
    """All of a block for the model that `kind` makes of the layers: "weighted", "interpolated" or "selected".

    Weights are fitted on the training stimuli in the mean RDM of the other subjects (a single subject's own), and scored on
    the held-out stimuli of the one left out; a score is the mean over folds and 20 assignments to them. Draws and
    permutations of the brain's stimuli fit anew. Raises `DataError` as `mixture`, ValueError for several comparators.
    """
    if len(block.comparators) != 1:
        raise ValueError(f"flexible RDM model: found {len(block.comparators)} comparators, expected one")
    model = mixture(block.brain, block.layers, block.comparators[0], kind)
    ids, n = block.stimulus_ids, len(block.stimulus_ids)
    once = np.ones((N_ASSIGNMENTS, n), dtype=np.int64)
    folds = assigned(fold_keys(ids, N_ASSIGNMENTS, settings.seed), once)
    whole = cross_validated(model, once, folds)
    scores = mean_present(whole.scores)
    table = block.table()
    n_draws = _n_draws(model, min(settings.draws, table.most_draws()))
    counts, factor = draws_of(table.resample, ids, n_draws, settings.seed)
    runs = _runs(model, ids, counts, settings.seed)
    if table.resample == "pair_weights":
        draws = _weighted_draws(model, folds, runs, counts)
    else:
        draws = Draws(as_bootstrap(corrected_draws(runs), scores, table.resample, factor, n))
    tested, null = _null(model, folds, settings, scores)
    shares = whole.shares.mean(axis=0)
    shares = shares / np.where(shares.sum(axis=1, keepdims=True) > 0, shares.sum(axis=1, keepdims=True), 1.0)
    return EvaluatedMixture(
        block=block,
        score=scores,
        chosen=shares.argmax(axis=1),
        layer_scores=table.scores(),
        tested=tested,
        null=null,
        null_kind="permute_stimuli, model fitted anew",
        draws=draws,
        votes=shares,
        variant_votes=np.ones((len(scores), 1)),
        ceiling=_ceiling(model, block, folds, settings),
        choice=_note(kind, n, len(scores), whole.empty / whole.fits),
        resampled=table.resample,
        higher_is_closer=True,
        mixture="" if kind == "selected" else kind,
        runs=runs,
    )


def _note(kind: str, n: int, n_subjects: int, empty: float) -> str:
    where = "other stimuli and subjects" if n_subjects > 1 else "other stimuli"
    note = f"{_FITTED[kind]} fitted on {where}, {n_folds(n)} folds, {N_ASSIGNMENTS} times"
    return f"{note}; no layer positively related in {empty:.0%} of the fits" if empty > 0 else note


def _n_draws(model: Mixture, asked: int) -> int:
    """As many as asked for; fewer where fits of large RDMs would take minutes."""
    each = N_RUNS * n_folds(model.n) * model.rows.shape[1] * model.n_columns
    return min(asked, max(int(_DRAWN / each), _FEWEST["draws"]))


def _runs(model: Mixture, ids: tuple[str, ...], counts: np.ndarray, seed: int) -> np.ndarray:
    """Scores (4, D, S) of draws, each in four assignments to folds."""
    keys = fold_keys(ids, N_ASSIGNMENTS + N_RUNS * len(counts), seed)[N_ASSIGNMENTS:]
    return np.stack([cross_validated(model, counts, assigned(keys[k::N_RUNS], counts)).scores for k in range(N_RUNS)])


def _weighted_draws(model: Mixture, folds: np.ndarray, runs: np.ndarray, counts: np.ndarray) -> Draws:
    """Draws with what the variance of a statistic of pairs needs; weights are fitted anew in all of them.

    Only what is not linear in the multiplicities holds the assignment to folds, and is corrected for it.
    """
    each = n_folds(model.n) * model.n * (model.n_columns * model.n + model.rows.shape[1])
    used = int(np.clip(_LEFT_OUT / each, 1, N_ASSIGNMENTS))
    score = mean_present(cross_validated(model, np.ones_like(folds[:used]), folds[:used]).scores)
    influence = influences(score, left_out(model, folds[:used]))
    linear = linear_part(counts, influence)
    values = linear + corrected_draws(runs - linear)
    return Draws(values, values, linear, influence)


def _null(model: Mixture, folds: np.ndarray, settings: Settings, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The statistic tested (S,) and its null values (P, S): the score in as many assignments as permutations can afford."""
    limit, used = _n_permutations(model, settings)
    orders = np.vstack([np.arange(model.n)[None], nulls.permutations(model.n, limit, settings.seed)])
    enough, first = nulls.first_stage("moderate")
    first = limit if settings.permutations is not None else min(first, limit)
    values = permuted(model, folds[:used], orders[: 1 + first])
    reached = nulls.exceedances(values[0], values[1:]), nulls.exceedances(values[0].mean(), values[1:].mean(axis=1))
    if first < limit and not all(np.all(count >= enough) for count in reached) and np.isfinite(observed).any():
        values = np.vstack([values, permuted(model, folds[:used], orders[1 + first :])])
    return values[0], values[1:]


def _n_permutations(model: Mixture, settings: Settings) -> tuple[int, int]:
    """Permutations, and assignments to folds in each."""
    s, n_layers = model.shape
    products = float(model.rows.shape[1]) * s * (n_layers + 2) * n_folds(model.n)
    limit = settings.permutations
    if limit is None:
        cost = "moderate" if is_fast(model.comparator) else "costly"
        limit = min(nulls.PERMUTATIONS[cost], max(int(_PERMUTED / products), _FEWEST["permutations"]))
    used = int(np.clip(_PERMUTED / (products * max(limit, 1)), 1, _PERMUTED_ASSIGNMENTS))
    return limit, used if is_fast(model.comparator) else 1


def _ceiling(model: Mixture, block: RdmBlock, folds: np.ndarray, settings: Settings) -> Ceiling:
    """The ceiling of the block, taken in the same held-out folds as the score."""
    base = block.ceiling(0, None, settings)
    several = len(block.subjects) > 1
    if model.comparator.transform is not None or (not several and block.repeats is None):
        return base
    pairs = model.brain[None] if several or block.repeats is None else block.repeats.to(model.brain)
    low, high = [], []
    for k in range(max(len(folds), len(pairs))):
        row, square = folds[k % len(folds)], to_square(pairs[k % len(pairs)])
        for fold in range(int(row.max()) + 1):
            kept = torch.as_tensor(np.flatnonzero(row == fold), device=square.device)
            first, second = torch.triu_indices(len(kept), len(kept), 1, device=square.device)
            values = square[:, kept[first], kept[second]]
            reference = _references(values, model.comparator.pool) if several else (values[1:],)
            goal = (values if several else values[:1])[None]
            found = [paired_scores(r[None], goal, torch.ones((1, len(kept))), model.comparator)[0] for r in reference]
            low.append(found[0].cpu().numpy())
            high.append(found[-1].cpu().numpy())
    ends = [mean_present(np.array(v)) for v in (low, high)]
    if not several:
        ends = [np.sqrt(2.0 * r / (1.0 + r)) for r in (np.maximum(v, 0.0) for v in ends)]
    return replace(base, low=ends[0], high=ends[1])


def _references(values: torch.Tensor, how: str) -> tuple[torch.Tensor, torch.Tensor]:
    """For each subject (S, N) the pool of the others, and that of all."""
    keep = ~torch.eye(len(values), dtype=torch.bool, device=values.device)
    return torch.stack([pooled(values[k], how) for k in keep]), pooled(values, how).expand(values.shape)
