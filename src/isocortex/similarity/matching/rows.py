"""Matchings of units as rows of METRICS: matched on one half of the stimuli, judged by the other.

The best of many noisy correlations is too good, so that a matching that is judged by the stimuli it was made on is biased
upward, the more the more units there are. Every value here is held out: the mean over both ways of `N_HALVINGS` fixed halvings
of the stimuli. It is 1 for a system and itself. Of unrelated noise all are 0 on average but R² of `one_to_many`, which is
below 0 by what was fitted to noise, and has that taken away with its null. With few stimuli units are also matched wrongly,
and values are below those of the right matching: of 1000 independent units that each agree with one by r = .4, `one_to_one`
is about .04 from 50 stimuli, .36 from 200 and .40 from 500; by r = .7, .60 from 50. Groups are for units that share: of more
independent pairs than groups are looked for `many_to_many` mixes many, and is far below their r.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.similarity.matching.assignment import mutual, shared_out
from isocortex.similarity.matching.assignment import one_to_one as assigned
from isocortex.similarity.matching.correlations import FEWEST_IN_HALF, Beside, held_out, parted, standardised
from isocortex.similarity.matching.sparse import pursuit
from isocortex.similarity.matching.spectral import group_agreement
from isocortex.similarity.summaries import compare_systems


class _Judge(Protocol):
    def __call__(self, matched: Beside, judged: Beside, options: Mapping[str, Any]) -> float: ...


@dataclass(frozen=True)
class Units:
    """Standardised responses (n, p) of the units of a system that vary."""

    responses: torch.Tensor

    def __len__(self) -> int:
        return len(self.responses)


@dataclass(frozen=True)
class Matching:
    """Units of systems, matched on halves of the stimuli and judged by the others."""

    options: Mapping[str, Any]
    judge: _Judge
    # As dear as a comparison: units are matched anew.
    permuting: str = "costly"

    @property
    def fewest(self) -> int:
        """Two halves, one matched on and one judged by."""
        return 2 * FEWEST_IN_HALF

    @property
    def light(self) -> bool:
        """Units are standardised, no more."""
        return True

    def of(self, system: Any, rows: np.ndarray) -> Units:
        return Units(standardised(system, rows, int(self.options["units"])))

    def permuted(self, summary: Units, order: np.ndarray) -> Units:
        return Units(summary.responses[torch.as_tensor(order, device=summary.responses.device)])

    def compare(self, first: Sequence[Units], second: Sequence[Units]) -> np.ndarray:
        rule = partial(self.judge, options=self.options)
        found = np.empty((len(first), len(second)))
        for a, x in enumerate(first):
            halves = parted(x.responses)
            for b, y in enumerate(second):
                found[a, b] = held_out(halves, parted(y.responses.to(x.responses.device)), rule)
        return found


def _paired(matched: Beside, judged: Beside, options: Mapping[str, Any]) -> float:  # noqa: ARG001
    # A neuroid without a unit has 0: a layer of few units is not the closer for having few to match.
    return float(judged.correlations[assigned(matched.correlations)].sum() / judged.correlations.shape[1])


def _shared(matched: Beside, judged: Beside, options: Mapping[str, Any]) -> float:  # noqa: ARG001
    return float((shared_out(matched.correlations) * judged.correlations).sum())


def _sparse(matched: Beside, judged: Beside, options: Mapping[str, Any]) -> float:
    return float(pursuit(matched, judged, int(options["active"]))[-1].quantile(0.5))


def _grouped(matched: Beside, judged: Beside, options: Mapping[str, Any]) -> float:
    return group_agreement(matched, judged, options["groups"])


def _buddies(matched: Beside, judged: Beside, options: Mapping[str, Any]) -> float:
    pairs = mutual(matched.correlations, int(options["top"]))
    return float(judged.correlations[pairs].mean() * pairs.any(axis=0).mean()) if pairs.any() else 0.0


def one_to_one_summaries(options: Mapping[str, Any]) -> Matching:
    """Units matched one to one."""
    return Matching(options, _paired)


def soft_matching_summaries(options: Mapping[str, Any]) -> Matching:
    """Units shared out."""
    return Matching(options, _shared)


def one_to_many_summaries(options: Mapping[str, Any]) -> Matching:
    """Neuroids from a few units each."""
    return Matching(options, _sparse, "heavy")


def many_to_many_summaries(options: Mapping[str, Any]) -> Matching:
    """Groups of units of both."""
    return Matching(options, _grouped, "heavy")


def best_buddies_summaries(options: Mapping[str, Any]) -> Matching:
    """Units that are each other's best."""
    return Matching(options, _buddies)


def _value(name: str, x: Any, y: Any, given: Mapping[str, Any]) -> float:
    from isocortex.similarity.metrics import METRICS

    first, second = (as_tensor(z, dtype=torch.float64) for z in (x, y))
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise DataError(
            f"{name}: found arrays of shapes {tuple(first.shape)} and {tuple(second.shape)}, expected (stimuli, units) and "
            "(stimuli, neuroids) of the same stimuli"
        )
    return compare_systems(METRICS[name].summarised(given), first, second)


def one_to_one(x: Any, y: Any, **options: Any) -> float:
    """Mean held-out correlation of units of `x` (n, p) with those of `y` (n, q) that they are matched with one to one.

    Sum over min(p, q) pairs by the number q of units of `y`: where `x` has fewer, the others of `y` count as 0, so that a
    narrow layer is not preferred; not symmetric. Li et al. 2016, arXiv:1511.07543. 1 for identical systems, 0 on average for
    noise. `units`: of more in either system so many are drawn, always the same. Units that do not vary in both halves of a
    halving are left out of it; NaN if that leaves none. Raises DataError for fewer than six stimuli, other shapes, values that
    are not finite, and a system without a unit that varies; so do the other functions here.
    """
    return _value("one_to_one", x, y, options)


def soft_matching(x: Any, y: Any, **options: Any) -> float:
    """Held-out Σ T·r of the transport T between units of mass 1/p and of mass 1/q; arrays and `units` as `one_to_one`.

    Khosla & Williams 2024, arXiv:2311.09466. 1 for identical systems, 0 on average for noise; `one_to_one` where p = q. Every
    unit of both systems is counted, so that units which only one system has lower it.
    """
    return _value("soft_matching", x, y, options)


def one_to_many(x: Any, y: Any, **options: Any) -> float:
    """Held-out R² of neuroids of `y` by `active` units of `x` each, median over neuroids, of fits as of `sparse_curve`.

    The median, since R² has no lower bound: one neuroid that is badly fitted would decide a mean. Not symmetric. 1 for
    identical systems, below 0 for noise, by about what was fitted to noise; no lower bound. With as many `active` as units it
    is a regression by them all, which no linear map of `x` changes.
    """
    return _value("one_to_many", x, y, options)


def many_to_many(x: Any, y: Any, **options: Any) -> float:
    """Mean over `groups` of units of both systems of the held-out correlation of their mean responses; see `co_clusters`.

    Responses are standardised, and turned round where they go against their group. A group in one system only counts as 0.
    1 for identical systems, 0 on average for noise.
    """
    return _value("many_to_many", x, y, options)


def best_buddies(x: Any, y: Any, **options: Any) -> float:
    """Mean held-out correlation of pairs that are each other's best, times the share of neuroids of `y` that have a buddy.

    Dravid et al. 2023, arXiv:2306.09346: the neuroid is the unit's best, the unit among the `top` best of the neuroid. 0 if
    there is no pair, and on average for noise; 1 for identical systems. Not symmetric.
    """
    return _value("best_buddies", x, y, options)
