"""How much of a response comes back when the stimulus does: reliability of neuroids from repeats.

All functions take `trials` of shape (n_stimuli, n_repeats, n_neuroids), NaN where a repeat is missing, and compute in float64.
A reliability bounds r², not r: the ceiling on r is its square root.
"""

from __future__ import annotations

import numpy as np

from isocortex.errors import DataError

# Two stimuli always correlate perfectly, so they say nothing.
MIN_STIMULI = 3
# What one step holds: small enough for a processor's cache, where these sums spend their time.
BLOCK_BYTES, SPLITS_AT_ONCE = 8 << 20, 10
ROUNDING = 1e-12  # of the largest value: the spread that sums in float64 leave in a constant
NEGATIVE = ("continued", "missing")


def spearman_brown(r: np.ndarray, factor: float | np.ndarray = 2.0) -> np.ndarray:
    """Reliability of `factor` times as much data as `r` was computed from: f·r / (1 + (f − 1)·r) (1910, both)."""
    return factor * r / (1 + (factor - 1) * r)


def noise_corrected(
    r: np.ndarray | float, half_x: np.ndarray | float = 1.0, half_y: np.ndarray | float = 1.0
) -> np.ndarray | float:
    """Correlation of two noisy measurements freed from their noise, r/√(SB(r_x)·SB(r_y)) (Spearman 1904, 1910).

    r : between all repeats of either. half_x, half_y : between halves of each one's own repeats; 1 for what has no noise, as a
    model. NaN where a reliability is not above 0. With few repeats average `r` and the halves over splits first: a ratio of
    means is steadier than a mean of ratios.
    """
    first, second = spearman_brown(np.asarray(half_x, dtype=float)), spearman_brown(np.asarray(half_y, dtype=float))
    with np.errstate(invalid="ignore", divide="ignore"):
        corrected = np.where((first > 0) & (second > 0), r / np.sqrt(first * second), np.nan)
    return float(corrected) if corrected.ndim == 0 else corrected


def split_half(trials: np.ndarray, n_splits: int = 100, seed: int = 0, negative: str = "continued") -> np.ndarray:
    """Reliability of the response averaged over its repeats, one value per random split of the repeats into halves.

    In each split every stimulus with k valid repeats gives ⌊k/2⌋ of them to either half, drawn at random; the correlation over
    stimuli of the two half means is carried to all repeats by the Spearman–Brown formula. With even and equal k its factor is
    2; else it is mean(1/⌊k/2⌋) / mean(1/k), the ratio of noise variances of a half and of the full mean. Stimuli shown once
    are left out of the correlation and count in the mean of 1/k. For a negative correlation the formula has no meaning:
    `negative` "continued" continues it as an odd function, f·r / (1 + (f − 1)·|r|), so that pure noise averages to 0 instead of
    running to minus infinity; "missing" gives NaN, and a mean over splits then is of the positive ones, above 0 for noise.

    Returns
    -------
    (n_splits, n_neuroids); NaN with fewer than three repeated stimuli, or for a neuroid that is constant.

    Raises
    ------
    DataError for another word for `negative`.
    """
    if negative not in NEGATIVE:
        raise DataError(f"split-half: found negative {negative!r}, expected {' or '.join(NEGATIVE)}")
    n_neuroids = trials.shape[2]
    result = np.full((n_splits, n_neuroids), np.nan)
    valid = np.isfinite(trials)
    for members in same_pattern(valid):
        counts = valid[:, :, members[0]].sum(axis=1)
        repeated, counts = counts >= 2, counts[counts >= 1]
        if repeated.sum() < MIN_STIMULI:
            continue
        rows, mask = np.flatnonzero(repeated), valid[:, :, members[0]][repeated]
        halves = mask.sum(axis=1) // 2
        factor = np.mean(1 / halves) / np.mean(1 / counts)
        first, second = half_weights(mask, n_splits, np.random.default_rng(seed))
        step = max(1, BLOCK_BYTES // (16 * SPLITS_AT_ONCE * len(mask)))
        for start in range(0, len(members), step):
            block = members[start : start + step]
            values = np.where(mask[:, :, None], trials[np.ix_(rows, np.arange(trials.shape[1]), block)], 0).astype(np.float64)
            for some in (slice(k, k + SPLITS_AT_ONCE) for k in range(0, n_splits, SPLITS_AT_ONCE)):
                r = _correlate(first[:, some] @ values, second[:, some] @ values)
                result[some, block] = factor * r / (1 + (factor - 1) * np.abs(r))
    return result if negative == "continued" else np.where(result < 0, np.nan, result)


def reliability(trials: np.ndarray, n_splits: int = 100, seed: int = 0, negative: str = "continued") -> np.ndarray:
    """Mean over `split_half` values: (n_neuroids,), NaN where no split has one.

    Each split is corrected before the mean is taken, as in Brain-Score's SpearmanBrownCorrection.
    """
    values = split_half(trials, n_splits, seed, negative)
    count = np.isfinite(values).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def half_weights(mask: np.ndarray, n_splits: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Weights that average the repeats of either half.

    `mask` (n_stimuli, n_repeats) marks valid repeats; returns two arrays (n_stimuli, n_splits, n_repeats) whose rows sum to 1.
    """
    order = rng.random((len(mask), n_splits, mask.shape[1]))
    order[np.broadcast_to(~mask[:, None, :], order.shape)] = np.inf
    rank = order.argsort(axis=2).argsort(axis=2)
    half = (mask.sum(axis=1) // 2)[:, None, None]
    return (rank < half) / half, ((rank >= half) & (rank < 2 * half)) / half


def same_pattern(valid: np.ndarray) -> list[np.ndarray]:
    """Neuroids grouped by which of their repeats are valid; in most recordings there is one group."""
    flat = valid.reshape(-1, valid.shape[2])
    if (flat == flat[:, :1]).all():
        return [np.arange(valid.shape[2])]
    _, inverse = np.unique(np.packbits(flat, axis=0), axis=1, return_inverse=True)
    return [np.flatnonzero(inverse == group) for group in range(int(inverse.max()) + 1)]


def _correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation over axis 0; NaN where either side varies by no more than rounding."""
    size = np.maximum(np.abs(a).max(axis=0), np.finfo(float).tiny), np.maximum(np.abs(b).max(axis=0), np.finfo(float).tiny)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    spread = [np.sqrt(np.einsum("s...,s...->...", x, x)) for x in (a, b)]
    varies = (spread[0] > ROUNDING * size[0]) & (spread[1] > ROUNDING * size[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(varies, np.einsum("s...,s...->...", a, b) / (spread[0] * spread[1]), np.nan)


def noise_variance(trials: np.ndarray) -> np.ndarray:
    """Variance of single trials around the mean of their stimulus, pooled over stimuli by degrees of freedom: (n_neuroids,).

    NaN where no stimulus was repeated.
    """
    valid = np.isfinite(trials)
    values = np.where(valid, trials, 0).astype(np.float64)
    counts = valid.sum(axis=1)
    mean = values.sum(axis=1) / np.maximum(counts, 1)
    squares = (np.where(valid, values - mean[:, None], 0) ** 2).sum(axis=(0, 1))
    freedom = np.maximum(counts - 1, 0).sum(axis=0)
    return np.where(freedom > 0, above_rounding(squares / np.maximum(freedom, 1), values), np.nan)


def total_variance(trials: np.ndarray, ddof: int = 1) -> np.ndarray:
    """Variance over all valid single trials: (n_neuroids,); NaN with fewer than two."""
    valid = np.isfinite(trials)
    values = np.where(valid, trials, 0).astype(np.float64)
    n = valid.sum(axis=(0, 1))
    mean = values.sum(axis=(0, 1)) / np.maximum(n, 1)
    squares = (np.where(valid, values - mean, 0) ** 2).sum(axis=(0, 1))
    return np.where(n > ddof, above_rounding(squares / np.maximum(n - ddof, 1), values), np.nan)


def above_rounding(variance: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`variance` (n_neuroids,) of `values` (…, n_neuroids), 0 where it is no more than sums of a constant leave behind."""
    size = np.abs(values).max(axis=tuple(range(values.ndim - 1)), initial=0.0)
    return np.where(np.abs(variance) > (ROUNDING * size) ** 2, variance, 0.0)


def ncsnr(trials: np.ndarray) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio of a single trial, σ_signal/σ_noise: (n_neuroids,) (Allen et al. 2022, NSD).

    σ_signal² = max(0, total − noise variance). Infinite without noise; NaN for a constant neuroid or without repeats.
    """
    noise = noise_variance(trials)
    signal = np.maximum(0.0, total_variance(trials) - noise)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(signal / noise)


def noise_ceiling(snr: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Share of the variance of the averaged response that is signal: ncsnr² / (ncsnr² + mean(1/k)) (bounds r²).

    `counts` (n_stimuli,) holds how many repeats each stimulus was averaged over; NSD's mixed counts are this mean. NSD prints
    it in per cent.
    """
    inverse = np.mean(1 / np.asarray(counts, dtype=np.float64))
    squared = np.square(snr)
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(squared), 1.0, squared / (squared + inverse))
