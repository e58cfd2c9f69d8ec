"""What a few subjects say about others: how many are significant, and how prevalent the effect may be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ALPHA = 0.05
GRID = 2001


def prevalence(
    n_significant: int, n_subjects: int, alpha: float = ALPHA, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Bayesian prevalence of an effect (Ince et al. 2021, eLife): the share of people who have it, given how many of
    `n_subjects` were significant at `alpha`; flat prior, tests without misses.

    Returns its most probable value and the shortest interval of that probability, which always holds that value.
    """
    share = np.linspace(0, 1, GRID)
    positive = alpha + (1 - alpha) * share
    with np.errstate(divide="ignore"):
        log = n_significant * np.log(positive) + (n_subjects - n_significant) * np.log(np.maximum(1 - positive, 1e-300))
    density = np.exp(log - log.max())
    likely = np.argsort(-density, kind="stable")
    inside = share[likely[: int(np.searchsorted(np.cumsum(density[likely]) / density.sum(), confidence)) + 1]]
    return float(share[density.argmax()]), float(inside.min()), float(inside.max())


def prevalence_note(p_values: Sequence[float], alpha: float = ALPHA) -> str:
    """`p < .05 in 2 of 3 subjects; prevalence 0.65 [0.15, 0.96]`."""
    tested = [p for p in p_values if np.isfinite(p)]
    if not tested:
        return ""
    hits = sum(p < alpha for p in tested)
    value, low, high = prevalence(hits, len(tested), alpha)
    return f"p < {alpha:.2g} in {hits} of {len(tested)} subjects; prevalence {value:.2f} [{low:.2f}, {high:.2f}]"
