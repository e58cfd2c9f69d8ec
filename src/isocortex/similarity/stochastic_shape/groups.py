"""The groups over which two systems are aligned, and where a search for the best member begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.similarity.stochastic_shape.bures import polar


@dataclass(frozen=True)
class Group:
    """`nearest` maps G (B, p, p) to the members T that maximise tr TᵀG; `smooth`: members can be changed a little."""

    nearest: Callable[[torch.Tensor], torch.Tensor]
    smooth: bool = False
    single: bool = False


def _assignments(g: torch.Tensor) -> torch.Tensor:
    from scipy.optimize import linear_sum_assignment

    found = torch.zeros_like(g)
    for k, matrix in enumerate(g.detach().cpu().numpy()):
        rows, columns = linear_sum_assignment(matrix, maximize=True)
        found[k, torch.as_tensor(rows), torch.as_tensor(columns)] = 1.0
    return found


def _identities(g: torch.Tensor) -> torch.Tensor:
    return torch.eye(g.shape[-1], dtype=g.dtype, device=g.device).expand(g.shape).clone()


GROUPS: dict[str, Group] = {
    "orthogonal": Group(polar, smooth=True),
    "permutation": Group(_assignments),
    "identity": Group(_identities, single=True),
}


def group_of(name: str) -> Group:
    """The group of that name; `ValueError` where there is none."""
    if name not in GROUPS:
        raise ValueError(f"group: found {name!r}, expected one of {', '.join(GROUPS)}")
    return GROUPS[name]


def random_members(group: Group, count: int, p: int, seed: int) -> torch.Tensor:
    """Random members (count, p, p): rotations and reflections of uniform density, or permutations; the same for one seed."""
    normal = np.random.default_rng(seed).standard_normal((count, p, p))
    return group.nearest(torch.as_tensor(normal))


def from_axes(axes_x: torch.Tensor, axes_y: torch.Tensor, cross: torch.Tensor) -> torch.Tensor:
    """T (B, p, p) that brings the axes of y (columns, (B, p, p)) onto those of x, signs chosen by `cross` = Σ ν μᵀ."""
    signs = (axes_y * (cross @ axes_x)).sum(-2)
    return (axes_y * torch.where(signs < 0, -1.0, 1.0)[..., None, :]) @ axes_x.mT


def beginnings(
    group: Group, cross: torch.Tensor, spread_x: torch.Tensor, spread_y: torch.Tensor, count: int, seed: int
) -> torch.Tensor:
    """Where searches begin, (B, count, p, p): the best for the means, that for the mean covariances, then random members.

    `cross` = Σ ν μᵀ of the means, `spread_x` and `spread_y` the mean covariances, all (B, p, p).
    """
    if group.single:
        return group.nearest(cross)[:, None]
    if group.smooth:
        by_spread = from_axes(torch.linalg.eigh(spread_x)[1], torch.linalg.eigh(spread_y)[1], cross)
    else:
        deviations = [s.diagonal(dim1=-2, dim2=-1).clamp_min(0.0).sqrt() for s in (spread_y, spread_x)]
        by_spread = group.nearest(deviations[0][..., :, None] * deviations[1][..., None, :])
    random = random_members(group, max(count - 2, 0), cross.shape[-1], seed).to(cross)
    found = [group.nearest(cross)[:, None], by_spread[:, None], random.expand(len(cross), *random.shape)]
    return torch.cat(found, dim=1)[:, :count]
