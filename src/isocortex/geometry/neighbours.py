"""Dimensions of the neighbourhoods of stimuli: a curved sheet has fewer than the space that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.geometry.distances import euclidean, on_subsets, without_duplicates


def two_nn(x: Any, *, discard: float = 0.1) -> float:
    """Intrinsic dimension of the patterns `x` (n, p) from the two nearest neighbours of each (Facco et al. 2017).

    The ratio μ of the second to the first distance has P(μ > m) = m^−d; d is the slope through the origin of −ln(1 − i/n) on
    ln μ in ascending order, without the share `discard` of largest. Of equal patterns one is kept. It falls short for many
    dimensions or few stimuli. Raises `DataError` for fewer than 4 different stimuli, or `discard` outside (0, 1).
    """
    return _two_nn(euclidean(x), discard=discard)


def two_nn_of_subsets(x: Any, masks: Any, *, discard: float = 0.1) -> Any:
    """`two_nn` (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1."""
    return on_subsets(partial(_two_nn, discard=discard), x, masks)


def two_nn_scan(x: Any, sizes: Sequence[int], *, draws: int = 10, discard: float = 0.1, seed: int = 0) -> np.ndarray:
    """`two_nn` (len(sizes), draws) of random subsets of each size: a plateau says that the scale does not matter."""
    distances = euclidean(x)
    n, generator = len(distances), np.random.default_rng([int(seed), 0x326E6E])
    if min(sizes) < 4 or max(sizes) > n:
        raise DataError(f"geometry: found sizes {min(sizes)} to {max(sizes)}, expected 4 to {n}, the number of stimuli")
    result = np.empty((len(sizes), draws))
    for row, size in enumerate(sizes):
        for column in range(draws):
            kept = torch.as_tensor(generator.permutation(n)[:size], device=distances.device)
            result[row, column] = _two_nn(distances[kept][:, kept], discard=discard)
    return result


def local_rank(x: Any, *, neighbours: int = 10) -> float:
    """Mean over stimuli of the participation ratio of a stimulus and its nearest `neighbours`; 1 to `neighbours`.

    Sets of equal patterns have none and are left out; NaN if all are. Raises `DataError` for fewer than two neighbours, or for
    not more stimuli than neighbours.
    """
    return _local_rank(euclidean(x), neighbours=neighbours)


def local_rank_of_subsets(x: Any, masks: Any, *, neighbours: int = 10) -> Any:
    """`local_rank` (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1."""
    return on_subsets(partial(_local_rank, neighbours=neighbours), x, masks)


def likelihood_dimension(x: Any, *, neighbours: int = 20, mean: str = "inverses") -> float:
    """Maximum-likelihood dimension of the patterns `x` (n, p) from the distances to `neighbours` of each stimulus.

    1/d of a stimulus is the mean log ratio of its last distance to the others (Levina & Bickel 2004). `mean` over stimuli: of
    "dimensions", as by these authors, or of "inverses" (MacKay & Ghahramani 2005), which few neighbours bias less.
    Raises `DataError` for an unknown mean, or not more different stimuli than neighbours.
    """
    if mean not in _MEANS:
        raise DataError(f"geometry: found mean {mean!r}, expected one of {', '.join(_MEANS)}")
    distances = without_duplicates(euclidean(x))
    _check(neighbours, len(distances))
    near = _nearest(distances, neighbours)[0]
    inverse = torch.log(near[:, -1:] / near[:, :-1]).mean(dim=1)
    return float(_MEANS[mean](inverse))


_MEANS = {"dimensions": lambda inverse: (1 / inverse).mean(), "inverses": lambda inverse: 1 / inverse.mean()}


def _nearest(distances: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances and places (n, number) of the nearest others."""
    others = distances.clone()
    others.fill_diagonal_(torch.inf)
    near = torch.topk(others, number, dim=1, largest=False, sorted=True)
    return near.values, near.indices


def _two_nn(distances: torch.Tensor, *, discard: float) -> float:
    if not 0 < discard < 1:
        raise DataError(f"geometry: found discard {discard:g}, expected more than 0 and less than 1")
    apart = without_duplicates(distances)
    n = len(apart)
    if n < 4:
        raise DataError(f"geometry: found {n} different stimuli, expected at least 4")
    near, _ = _nearest(apart, 2)
    # The last has an empirical P of 1, and −ln 0 is no number: it goes whatever the share.
    kept = min(int(n * (1 - discard)), n - 1)
    log_ratio = torch.log(near[:, 1] / near[:, 0]).sort().values[:kept]
    log_rest = -torch.log1p(-torch.arange(1, kept + 1, dtype=torch.float64, device=apart.device) / n)
    power = log_ratio.square().sum()
    return float((log_ratio @ log_rest) / torch.where(power > 0, power, torch.nan))


def _check(neighbours: int, n: int) -> None:
    if neighbours < 2 or n <= neighbours:
        raise DataError(
            f"geometry: found {n} different stimuli for {neighbours} neighbours, expected at least 2 and more stimuli"
        )


def _local_rank(distances: torch.Tensor, *, neighbours: int) -> float:
    n = len(distances)
    _check(neighbours, n)
    self_first = torch.arange(n, device=distances.device)[:, None]
    sets = torch.cat([self_first, _nearest(distances, neighbours)[1]], dim=1)
    squared = distances.square()[sets[:, :, None], sets[:, None, :]]
    # Distances hold the centred Gram matrix of each set: −½ H D² H.
    gram = -0.5 * (squared - squared.mean(1, keepdim=True) - squared.mean(2, keepdim=True) + squared.mean((1, 2), keepdim=True))
    trace = gram.diagonal(dim1=1, dim2=2).sum(-1)
    varies = trace > 0
    if not bool(varies.any()):
        return float("nan")
    return float((trace[varies].square() / gram[varies].square().sum((1, 2))).mean())
