"""DISTRIBUTIONS: what is kept of noisy responses to a condition, and how systems are compared by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isocortex.similarity.stochastic_shape.bures import roots
from isocortex.similarity.stochastic_shape.estimation import moments
from isocortex.similarity.stochastic_shape.gaussian import Rooted, in_batches
from isocortex.similarity.stochastic_shape.search import Search
from isocortex.similarity.trials import chosen, present

# A search for an alignment ends where a step gains less than this part of d²: far below what another draw changes.
TOLERANCE = 1e-9
_SEED = 0x6E6F6973


@dataclass(frozen=True)
class Fitted:
    """Means (m, d) of conditions, and roots of their covariances (m, d, d) or trials (m, R, d), NaN where one is missing."""

    means: torch.Tensor
    spread: torch.Tensor

    def permuted(self, order: torch.Tensor) -> Fitted:
        """Conditions in another order."""
        return replace(self, means=self.means[order], spread=self.spread[order])


@dataclass(frozen=True)
class Distribution:
    """How trials (m, R, d), of which every condition has `n_trials`, and means with known covariances are kept and compared."""

    of_trials: Callable[[torch.Tensor, int], Fitted]
    of_noise: Callable[[torch.Tensor, torch.Tensor, int], Fitted]
    compare: Callable[[Sequence[Fitted], Sequence[Fitted], Mapping[str, Any]], np.ndarray]


def _covariances(trials: torch.Tensor, n_trials: int) -> Fitted:  # noqa: ARG001 (covariances of more trials are better ones)
    """Means and roots of the unbiased covariances, of the trials that there are."""
    means, covariances = moments(trials)
    return Fitted(means, roots(covariances))


def _known(means: torch.Tensor, covariances: torch.Tensor, n_trials: int) -> Fitted:  # noqa: ARG001
    return Fitted(means, roots(covariances))


def _gaussian(first: Sequence[Fitted], second: Sequence[Fitted], options: Mapping[str, Any]) -> np.ndarray:
    x, y = (Rooted(torch.stack([f.means for f in side]), torch.stack([f.spread for f in side])) for side in (first, second))
    pairs = torch.cartesian_prod(torch.arange(len(first)), torch.arange(len(second))).reshape(-1, 2)
    search = Search("orthogonal", int(options["starts"]), 0, TOLERANCE)
    found = in_batches(x, y, pairs[:, 0], pairs[:, 1], float(options["alpha"]), search)
    return found.squared.clamp_min(0.0).sqrt().reshape(len(first), len(second)).cpu().numpy()


def _some(trials: torch.Tensor, n_trials: int) -> Fitted:
    """`n_trials` of each condition, as many for all systems: more would make a distance less biased, not more alike."""
    values = trials.cpu().numpy()
    valid = present(values)
    numbers = np.full(len(values), min(n_trials, valid.sum(1).min()))
    kept = torch.as_tensor(chosen(values, valid, numbers, np.random.default_rng(_SEED)), device=trials.device)
    return Fitted(kept.mean(1), kept)


def _drawn(means: torch.Tensor, covariances: torch.Tensor, n_trials: int) -> Fitted:
    """Trials drawn from the means and covariances, the same for the same seed."""
    m, d = means.shape
    noise = torch.as_tensor(np.random.default_rng(_SEED).standard_normal((m, n_trials, d)), device=means.device)
    return Fitted(means, means[:, None] + noise @ roots(covariances))


def _energy(first: Sequence[Fitted], second: Sequence[Fitted], options: Mapping[str, Any]) -> np.ndarray:
    from isocortex.similarity.stochastic_shape.energy import energy_shape

    settings = {"group": "orthogonal", "starts": int(options["starts"])}
    return np.array([[energy_shape(x.spread, y.spread, **settings).distance for y in second] for x in first])


DISTRIBUTIONS: dict[str, Distribution] = {
    "gaussian": Distribution(_covariances, _known, _gaussian),
    "energy": Distribution(_some, _drawn, _energy),
}
