"""Canonical correlations as rows of METRICS: what is kept of a system, and how two are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.similarity.cca.canonical import Axes, Value, mean, mean_square, pairwise, principal_axes, weighted
from isocortex.similarity.linear_patterns import checked_pair, some_rows
from isocortex.similarity.summaries import Summaries, compare_systems

VALUES: dict[str, Value] = {"square": mean_square, "mean": mean, "weighted": weighted}
# Stimuli for each dimension of a system; two such systems have five times as many as both have dimensions.
STIMULI_PER_DIMENSION = 10


@dataclass(frozen=True)
class Canonical:
    """All dimensions of systems that have few."""

    options: Mapping[str, Any]
    metric: str = "cca"

    @property
    def permuting(self) -> str:
        """A product of axes; all but the mean of squares decompose it, too."""
        return "moderate" if self.options["summary"] == "square" else "costly"

    def of(self, system: Any, rows: np.ndarray) -> Axes:
        """Refuses a whole system that has too few stimuli; parts of one that has enough are taken as they are."""
        found = principal_axes(some_rows(system, rows), self.metric)
        enough = STIMULI_PER_DIMENSION * found.rank
        if len(rows) == len(system) and len(rows) <= enough:
            raise DataError(
                f"{self.metric}: found {len(rows)} stimuli for {found.rank} dimensions, expected more than {enough}, since "
                "fewer correlate whatever they are; use svcca, which takes principal components first"
            )
        return found

    def permuted(self, summary: Axes, order: np.ndarray) -> Axes:
        return replace(summary, axes=summary.axes[torch.as_tensor(order, device=summary.axes.device)])

    def compare(self, first: Sequence[Axes], second: Sequence[Axes]) -> np.ndarray:
        return pairwise(first, second, VALUES[self.options["summary"]])


@dataclass(frozen=True)
class Components(Canonical):
    """Principal components of systems: of some of the stimuli, those of these."""

    def of(self, system: Any, rows: np.ndarray) -> Axes:
        found = principal_axes(some_rows(system, rows), self.metric)
        return found.first(_count(found, self.options))


def _count(found: Axes, options: Mapping[str, Any]) -> int:
    """Components that are asked for, or that explain the variance and have ten stimuli each; at least one."""
    if options["components"] != "auto":
        return min(int(options["components"]), found.rank)
    variances = found.loadings.diagonal().square()
    # A whole that is reached but for rounding is reached.
    short = variances.cumsum(0) < (options["variance"] - 1e-12) * variances.sum()
    return max(1, min(int(short.sum()) + 1, found.rank, len(found.axes) // STIMULI_PER_DIMENSION))


def cca_summaries(options: Mapping[str, Any]) -> Summaries:
    """How all dimensions of systems are compared."""
    return Canonical(options)


def svcca_summaries(options: Mapping[str, Any]) -> Summaries:
    """How principal components of systems are compared."""
    return Components(options, "svcca")


def pwcca_summaries(options: Mapping[str, Any]) -> Summaries:
    """How principal components of systems are compared, by what they account for."""
    return Components({**options, "summary": "weighted"}, "pwcca")


def cca(x: Any, y: Any, summary: str = "square") -> float:
    """Mean canonical correlation of `x` (n, p) and `y` (n, q), or its mean square; from 0 to 1 (Hotelling 1936).

    Over as many as the lesser rank. Independent patterns have a mean square of about the larger rank / (n − 1), which the null
    of permuted stimuli takes out of calibrated scores: the mean square's are near those of many stimuli (.24 for .25, n = 300,
    p = q = 10), the mean's below (.42 for .5). Raises `DataError` for a system with ten stimuli or fewer for each of
    its dimensions (two that have more have n > 5(p + q)), for constant patterns, values that are not finite, and numbers of
    stimuli that differ.
    """
    return compare_systems(cca_summaries({"summary": summary}), *checked_pair(x, y, "cca"))


def svcca(x: Any, y: Any, summary: str = "square", components: str | int = "auto", variance: float = 0.99) -> float:
    """As `cca`, of the principal components of each system alone (Raghu et al. 2017).

    `components`: so many, or "auto": as many as explain `variance`, at most a tenth of the stimuli, at least one. What two
    systems share beyond their components does not count. Calibrated scores are within .05 of those of many stimuli with as many
    components for up to 100 units, and too high for more units of few stimuli (.99 for .83, n = 50, p = 1000). Raises
    `DataError` as `cca`, but for the number of stimuli.
    """
    options = {"summary": summary, "components": components, "variance": variance}
    return compare_systems(svcca_summaries(options), *checked_pair(x, y, "svcca"))


def pwcca(x: Any, y: Any, components: str | int = "auto", variance: float = 0.99) -> float:
    """Canonical correlations of principal components as of `svcca`, weighted by what they account for.

    As `projection_weighted` (Morcos, Raghu & Bengio 2018), with principal components in the place of units, so that no rotation
    of units matters; of the system with fewer components, or of both where these are as many. Calibrated scores are 0 for noise
    and mostly too low, by up to .2 for weak correlations, which are never below 0. Raises as `svcca`.
    """
    return compare_systems(pwcca_summaries({"components": components, "variance": variance}), *checked_pair(x, y, "pwcca"))
