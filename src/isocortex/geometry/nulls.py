"""What a descriptor is compared with: representations without the structure that it looks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input

# Stimuli that have as many repeats and change places: fewer have few orders.
LEAST_ALIKE = 10


def shuffle_units(x: Any, rng: np.random.Generator) -> Any:
    """`x` (n, p) or (n, R, p) with the stimuli of each unit in an order of its own.

    Each unit keeps its responses, and its repeats stay together; correlations between units go. Where repeats are missing
    (NaN), stimuli change places with those that have as many, so that a stimulus has as many in all units: whole repeats come
    first, and of fewer than `LEAST_ALIKE` stimuli with as many some repeats go, so that they join those with fewer.
    """
    return _shuffles(x)(rng)


def _shuffles(x: Any) -> Callable[[np.random.Generator], Any]:
    """`shuffle_units` for many draws."""
    patterns, groups = _by_repeats(as_tensor(x))

    def draw(rng: np.random.Generator) -> Any:
        order = np.empty((patterns.shape[0], patterns.shape[-1]), dtype=np.int64)
        for rows in groups:
            order[rows] = rows[np.argsort(rng.random((len(rows), order.shape[1])), axis=0)]
        index = as_tensor(order, device=patterns.device)
        index = index if patterns.ndim == 2 else index[:, None, :].expand(patterns.shape)
        return like_input(torch.gather(patterns, 0, index), x)

    return draw


def _by_repeats(patterns: torch.Tensor) -> tuple[torch.Tensor, list[np.ndarray]]:
    """Patterns with whole repeats first and NaN behind them, and rows of the stimuli that have as many."""
    if patterns.ndim < 3:
        return patterns, [np.arange(len(patterns))]
    whole = torch.isfinite(patterns).all(dim=2)
    order = torch.argsort((~whole).to(torch.int8), dim=1, stable=True)
    numbers = whole.sum(dim=1).cpu().numpy()
    groups = _alike(numbers)
    for rows in groups:
        numbers[rows] = numbers[rows].min()
    kept = torch.arange(patterns.shape[1], device=patterns.device) < as_tensor(numbers, device=patterns.device)[:, None]
    moved = torch.gather(patterns, 1, order[:, :, None].expand(patterns.shape))
    return torch.where(kept[:, :, None], moved, torch.nan), groups


def _alike(numbers: np.ndarray) -> list[np.ndarray]:
    groups: list[np.ndarray] = []
    waiting = np.empty(0, dtype=np.int64)
    for number in sorted(set(numbers.tolist()), reverse=True):
        waiting = np.concatenate([waiting, np.flatnonzero(numbers == number)])
        if len(waiting) >= LEAST_ALIKE:
            groups, waiting = [*groups, waiting], waiting[:0]
    if not len(waiting):
        return groups
    return [*groups[:-1], np.concatenate([*groups[-1:], waiting])]


def matched_spectrum_gaussian(x: Any, rng: np.random.Generator) -> Any:
    """Gaussian patterns (n, p) with exactly the mean and the covariance over stimuli of `x` (n, p).

    With the centred x = U S Vᵀ, U is drawn anew, uniform among the orthonormal frames orthogonal to 1: this is the distribution
    of Gaussian stimuli given their sample covariance, so that n is neither too small nor too large for it to hold.
    """
    return _gaussians_like(x)(rng)


def _gaussians_like(x: Any) -> Callable[[np.random.Generator], Any]:
    """`matched_spectrum_gaussian` for many draws: x is decomposed once."""
    patterns = as_tensor(x, dtype=torch.float64)
    mean = patterns.mean(dim=0)
    _, values, axes = torch.linalg.svd(patterns - mean, full_matrices=False)
    rank = min(len(patterns) - 1, len(values))
    scaled = values[:rank, None] * axes[:rank]

    def draw(rng: np.random.Generator) -> Any:
        drawn = as_tensor(rng.standard_normal((len(patterns), rank)), device=patterns.device)
        q, r = torch.linalg.qr(drawn - drawn.mean(dim=0))
        # The signs that QR leaves to the library; with r's diagonal positive the frame is uniform.
        frame = q * torch.sign(r.diagonal())
        return like_input(frame @ scaled + mean, x)

    return draw


def permute_labels(labels: Any, rng: np.random.Generator) -> np.ndarray:
    """The labels (n,) in a random order: classes keep their sizes."""
    values = np.asarray(labels)
    return values[rng.permutation(len(values))]


def _of_labels(data: Any, labels: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    return data, permute_labels(labels, rng)


def _of_data(change: Callable[[Any, np.random.Generator], Any]) -> Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]:
    return lambda data, labels, rng: (change(data, rng), labels)


# Name → (data, labels or None, generator) → data and labels of one draw.
NULLS: dict[str, Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]] = {
    "shuffle_units_independently": _of_data(shuffle_units),
    "matched_spectrum_gaussian": _of_data(matched_spectrum_gaussian),
    "permute_labels": _of_labels,
}


def sampler(null: str, data: Any, labels: Any) -> Callable[[np.random.Generator], tuple[Any, Any]]:
    """generator → data and labels of one draw of the null called `null`; what all draws share is computed once."""
    if null in _PREPARED:
        draw = _PREPARED[null](data)
        return lambda rng: (draw(rng), labels)
    change = NULLS[null]
    return lambda rng: change(data, labels, rng)


_PREPARED: dict[str, Callable[[Any], Callable[[np.random.Generator], Any]]] = {
    "matched_spectrum_gaussian": _gaussians_like,
    "shuffle_units_independently": _shuffles,
}
