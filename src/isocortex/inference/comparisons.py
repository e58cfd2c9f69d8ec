"""Models in pairs: the difference of two scores, from draws that both models share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from isocortex.inference.fdr import benjamini_hochberg
from isocortex.inference.intervals import interval, two_sided_p
from isocortex.inference.pooling import Draws, spread
from isocortex.inference.rows import new_comparison


@dataclass(frozen=True)
class Candidate:
    """A model's chosen scores (S,) per subject, and their draws."""

    model: str
    subjects: tuple[str, ...]
    scores: np.ndarray
    draws: Draws
    n_stimuli: int


def compare_pair(a: Candidate, b: Candidate, confidence: float = 0.95, generalise: str = "auto") -> dict[str, Any] | None:
    """Difference a − b of the means over the subjects of both, its interval and two-sided p; None without common subjects
    that have a score.

    The variance is that of the paired draws, with that of subjects where there are enough (`pooling.spread`).
    """
    scored = [{name for name, v in zip(c.subjects, c.scores, strict=True) if np.isfinite(v)} for c in (a, b)]
    common = [name for name in a.subjects if name in scored[0] & scored[1]]
    if not common:
        return None
    places = [[candidate.subjects.index(name) for name in common] for candidate in (a, b)]
    n_stimuli = min(a.n_stimuli, b.n_stimuli)
    scores = a.scores[places[0]] - b.scores[places[1]]
    var, dof, _ = spread(scores, a.draws.of(places[0]).minus(b.draws.of(places[1])), n_stimuli, generalise)
    difference = float(scores.mean())
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


def compare_models(
    candidates: list[Candidate], region: str, method: str, confidence: float = 0.95, generalise: str = "auto"
) -> list[dict[str, Any]]:
    """Rows of `comparisons.parquet` for all pairs of a region × method; q by Benjamini–Hochberg over these pairs."""
    ordered = sorted(candidates, key=lambda candidate: candidate.model)
    pairs = [pair for a, b in combinations(ordered, 2) if (pair := compare_pair(a, b, confidence, generalise)) is not None]
    q = benjamini_hochberg([pair["p"] for pair in pairs])
    return [new_comparison(region=region, method=method, **pair, q_region=value) for pair, value in zip(pairs, q, strict=True)]


# `method` of a core's comparisons: with models by one of their methods, and of cores with each other.
CORE = "core"


def core_method(method: str) -> str:
    """What a row is called that compares a core with models by `method`.

    Neither side's method alone would do: among rows of `ridge` a core would change the q of pairs of models, and two methods of
    one model would be one row.
    """
    return f"{CORE}/{method}"


def compare_cores(
    cores: Sequence[Candidate],
    others: Mapping[str, Sequence[Candidate]],
    region: str,
    confidence: float = 0.95,
    generalise: str = "auto",
) -> list[dict[str, Any]]:
    """Rows for every core (`model_a`) less every model (`model_b`) by each of its methods, and for pairs of cores.

    Where an encoder was tested on other stimuli than the core, on all of them in turn, there is nothing to pair. q by
    Benjamini–Hochberg over the cores × models of one method.
    """
    rows = []
    for method, models in others.items():
        pairs = [
            pair
            for core in cores
            for model in models
            if core.n_stimuli == model.n_stimuli and (pair := compare_pair(core, model, confidence, generalise)) is not None
        ]
        q = benjamini_hochberg([pair["p"] for pair in pairs])
        named = core_method(method)
        rows += [new_comparison(region=region, method=named, **pair, q_region=v) for pair, v in zip(pairs, q, strict=True)]
    return rows + compare_models(list(cores), region, CORE, confidence, generalise)
