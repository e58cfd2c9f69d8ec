"""Units of one system matched with units of another: one to one, or softly where widths differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.similarity.shape.factors import centred, paired_patterns
from isocortex.similarity.transport import w1


def matched_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """max Σ aᵢ·b_π(i) over matchings π of columns of `a` (n, p) with as many of `b` (n, q); those left go with silent ones."""
    product = a.T @ b
    rows, columns = linear_sum_assignment(product.cpu().numpy(), maximize=True)
    return product[torch.as_tensor(rows), torch.as_tensor(columns)].sum()


def least_cost(cost: np.ndarray) -> float:
    """Cost of the cheapest transport of masses 1/p to masses 1/q, exact; of `cost` (p, q): an assignment where p = q."""
    p, q = cost.shape
    if p == q:
        return float(cost[linear_sum_assignment(cost)].mean())
    return w1(np.full(p, 1 / p), np.full(q, 1 / q), cost)


@dataclass(frozen=True)
class SoftMatch:
    """`distance` √(Σ T |xᵢ − yⱼ|²) and `correlation` Σ T rᵢⱼ, each at its own best transport T."""

    distance: float
    correlation: float


def soft_matching(x: Any, y: Any, unit_norm: bool = False, centre: bool = True) -> SoftMatch:
    """Soft matching of units of `x` (n, p) and `y` (n, q): transport between units of mass 1/p and of mass 1/q, exact.

    Khosla & Williams 2024. The distance is the 2-Wasserstein distance between the sets of units, as points in the space of
    stimuli (with `unit_norm`, scaled to length 1): a metric, which with p = q is the Euclidean permutation distance over √p.
    The correlation is Pearson's with `centre`, a cosine without. On the CPU.
    Raises DataError where a unit is constant and its correlation, or its unit norm, undefined.
    """
    a, b = (centred(z, centre).cpu() for z in paired_patterns(x, y))
    lengths = [_lengths(z, raw, name) for z, raw, name in ((a, x, "x"), (b, y, "y"))]
    correlations = (a / lengths[0]).T @ (b / lengths[1])
    score = -least_cost(-correlations.numpy())
    apart = lengths[0].square()[:, None] + lengths[1].square() - 2 * a.T @ b
    squared = 2 - 2 * score if unit_norm else least_cost(apart.numpy())
    return SoftMatch(math.sqrt(max(squared, 0.0)), score)


def _lengths(z: torch.Tensor, raw: Any, name: str) -> torch.Tensor:
    lengths = torch.linalg.vector_norm(z, dim=0)
    before = torch.linalg.vector_norm(as_tensor(raw, torch.device("cpu"), torch.float64), dim=0)
    constant = lengths <= 1e-13 * before
    if bool(constant.any()):
        raise DataError(f"soft_matching: found {int(constant.sum())} units of {name} that are constant; leave them out")
    return lengths
