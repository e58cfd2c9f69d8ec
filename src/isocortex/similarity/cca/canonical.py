"""Canonical correlations as singular values of products of orthonormal axes, and their means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, like_input
from isocortex.similarity.linear_patterns import checked_pair, refuse_constant

# Bytes of products of axes that are held at once.
_TOGETHER = 2.5e8


@dataclass(frozen=True)
class Axes:
    """Orthonormal axes (n, r) of centred patterns, and the `loadings` (r, p) that make the patterns of them."""

    axes: torch.Tensor
    loadings: torch.Tensor

    @property
    def rank(self) -> int:
        """r."""
        return self.axes.shape[1]

    def first(self, count: int) -> Axes:
        """The `count` largest axes, loaded on as many principal components."""
        return Axes(self.axes[:, :count], self.loadings[:count, :count])


def principal_axes(x: torch.Tensor, metric: str = "cca") -> Axes:
    """Axes of the principal components of `x` (n, p), largest first, loaded (r, r) on the components.

    Dimensions shorter than √(n · 2.2e-16) of the patterns, not centred, are left out: a Gram matrix, from which the patterns
    may have been made, does not hold them, and they would weigh as much as any other. Raises `DataError` for constant patterns.
    """
    refuse_constant(x, metric)
    left, sizes, _ = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    least = (len(x) * torch.finfo(x.dtype).eps) ** 0.5 * torch.linalg.matrix_norm(x)
    rank = max(1, int((sizes > least).sum()))
    return Axes(left[:, :rank], sizes[:rank].diag())


def canonical_correlations(x: Any, y: Any) -> Any:
    """All canonical correlations (min of both ranks,) of patterns `x` (n, p) and `y` (n, q), largest first (Hotelling 1936).

    They are 1, whatever the patterns, for as many as both ranks together exceed n − 1 by. Raises `DataError` for numbers of
    stimuli that differ, values that are not finite, and constant patterns.
    """
    first, second = (principal_axes(z) for z in checked_pair(x, y, "canonical correlations"))
    return like_input(torch.linalg.svdvals(first.axes.mT @ second.axes).clamp(max=1.0), x)


def projection_weighted(x: Any, y: Any) -> float:
    """Canonical correlations of all dimensions of `x` (n, p) and `y` (n, q), weighted by what they account for.

    Morcos, Raghu & Bengio 2018: variate hᵢ of the smaller side weighs Σⱼ |hᵢ·xⱼ| over its units xⱼ, so that the value changes
    with a rotation of these. Of two sides of the same rank: the mean of the values with either's weights. Raises `DataError` as
    `canonical_correlations`.
    """
    made = []
    for given in checked_pair(x, y, "pwcca"):
        axes = principal_axes(given, "pwcca").axes
        made.append(Axes(axes, axes.mT @ (given - given.mean(0))))
    return float(pairwise(made[:1], made[1:], weighted)[0, 0])


Value = Callable[[torch.Tensor, Sequence[Axes], Sequence[Axes]], torch.Tensor]


def mean_square(products: torch.Tensor, first: Sequence[Axes], second: Sequence[Axes]) -> torch.Tensor:  # noqa: ARG001
    """Means (P,) of squared canonical correlations, from products (P, r, q) of the axes of P pairs: no decomposition."""
    return products.square().sum((-2, -1)) / min(products.shape[-2:])


def mean(products: torch.Tensor, first: Sequence[Axes], second: Sequence[Axes]) -> torch.Tensor:  # noqa: ARG001
    """Means (P,) of canonical correlations."""
    return torch.linalg.svdvals(products).mean(-1)


def weighted(products: torch.Tensor, first: Sequence[Axes], second: Sequence[Axes]) -> torch.Tensor:
    """Means (P,) of canonical correlations by the weights of the smaller side; of equal sides, the mean of both."""
    left, correlations, right = torch.linalg.svd(products, full_matrices=False)
    values = []
    for directions, systems, rank in ((left.mT, first, products.shape[-2]), (right, second, products.shape[-1])):
        if rank == min(products.shape[-2:]):
            weights = (directions @ torch.stack([system.loadings for system in systems])).abs().sum(-1)
            values.append((weights * correlations).sum(-1) / weights.sum(-1))
    return torch.stack(values).mean(0)


def pairwise(first: Sequence[Axes], second: Sequence[Axes], value: Value) -> np.ndarray:
    """A value (A, B) of all pairs: their axes in products that fit the memory, pairs of the same ranks decomposed together."""
    found = np.empty((len(first), len(second)))
    other = torch.cat([b.axes for b in second], dim=1)
    columns = np.cumsum([0, *(b.rank for b in second)])
    widest = max(a.rank for a in first)
    for part in batches(len(first), 8.0 * widest * (other.shape[1] + len(other)), _TOGETHER):
        some = first[part]
        products = torch.cat([a.axes for a in some], dim=1).mT @ other
        rows = np.cumsum([0, *(a.rank for a in some)])
        groups: dict[tuple[Any, ...], list[tuple[int, int]]] = defaultdict(list)
        for i, a in enumerate(some):
            for j, b in enumerate(second):
                groups[a.loadings.shape, b.loadings.shape].append((i, j))
        for pairs in groups.values():
            blocks = torch.stack([products[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] for i, j in pairs])
            values = value(blocks, [some[i] for i, _ in pairs], [second[j] for _, j in pairs])
            places = np.array(pairs)
            found[part.start + places[:, 0], places[:, 1]] = values.clamp(0.0, 1.0).cpu().numpy()
    return found
