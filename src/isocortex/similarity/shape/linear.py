"""The linear shape metric: distance of two systems after the best rotation, or the best matching of their units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from isocortex.similarity.shape.factors import (
    centred,
    check_alpha,
    check_kind,
    distance,
    factor,
    nuclear_norms,
    paired_patterns,
)
from isocortex.similarity.shape.permutation import matched_product


def _rotated(x: torch.Tensor, y: torch.Tensor, alpha: float, centre: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    a, b = factor(x, alpha, centre), factor(y, alpha, centre)
    return a, b, nuclear_norms([a], [b], torch.tensor([[0, 0]]))[0]


def _permuted(x: torch.Tensor, y: torch.Tensor, alpha: float, centre: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    if alpha != 1:
        raise ValueError(f"shape_distance: found alpha {alpha} with group 'permutation', expected 1: whitening mixes the units")
    a, b = centred(x, centre), centred(y, centre)
    return a, b, matched_product(a, b)


GROUPS: dict[str, Callable[[torch.Tensor, torch.Tensor, float, bool], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {
    "orthogonal": _rotated,
    "permutation": _permuted,
}


def shape_distance(
    x: Any, y: Any, alpha: float = 1.0, kind: str = "angular", group: str = "orthogonal", centre: bool = True
) -> float:
    """Distance of patterns `x` (n, p) and `y` (n, q) of the same stimuli, at their best alignment (Williams et al. 2021).

    `kind` "angular": radians, from 0 to π/2 (π with permutations); "euclidean": in the units of the patterns.
    `group` "orthogonal": rotations and reflections after partial whitening by `alpha` (see `factor`): 1 is Procrustes, 0 is
    blind to every invertible linear map. "permutation": one unit to one unit, only with alpha 1. With unequal widths the
    narrower system has units that are silent. With `centre` means of units do not matter. Angular distances do not depend on
    the scale of a system at alpha 0 and 1; in between, λ^(−1/2) has the unit of 1/patterns, and they do.
    It is a metric for one alpha, group and centring. With few stimuli of many units everything is near everything:
    see `cross_validated_distance` and `moment_similarity`. Constant patterns are at π/2 from all others, 0 from one another.
    Raises DataError for unequal numbers of stimuli, fewer than two, or values that are not finite.
    """
    check_alpha(alpha)
    check_kind(kind)
    if group not in GROUPS:
        raise ValueError(f"shape_distance: found group {group!r}, expected one of {sorted(GROUPS)}")
    a, b, shared = GROUPS[group](*paired_patterns(x, y), alpha, centre)
    return float(distance(torch.linalg.matrix_norm(a), torch.linalg.matrix_norm(b), shared, kind))
