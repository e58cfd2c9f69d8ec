"""The noise of a region between its neuroids, and how much signal each has over it, from repeats."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isocortex.errors import DataError
from isocortex.similarity.rdm.noise import residuals_of_repeats
from isocortex.similarity.trials import present


@dataclass(frozen=True)
class RegionNoise:
    """What simulated responses take from a region.

    `signal_sd` (v,): spread of each neuroid's noiseless responses over stimuli. `residuals` (m, v): single trials about the
    mean of their stimulus, with `dof` degrees of freedom. `n_repeats`: repeats that a stimulus's mean is worth, the harmonic
    mean of their numbers. `n_stimuli`: how many were shown. `mean` (v,): each neuroid's mean response; zeros if None.
    """

    signal_sd: np.ndarray
    residuals: np.ndarray
    dof: int
    n_repeats: float
    n_stimuli: int
    mean: np.ndarray | None = None

    @property
    def n_neuroids(self) -> int:
        """v."""
        return len(self.signal_sd)

    @cached_property
    def offset(self) -> np.ndarray:
        """Mean responses (v,)."""
        return np.zeros(self.n_neuroids) if self.mean is None else np.asarray(self.mean, dtype=np.float64)

    @cached_property
    def noise_sd(self) -> np.ndarray:
        """Spread (v,) of single trials about the mean of their stimulus."""
        return np.sqrt(np.square(self.residuals, dtype=np.float64).sum(axis=0) / self.dof)

    @property
    def reliability(self) -> np.ndarray:
        """Share (v,) of the variance of mean responses that is signal; NaN for a neuroid that is constant."""
        signal, noise = np.square(self.signal_sd), np.square(self.noise_sd) / self.n_repeats
        with np.errstate(invalid="ignore"):
            return signal / (signal + noise)

    @cached_property
    def shrinkage(self) -> float:
        """The weight λ of the diagonal in (1 − λ) S + λ diag(S), as `noise_covariance` "shrinkage_diag" chooses it."""
        return _shrinkage(np.asarray(self.residuals, dtype=np.float64), self.dof)

    @cached_property
    def factor(self) -> np.ndarray:
        """F (r, v), FᵀF the sample covariance S: no more rows than neuroids or residuals, and never a matrix v × v if v > m."""
        x = np.asarray(self.residuals, dtype=np.float64) / np.sqrt(self.dof)
        return np.asarray(np.linalg.qr(x, mode="r")) if len(x) > x.shape[1] else x

    def draw(self, n: int, columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noise (n, len(columns)) of single trials of these neuroids: Gaussian, its covariance that of the region, shrunk.

        √(1 − λ) Z F + √λ Z′ diag(sd) has the covariance (1 − λ) S + λ diag(S) exactly, whatever the rank of S.
        """
        shared = rng.standard_normal((n, len(self.factor))) @ self.factor[:, columns]
        own = rng.standard_normal((n, len(columns))) * self.noise_sd[columns]
        return np.sqrt(1.0 - self.shrinkage) * shared + np.sqrt(self.shrinkage) * own


def _shrinkage(residuals: np.ndarray, dof: int) -> float:
    """Schäfer & Strimmer 2005: λ = Σ var(r_ij) / Σ r_ij² over i ≠ j in [0, 1], from products of rows where these are fewer."""
    x = residuals - residuals.mean(axis=0)
    n = len(x)
    length = np.sqrt(np.square(x).sum(axis=0) / dof)
    x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    gram = x @ x.T if n < x.shape[1] else x.T @ x
    own = np.square(x).sum(axis=0)
    squares = (np.square(gram).sum() - np.square(own).sum()) / (n - 1) ** 2
    power = np.square(x)
    fourth = (np.square(power.sum(axis=1)).sum() - np.square(power).sum()) / (n - 1)
    if squares <= 0:
        return 1.0
    return float(np.clip((fourth - squares) * n / dof**2 / squares, 0.0, 1.0))


def region_noise(trials: np.ndarray) -> RegionNoise:
    """The noise of a region from `trials` (n_stimuli, n_repeats, n_neuroids), NaN for a missing repeat.

    A repeat counts where it is finite in every neuroid. The variance of signal is that of stimuli's means less the noise left
    in them, not below 0; because that alone would give too much signal where there is little, all are scaled so that their
    sum is the sum before. Raises `DataError` where no stimulus has two repeats or fewer than three stimuli have one.
    """
    values = np.asarray(trials, dtype=np.float64)
    residuals, dof = residuals_of_repeats(values)
    valid = present(values)
    counts = valid.sum(axis=1)
    shown = counts > 0
    if shown.sum() < 3:
        raise DataError(
            f"identification: found {int(shown.sum())} stimuli with a whole repeat, expected at least 3; add stimuli"
        )
    total = np.where(valid[..., None], values, 0.0).sum(axis=1)[shown]
    means, share = total / counts[shown, None], float(np.mean(1.0 / counts[shown]))
    noise = np.square(residuals).sum(axis=0) / dof
    found = means.var(axis=0, ddof=1) - noise * share
    clipped = np.maximum(found, 0.0)
    # In units of the noise, in which neuroids of whatever scale count alike.
    unit = np.where(noise > 0, noise, 1.0)
    sums = max(float((found / unit).sum()), 0.0), float((clipped / unit).sum())
    signal = clipped * (sums[0] / sums[1] if sums[1] > 0 else 0.0)
    return RegionNoise(np.sqrt(signal), residuals, dof, 1.0 / share, int(shown.sum()), means.mean(axis=0))
