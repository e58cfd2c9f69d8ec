"""NOISES: the noise that a model's layer is given, so that it can be compared with a region that has some.

A layer is known by coordinates, not by its units: noise that goes by units is `estimation.with_noise`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def isotropic(means: torch.Tensor, ratio: float) -> torch.Tensor:
    """Covariances (m, d, d), alike in all directions and conditions; their trace is `ratio` of the variance of means (m, d)."""
    m, d = means.shape
    size = ratio * means.square().sum(1).mean() / d
    return (size * torch.eye(d, dtype=means.dtype, device=means.device)).expand(m, d, d).clone()


def proportional(means: torch.Tensor, ratio: float) -> torch.Tensor:
    """As `isotropic`, in each condition in proportion to the squared distance of its mean from that of all."""
    d = means.shape[1]
    size = ratio * means.square().sum(1) / d
    return size[:, None, None] * torch.eye(d, dtype=means.dtype, device=means.device)


def none(means: torch.Tensor, ratio: float) -> torch.Tensor:  # noqa: ARG001
    """No noise."""
    return means.new_zeros((*means.shape, means.shape[1]))


NOISES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "isotropic": isotropic,
    "proportional": proportional,
    "none": none,
}
