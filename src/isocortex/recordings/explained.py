"""Explained and explainable variance against single trials.

`trials` is (n_stimuli, n_repeats, n_neuroids) with NaN for a missing repeat, `prediction` (n_stimuli, n_neuroids). All compute
in float64. A neuroid that is constant, or without the repeats that a number needs, is NaN, and the others are as without it.
"""

from __future__ import annotations

import numpy as np

from isocortex.recordings.reliability import MIN_STIMULI, above_rounding, noise_variance, same_pattern, total_variance
from isocortex.recordings.repeats import average


def explainable_variance(trials: np.ndarray, *, bias_correction: bool = True, standardize: bool = True) -> np.ndarray:
    """Variance of the mean response over the mean variance of single repeats: (n_neuroids,).

    After the voxelwise tutorials of the Gallant lab. Every stimulus must have all repeats, each being one run through all
    stimuli: NaN for a neuroid that lacks one, and with fewer than two repeats. `standardize` z-scores each repeat first.
    The bias-corrected value is a single-trial quantity, signal/(signal + noise): never divide a score on averages by it.
    """
    values = np.asarray(trials, dtype=np.float64)
    n_repeats = values.shape[1]
    if n_repeats < 2 or len(values) < 2:
        return np.full(values.shape[2], np.nan)
    spread = np.stack([above_rounding(values[:, k].var(axis=0), values[:, k]) for k in range(n_repeats)])
    with np.errstate(invalid="ignore", divide="ignore"):
        if standardize:
            values = (values - values.mean(axis=0)) / np.sqrt(spread)
        single = values.var(axis=0, ddof=1).mean(axis=0)
        explained = values.mean(axis=1).var(axis=0, ddof=1) / np.where(spread.any(axis=0), single, np.nan)
        return explained - (1 - explained) / (n_repeats - 1) if bias_correction else explained


def fraction_explainable(trials: np.ndarray) -> np.ndarray:
    """(total − noise)/total variance of single trials: (n_neuroids,); below .15 the FEV is unstable (Cadena et al. 2019)."""
    total = total_variance(trials)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (total - noise_variance(trials)) / total


def fev(trials: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Fraction of explainable variance explained, by single trials and their full noise (Cadena et al. 2019): (n_neuroids,).

    1 − (MSE over single trials − noise) / (total − noise); NaN where there is no explainable variance.
    """
    noise, total = noise_variance(trials), total_variance(trials)
    valid = np.isfinite(trials)
    squares = (np.where(valid, trials, 0).astype(np.float64) - prediction[:, None, :]) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(valid, squares, 0).sum(axis=(0, 1)) / valid.sum(axis=(0, 1))
        return np.where(total > noise, 1 - (error - noise) / (total - noise), np.nan)


def signal_power(trials: np.ndarray) -> np.ndarray:
    """Variance of the signal, (Var(Σ_r y_r) − Σ_r Var(y_r)) / (R (R − 1)) (Sahani & Linden 2003): (n_neuroids,).

    Stimuli with more valid repeats than the neuroid's rarest one give their first R of them. NaN for R < 2.
    """
    valid = np.isfinite(trials)
    power = np.full(trials.shape[2], np.nan)
    for members in same_pattern(valid):
        mask = valid[:, :, members[0]]
        n = int(mask.sum(axis=1).min())
        if n < 2 or len(mask) < 2:
            continue
        first = np.argsort(~mask, axis=1, kind="stable")[:, :n, None]
        values = np.take_along_axis(trials[:, :, members], first, axis=1).astype(np.float64)
        found = values.sum(axis=1).var(axis=0, ddof=1) - values.var(axis=0, ddof=1).sum(axis=0)
        power[members] = above_rounding(found / (n * (n - 1)), values)
    return power


def cc_norm(trials: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Correlation with the noise-free response, Cov(ŷ, ȳ)/√(Var(ŷ)·SP): (n_neuroids,) (Schoppe et al. 2016); NaN if SP ≤ 0."""
    mean = average(np.asarray(trials, dtype=np.float64))[0]
    centred = prediction - prediction.mean(axis=0)
    covariance = (centred * (mean - mean.mean(axis=0))).sum(axis=0) / (len(mean) - 1)
    spread, power = above_rounding(centred.var(axis=0, ddof=1), prediction), signal_power(trials)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((power > 0) & (spread > 0), covariance / np.sqrt(spread * np.maximum(power, 0)), np.nan)


def cc_max(trials: np.ndarray) -> np.ndarray:
    """The correlation of a perfect model with the mean response, √(SP / Var(ȳ)): (n_neuroids,); NaN where SP ≤ 0."""
    power = signal_power(trials)
    spread = average(np.asarray(trials, dtype=np.float64))[0].var(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, np.sqrt(np.maximum(power, 0) / spread), np.nan)


def oracle_jackknife(trials: np.ndarray) -> np.ndarray:
    """Correlation, over all single trials, with the mean of the other repeats of their stimulus: (n_neuroids,).

    What a model that knows the other repeats would score on single trials; less than one that knows the true mean, because
    R − 1 repeats are a noisy mean (the jackknife oracle of neuralpredictors). Stimuli shown once are left out; NaN with fewer
    than three that were repeated.
    """
    kept, values, counts = _repeated(trials)
    others = (values.sum(axis=1, keepdims=True) - values) / np.maximum(counts - 1, 1)[:, None]
    n = np.maximum(kept.sum(axis=(0, 1)), 1)
    a, b = (np.where(kept, x - np.where(kept, x, 0).sum(axis=(0, 1)) / n, 0) for x in (others, values))
    spread = [above_rounding((x**2).sum(axis=(0, 1)) / n, values) for x in (a, b)]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (a * b).sum(axis=(0, 1)) / n / np.sqrt(spread[0] * spread[1])
    return np.where((kept.any(axis=1).sum(axis=0) >= MIN_STIMULI) & (spread[0] > 0) & (spread[1] > 0), r, np.nan)


def oracle_conservative(trials: np.ndarray) -> np.ndarray:
    """Correlation of single trials with their stimulus's mean over all repeats, their own among them: (n_neuroids,).

    √(Var(ȳ)/(Var(ȳ) + noise)), variances with ddof 0 and every stimulus counted alike (the conservative oracle of
    neuralpredictors). It holds a trial's own noise, so that a share of it is never too large; on pure noise it is 1/√R, not 0.
    Stimuli shown once are left out; NaN with fewer than three that were repeated.
    """
    kept, values, counts = _repeated(trials)
    repeated = kept.any(axis=1)
    n = np.maximum(repeated.sum(axis=0), 1)
    mean = values.sum(axis=1) / np.maximum(counts, 1)
    within = (np.where(kept, values - mean[:, None], 0) ** 2).sum(axis=1) / np.maximum(counts, 1)
    between = (np.where(repeated, mean - mean.sum(axis=0) / n, 0) ** 2).sum(axis=0) / n
    between, noise = above_rounding(between, values), above_rounding(within.sum(axis=0) / n, values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(repeated.sum(axis=0) >= MIN_STIMULI, np.sqrt(between / (between + noise)), np.nan)


def _repeated(trials: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which trials are of a stimulus with two or more, those trials with 0 elsewhere, and their number per stimulus."""
    valid = np.isfinite(trials)
    kept = valid & (valid.sum(axis=1) >= 2)[:, None]
    return kept, np.where(kept, trials, 0).astype(np.float64), kept.sum(axis=1)
