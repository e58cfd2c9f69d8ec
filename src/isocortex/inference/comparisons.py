"""Models in pairs: the difference of two scores, from draws that both models share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from isocortex.inference.fdr import benjamini_hochberg
from isocortex.inference.intervals import interval, two_sided_p
from isocortex.inference.pooling import Draws, pool, spread
from isocortex.inference.rows import new_comparison


@dataclass(frozen=True)
class Candidate:
    """A model's chosen scores (S,) per subject, their stimulus draws (D, S), and the pooled draws where a cell keeps them."""

    model: str
    subjects: tuple[str, ...]
    scores: np.ndarray
    draws: np.ndarray
    pooled: Draws | None
    n_stimuli: int
    seed: int


def _pooled(candidate: Candidate, common: list[str]) -> tuple[float, Draws]:
    keep = [candidate.subjects.index(name) for name in common]
    score = float(np.mean(candidate.scores[keep]))
    if candidate.pooled is not None and len(keep) == len(candidate.subjects):
        return score, candidate.pooled
    return score, pool(candidate.scores[keep], candidate.draws[:, keep], common, candidate.seed)


def compare_pair(a: Candidate, b: Candidate, confidence: float = 0.95) -> dict[str, Any] | None:
    """Difference a − b of the means over the subjects of both, its interval and two-sided p; None without common subjects.

    The variance is that of the paired draws, with subjects resampled where there are enough (`pooling.spread`).
    """
    common = [name for name in a.subjects if name in b.subjects]
    if not common:
        return None
    score_a, draws_a = _pooled(a, common)
    score_b, draws_b = _pooled(b, common)
    n_stimuli = min(a.n_stimuli, b.n_stimuli)
    var, dof, _ = spread(draws_a.minus(draws_b), len(common), n_stimuli)
    difference = score_a - score_b
    low, high = interval(difference, var, dof, confidence)
    return {
        "model_a": a.model,
        "model_b": b.model,
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "p": two_sided_p(difference, var, dof),
        "n_stimuli": n_stimuli,
        "n_subjects": len(common),
    }


def compare_models(candidates: list[Candidate], region: str, method: str, confidence: float = 0.95) -> list[dict[str, Any]]:
    """Rows of `comparisons.parquet` for all pairs of a region × method; q by Benjamini–Hochberg over these pairs."""
    ordered = sorted(candidates, key=lambda candidate: candidate.model)
    pairs = [pair for a, b in combinations(ordered, 2) if (pair := compare_pair(a, b, confidence)) is not None]
    q = benjamini_hochberg([pair["p"] for pair in pairs])
    return [new_comparison(region=region, method=method, **pair, q_region=value) for pair, value in zip(pairs, q, strict=True)]
