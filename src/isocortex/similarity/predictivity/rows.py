"""Predictions by ridge regression as rows of METRICS: what is kept of a system, and how two are compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.similarity.linear_patterns import CONSTANT, checked_pair, narrowed, refuse_constant, some_rows
from isocortex.similarity.predictivity.folds import FEWEST, check_stimuli, stimulus_folds
from isocortex.similarity.predictivity.ridge import Fold, fitted_fold
from isocortex.similarity.predictivity.scores import column_r, predicted_r, predicted_rsa
from isocortex.similarity.summaries import Summaries, compare_systems
from isocortex.similarity.units import drawn_units

# Bytes of responses, and of what is made of them, that are held at once.
_TOGETHER = 2.5e8
_COPIES = 6
Score = Callable[[Sequence[Fold], torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Side:
    """A system (n, p) on some stimuli: a predictor with fits in `folds`, or responses."""

    patterns: torch.Tensor
    folds: int

    @cached_property
    def fits(self) -> list[Fold]:
        """Its fits, made when first it predicts: a region that is only predicted has none."""
        x = narrowed(self.patterns)
        return [fitted_fold(x, test) for test in stimulus_folds(x, self.folds)]

    def drawn(self, units: int | None) -> torch.Tensor:
        """At most so many of its units, for as many units always the same."""
        p = self.patterns.shape[1]
        if units is None or p <= units:
            return self.patterns
        return self.patterns[:, torch.as_tensor(drawn_units(p, units), device=self.patterns.device)]


@dataclass(frozen=True)
class Ordered:
    """A system with its stimuli in another order: stimulus i is row `order[i]` of `side`."""

    side: Side
    order: np.ndarray


@dataclass(frozen=True)
class Predicting:
    """One system predicted from another, with folds that are the predictor's and move with its stimuli.

    To permute a predictor is then to permute what it predicts the other way round: no permutation is decomposed, and each is
    the refit that it would be. `reverse`: the second system predicts `units` of the first.
    """

    metric: str
    folds: int
    score: Score
    reverse: bool = False
    units: int | None = None

    @property
    def permuting(self) -> str:
        """Products of axes and responses, a pair for each fold."""
        return "costly"

    @property
    def fewest(self) -> int:
        """Two folds."""
        return 2 * FEWEST

    def of(self, system: Any, rows: np.ndarray) -> Ordered:
        check_stimuli(len(rows), self.metric)
        x = some_rows(system, rows)
        refuse_constant(x, self.metric)
        return Ordered(Side(x, self.folds), np.arange(len(rows)))

    def permuted(self, summary: Ordered, order: np.ndarray) -> Ordered:
        return replace(summary, order=summary.order[order])

    def compare(self, first: Sequence[Ordered], second: Sequence[Ordered]) -> np.ndarray:
        if self.reverse:
            return self._predicted(second, first).T
        return self._predicted(first, second)

    def _predicted(self, predictors: Sequence[Ordered], responses: Sequence[Ordered]) -> np.ndarray:
        found = np.empty((len(predictors), len(responses)))
        for a in _by_side(predictors):
            for b in _by_side(responses):
                orders = np.stack([_aligned(predictors[i].order, responses[j].order) for i in a for j in b])
                values = self._values(predictors[a[0]].side, responses[b[0]].side, orders)
                found[np.ix_(a, b)] = values.reshape(len(a), len(b))
        return found

    def _values(self, predictor: Side, responses: Side, orders: np.ndarray) -> np.ndarray:
        """Scores (B,) with the responses in `orders` (B, n)."""
        y = responses.drawn(self.units)
        rows = torch.as_tensor(orders, device=y.device)
        parts = batches(len(rows), 8.0 * _COPIES * y.numel(), _TOGETHER)
        return np.concatenate([self.score(predictor.fits, y[rows[part]]).cpu().numpy() for part in parts])

    def noiseless(self, whole: Ordered, first: Ordered, second: Ordered) -> float:
        """What a right model without noise would have: mean over neuroids of the root of their reliability.

        Spearman–Brown of r between two halves of the repeats, 0 where that is negative; neuroids that vary in the whole. As a
        root of what is noisy and not below 0 it is too high for neuroids without signal (.20 for 50 stimuli, .15 for 200), and
        within .06 where the reliability is .1 or more; with the sign of r it would be too low there by up to .15.
        """
        x = whole.side.patterns
        moved = torch.linalg.vector_norm(x - x.mean(0), dim=0)
        kept = moved > CONSTANT * torch.linalg.vector_norm(x, dim=0)
        a, b = (half.side.patterns[torch.as_tensor(half.order, device=x.device)][:, kept] for half in (first, second))
        r = column_r(a, b).nan_to_num(0.0).clamp(0.0, 1.0)
        return float((2.0 * r / (1.0 + r)).sqrt().mean())


def _by_side(systems: Sequence[Ordered]) -> list[list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for place, system in enumerate(systems):
        groups[id(system.side)].append(place)
    return list(groups.values())


def _aligned(predictor: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Rows (n,) of the responses that stand beside the rows of the predictor."""
    found = np.empty_like(predictor)
    found[predictor] = responses
    return found


def linear_predictivity_summaries(options: Mapping[str, Any]) -> Summaries:
    """Responses as a layer predicts them."""
    return Predicting("linear_predictivity", int(options["folds"]), predicted_r)


def reverse_predictivity_summaries(options: Mapping[str, Any]) -> Summaries:
    """Units of a layer as responses predict them."""
    return Predicting("reverse_predictivity", int(options["folds"]), predicted_r, reverse=True, units=int(options["units"]))


def prediction_rsa_summaries(options: Mapping[str, Any]) -> Summaries:
    """RDMs of responses as a layer predicts them."""
    score = partial(predicted_rsa, kind=options["rdm"], compare=options["compare"])
    return Predicting("prediction_rsa", int(options["folds"]), score)


def linear_predictivity(x: Any, y: Any, folds: int = 5) -> float:
    """Mean over neuroids of the correlation of held-out responses `y` (n, q) with those that ridge predicts from `x` (n, p).

    At most `folds`, of four stimuli or more, that are a function of `x` and not of its order (`stimulus_folds`); a penalty for
    each neuroid and fold, chosen on the training stimuli (`ridge`); training means; the Fisher mean over folds (`predicted_r`).
    From −1 to 1; 0 on average for unrelated noise, whatever n, p and q. Below what the best linear map would reach from
    unlimited stimuli by what a fit on (folds − 1)/folds of n leaves unlearnt. Not symmetric. Units of `x` may be turned in any
    way (Yamins et al. 2014, with ridge for PLS). Raises `DataError` for fewer than eight stimuli, numbers of stimuli that
    differ, values that are not finite, and constant patterns.
    """
    return compare_systems(linear_predictivity_summaries({"folds": folds}), *checked_pair(x, y, "linear_predictivity"))


def reverse_predictivity(x: Any, y: Any, folds: int = 5, units: int = 1000) -> float:
    """`linear_predictivity` of the units of `x` (n, p) from the responses `y` (n, q): what of a layer the region accounts for.

    Of more than `units` so many are drawn, for as many units always the same. Noise of responses lowers it, since they predict.
    Raises as `linear_predictivity`.
    """
    method = reverse_predictivity_summaries({"folds": folds, "units": units})
    return compare_systems(method, *checked_pair(x, y, "reverse_predictivity"))


def prediction_rsa(x: Any, y: Any, rdm: str = "correlation", compare: str = "rho_a", folds: int = 5) -> float:
    """RSA of responses `y` (n, q) with those that cross-validated ridge predicts from `x` (n, p), fold by fold.

    Folds and fits as of `linear_predictivity`. The RDM of the predictions of a fold's stimuli is compared with that of their
    responses, both less the training means, and the mean over folds is taken (`predicted_rsa`). `rdm` as in
    `similarity.rdm.rdm`, `compare` as in `compare_rdms`. 0 on average for unrelated noise. Raises as `linear_predictivity`, and
    for responses that have no RDM, as those of one neuroid have none of correlations.
    """
    method = prediction_rsa_summaries({"rdm": rdm, "compare": compare, "folds": folds})
    return compare_systems(method, *checked_pair(x, y, "prediction_rsa"))
