"""Nulls of stochastic distances, self-distances of one system, and whether two populations differ in their noise.

Repeats of a condition stand in the order of time. What drifts slowly is alike in neighbouring trials: shuffles within blocks
of neighbours keep it, and halves that alternate in blocks do not part neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape import estimation, gaussian
from isocortex.similarity.stochastic_shape.gaussian import Gaussians, Rooted
from isocortex.similarity.stochastic_shape.measures import PLAIN, Measure
from isocortex.similarity.stochastic_shape.search import Search
from isocortex.similarity.trials import alternating, packed, parted, present, random_half, ranks, shuffled_within

# Distances that differ by less than this part are equal but for rounding, and count as such in a test.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Tested:
    """d² observed, d² under the null (n,), and p = (1 + how many of the null are as far or farther)/(1 + n)."""

    squared: float
    null: np.ndarray
    p: float


def condition_null(
    x: Gaussians, y: Gaussians, n: int = 199, alpha: float = 1.0, search: Search = PLAIN.search, seed: int = 0
) -> np.ndarray:
    """Distances (n,) of x from y with its conditions permuted; roots of covariances are taken once."""
    a, b = gaussian.both([x], [y])
    m = b.means.shape[1]
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(m), (n, 1)), axis=1)
    every = torch.arange(n, device=b.means.device)
    found = []
    for part in every.split(max(1, 10_000_000 // b.roots.numel())):
        order = torch.as_tensor(orders, device=b.means.device)[part]
        moved = Rooted(b.means[0][order], b.roots[0][order])
        first = torch.zeros(len(part), dtype=torch.long, device=part.device)
        found.append(gaussian.in_batches(a, moved, first, torch.arange(len(part), device=part.device), alpha, search).squared)
    return torch.cat(found).clamp_min(0.0).sqrt().cpu().numpy()


def _shuffles(values: np.ndarray, count: int, generator: np.random.Generator, block: int | None) -> np.ndarray:
    """`count` arrays like `values` (m, R, p), each unit's trials in another order within blocks of `block` neighbours."""
    if block is not None and block < 2:
        raise ValueError(f"shuffled: found blocks of {block}, expected 2 trials or more, or None")
    valid, r = present(values), values.shape[1]
    stretch = np.where(valid, ranks(valid) // (block or r), r)
    return np.stack([shuffled_within(values, stretch, generator) for _ in range(count)])


def _values(trials: Any) -> np.ndarray:
    return estimation.whole(trials).cpu().numpy()


def shuffled(trials: Any, seed: int = 0, block: int | None = None) -> Any:
    """Trials (m, R, p) with each unit's shuffled by itself among those of a condition: noise correlations go, all else stays.

    `block`: within blocks of so many neighbouring trials only, so that what drifts more slowly stays shared.
    """
    made = torch.as_tensor(_shuffles(_values(trials), 1, np.random.default_rng(seed), block)[0])
    return like_input(made.to(as_tensor(trials).device), trials)


def split_halves(trials: Any, seed: int = 0, blocks: int | None = None) -> tuple[Any, Any]:
    """Two halves (m, ⌈R/2⌉, p) of every condition's trials, NaN where a half has one fewer.

    At random, or, with `blocks`, in that many stretches of time which go to the halves by turns, a coin for each condition
    saying which half begins. Raises `DataError` for a condition with fewer than 2 trials or fewer than `blocks`.
    """
    values, generator = _values(trials), np.random.default_rng(seed)
    valid = present(values)
    counts, least = valid.sum(1), max(2, blocks or 2)
    if counts.min() < least:
        raise DataError(
            f"split_halves: found {counts.min()} trials of condition {counts.argmin()}, expected at least {least};"
            " drop the condition, or set fewer blocks"
        )
    if blocks is None:
        first = random_half(valid, generator)
    else:
        first = valid & alternating(parted(ranks(valid), counts[:, None], blocks), generator)
    device = as_tensor(trials).device
    one, other = (torch.as_tensor(packed(values, side), device=device) for side in (first, valid & ~first))
    return like_input(one, trials), like_input(other, trials)


def self_distance(
    trials: Any, splits: int = 20, measure: Measure = PLAIN, blocks: int | None = None, seed: int = 0
) -> np.ndarray:
    """Distances (splits,) of halves of a system's trials (m, R, p) from one another, halved as `split_halves` does.

    Halves have half of the trials: compare with distances between systems of as many, on as many components.
    """
    pairs = [split_halves(trials, seed + k, blocks) for k in range(splits)]
    squared = [measure.squared(a[None], b[None])[0] for a, b in pairs]
    return np.sqrt(np.clip(squared, 0.0, None))


def _test(made: tuple[np.ndarray, np.ndarray], x: Any, y: Any, measure: Measure) -> Tested:
    """The pair first, then those of the null, in one batch."""
    device = as_tensor(x).device
    sides = [
        torch.as_tensor(np.concatenate([_values(t)[None], null]), device=device) for t, null in zip((x, y), made, strict=True)
    ]
    squared = measure.squared(*sides)
    observed, null = float(squared[0]), squared[1:]
    as_far = null >= observed - _ROUNDING * abs(observed)
    return Tested(observed, null, float((1 + as_far.sum()) / (1 + len(null))))


def noise_test(x: Any, y: Any, n: int = 199, measure: Measure = PLAIN, block: int | None = None, seed: int = 0) -> Tested:
    """Do noise correlations set two populations apart? Trials x (m, R, p) and y (m, R', p'), NaN where one is missing.

    Null: each unit's trials shuffled by themselves within condition (and within blocks of `block` neighbours) in both
    populations, which leaves means and variances as they are. It is that of populations without noise correlations: two with
    the same ones are rejected at another rate than 5 %; where units are the same in both, take `exchange_test`. Match trials
    first.
    """
    generator = np.random.default_rng(seed)
    made = (_shuffles(_values(x), n, generator, block), _shuffles(_values(y), n, generator, block))
    return _test(made, x, y, measure)


def exchange_test(x: Any, y: Any, n: int = 199, measure: Measure = PLAIN, seed: int = 0) -> Tested:
    """Do trials x and y (m, R, p) of the same units, as in two states of one population, differ in distribution?

    Null: trials of a condition dealt anew to the two. Valid for trials that are independent of one another, not with drift.
    Raises `DataError` where units, conditions or numbers of trials differ.
    """
    a, b = _values(x), _values(y)
    if a.shape != b.shape or (estimation.counted(x) != estimation.counted(y)).any():
        raise DataError(
            f"exchange_test: found trials {a.shape} and {b.shape}, expected the same units and as many trials of each condition"
            " in both; use matched, or noise_test"
        )
    generator, device = np.random.default_rng(seed), as_tensor(x).device
    both = np.concatenate([a, b], axis=1)
    valid = present(both)
    firsts = [random_half(valid, generator) for _ in range(n)]
    first, second = (np.stack([packed(both, side) for side in sides]) for sides in (firsts, [valid & ~f for f in firsts]))
    a, b = (torch.as_tensor(packed(values, present(values)), device=device) for values in (a, b))
    return _test((first, second), a, b, measure)
