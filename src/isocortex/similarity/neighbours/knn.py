"""Nearest neighbours by cosine, ties shared out, and how many of them two representations have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from isocortex.compute import as_tensor, batches
from isocortex.errors import DataError

# Cosines that differ by less are alike but for rounding: copies of a stimulus are as near as each other.
TIED = 1e-10
_BUDGET = 3e8


def patterns(x: Any, what: str, fewest: int) -> torch.Tensor:
    """Patterns (n, p) in float64; a `DataError` for fewer than `fewest` stimuli and values that are not finite."""
    found = as_tensor(x, dtype=torch.float64)
    if found.ndim != 2 or found.shape[1] == 0:
        raise DataError(f"{what}: found patterns of shape {tuple(found.shape)}, expected (n_stimuli, n_features)")
    if len(found) < fewest:
        raise DataError(f"{what}: found {len(found)} stimuli, expected at least {fewest}; take more stimuli")
    if not bool(torch.isfinite(found).all()):
        raise DataError(f"{what}: found NaN or infinite values, expected finite ones; drop those units or stimuli")
    return found


def pair(x: Any, y: Any, what: str, fewest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two systems of the same stimuli; a `DataError` where their numbers differ, and as `patterns`."""
    a, b = patterns(x, what, fewest), patterns(y, what, fewest)
    if len(a) != len(b):
        raise DataError(f"{what}: found {len(a)} and {len(b)} stimuli, expected the same stimuli for both")
    return a, b.to(a.device)


def directions(x: torch.Tensor, what: str) -> torch.Tensor:
    """Patterns (n, p) of length 1; a `DataError` for patterns of zeros, which have no direction."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    if bool((length == 0).any()):
        raise DataError(
            f"{what}: found {int((length == 0).sum())} patterns of zeros of {len(x)}, expected none; leave those stimuli out"
        )
    return x / length


def clamped(x: torch.Tensor, quantile: float) -> torch.Tensor:
    """Patterns (n, p) with values beyond ± the mean over patterns of the `quantile` of |x| set to it (Huh et al. 2024)."""
    most = float(torch.quantile(x.abs(), quantile, dim=1).mean())
    return x.clamp(-most, most)


def cosines(x: torch.Tensor, what: str, clamp: float | None = None) -> torch.Tensor:
    """Cosines (n, n) of the angles between patterns (n, p), clamped first if asked for; symmetric."""
    unit = directions(x if clamp is None else clamped(x, clamp), what)
    return unit @ unit.mT


def most_neighbours(neighbours: int, n: int) -> int:
    """As many as asked for, at most half of the other stimuli (and one): more are no neighbourhood."""
    if neighbours < 1:
        raise DataError(f"neighbours: found {neighbours}, expected at least 1")
    return min(neighbours, max(1, (n - 1) // 2))


@dataclass(frozen=True)
class Neighbourhood:
    """Of each of n stimuli the w stimuli that may be among its k nearest.

    `index` (n, w) and `weight` (n, w): the probability, 1 but for ties, of which any choice is as likely; 0 fills rows up.
    `cosine` (n, w): of the two patterns; `mutual` (n, w): the cosine times the weights of either among the other's nearest.
    `length`: of a kernel of neighbours, the root of its product with itself.
    """

    index: torch.Tensor
    weight: torch.Tensor
    cosine: torch.Tensor
    mutual: torch.Tensor
    k: int
    length: float = 1.0

    def reordered(self, order: torch.Tensor) -> Neighbourhood:
        """That of the stimuli in another order."""
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        parts = {name: getattr(self, name)[order] for name in ("weight", "cosine", "mutual")}
        return replace(self, index=place[self.index[order]], **parts)

    def dense(self, values: torch.Tensor) -> torch.Tensor:
        """Values (n, w) of neighbours as a matrix (n, n), 0 elsewhere."""
        n = len(self.index)
        return values.new_zeros((n, n)).scatter_add_(1, self.index, values)


def neighbour_weights(similarity: torch.Tensor, k: int) -> torch.Tensor:
    """Probabilities (n, n) of being among the k most similar to each stimulus, itself left out, of `similarity` (n, n).

    Stimuli that are tied for the last places share these alike: the order of stimuli decides nothing.
    """
    near = similarity.clone()
    near.fill_diagonal_(-torch.inf)
    last = torch.topk(near, k, dim=1).values[:, -1:]
    above = near > last + TIED
    tied = (near - last).abs() <= TIED
    sure, among = (x.to(similarity.dtype).sum(1, keepdim=True) for x in (above, tied))
    return above + tied * ((k - sure) / among)


def neighbourhood(similarity: torch.Tensor, k: int) -> Neighbourhood:
    """The k nearest of each stimulus by `similarity` (n, n), symmetric."""
    weights = neighbour_weights(similarity, k)
    width = int((weights > 0).sum(1).max())
    weight, index = torch.topk(weights, width, dim=1)
    mutual = weights * weights.mT * similarity
    return Neighbourhood(index, weight, similarity.gather(1, index), mutual.gather(1, index), k)


@dataclass(frozen=True)
class _Stack:
    """Neighbourhoods of A systems, as wide as the widest; `flat` (A, n, w) are places in a matrix (n, n) laid flat."""

    index: torch.Tensor
    flat: torch.Tensor
    weight: torch.Tensor
    cosine: torch.Tensor
    mutual: torch.Tensor


def _stacked(systems: Sequence[Neighbourhood]) -> _Stack:
    width = max(s.index.shape[1] for s in systems)

    def padded(name: str) -> torch.Tensor:
        each = (getattr(s, name) for s in systems)
        return torch.stack([torch.nn.functional.pad(x, (0, width - x.shape[1])) for x in each])

    index = padded("index")
    n = index.shape[1]
    rows = n * torch.arange(n, device=index.device)
    return _Stack(index, rows[:, None] + index, *(padded(name) for name in ("weight", "cosine", "mutual")))


def _blocks(systems: Sequence[Neighbourhood]) -> list[slice]:
    largest = max(s.index.numel() for s in systems)
    return list(batches(len(systems), 80.0 * largest, _BUDGET))


def shared_neighbours(first: Sequence[Neighbourhood], second: Sequence[Neighbourhood]) -> torch.Tensor:
    """Mean shares (A, B) of the k nearest that two systems have in common, expected where places are tied."""
    found = first[0].weight.new_empty((len(first), len(second)))
    for some in _blocks(first):
        stack = _stacked(first[some])
        for b, other in enumerate(second):
            theirs = other.dense(other.weight).ravel()[stack.flat]
            found[some, b] = (theirs * stack.weight).sum((1, 2)) / (theirs.shape[1] * other.k)
    return found


def neighbour_products(first: Sequence[Neighbourhood], second: Sequence[Neighbourhood], directed: bool = False) -> torch.Tensor:
    """Debiased HSIC (A, B) of the cosines of two systems, each kept where both have a stimulus among the nearest of another.

    Song et al. 2012's estimator of Huh et al. 2024's kernels. These are not symmetric, and the estimator then minds which of
    them comes first: the mean of both, unless `directed`.
    """
    found = first[0].weight.new_empty((len(first), len(second)))
    for some in _blocks(first):
        stack = _stacked(first[some])
        for b, other in enumerate(second):
            found[some, b] = _products(stack, other, directed)
    return found


def _products(stack: _Stack, other: Neighbourhood, directed: bool) -> torch.Tensor:
    n = stack.index.shape[1]
    weight, kernel, mutual = (other.dense(v) for v in (other.weight, other.weight * other.cosine, other.mutual))
    ours = stack.weight * stack.cosine * weight.ravel()[stack.flat]
    theirs = stack.weight * kernel.ravel()[stack.flat]
    both = (stack.mutual * mutual.ravel()[stack.flat]).sum((1, 2))
    chains = (_columns(ours, stack.index) * theirs.sum(2)).sum(1)
    if not directed:
        chains = 0.5 * (chains + (_columns(theirs, stack.index) * ours.sum(2)).sum(1))
    sums = ours.sum((1, 2)) * theirs.sum((1, 2))
    return (both + sums / ((n - 1) * (n - 2)) - 2.0 * chains / (n - 2)) / (n * (n - 3))


def _columns(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Sums (A, n) over the rows of values (A, n, w) that stand in the columns `index` (A, n, w)."""
    zero = values.new_zeros(values.shape[:2])
    return zero.scatter_add_(1, index.flatten(1), values.flatten(1))
