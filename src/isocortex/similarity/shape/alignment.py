"""Alignments fitted on some stimuli and scored on others, so that what only fits noise is not counted as shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.similarity.shape.factors import centred, check_alpha, check_kind, distance, gains, paired_patterns


@dataclass(frozen=True)
class _Side:
    """One system: its mean (p,), principal directions (p, r) with their gains (r,), and the gain of all other directions."""

    mean: torch.Tensor
    directions: torch.Tensor
    gains: torch.Tensor
    outside: torch.Tensor

    @classmethod
    def fit(cls, x: torch.Tensor, alpha: float, centre: bool) -> _Side:
        mean = x.mean(0) if centre else torch.zeros_like(x[0])
        _, s, vt = torch.linalg.svd(centred(x, centre), full_matrices=False)
        kept = s > max(x.shape) * torch.finfo(s.dtype).eps * s.amax()
        if not bool(kept.any()):
            return cls(mean, vt[:0].T, s[:0], s.new_tensor(alpha))
        inside, outside = gains(s[kept].square(), alpha)
        return cls(mean, vt[kept].T, inside, outside)

    def coordinates(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Whitened coordinates (n, r), and the power that lies outside of the directions."""
        if x.shape[1] != len(self.mean):
            raise DataError(f"Alignment.score: found {x.shape[1]} units, expected {len(self.mean)} as in the fit")
        moved = x - self.mean
        inside = moved @ self.directions
        rest = (moved.square().sum() - inside.square().sum()).clamp(min=0.0)
        return inside * self.gains, rest * self.outside.square()


@dataclass(frozen=True)
class Alignment:
    """Means, whitening and rotations fitted on some stimuli; `Alignment.fit` makes it, `score` applies it to others."""

    first: _Side
    second: _Side
    rotation_x: torch.Tensor
    rotation_y: torch.Tensor
    kind: str

    @classmethod
    def fit(cls, x: Any, y: Any, alpha: float = 1.0, kind: str = "angular", centre: bool = True) -> Alignment:
        """The best alignment of patterns `x` (n, p) and `y` (n, q); options and errors as of `shape_distance`."""
        check_alpha(alpha)
        check_kind(kind)
        a, b = paired_patterns(x, y)
        first, second = _Side.fit(a, alpha, centre), _Side.fit(b, alpha, centre)
        u, _, vt = torch.linalg.svd(first.coordinates(a)[0].T @ second.coordinates(b)[0], full_matrices=False)
        return cls(first, second, u, vt.T, kind)

    def products(self, x: Any, y: Any) -> torch.Tensor:
        """(3,): squared norms of both systems as aligned, and their inner product, over the stimuli given."""
        first, second = paired_patterns(x, y, fewest=1)
        (a, rest_a), (b, rest_b) = (
            side.coordinates(z) for side, z in zip((self.first, self.second), (first, second), strict=True)
        )
        shared = ((a @ self.rotation_x) * (b @ self.rotation_y)).sum()
        return torch.stack([a.square().sum() + rest_a, b.square().sum() + rest_b, shared])

    def score(self, x_test: Any, y_test: Any) -> float:
        """Distance of patterns of other stimuli, (m, p) and (m, q), with the means and transforms of the fit.

        Angular distances reach π here: what is aligned wrongly can be opposed. Directions in which the stimuli of the fit did
        not vary (p > n) cannot be aligned: they add to the norms, with gain α, and never to what is shared.
        """
        return _distance(self.products(x_test, y_test), self.kind)


def _distance(products: torch.Tensor, kind: str) -> float:
    own, other, shared = products
    return float(distance(own.sqrt(), other.sqrt(), shared, kind))


def cross_validated_distance(
    x: Any, y: Any, folds: int = 5, seed: int = 0, alpha: float = 1.0, kind: str = "angular", centre: bool = True
) -> float:
    """Distance of `x` (n, p) and `y` (n, q) where each stimulus is aligned by a fit on the other folds.

    Norms and inner products are summed over folds of stimuli drawn with `seed`, then made one distance; systems that share
    nothing are at about π/2, however many units they have. Not a metric: not even two equal systems are at 0 if p >= n.
    Raises DataError where folds are fewer than two, or leave fewer than two stimuli to fit on.
    """
    a, b = paired_patterns(x, y)
    n = len(a)
    if not 2 <= folds <= n or n - -(-n // folds) < 2:
        raise DataError(
            f"cross_validated_distance: found {folds} folds of {n} stimuli, expected 2 to {n} with 2 left to fit on"
        )
    total = a.new_zeros(3)
    for held_out in np.array_split(np.random.default_rng(seed).permutation(n), folds):
        test = torch.zeros(n, dtype=torch.bool, device=a.device)
        test[torch.as_tensor(held_out, device=a.device)] = True
        fitted = Alignment.fit(a[~test], b[~test], alpha, kind, centre)
        total += fitted.products(a[test], b[test])
    return _distance(total, kind)
