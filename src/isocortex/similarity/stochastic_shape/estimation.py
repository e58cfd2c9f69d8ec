"""From trials to Gaussians: which conditions have enough of them, how many dimensions they carry, two systems made alike.

A covariance of d dimensions needs more trials than d, and distances of noisy covariances are too large: conditions keep at
least 8 trials, d is at most half of the fewest, and both systems have as many conditions, trials and dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.noise import SHRINKAGES, noise_covariance
from isocortex.similarity.stochastic_shape.gaussian import Gaussians

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


def pooled_axes(trials: Any, components: int) -> tuple[Any, Any]:
    """The mean of condition means (p,), and the leading axes (p, d) of trials about it, all conditions with equal weight.

    That is, of the covariance of condition means plus the mean covariance of trials (plug-in): axes of means alone would drop
    directions that only noise has, those of noise alone the signal. Each system has axes of its own, which a rotation aligns.
    """
    x = whole(trials)
    valid = ~torch.isnan(x).all(-1)
    weights = valid.to(x.dtype) / valid.sum(-1, keepdim=True) / x.shape[-3]
    filled = torch.where(valid[..., None], x, 0.0)
    mean = (weights[..., None] * filled).sum((-3, -2))
    moved = ((filled - mean[..., None, None, :]) * weights.sqrt()[..., None]).flatten(-3, -2)
    axes = torch.linalg.eigh(moved.mT @ moved)[1].flip(-1)[..., :components]
    return like_input(mean, trials), like_input(axes, trials)


def on_axes(trials: Any, components: int) -> Any:
    """Trials (…, m, R, d) on their own pooled axes, about the mean of condition means."""
    x = whole(trials)
    mean, axes = pooled_axes(x, components)
    return like_input((x - mean[..., None, None, :]) @ axes[..., None, :, :], trials)


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means (…, m, p) and unbiased covariances (…, m, p, p) of trials (…, m, R, p), NaN where one is missing."""
    valid = ~torch.isnan(x).all(-1)
    counts = valid.sum(-1)[..., None]
    filled = torch.where(valid[..., None], x, 0.0)
    means = filled.sum(-2) / counts
    moved = torch.where(valid[..., None], filled - means[..., None, :], 0.0)
    return means, moved.mT @ moved / (counts[..., None] - 1)


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


def _some_trials(x: torch.Tensor, counts: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
    """As many trials of each condition as `counts` says, drawn at random and left in their order."""
    valid = (~torch.isnan(x).all(-1)).cpu().numpy()
    order = np.argsort(np.where(valid, generator.random(valid.shape), 2.0), axis=1)
    keep = np.zeros(valid.shape, bool)
    np.put_along_axis(keep, order, np.arange(valid.shape[1]) < counts[:, None], axis=1)
    kept = torch.where(torch.as_tensor(keep, device=x.device)[..., None], x, torch.nan)
    first = torch.as_tensor(np.argsort(~keep, axis=1, kind="stable")[:, : counts.max()], device=x.device)
    return kept.gather(1, first[..., None].expand(-1, -1, x.shape[2]))


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
        some = system[torch.as_tensor(kept, device=system.device)][..., torch.as_tensor(names[-1], device=system.device)]
        made.append(_some_trials(some, counts[kept], generator))
    return Matched(like_input(made[0], x), like_input(made[1], y), kept, names[0], names[1])


def _isotropic(means: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(means)


def _proportional(means: torch.Tensor) -> torch.Tensor:
    return means.abs()


def _none(means: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(means)


NOISE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "isotropic": _isotropic,
    "proportional": _proportional,
    "none": _none,
}


def with_noise(means: Any, kind: str = "isotropic", ratio: float = 1.0) -> Gaussians:
    """Gaussians of a system without noise, as a network is, from its responses `means` (m, p).

    Independent noise whose variance, summed over units and averaged over conditions, is `ratio` times that of the means over
    conditions: "isotropic" the same in all units and conditions, "proportional" to the size of each mean response (the
    variance of a spike count), or "none". Raises `DataError` where responses do not vary, for noise relative to them.
    """
    if kind not in NOISE:
        raise ValueError(f"with_noise: found kind {kind!r}, expected one of {sorted(NOISE)}")
    if not ratio >= 0:
        raise ValueError(f"with_noise: found ratio {ratio}, expected 0 or more")
    mu = as_tensor(means, dtype=torch.float64)
    if mu.ndim != 2 or not bool(torch.isfinite(mu).all()):
        raise DataError(f"with_noise: found means of shape {tuple(mu.shape)}, finite or not, expected finite ones (m, p)")
    variance = NOISE[kind](mu)
    signal, size = (mu - mu.mean(0)).square().sum(1).mean(), variance.sum(1).mean()
    if kind != "none" and not bool(signal > 0):
        raise DataError("with_noise: found the same response to all conditions, expected some that differ; choose kind none")
    variance = variance * (ratio * signal / size) if bool(size > 0) else variance
    return Gaussians(like_input(mu, means), like_input(torch.diag_embed(variance), means))
