"""Clusters and loops of stimuli: persistent homology of the Vietoris–Rips filtration."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse.csgraph import minimum_spanning_tree

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.geometry.distances import euclidean, median_distance, on_subsets, without_duplicates


def persistence_h0(x: Any, *, summary: str = "mean", scale: str = "median") -> float:
    """Summary of the distances at which clusters of the patterns `x` (n, p) merge: a name of `SUMMARIES`.

    `scale` "median" divides distances by their median, so that the value does not know the scale of x; "none" leaves them.
    Raises `DataError` for an unknown summary or scale.
    """
    return _summary(euclidean(x), 0, summary, scale)


def persistence_h0_of_subsets(x: Any, masks: Any, *, summary: str = "mean", scale: str = "median") -> Any:
    """`persistence_h0` (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1."""
    return on_subsets(partial(_summary, dimension=0, summary=summary, scale=scale), x, masks)


def persistence_h1(x: Any, *, summary: str = "maximum", scale: str = "median", max_stimuli: int = 300, seed: int = 0) -> float:
    """Summary of the lifetimes of loops of the patterns `x` (n, p); 0 where there is no loop.

    Of more than `max_stimuli` so many are drawn at random: time and memory grow with their cube and more.
    Raises `DataError` for an unknown summary or scale.
    """
    return _summary(euclidean(_drawn(x, max_stimuli, seed)), 1, summary, scale)


def persistence_h1_of_subsets(
    x: Any, masks: Any, *, summary: str = "maximum", scale: str = "median", max_stimuli: int = 300, seed: int = 0
) -> Any:
    """`persistence_h1` (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1."""
    limited = partial(_limited, dimension=1, summary=summary, scale=scale, max_stimuli=max_stimuli, seed=seed)
    return on_subsets(limited, x, masks)


def intervals(distances: Any, dimension: int = 1) -> np.ndarray:
    """Births and deaths (K, 2) of clusters (`dimension` 0) or loops (1) at `distances` (n, n), longest first, in their units.

    Clusters are born at 0 and die at the edges of the minimum spanning tree; the one that never dies is left out, and so are
    intervals of no length. Raises `DataError` for a matrix that is not square, symmetric and finite, or another dimension.
    """
    matrix = np.asarray(as_tensor(distances, dtype=torch.float64).cpu().numpy())
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all() or (matrix != matrix.T).any():
        raise DataError(f"geometry: found distances of shape {matrix.shape}, expected a finite and symmetric square matrix")
    if dimension not in _INTERVALS:
        raise DataError(f"geometry: found dimension {dimension}, expected 0 (clusters) or 1 (loops)")
    found = _INTERVALS[dimension](matrix)
    found = found[found[:, 1] > found[:, 0]]
    return found[np.argsort(found[:, 0] - found[:, 1], kind="stable")]


def betti_curve(found: Any, at: Any) -> np.ndarray:
    """How many of the intervals `found` (K, 2) live at each of the distances `at` (M,): (M,) whole numbers."""
    births, deaths = np.asarray(found, dtype=np.float64).reshape(-1, 2).T
    points = np.asarray(at, dtype=np.float64)[:, None]
    return ((births <= points) & (points < deaths)).sum(axis=1)


def lifetime_entropy(lifetimes: np.ndarray) -> float:
    """−Σ w ln w of the shares of the total lifetime, in nats; 0 for one interval or none."""
    total = lifetimes.sum()
    if not total > 0:
        return 0.0
    shares = lifetimes / total
    return float(-np.sum(shares * np.log(shares)))


SUMMARIES = {
    "total": lambda lifetimes: float(lifetimes.sum()),
    "mean": lambda lifetimes: float(lifetimes.mean()) if len(lifetimes) else 0.0,
    "maximum": lambda lifetimes: float(lifetimes.max(initial=0.0)),
    "entropy": lifetime_entropy,
}
_SCALES = {"none": lambda _: 1.0, "median": lambda distances: float(median_distance(distances))}


def _clusters(matrix: np.ndarray) -> np.ndarray:
    # In a dense graph 0 is no edge: equal stimuli would be joined by way of others. They merge at 0 and have no lifetime.
    deaths = minimum_spanning_tree(without_duplicates(torch.as_tensor(matrix)).numpy()).data
    return np.stack([np.zeros_like(deaths), deaths], axis=1)


def _loops(matrix: np.ndarray) -> np.ndarray:
    from ripser import ripser  # not at the top: it takes a second, and only this descriptor needs it

    # Ripser computes in float32. Ranks of distances are exact there, those of up to 5792 stimuli, and it needs no more.
    values, ranks = np.unique(matrix, return_inverse=True)
    diagram = ripser(ranks.reshape(matrix.shape).astype(np.float32), maxdim=1, distance_matrix=True)["dgms"][1]
    return values[diagram.astype(np.int64)].reshape(-1, 2)


_INTERVALS = {0: _clusters, 1: _loops}


def _summary(distances: torch.Tensor, dimension: int, summary: str, scale: str) -> float:
    for found, known in ((summary, SUMMARIES), (scale, _SCALES)):
        if found not in known:
            raise DataError(f"geometry: found {found!r}, expected one of {', '.join(known)}")
    births, deaths = intervals(distances, dimension).T
    unit = _SCALES[scale](distances)
    return SUMMARIES[summary]((deaths - births) / unit) if unit > 0 else float("nan")


def _limited(distances: torch.Tensor, *, dimension: int, summary: str, scale: str, max_stimuli: int, seed: int) -> float:
    rows = _chosen(len(distances), max_stimuli, seed)
    kept = torch.as_tensor(rows, device=distances.device)
    return _summary(distances[kept][:, kept], dimension, summary, scale)


def _drawn(x: Any, max_stimuli: int, seed: int) -> Any:
    return x if len(x) <= max_stimuli else x[_chosen(len(x), max_stimuli, seed)]


def _chosen(n: int, limit: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng([int(seed), 0x7068, n]).permutation(n)[:limit])
