"""Explained and explainable variance against single trials.

`trials` is (n_stimuli, n_repeats, n_neuroids) with NaN for a missing repeat, `prediction` (n_stimuli, n_neuroids).
"""

from __future__ import annotations

import numpy as np

from isocortex.recordings.reliability import noise_variance, total_variance


def explainable_variance(trials: np.ndarray, *, bias_correction: bool = True, standardize: bool = True) -> np.ndarray:
    """Variance of the mean response over the mean variance of single repeats: (n_neuroids,).

    After the voxelwise tutorials of the Gallant lab. Every stimulus must have all repeats, each being one run through all
    stimuli; `standardize` z-scores each repeat first.
    The bias-corrected value is a single-trial quantity, signal/(signal + noise): never divide a score on averages by it.
    """
    values = np.asarray(trials, dtype=np.float64)
    n_repeats = values.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        if standardize:
            values = (values - values.mean(axis=0)) / values.std(axis=0)
        explained = values.mean(axis=1).var(axis=0, ddof=1) / values.var(axis=0, ddof=1).mean(axis=0)
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
    error = np.nanmean((trials - prediction[:, None, :]) ** 2, axis=(0, 1), dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > noise, 1 - (error - noise) / (total - noise), np.nan)


def signal_power(trials: np.ndarray) -> np.ndarray:
    """Variance of the signal, (Var(Σ_r y_r) − Σ_r Var(y_r)) / (R (R − 1)) (Sahani & Linden 2003): (n_neuroids,).

    Stimuli with more valid repeats than the rarest one give their first R of them. NaN for R < 2.
    """
    valid = np.isfinite(trials)
    n = int(valid.sum(axis=1).min())
    if n < 2:
        return np.full(trials.shape[2], np.nan)
    order = np.argsort(~valid, axis=1, kind="stable")[:, :n]
    values = np.take_along_axis(trials, order, axis=1).astype(np.float64)
    return (values.sum(axis=1).var(axis=0, ddof=1) - values.var(axis=0, ddof=1).sum(axis=0)) / (n * (n - 1))


def cc_norm(trials: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Correlation with the noise-free response, Cov(ŷ, ȳ)/√(Var(ŷ)·SP): (n_neuroids,) (Schoppe et al. 2016); NaN if SP ≤ 0."""
    mean = np.asarray(np.nanmean(trials, axis=1, dtype=np.float64))
    centred = prediction - prediction.mean(axis=0)
    covariance = (centred * (mean - mean.mean(axis=0))).sum(axis=0) / (len(mean) - 1)
    power = signal_power(trials)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, covariance / np.sqrt(centred.var(axis=0, ddof=1) * np.maximum(power, 0)), np.nan)


def cc_max(trials: np.ndarray) -> np.ndarray:
    """The correlation of a perfect model with the mean response, √(SP / Var(ȳ)): (n_neuroids,); NaN where SP ≤ 0."""
    power = signal_power(trials)
    spread = np.nanmean(trials, axis=1, dtype=np.float64).var(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, np.sqrt(np.maximum(power, 0) / spread), np.nan)
