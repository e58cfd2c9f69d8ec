"""What a search for the best alignment is asked, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import like_input
from isocortex.similarity.stochastic_shape.descent import Found


@dataclass(frozen=True)
class Search:
    """`starts` searches over `group`, random ones from `seed`; each ends where an iteration gains ≤ `tol` of d²."""

    group: str = "orthogonal"
    starts: int = 4
    seed: int = 0
    tol: float = 1e-8
    iterations: int = 1000

    def __post_init__(self) -> None:
        if self.starts < 1 or self.iterations < 1 or self.tol < 0:
            raise ValueError(
                f"search: found starts {self.starts}, iterations {self.iterations} and tol {self.tol},"
                " expected 1, 1 and 0 or more"
            )


@dataclass(frozen=True)
class Shape:
    """A distance, and the T (p, p) that brings patterns y (rows) to x as y @ T.

    `squared`: d², which an unbiased estimate may have below 0; `values`: the distances that all starts reached, the least of
    which is `distance`; `iterations` and `converged`: of the start that was best.
    """

    distance: float
    squared: float
    transform: Any
    iterations: int
    converged: bool
    values: Any


@dataclass(frozen=True)
class Best:
    """Of P problems, the best of K starts: transforms (P, p, p), d² (P,), and d² of all starts (P, K)."""

    transform: torch.Tensor
    squared: torch.Tensor
    iterations: torch.Tensor
    converged: torch.Tensor
    values: torch.Tensor


def best_of(found: Found, count: int) -> Best:
    """The best of every `count` neighbours."""
    values = found.value.reshape(-1, count)
    least = values.argmin(1)
    at = torch.arange(len(values), device=least.device) * count + least
    return Best(found.transform[at], found.value[at], found.iterations[at], found.converged[at], values)


def joined(parts: Sequence[Best]) -> Best:
    """The problems of all parts, in their order."""
    transform, squared, iterations, converged, values = (
        torch.cat(same)
        for same in zip(*((p.transform, p.squared, p.iterations, p.converged, p.values) for p in parts), strict=True)
    )
    return Best(transform, squared, iterations, converged, values)


def shape_of(best: Best, squared: float, reference: Any) -> Shape:
    """The only problem's result, with d² evaluated anew."""
    values = best.values[0].clamp_min(0.0).sqrt()
    distance = max(squared, 0.0) ** 0.5
    values[best.values[0].argmin()] = distance
    return Shape(
        distance,
        squared,
        like_input(best.transform[0], reference),
        int(best.iterations[0]),
        bool(best.converged[0]),
        like_input(values, reference),
    )


def padded(x: torch.Tensor, width: int, axes: int = 1) -> torch.Tensor:
    """Zeros appended to the last `axes` axes, up to `width`."""
    short = width - x.shape[-1]
    return torch.nn.functional.pad(x, (0, short) * axes) if short else x
