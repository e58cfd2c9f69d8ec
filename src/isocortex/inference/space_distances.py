"""Distances of pairs of systems from their trials, by the name of a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch

from isocortex.inference.space import LEAST_STIMULI, Distances, scaled
from isocortex.inference.systems import System
from isocortex.similarity.shape.factors import distance, factor, nuclear_norms
from isocortex.similarity.shape.linear import shape_distance
from isocortex.similarity.shape.space import pairwise

# Of the search for an alignment, which is made hundreds of times for a pair. On spike counts of mice, from the means alone, d²
# ends above the best of four exact searches by 2 % of what another half of the trials changes.
STARTS, TOLERANCE = 1, 1e-3


def shape(options: Mapping[str, Any], device: torch.device) -> Distances:
    """Shape distances of condition means; options alpha, kind and group of `shape_distance`."""
    if options["group"] != "orthogonal":
        return lambda firsts, seconds: np.asarray(
            [shape_distance(a, b, **options) for a, b in zip(means(firsts), means(seconds), strict=True)]
        )

    def distances(firsts: Sequence[np.ndarray], seconds: Sequence[np.ndarray]) -> np.ndarray:
        a, b = (
            [factor(torch.as_tensor(x, device=device), options["alpha"]) for x in means(side)] for side in (firsts, seconds)
        )
        paired = torch.arange(len(a))[:, None].expand(-1, 2)
        first, second = (torch.stack([torch.linalg.matrix_norm(f) for f in side]) for side in (a, b))
        return distance(first, second, nuclear_norms(a, b, paired), options["kind"]).cpu().numpy()

    return distances


def full_distances(systems: Sequence[System], options: Mapping[str, Any], device: torch.device) -> np.ndarray:
    """Shape distances (T, T) of the condition means of all trials and units, on the stimuli that all systems saw.

    NaN where these are fewer than three, and on the diagonal. Numbers of trials and units differ, and with them the noise.
    """
    common = set.intersection(*(set(np.asarray(one.stimulus_ids)[one.counts > 0].tolist()) for one in systems))
    ids = [name for name in systems[0].stimulus_ids if name in common]
    n = len(systems)
    table = np.full((n, n), np.nan)
    if len(ids) < LEAST_STIMULI:
        return table
    rows = [np.asarray([list(one.stimulus_ids).index(name) for name in ids]) for one in systems]
    patterns = means([scaled(one, chosen, np.arange(one.n_units)) for one, chosen in zip(systems, rows, strict=True)])
    if options["group"] == "orthogonal":
        factors = [factor(torch.as_tensor(x, device=device), options["alpha"]) for x in patterns]
        table = pairwise(factors, options["kind"]).cpu().numpy()
    else:
        for i, j in combinations(range(n), 2):
            table[i, j] = table[j, i] = shape_distance(patterns[i], patterns[j], **options)
    np.fill_diagonal(table, np.nan)
    return table


def means(side: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Condition means (stimuli, units) of each of some trials."""
    return [np.nanmean(trials, axis=1) for trials in side]


def gaussian(options: Mapping[str, Any], device: torch.device) -> Distances:
    """Distances of Gaussians fitted to the trials of each condition; option alpha of `gaussian_shape`."""
    from isocortex.similarity.stochastic_shape.estimation import moments
    from isocortex.similarity.stochastic_shape.gaussian import Gaussians, in_batches, rooted
    from isocortex.similarity.stochastic_shape.search import Search

    def fitted(side: Sequence[np.ndarray]) -> list[Gaussians]:
        found = []
        for trials in map(complete, side):
            mean, covariances = moments(torch.as_tensor(trials, device=device))
            found.append(Gaussians(mean - mean.mean(0), covariances))
        return found

    def distances(firsts: Sequence[np.ndarray], seconds: Sequence[np.ndarray]) -> np.ndarray:
        x, y = rooted(fitted(firsts), "first systems"), rooted(fitted(seconds), "second systems")
        every = torch.arange(len(firsts), device=device)
        return in_batches(x, y, every, every, options["alpha"], search).squared.clamp_min(0.0).sqrt().cpu().numpy()

    search = Search(starts=STARTS, tol=TOLERANCE)
    return distances


def energy(options: Mapping[str, Any], device: torch.device) -> Distances:  # noqa: ARG001 (it has no options)
    """Energy distances of the trials of each condition: roots with the sign of d², whose estimate may be below 0."""
    from isocortex.similarity.stochastic_shape.energy import Sampled, aligned
    from isocortex.similarity.stochastic_shape.search import Search

    search = Search(starts=STARTS, tol=TOLERANCE)

    def sampled(side: Sequence[np.ndarray]) -> Sampled:
        trials = np.stack([one - np.nanmean(one, axis=1).mean(axis=0) for one in side])
        valid = np.isfinite(trials).all(axis=3)
        trials[~valid] = 0.0
        return Sampled(torch.as_tensor(trials, device=device), torch.as_tensor(valid.astype(np.float64), device=device))

    def distances(firsts: Sequence[np.ndarray], seconds: Sequence[np.ndarray]) -> np.ndarray:
        squared = aligned(sampled(firsts), sampled(seconds), search).squared
        return (squared.sign() * squared.abs().sqrt()).cpu().numpy()

    return distances


def stochastic(options: Mapping[str, Any], device: torch.device) -> Distances:
    """Distances of distributions of trials, by the name of the distribution."""
    return DISTRIBUTIONS[options["distribution"]](options, device)


def complete(trials: np.ndarray) -> np.ndarray:
    """The trials that every stimulus has: (stimuli, as many, units)."""
    return trials[:, : int(np.isfinite(trials).all(axis=(0, 2)).sum())]


Maker = Callable[[Mapping[str, Any], torch.device], Distances]
DISTRIBUTIONS: dict[str, Maker] = {"gaussian": gaussian, "energy": energy}
METRICS: dict[str, Maker] = {"shape": shape, "stochastic_shape": stochastic}
