"""From trials to Gaussians: which conditions have enough of them, how many dimensions they carry, two systems made alike.

A covariance of d dimensions needs more trials than d, and distances of noisy covariances are too large: conditions keep at
least 8 trials, d is at most half of the fewest, and both systems have as many conditions, trials and dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.noise import SHRINKAGES, noise_covariance
from isocortex.similarity.stochastic_shape.gaussian import Gaussians
from isocortex.similarity.trials import packed, present, some

LEAST_TRIALS = 8


@dataclass(frozen=True)
class Matched:
    """Trials x (m, R, p) and y (m, R', p) of the kept `conditions` and units, with as many trials of a condition in both."""

    x: Any
    y: Any
    conditions: np.ndarray
    x_units: np.ndarray
    y_units: np.ndarray


def whole(trials: Any) -> torch.Tensor:
    """Trials (…, m, R, p) in float64; `DataError` where a trial lacks some units only, or is infinite."""
    x = as_tensor(trials, dtype=torch.float64)
    if x.ndim < 3 or min(x.shape) < 1:
        raise DataError(f"trials: found shape {tuple(x.shape)}, expected (conditions, repeats, units)")
    missing = torch.isnan(x)
    partly = missing.any(-1) & ~missing.all(-1)
    if bool(partly.any()) or bool(torch.isinf(x).any()):
        raise DataError(
            f"trials: found {int(partly.sum())} with some units missing and {int(torch.isinf(x).sum())} infinite values,"
            " expected whole trials or NaN in all units; drop these units or trials"
        )
    return x


def counted(trials: Any) -> np.ndarray:
    """How many trials each condition has, (m,)."""
    return (~torch.isnan(whole(trials)).all(-1)).sum(-1).cpu().numpy()


def conditions_with(trials: Any, least: int = LEAST_TRIALS) -> np.ndarray:
    """Conditions (k,), ascending, that have at least `least` trials in `trials` (m, R, p), NaN where one is missing.

    Raises `DataError` where there is none.
    """
    counts = counted(trials)
    found = np.flatnonzero(counts >= least)
    if not len(found):
        raise DataError(
            f"trials: found at most {counts.max()} of a condition, expected at least {least} for covariances;"
            " use the energy distance"
        )
    return found


def most_components(*systems: Any) -> int:
    """Dimensions that covariances of all these trials (m, R, p) carry: half of the fewest trials, and no more than units."""
    return min(min(int(counted(trials).min()) // 2, np.shape(trials)[-1]) for trials in systems)


def axes_of(x: torch.Tensor, components: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`pooled_axes` of trials (…, m, R, p) of which those that are not finite in all units are missing."""
    valid = torch.isfinite(x).all(-1)
    weights = valid.to(x.dtype) / valid.sum(-1, keepdim=True) / x.shape[-3]
    filled = torch.where(valid[..., None], x, 0.0)
    mean = (weights[..., None] * filled).sum((-3, -2))
    moved = ((filled - mean[..., None, None, :]) * weights.sqrt()[..., None]).flatten(-3, -2)
    return mean, torch.linalg.eigh(moved.mT @ moved)[1].flip(-1)[..., :components]


def pooled_axes(trials: Any, components: int) -> tuple[Any, Any]:
    """The mean of condition means (p,), and the leading axes (p, d) of trials about it, all conditions with equal weight.

    That is, of the covariance of condition means plus the mean covariance of trials (plug-in): axes of means alone would drop
    directions that only noise has, those of noise alone the signal. Each system has axes of its own, which a rotation aligns.
    """
    mean, axes = axes_of(whole(trials), components)
    return like_input(mean, trials), like_input(axes, trials)


def on_axes(trials: Any, components: int) -> Any:
    """Trials (…, m, R, d) on their own pooled axes, about the mean of condition means."""
    x = whole(trials)
    mean, axes = axes_of(x, components)
    return like_input((x - mean[..., None, None, :]) @ axes[..., None, :, :], trials)


def about_means(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means (…, m, p), trials (…, m, R, p) less these, 0 where one is missing, and how many a condition has (…, m)."""
    valid = torch.isfinite(x).all(-1)
    counts = valid.sum(-1)
    means = torch.where(valid[..., None], x, 0.0).sum(-2) / counts[..., None]
    return means, torch.where(valid[..., None], x - means[..., None, :], 0.0), counts


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means (…, m, p) and unbiased covariances (…, m, p, p) of trials (…, m, R, p), NaN where one is missing."""
    means, moved, counts = about_means(x)
    return means, moved.mT @ moved / (counts[..., None, None] - 1)


def fit_gaussians(trials: Any, components: int | None = None, shrinkage: str = "full", least: int = LEAST_TRIALS) -> Gaussians:
    """Means and covariances of trials (m, R, p), NaN where one is missing; the means are centred over conditions.

    `components`: dimensions, on pooled axes of the system's own; None keeps the units. `shrinkage`: "full", none, needs at
    most half as many dimensions as the fewest trials; the others, each covariance by itself, as `noise_covariance` has them.
    Raises `DataError` for conditions with fewer than `least` trials, and for too many dimensions.
    """
    if shrinkage not in SHRINKAGES:
        raise ValueError(f"fit_gaussians: found shrinkage {shrinkage!r}, expected one of {sorted(SHRINKAGES)}")
    x, counts = whole(trials), counted(trials)
    if counts.min() < max(least, 2):
        raise DataError(
            f"Gaussian shape: found {counts.min()} trials of condition {counts.argmin()}, expected at least {max(least, 2)};"
            " keep those that conditions_with names, or use the energy distance"
        )
    wide = x.shape[-1] if components is None else components
    most = int(counts.min()) // 2 if shrinkage == "full" else x.shape[-1]
    if not 1 <= wide <= min(most, x.shape[-1]):
        raise DataError(
            f"Gaussian shape: found {wide} dimensions of {x.shape[-1]} units with {counts.min()} trials, expected at most"
            f" {min(most, x.shape[-1])}; set components, shrink the covariances, or use the energy distance"
        )
    x = x if components is None else on_axes(x, components)
    means, covariances = moments(x)
    if shrinkage != "full":
        rows = [each[~torch.isnan(each).all(-1)] for each in x]
        covariances = torch.stack([noise_covariance(each, shrinkage=shrinkage) for each in rows])
    return Gaussians(like_input(means - means.mean(-2, keepdim=True), trials), like_input(covariances, trials))


def matched(x: Any, y: Any, least: int = LEAST_TRIALS, seed: int = 0, units: bool = True) -> Matched:
    """Two systems' trials (m, R, p) and (m, R', p'), condition i the same in both, made alike.

    Kept are the conditions with `least` trials in both, of each as many trials in both, and, unless `units` is False, as many
    units, all drawn at random from `seed`. Raises `DataError` where conditions differ in number or none is left.
    """
    first, second = whole(x), whole(y)
    if len(first) != len(second):
        raise DataError(
            f"matched: found {len(first)} and {len(second)} conditions, expected condition i to be the same in both"
        )
    counts = np.minimum(counted(x), counted(y))
    kept = np.flatnonzero(counts >= least)
    if not len(kept):
        raise DataError(
            f"matched: found no condition with {least} trials in both systems, at most {counts.max()}, expected at least one;"
            " lower least and use the energy distance"
        )
    generator = np.random.default_rng(seed)
    width = min(first.shape[2], second.shape[2])
    made, names = [], []
    for system in (first, second):
        p = system.shape[2]
        names.append(np.sort(generator.permutation(p)[:width]) if units else np.arange(p))
        values = system.cpu().numpy()[kept][..., names[-1]]
        made.append(torch.as_tensor(packed(values, some(present(values), counts[kept], generator)), device=system.device))
    return Matched(like_input(made[0], x), like_input(made[1], y), kept, names[0], names[1])
