"""Scores of ordered lists of neighbours, as Huh et al. 2024 give beside mutual neighbours."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.similarity.neighbours.knn import cosines, most_neighbours, neighbour_products, neighbourhood, pair


def cycle_knn(x: Any, y: Any, neighbours: int = 10) -> float:
    """Share of stimuli that are among the nearest in `x` (n, p) of one of their own nearest in `y` (n, q).

    Neighbours by cosine, nearest first, of tied ones the lower index; not symmetric. Raises `DataError` as `mutual_knn`.
    """
    first, second = _lists(x, y, neighbours, "cycle_knn")
    returns = first[second] == torch.arange(len(first), device=first.device)[:, None, None]
    return float(returns.flatten(1).any(1).double().mean())


def lcs_knn(x: Any, y: Any, neighbours: int = 10) -> float:
    """Mean length of the longest common subsequence of the lists of nearest in `x` (n, p) and `y` (n, q), nearest first.

    Neighbours by cosine, of tied ones the lower index; between 0 and `neighbours`. Raises `DataError` as `mutual_knn`.
    """
    first, second = _lists(x, y, neighbours, "lcs_knn")
    n, k = first.shape
    longest = torch.zeros((n, k + 1, k + 1), dtype=torch.int64, device=first.device)
    for i in range(k):
        for j in range(k):
            same = first[:, i] == second[:, j]
            longer = torch.maximum(longest[:, i, j + 1], longest[:, i + 1, j])
            longest[:, i + 1, j + 1] = torch.where(same, longest[:, i, j] + 1, longer)
    return float(longest[:, k, k].double().mean())


def directed_cknna(x: Any, y: Any, neighbours: int = 10) -> float:
    """`cknna` as its authors' code has it, which minds by a few thousandths which of `x` and `y` comes first."""
    a, b = pair(x, y, "cknna", 4)
    k = most_neighbours(neighbours, len(a))
    one, other = ([neighbourhood(cosines(z, "cknna"), k)] for z in (a, b))
    both, own, theirs = (float(neighbour_products(*two, directed=True)) for two in ((one, other), (one, one), (other, other)))
    return both / (own * theirs) ** 0.5


def _lists(x: Any, y: Any, neighbours: int, what: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices (n, k) of the nearest in either."""
    a, b = pair(x, y, what, 3)
    k = most_neighbours(neighbours, len(a))
    found = []
    for near in (cosines(a, what), cosines(b, what)):
        near.fill_diagonal_(-torch.inf)
        found.append(torch.argsort(near, dim=1, descending=True, stable=True)[:, :k])
    return found[0], found[1]
