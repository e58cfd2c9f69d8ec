"""The space of shapes: all distances of many systems, their mean, and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.scaling import classical_scaling
from isocortex.similarity.shape.factors import check_kind, checked_factors, distance, factor_distances, nuclear_norms


def pairwise(factors: Sequence[torch.Tensor], kind: str = "angular") -> torch.Tensor:
    """Distances (T, T) of systems given by their factors (n, r), symmetric with a diagonal of zeros; see `factor_distances`."""
    check_kind(kind)
    made = checked_factors(factors)
    pairs = torch.triu_indices(len(made), len(made), 1).T
    norms = torch.stack([torch.linalg.matrix_norm(f) for f in made])
    rows, columns = pairs.to(norms.device).unbind(1)
    table = norms.new_zeros(len(made), len(made))
    table[rows, columns] = distance(norms[rows], norms[columns], nuclear_norms(made, made, pairs), kind)
    return table + table.T


@dataclass(frozen=True)
class Mean:
    """The mean shape as a factor (n, r), distances (T,) of the systems to it, and the mean of their squares.

    `converged` is False where the steps ended before the gain of one was below the tolerance.
    """

    factor: torch.Tensor
    distances: torch.Tensor
    dispersion: float
    iterations: int
    converged: bool


def _aligned(f: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """`f` (n, r) rotated into the width of `mean` (n, R), R >= r, as near to it as it can be."""
    u, _, vt = torch.linalg.svd(f.T @ mean, full_matrices=False)
    return f @ (u @ vt)


def frechet_mean(factors: Sequence[torch.Tensor], kind: str = "angular", iterations: int = 200, tol: float = 1e-9) -> Mean:
    """The generalised Procrustes mean of systems given by factors (n, r), in the space of the widest of them.

    All are rotated to the mean and averaged, in turn (Gower 1975), from the leading part of their mean Gram matrix, which
    does not depend on the order of the systems; the sum of squared distances never grows, yet another start could end lower.
    `kind` "euclidean": of the configurations as they are. "angular": of configurations of norm 1, and a mean of norm 1: it
    is least in Σ 2 − 2 cos θ, the chords, and `distances` are the angles. `tol` is of the sum's decrease relative to the sum.
    Raises DataError where a system is constant and the kind is angular.
    """
    check_kind(kind)
    made = checked_factors(factors)
    if kind == "angular":
        made = [_unit(f, place) for place, f in enumerate(made)]
    width = max(f.shape[1] for f in made)
    values, vectors = torch.linalg.eigh(torch.stack([f @ f.T for f in made]).mean(0))
    mean = vectors[:, -width:] * values[-width:].clamp(min=0.0).sqrt()
    size = sum(float(f.square().sum()) for f in made)
    cost, taken, converged = float("inf"), 0, False
    while taken < iterations and not converged:
        taken += 1
        turned = [_aligned(f, mean) for f in made]
        mean = torch.stack(turned).mean(0)
        if kind == "angular":
            mean = mean / torch.linalg.matrix_norm(mean)
        now = sum(float((f - mean).square().sum()) for f in turned)
        converged = cost - now <= tol * max(now, 1e-12 * size)
        cost = now
    apart = factor_distances(made, [mean], kind)[:, 0]
    return Mean(mean, apart, float(apart.square().mean()), taken, converged)


def _unit(f: torch.Tensor, place: int) -> torch.Tensor:
    norm = torch.linalg.matrix_norm(f)
    if norm == 0:
        raise DataError(f"frechet_mean: system {place} is constant, and its norm cannot be made 1; leave it out")
    return f / norm


@dataclass(frozen=True)
class Embedding:
    """Coordinates (T, dims) of the systems, and the part of all positive variance that each dimension shows (dims,)."""

    coordinates: Any
    shares: Any


def embed(distances: Any, dims: int = 2) -> Embedding:
    """Classical multidimensional scaling of `distances` (T, T): coordinates whose distances are near to them.

    Directions are principal ones, of decreasing variance; in each, the coordinate of the largest size is positive.
    Where distances have fewer than `dims` directions of positive variance, the others are zero. Raises DataError where
    the matrix is not square, finite and symmetric with a diagonal of zeros, or T is not above `dims`.
    """
    d = as_tensor(distances).to(torch.float64)
    if d.ndim != 2 or d.shape[0] != d.shape[1] or not 1 <= dims < len(d):
        raise DataError(f"embed: found distances of shape {tuple(d.shape)}, expected (T, T) with T > dims = {dims} >= 1")
    if not bool(torch.isfinite(d).all()) or not torch.allclose(d, d.T) or bool(d.diagonal().any()):
        raise DataError("embed: found distances that are not finite and symmetric with a diagonal of zeros")
    places, shares = classical_scaling(d.square().cpu().numpy(), dims)
    made = (torch.as_tensor(values, device=d.device) for values in (places, np.nan_to_num(shares)))
    return Embedding(*(like_input(values, distances) for values in made))
