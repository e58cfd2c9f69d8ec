"""NOISES: the noise that a system without any, as a network is, is given to be compared with one that has some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape.gaussian import Gaussians


def _isotropic(means: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(means)


def _by_unit(means: torch.Tensor) -> torch.Tensor:
    return means.abs()


def _by_condition(means: torch.Tensor) -> torch.Tensor:
    return (means - means.mean(0)).square().sum(1, keepdim=True).expand_as(means)


def _none(means: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(means)


# Variances (m, p) of independent noise about means (m, p), up to one factor. Coordinates, unlike units, have no variances of
# their own: noise of what is known by them is proportional by condition, and alike in all directions.
NOISES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "isotropic": _isotropic,
    "proportional": _by_unit,
    "proportional_by_condition": _by_condition,
    "none": _none,
}


def covariances_of_noise(means: torch.Tensor, kind: str, ratio: float) -> torch.Tensor:
    """Covariances (m, p, p) of noise of a kind of NOISES about means (m, p); zeros where responses do not vary.

    Their mean trace is `ratio` times the variance of means over conditions, summed over units.
    """
    variance = NOISES[kind](means)
    signal, size = (means - means.mean(0)).square().sum(1).mean(), variance.sum(1).mean()
    return torch.diag_embed(variance * (ratio * signal / size) if bool(size > 0) else variance)


def with_noise(means: Any, kind: str = "isotropic", ratio: float = 1.0) -> Gaussians:
    """Gaussians of a system without noise, as a network is, from its responses `means` (m, p).

    Independent noise whose variance, summed over units and averaged over conditions, is `ratio` times that of the means over
    conditions: "isotropic" the same in all units and conditions, "proportional" to the size of each mean response (the
    variance of a spike count), "proportional_by_condition" to the squared distance of a condition's mean from that of all,
    the same in all units, or "none". Raises `DataError` where responses do not vary, for noise relative to them.
    """
    if kind not in NOISES:
        raise ValueError(f"with_noise: found kind {kind!r}, expected one of {sorted(NOISES)}")
    if not ratio >= 0:
        raise ValueError(f"with_noise: found ratio {ratio}, expected 0 or more")
    mu = as_tensor(means, dtype=torch.float64)
    if mu.ndim != 2 or not bool(torch.isfinite(mu).all()):
        raise DataError(f"with_noise: found means of shape {tuple(mu.shape)}, finite or not, expected finite ones (m, p)")
    if kind != "none" and not bool((mu != mu[0]).any()):
        raise DataError("with_noise: found the same response to all conditions, expected some that differ; choose kind none")
    return Gaussians(like_input(mu, means), like_input(covariances_of_noise(mu, kind, ratio), means))
