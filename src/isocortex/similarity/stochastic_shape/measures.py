"""MEASURES: stochastic distances of trials, many pairs of systems at once, for tests and self-distances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape import energy, estimation, gaussian
from isocortex.similarity.stochastic_shape.gaussian import Rooted
from isocortex.similarity.stochastic_shape.search import Search, padded


@dataclass(frozen=True)
class Measure:
    """A stochastic distance of trials: "gaussian", of `alpha` and on so many pooled `components`, or "energy".

    `components` None: all units where each system has at most half as many of them as trials, else half of the fewest trials.
    """

    kind: str = "gaussian"
    alpha: float = 1.0
    components: int | None = None
    search: Search = field(default_factory=lambda: Search(starts=2))

    def __post_init__(self) -> None:
        if self.kind not in MEASURES:
            raise ValueError(f"measure: found kind {self.kind!r}, expected one of {sorted(MEASURES)}")

    def squared(self, xs: Any, ys: Any) -> np.ndarray:
        """d² (S,) of trials xs (S, m, R, p) from ys (S, m, R', p'), pair by pair; not clipped at 0."""
        x, y = estimation.whole(xs), estimation.whole(ys)
        return MEASURES[self.kind](x, y.to(x.device), self).cpu().numpy()


def _gaussian(x: torch.Tensor, y: torch.Tensor, measure: Measure) -> torch.Tensor:
    most = estimation.most_components(x, y)
    components = measure.components or most
    if not 1 <= components <= most:
        raise DataError(
            f"Gaussian shape: found {components} components, expected 1 to {most}, half of the fewest trials and no more than"
            " units; lower components, or use the energy distance"
        )
    sides = []
    for trials in (x, y):
        keep = measure.components is None and trials.shape[-1] <= components
        means, covariances = estimation.moments(trials if keep else estimation.on_axes(trials, components))
        sides.append((means - means.mean(-2, keepdim=True), covariances))
    width = max(means.shape[-1] for means, _ in sides)
    rooted = [Rooted(padded(m, width), gaussian.roots(padded(c, width, 2))) for m, c in sides]
    every = torch.arange(len(x), device=x.device)
    return gaussian.in_batches(rooted[0], rooted[1], every, every, measure.alpha, measure.search).squared


def _energy(x: torch.Tensor, y: torch.Tensor, measure: Measure) -> torch.Tensor:
    pairs = [energy.both_sampled(_centred(a), _centred(b)) for a, b in zip(x, y, strict=True)]
    sides = [energy.Sampled(torch.cat([p[k].trials for p in pairs]), torch.cat([p[k].valid for p in pairs])) for k in range(2)]
    return energy.aligned(sides[0], sides[1], measure.search).squared


def _centred(trials: torch.Tensor) -> torch.Tensor:
    return trials - torch.nanmean(trials, dim=1).mean(0)


MEASURES: dict[str, Callable[[torch.Tensor, torch.Tensor, Measure], torch.Tensor]] = {"gaussian": _gaussian, "energy": _energy}

# Gaussian, of means and covariances, on as many components as the trials carry.
PLAIN = Measure()
