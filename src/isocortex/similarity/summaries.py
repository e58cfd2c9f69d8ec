"""What a metric gives the inference where a comparison is dear: a summary of each system, and comparisons of summaries.

A system is what the metric's level says: an RDM (n, n), patterns (n, p), or trials (n, R, p). A permutation of stimuli then
costs a comparison of summaries, and a subsample a summary of each system, never one of each pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Summaries(Protocol):
    """Summaries of systems on some of their stimuli, and their comparison.

    `light` (False where it is missing): a summary of other stimuli costs no more than a permuted one. `fewest` (0 where it is
    missing): no summary has fewer stimuli. Some have methods `note` (summary), why it has no score, empty where it has one; and
    `noiseless` (whole, half, half), what a right model would score, None where no identity says it with the options given.
    """

    @property
    def permuting(self) -> str:
        """The class of cost of a permuted comparison (`scores.md` §3), often less than that of a summary."""
        ...

    def of(self, system: Any, rows: np.ndarray) -> Any:
        """The summary of a system on the stimuli `rows`, in ascending order."""
        ...

    def permuted(self, summary: Any, order: np.ndarray) -> Any:
        """The summary with the stimuli in another order; where the null rewires, with edges moved at random by `order`."""
        ...

    def compare(self, first: Sequence[Any], second: Sequence[Any]) -> np.ndarray:
        """All values (A, B) of the metric between two lists of summaries."""
        ...


class Pooling(Summaries, Protocol):
    """Summaries of which subjects have a mean."""

    def pooled(self, summaries: Sequence[Any]) -> Any:
        """The mean over subjects."""
        ...


class Sharing(Summaries, Protocol):
    """Summaries of which parts serve other metrics of the same family."""

    def sharing(self, shared: dict[str, Any]) -> Summaries:
        """The same, with the parts in `shared`, into which its own go."""
        ...


def sharing(method: Summaries, shared: dict[str, Any]) -> Summaries:
    """The method with what other metrics of a job have made; most have nothing in common."""
    share = getattr(method, "sharing", None)
    return share(shared) if share else method


class Adapting(Protocol):
    """Summaries that are first brought to what a region's subjects have in common: conditions, trials, dimensions."""

    def fitted_to(self, brain: Sequence[Any]) -> Summaries:
        """The summaries for these subjects."""
        ...


def fitted(method: Summaries | Adapting, brain: Sequence[Any]) -> Summaries:
    """The method for these subjects; most are the same for all."""
    adapt = getattr(method, "fitted_to", None)
    return adapt(brain) if adapt else method  # type: ignore[return-value]


def compare_systems(method: Summaries, x: Any, y: Any) -> float:
    """The metric between two whole systems."""
    every = np.arange(len(x))
    return float(method.compare([method.of(x, every)], [method.of(y, every)])[0, 0])
