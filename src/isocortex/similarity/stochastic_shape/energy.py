"""Stochastic shape distance by energy distances of trials: no form of the distribution is assumed (Duong et al. 2023).

d² = min over T of mean_i [E|X_i − TᵀY_i| − ½ E|X_i − X_i'| − ½ E|Y_i − Y_i'|]; expectations over all pairs of a trial of x
and one of y, and over pairs of distinct trials of one system. So estimated, d² is unbiased for a given T and may be below 0.
Iteratively reweighted Procrustes fits are the tangent steps of `descent`; the R·R' residuals of a condition are kept as
numbers, never as vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes
from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape.descent import State, descend
from isocortex.similarity.stochastic_shape.groups import beginnings, group_of
from isocortex.similarity.stochastic_shape.search import Best, Search, Shape, best_of, padded, shape_of

# Residuals are smoothed below this part of a typical one while T is sought: where one is 0, distances have no gradient.
_SMOOTH = 1e-6
# Arrays as large as the residuals that a step makes.
_ARRAYS = 6


@dataclass(frozen=True)
class Sampled:
    """Trials (P, m, R, p) of P systems, 0 where one is missing, and which there are (P, m, R), as 1.0 and 0.0."""

    trials: torch.Tensor
    valid: torch.Tensor

    def take(self, index: torch.Tensor) -> Sampled:
        return Sampled(self.trials[index], self.valid[index])

    def means(self) -> torch.Tensor:
        """Means of conditions (P, m, p)."""
        return self.trials.sum(2) / self.valid.sum(2)[..., None]

    def covariances(self) -> torch.Tensor:
        """Mean over conditions of the covariances (P, p, p), plug-in."""
        moved = ((self.trials - self.means()[:, :, None]) * self.valid[..., None]).flatten(1, 2)
        return moved.mT @ moved / self.valid.sum((1, 2))[:, None, None]


def sampled(name: str, trials: Any) -> Sampled:
    """Trials (m, R, p) of one system, NaN where one is missing; `DataError` where a condition has fewer than two."""
    x = as_tensor(trials, dtype=torch.float64)
    if x.ndim != 3 or min(x.shape) < 1:
        raise DataError(
            f"energy distance: found {name} of shape {tuple(x.shape)}, expected trials (conditions, repeats, units)"
        )
    missing = torch.isnan(x)
    valid = ~missing.all(2)
    if bool((missing.any(2) & valid).any()) or bool(torch.isinf(x).any()):
        raise DataError(
            f"energy distance: found trials of {name} with some units missing or infinite, expected whole trials;"
            " drop these units or trials"
        )
    few = torch.nonzero(valid.sum(1) < 2)
    if len(few):
        raise DataError(
            f"energy distance: found {int(valid[few[0, 0]].sum())} trials of {name} in condition {int(few[0, 0])}"
            f" and too few in {len(few) - 1} more, expected at least 2; drop these conditions from both systems"
        )
    return Sampled(torch.where(valid[..., None], x, 0.0)[None], valid.to(x.dtype)[None])


@dataclass(frozen=True)
class _Cross:
    """Mean distances between trials x (B, m, R, p) and turned trials y (B, m, R', p); weights (B, m, R) and (B, m, R')."""

    x: Sampled
    y: Sampled
    weights: tuple[torch.Tensor, torch.Tensor]
    norms: tuple[torch.Tensor, torch.Tensor]
    smooth: torch.Tensor
    scale: torch.Tensor
    step: int

    def _parts(self) -> Iterator[slice]:
        return (slice(k, k + self.step) for k in range(0, self.x.trials.shape[1], self.step))

    def _distances(self, turned: torch.Tensor, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Smoothed distances and the weights of the pairs, (B, k, R', R)."""
        products = turned[:, part] @ self.x.trials[:, part].mT
        squares = self.norms[1][:, part, :, None] + self.norms[0][:, part, None, :] - 2.0 * products
        distances = (squares.clamp_min(0.0) + self.smooth[:, None, None, None]).sqrt()
        return distances, self.weights[1][:, part, :, None] * self.weights[0][:, part, None, :]

    def _pulled(self, pairs: torch.Tensor, part: slice, of_y: torch.Tensor) -> torch.Tensor:
        """Σ pairs_ab y_b x_aᵀ, (B, p, p)."""
        return of_y[:, part].flatten(1, 2).mT @ (pairs @ self.x.trials[:, part]).flatten(1, 2)

    def _turned(self, t: torch.Tensor) -> torch.Tensor:
        return (self.y.trials.flatten(1, 2) @ t).reshape(*self.y.trials.shape[:3], -1)

    def evaluate(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, State]:
        turned, value, gradient = self._turned(t), 0.0, 0.0
        kept: State = ()
        for part in self._parts():
            distances, weights = self._distances(turned, part)
            value = value + (weights * distances).sum((1, 2, 3))
            pairs = weights / distances
            gradient = gradient - self._pulled(pairs, part, self.y.trials)
            if self.step >= self.x.trials.shape[1]:
                kept = (pairs / distances.square(),)
        return torch.as_tensor(value), torch.as_tensor(gradient), (turned, *kept)

    def bent(self, t: torch.Tensor, state: State, turn: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """1/|x − Tᵀy| changes by yᵀT·turn·x/|x − Tᵀy|³; where that did not fit into memory it is made again."""
        turned, *kept = state
        moved = (turned.flatten(1, 2) @ turn).reshape(turned.shape)
        found = torch.zeros_like(turn)
        for part in self._parts():
            if kept:
                cubes = kept[0]
            else:
                distances, weights = self._distances(turned, part)
                cubes = weights / distances**3
            changed = cubes * (moved[:, part] @ self.x.trials[:, part].mT)
            found = found - self._pulled(changed, part, turned)
        return found

    def take(self, index: torch.Tensor) -> _Cross:
        both = lambda pair: (pair[0][index], pair[1][index])
        return replace(
            self,
            x=self.x.take(index),
            y=self.y.take(index),
            weights=both(self.weights),
            norms=both(self.norms),
            smooth=self.smooth[index],
            scale=self.scale[index],
        )


def _problem(x: Sampled, y: Sampled, searches: int) -> _Cross:
    m = x.trials.shape[1]
    norms = (x.trials.square().sum(-1), y.trials.square().sum(-1))
    counts = (x.valid.sum(2, keepdim=True), y.valid.sum(2, keepdim=True))
    weights = (x.valid / (m * counts[0]), y.valid / counts[1])
    power = (weights[0] * norms[0]).sum((1, 2)) + (weights[1] * norms[1]).sum((1, 2)) / m
    pairs = x.trials.shape[2] * y.trials.shape[2]
    step = max(1, int(budget_bytes(x.trials.device) // (8 * _ARRAYS * pairs * searches)))
    tiny = torch.finfo(power.dtype).tiny
    return _Cross(x, y, weights, norms, _SMOOTH**2 * power + tiny, power.sqrt() + tiny, min(step, m))


def _mean_of(
    distance: Callable[[slice], torch.Tensor], m: int, bytes_per_condition: float, device: torch.device
) -> torch.Tensor:
    """The sum over conditions of what `distance` has for a slice of them, as many at once as fit."""
    parts = batches(m, bytes_per_condition, budget_bytes(device))
    return torch.stack([distance(part) for part in parts]).sum(0)


def _between(x: Sampled, y: Sampled) -> torch.Tensor:
    """Mean distances (P,) of all pairs of trials, by differences: exact for near trials too."""

    def part_of(part: slice) -> torch.Tensor:
        apart = torch.cdist(x.trials[:, part], y.trials[:, part], compute_mode="donot_use_mm_for_euclid_dist")
        weights = x.valid[:, part, :, None] * y.valid[:, part, None, :]
        return ((apart * weights).sum((2, 3)) / weights.sum((2, 3))).sum(1)

    count, m, r, _ = x.trials.shape
    return _mean_of(part_of, m, 24.0 * count * r * y.trials.shape[2], x.trials.device) / m


def within(x: Sampled) -> torch.Tensor:
    """Mean distances (P,) of pairs of distinct trials of a condition; each trial is at 0 from itself."""
    counts = x.valid.sum(2)

    def part_of(part: slice) -> torch.Tensor:
        trials, valid, n = x.trials[:, part], x.valid[:, part], counts[:, part]
        apart = torch.cdist(trials, trials, compute_mode="donot_use_mm_for_euclid_dist")
        return ((apart * valid[..., :, None] * valid[..., None, :]).sum((2, 3)) / (n * (n - 1))).sum(1)

    count, m, r, _ = x.trials.shape
    return _mean_of(part_of, m, 24.0 * count * r * r, x.trials.device) / m


def scored(x: Sampled, y: Sampled, t: torch.Tensor) -> torch.Tensor:
    """d² (P,) under given transforms (P, p, p), not clipped."""
    turned = Sampled(y.trials @ t[:, None], y.valid)
    return _between(x, turned) - 0.5 * within(x) - 0.5 * within(y)


def first_transforms(x: Sampled, y: Sampled, search: Search) -> torch.Tensor:
    """Where the searches for pairs of systems begin, (P, K, p, p)."""
    cross = y.means().mT @ x.means()
    return beginnings(group_of(search.group), cross, x.covariances(), y.covariances(), search.starts, search.seed)


def aligned(x: Sampled, y: Sampled, search: Search) -> Best:
    """The best alignment of each of P pairs of systems, its d² evaluated exactly and not clipped."""
    starts = first_transforms(x, y, search)
    count = starts.shape[1]
    index = torch.arange(len(starts), device=starts.device).repeat_interleave(count)
    problem = _problem(x, y, len(index)).take(index)
    found = descend(problem, starts.flatten(0, 1), group_of(search.group), search.tol, search.iterations)
    best = best_of(found, count)
    inside = 0.5 * (within(x) + within(y))
    return replace(best, squared=scored(x, y, best.transform), values=best.values - inside[:, None])


def both_sampled(x: Any, y: Any) -> tuple[Sampled, Sampled]:
    """Trials of two systems with the same conditions, the narrower one padded with zeros."""
    first, second = sampled("x", x), sampled("y", y)
    if first.trials.shape[1] != second.trials.shape[1]:
        raise DataError(
            f"energy distance: found {first.trials.shape[1]} and {second.trials.shape[1]} conditions, expected the same in both"
            " systems; keep the common ones"
        )
    width, device = max(first.trials.shape[-1], second.trials.shape[-1]), first.trials.device
    widened = lambda s: Sampled(padded(s.trials, width).to(device), s.valid.to(device))
    return widened(first), widened(second)


def energy_shape(
    x: Any,
    y: Any,
    group: str = "orthogonal",
    starts: int = 4,
    seed: int = 0,
    tol: float = 1e-8,
    iterations: int = 1000,
) -> Shape:
    """The energy distance between trials x (m, R, p) and y (m, R', p') of the same m conditions, NaN for a missing trial.

    Narrower trials are padded with units that are always 0; means are not centred. `group`: "orthogonal", "permutation" or
    "identity". The best of `starts` searches is kept, as in `gaussian_shape`, and the value is an upper bound for these
    trials; `squared` is not clipped, for tests and differences. With few trials T fits their noise: match their numbers.
    float64. Raises `DataError` for a condition with fewer than 2 trials and for trials with some units missing.
    """
    search = Search(group, starts, seed, tol, iterations)
    first, second = both_sampled(x, y)
    best = aligned(first, second, search)
    return shape_of(best, float(best.squared[0]), x)
