"""Intervals and tests from bootstrap variances."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit


def variance(draws: Any, axis: int = 0) -> Any:
    """Variance (ddof 0) of draws, NaN draws left out; NaN where fewer than two are left."""
    draws = np.asarray(draws, dtype=np.float64)
    n = np.isfinite(draws).sum(axis=axis)
    filled = np.where(np.expand_dims(n, axis) > 1, draws, 0.0)
    return np.where(n > 1, np.nanvar(filled, axis=axis), np.nan)


def stimulus_variance(draws: Any, n_stimuli: int) -> Any:
    """Variance of a score over samples of stimuli, n/(n − 1) · Var(draws), subjects fixed."""
    return variance(draws) * n_stimuli / (n_stimuli - 1)


def influences(score: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Influence of every stimulus on scores (…), from the scores (n, …) without it: their squares add up to the jackknife's
    variance, n/(n − 1) Σ L_i² with L_i = (n − 1)/n (T − T_(−i)), centred over i."""
    n = len(left_out)
    pseudo = (n - 1) / n * (score - left_out)
    return (pseudo - pseudo.mean(axis=0)) * np.sqrt(n / (n - 1))


def linear_part(counts: np.ndarray, influence: np.ndarray) -> np.ndarray:
    """The part (D, …) of draws with multiplicities (D, n) that is linear in these, from influences (n, …)."""
    n = counts.shape[1]
    return (counts - 1.0) @ influence / np.sqrt(n / (n - 1))


def pair_variance(draws: np.ndarray, linear: np.ndarray, influence: np.ndarray) -> tuple[float, float]:
    """Variance over samples of stimuli of a statistic of PAIRS of stimuli, and the least that it may be.

    From bootstrap draws (D,), their linear part (D,) and the influences (n,). With the Hoeffding parts v1 of single stimuli
    and v2 of pairs, the variance is v1 + v2. The jackknife gives V_J = v1 + 2 v2, because leaving out a stimulus leaves out
    all its pairs; the bootstrap v1 + 3 v2, because pairs weigh w_i w_j (so that its intervals are up to twice as long as they
    should be, and two models that differ are told apart in half the cases: `tests/statistics`). What the draws have beside
    their linear part is V_R = v2: V_J − V_R is free of bias. It is noisy where v2 is most of it, and not let below the mean
    of V_R and V_J/2, which both are v2 if v1 is nothing, and never more than v1 + v2.
    """
    finite = np.isfinite(draws) & np.isfinite(linear)
    if finite.sum() < 2 or not np.isfinite(influence).all():
        return float("nan"), 0.0
    rest = float(np.var(draws[finite] - linear[finite]))
    jackknife = float((influence**2).sum())
    return jackknife - rest, 0.5 * (rest + 0.5 * jackknife)


def dual_variance(both: Any, subjects: Any, stimuli: Any, n_subjects: int, n_stimuli: int) -> Any:
    """Variance over samples of subjects and stimuli as rsatoolbox has it, to check us by; ours is `pooling.spread`.

    From the variances of the three bootstraps with the same draws, in which that of pairs counts three times.

    Schütt et al. 2023 with the bounds of rsatoolbox: v = S/(S−1) V_s + n/(n−1) V_t − Sn/((S−1)(n−1)) (V_b − V_s − V_t),
    at least S/(S−1) V_s and n/(n−1) V_t, at most V_b.
    """
    both, subjects, stimuli = (np.asarray(v, dtype=np.float64) for v in (both, subjects, stimuli))
    over_subjects = n_subjects / (n_subjects - 1) * subjects
    over_stimuli = n_stimuli / (n_stimuli - 1) * stimuli
    factor = n_subjects * n_stimuli / ((n_subjects - 1) * (n_stimuli - 1))
    v = over_subjects + over_stimuli - factor * (both - subjects - stimuli)
    return np.minimum(np.maximum(np.maximum(v, over_subjects), over_stimuli), both)


def interval(score: float, var: float, dof: int, confidence: float = 0.95) -> tuple[float, float]:
    """score ± t(dof) · √var; NaN where the variance is missing or there is no degree of freedom."""
    if not np.isfinite(var) or dof < 1:
        return float("nan"), float("nan")
    half = float(stdtrit(dof, 0.5 + confidence / 2.0)) * float(np.sqrt(var))
    return float(score) - half, float(score) + half


def two_sided_p(difference: float, var: float, dof: int) -> float:
    """Two-sided p of a difference with variance `var`, by t(dof); 1 where both are zero, NaN where it is undefined."""
    if not np.isfinite(difference) or not np.isfinite(var) or dof < 1:
        return float("nan")
    if var <= 0.0:
        return 1.0 if difference == 0.0 else 0.0
    return float(2.0 * stdtr(dof, -abs(difference) / np.sqrt(var)))
