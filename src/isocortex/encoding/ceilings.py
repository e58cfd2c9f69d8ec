"""The ceiling of r: split halves of the repeats, Spearman–Brown to all repeats, square root; and whether there is a signal at
all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.encoding.scores import region_median, standardized

N_SPLITS = 100
N_PERMUTATIONS = 400
TEST_SPLITS = 3
# Values (stimuli × repeats × neuroids) up to which the test for signal takes every neuroid.
TEST_SIZE = 2_000_000
# Trials of some neuroids at a time are halved in float64.
HALF_BYTES = 1 << 27
KIND = "split-half of repeats, Spearman-Brown, square root"


@dataclass(frozen=True)
class Ceiling:
    """Ceiling of the region's r on given stimuli at all their repeats.

    low, ref : 2.5 % and median over splits of the median over neuroids of √reliability. p : one-sided, stimuli permuted between
    halves. statistic, null : what p compares. reliability : (v,) mean over splits of the Spearman–Brown reliability (bounds
    r²). n_stimuli : stimuli with at least two repeats.
    """

    low: float
    ref: float
    p: float
    statistic: float
    null: np.ndarray
    reliability: np.ndarray
    n_stimuli: int


def step_up(r: np.ndarray, factor: float) -> np.ndarray:
    """Spearman–Brown for `factor` times the length, k r/(1 + (k−1) r); odd in r.

    The plain formula runs to −∞ for negative r; −SB(|r|) keeps noise symmetric about zero, so that a median over neuroids
    without signal is zero. The same as the plain formula wherever it is meant to be used (r ≥ 0).
    """
    size = np.abs(r)
    return np.sign(r) * factor * size / (1 + (factor - 1) * size)


def presented(trials: np.ndarray) -> np.ndarray:
    """Which repeats (n, R) hold a value of any neuroid."""
    return np.asarray(np.isfinite(trials).any(axis=2))


def halves_masks(valid: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint random halves of equal size ⌊R_i/2⌋ of the valid repeats of each stimulus: boolean (n, R) each."""
    keys = np.where(valid, rng.random(valid.shape), np.inf)
    rank = keys.argsort(1).argsort(1)
    half = (valid.sum(1) // 2)[:, None]
    return rank < half, (rank >= half) & (rank < 2 * half)


def half_factor(valid: np.ndarray) -> float:
    """By how much noise shrinks from half to all repeats: mean(1/⌊R/2⌋)/mean(1/R); 2 for even equal repeats.

    Exact for ragged repeats too, where noise variances average over stimuli. Stimuli shown once have no halves but their share
    of the noise of the means: they count in mean(1/R).
    """
    counts = valid.sum(1)
    return float((1 / (counts[counts >= 2] // 2)).mean() / (1 / counts[counts >= 1]).mean())


def _half_mean(trials: np.ndarray, mask: np.ndarray) -> torch.Tensor:
    """Mean (n, v) over the repeats in `mask`, values that are NaN left out."""
    values = np.where(mask[:, :, None], trials, np.nan)
    present = ~np.isnan(values)
    counts = present.sum(1)
    return torch.from_numpy(np.where(present, values, 0.0).sum(1) / np.where(counts > 0, counts, np.nan))


def half_correlations(trials: np.ndarray, n_splits: int, seed: int) -> np.ndarray:
    """r between random halves of the repeats of `trials` (n, R, v): (n_splits, v)."""
    rng = np.random.default_rng([seed, 0x68616C66])
    valid = presented(trials)
    pairs = [halves_masks(valid, rng) for _ in range(n_splits)]
    result = np.empty((n_splits, trials.shape[2]))
    for part in batches(trials.shape[2], 16.0 * trials.shape[0] * trials.shape[1], HALF_BYTES):
        values = trials[:, :, part].astype(np.float64)
        for number, pair in enumerate(pairs):
            first, second = (standardized(_half_mean(values, mask)) for mask in pair)
            result[number, part] = (first * second).sum(0).numpy()
    return result


def split_half_ceiling(
    trials: np.ndarray, seed: int, n_splits: int = N_SPLITS, n_permutations: int = N_PERMUTATIONS
) -> Ceiling | None:
    """The ceiling from trials (n, R, v) with NaN for a missing repeat; None where fewer than three stimuli are repeated."""
    trials = np.asarray(trials)
    repeated = presented(trials).sum(1) >= 2
    if repeated.sum() < 3:
        return None
    factor, trials = half_factor(presented(trials)), trials[repeated]
    reliability = step_up(half_correlations(trials, n_splits, seed), factor)
    region = region_median(torch.from_numpy(np.sign(reliability) * np.sqrt(np.abs(reliability)))).numpy()
    statistic, null = signal_test(trials, seed, n_permutations)
    p = (1 + int((null >= statistic - 1e-12).sum())) / (1 + len(null)) if np.isfinite(statistic) else float("nan")
    low, ref = (float(np.nanquantile(region, q)) if np.isfinite(region).any() else float("nan") for q in (0.025, 0.5))
    count = (~np.isnan(reliability)).sum(0)
    mean = np.where(count > 0, np.nansum(reliability, 0) / np.maximum(count, 1), np.nan)
    return Ceiling(low, ref, p, statistic, null, mean, int(repeated.sum()))


def signal_test(trials: np.ndarray, seed: int, n_permutations: int) -> tuple[float, np.ndarray]:
    """Mean over a few splits of the median over neuroids of r between halves, and its null (P,) with stimuli permuted.

    Every repeat's stimuli are permuted by themselves, alike for all neuroids, *before* the halves are formed: without signal
    the repeats of a stimulus are exchangeable with those of any other, so the test is exact. Permuting one half against the
    other within each of several splits is not: the same pairs of trials come back in split after split, the permuted ones do
    not, and noise passes twice as often as it should. Large regions are tested on evenly spaced neuroids.
    """
    rng = np.random.default_rng([seed, 0x63656C6C])
    n, n_repeats, n_neuroids = trials.shape
    kept = max(1, min(n_neuroids, TEST_SIZE // (n * n_repeats)))
    trials = trials[:, :, np.linspace(0, n_neuroids - 1, kept).round().astype(int)].astype(np.float64)
    valid = presented(trials)
    values = torch.from_numpy(np.where(np.isnan(trials), np.nanmean(trials, axis=(0, 1)), trials))
    masks = [halves_masks(valid, rng) for _ in range(TEST_SPLITS)]
    # One matrix that takes all first, then all second halves: (2 splits, n, R).
    weights = torch.from_numpy(np.stack([mask / mask.sum(1, keepdims=True) for pair in masks for mask in pair]))
    columns = torch.arange(n_repeats)
    statistic = float(_half_medians(values[None], weights)[0])
    null = []
    for part in batches(n_permutations, 8 * trials.size * 4, 64 << 20):
        index = torch.from_numpy(_shuffled_rows(valid, part.stop - part.start, rng))
        null.append(_half_medians(values[index, columns], weights).numpy())
    return statistic, np.concatenate(null)


def _shuffled_rows(valid: np.ndarray, n_permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Row indices (P, n, R) that permute, in every repeat but the first, the stimuli that have it."""
    index = np.broadcast_to(np.arange(len(valid))[:, None], (n_permutations, *valid.shape)).copy()
    for repeat in range(1, valid.shape[1]):
        rows = np.flatnonzero(valid[:, repeat])
        index[:, rows, repeat] = rows[rng.random((n_permutations, len(rows))).argsort(1)]
    return index


def _half_medians(trials: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The statistic of `signal_test` for each of `trials` (P, n, R, v): (P,)."""
    halves = torch.einsum("pnrv,snr->spnv", trials, weights)
    halves = halves - halves.mean(2, keepdim=True)
    halves = halves / halves.norm(dim=2, keepdim=True)
    return region_median((halves[0::2] * halves[1::2]).sum(2)).mean(0)
