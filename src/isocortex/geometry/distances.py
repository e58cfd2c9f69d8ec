"""Euclidean distances of stimuli: what descriptors of neighbours, diffusion and topology are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError

# Squared distances below this share of the patterns' squared lengths have lost three of sixteen digits; pairs are made anew
# one by one if there are not more than this share of them.
_NEAR, _FEW = 1e-3, 0.02


def euclidean(x: Any) -> torch.Tensor:
    """Distances (n, n) of the patterns `x` (n, p); patterns that are equal but for rounding are at exactly 0.

    From inner products, and from differences where these are so small that inner products would lose digits of them. A
    distance of at most √(n ε) of the root mean square distance to the mean is 0: patterns that were made from a Gram matrix
    lie as far apart where they were equal before (an axis that holds n ε of the variance knows ε of it).
    """
    patterns = as_tensor(x, dtype=torch.float64)
    if patterns.ndim != 2 or len(patterns) < 2:
        raise DataError(f"geometry: found patterns of shape {tuple(patterns.shape)}, expected at least 2 stimuli and 1 unit")
    centred = patterns - patterns.mean(dim=0)
    lengths = centred.square().sum(dim=1)
    both = lengths[:, None] + lengths[None, :]
    squared = both - 2.0 * centred @ centred.T
    near = (squared <= _NEAR * both).fill_diagonal_(False)
    if float(near.sum()) > _FEW * near.numel():
        distances = torch.cdist(patterns, patterns, compute_mode="donot_use_mm_for_euclid_dist")
    else:
        rows, columns = torch.nonzero(near, as_tuple=True)
        distances = squared.clamp_min(0.0).sqrt().fill_diagonal_(0.0)
        distances[rows, columns] = (patterns[rows] - patterns[columns]).norm(dim=1)
    distances = torch.maximum(distances, distances.T)
    alike = (len(patterns) * torch.finfo(torch.float64).eps * lengths.mean()).sqrt()
    return torch.where(distances > alike, distances, 0.0)


def coordinates(x: Any) -> Any:
    """`x` (n, p) turned into its own axes, (n, min(n, p)): what is invariant to rotation is the same, and cheaper to have."""
    left, values, _ = torch.linalg.svd(as_tensor(x, dtype=torch.float64), full_matrices=False)
    return like_input(left * values, x)


def without_duplicates(distances: torch.Tensor) -> torch.Tensor:
    """The distances of the first of each set of stimuli that are at distance 0."""
    earlier = (distances == 0).triu(diagonal=1).any(dim=0)
    kept = torch.nonzero(~earlier).squeeze(1)
    return distances[kept][:, kept]


def median_distance(distances: torch.Tensor) -> torch.Tensor:
    """Median over all pairs of stimuli."""
    n = len(distances)
    rows, columns = torch.triu_indices(n, n, offset=1, device=distances.device)
    return distances[rows, columns].quantile(0.5) if n < 5000 else distances[rows, columns].median()


def on_subsets(value: Callable[[torch.Tensor], float], x: Any, masks: Any) -> Any:
    """`value` (D,) of the distances of each subset of stimuli, `masks` (D, n) of 0 and 1, made once; NaN where it refuses."""
    distances = euclidean(x)
    values = np.full(len(masks), np.nan)
    for row, kept in enumerate(_indices(masks, distances.device)):
        try:
            values[row] = value(distances[kept][:, kept])
        except DataError:  # a subset may have too few distinct stimuli: no value, and not the end of a study
            continue
    return like_input(as_tensor(values, device=distances.device), x)


def _indices(masks: Any, device: torch.device) -> Iterator[torch.Tensor]:
    for mask in as_tensor(masks, device=device):
        yield torch.nonzero(mask).squeeze(1)
