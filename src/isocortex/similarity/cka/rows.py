"""Centred kernel alignment as a row of METRICS: kernels of systems, and how pairs of them are aligned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isocortex.similarity.cka.hsic import CENTRINGS, FEWEST, gaussian_kernel, products_of_patterns
from isocortex.similarity.ordered import (
    Grams,
    Ordered,
    agreement,
    cosines,
    inner_products,
    ordered,
    paired,
    patterns_of,
    powers,
)
from isocortex.similarity.summaries import Summaries, compare_systems

# Systems of so few units are compared by these: a product (p, q) costs less than a permuted matrix (n, n) for p q < 4 n.
_NARROW = 4
_DEFAULTS: dict[str, Any] = {"kernel": "linear", "estimator": "debiased", "bandwidth": 1.0, "batch": None}


@dataclass(frozen=True)
class Narrow:
    """Centred patterns (n, p) of far fewer units than stimuli, in the order that they are read in."""

    patterns: torch.Tensor

    def __len__(self) -> int:
        return len(self.patterns)

    def permuted(self, order: np.ndarray) -> Narrow:
        return replace(self, patterns=self.patterns[torch.as_tensor(order, device=self.patterns.device)])


def _linear(gram: torch.Tensor, _bandwidth: float) -> torch.Tensor:
    return gram


KERNELS: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {"linear": _linear, "rbf": gaussian_kernel}


def _kernel_of(gram: torch.Tensor, options: Mapping[str, Any]) -> Ordered:
    kernel = KERNELS[options["kernel"]](gram, float(options["bandwidth"]))
    return ordered(CENTRINGS[options["estimator"]](kernel))


@dataclass(frozen=True)
class Aligned:
    """Alignment of kernels of all stimuli: the cosine of centred kernels, U-centred ones where it is debiased.

    It lies in [−1, 1], and is NaN only where a kernel has no variance. Debiased it is zero on average for unrelated systems,
    whatever noise is added to single stimuli; the ratio itself keeps a bias of the order of 1/n.
    """

    options: Mapping[str, Any]
    grams: Grams

    @property
    def permuting(self) -> str:
        """A matrix is read in another order."""
        return "moderate"

    @property
    def fewest(self) -> int:
        """As the estimator needs."""
        return self.grams.fewest

    @property
    def light(self) -> bool:
        """A part of a Gram matrix is centred, no more."""
        return True

    def of(self, system: Any, rows: np.ndarray) -> Ordered | Narrow:
        if self.options["kernel"] == "linear" and system.shape[-1] ** 2 <= _NARROW * len(rows):
            return Narrow(patterns_of(system, rows, self.grams.where, self.grams.fewest))
        return _kernel_of(self.grams.of(system, rows), self.options)

    def permuted(self, summary: Ordered | Narrow, order: np.ndarray) -> Ordered | Narrow:
        return summary.permuted(order)

    def compare(self, first: Sequence[Ordered | Narrow], second: Sequence[Ordered | Narrow]) -> np.ndarray:
        if all(isinstance(s, Narrow) for s in (*first, *second)):
            return _of_patterns([s.patterns for s in first], [s.patterns for s in second], self.options["estimator"])  # type: ignore[union-attr]
        return cosines(*(self._kernels(side) for side in (first, second))).cpu().numpy()

    def _kernels(self, summaries: Sequence[Ordered | Narrow]) -> list[Ordered]:
        return [_kernel_of(s.patterns @ s.patterns.mT, self.options) if isinstance(s, Narrow) else s for s in summaries]

    @property
    def noiseless(self) -> Callable[[Any, Any, Any], float] | None:
        """What the signal itself would score against the averaged responses, where an identity across halves gives it.

        Debiased and linear: √(HSIC(Y₁, Y₂) / HSIC(Y, Y)). Noise of a stimulus adds to the diagonal of a biased kernel, and
        bends a Gaussian one: there is no such identity for these.
        """
        exact = self.options["kernel"] == "linear" and self.options["estimator"] == "debiased"
        return self._noiseless if exact else None

    def _noiseless(self, whole: Any, first: Any, second: Any) -> float:
        return agreement(*self._kernels([whole, first, second]))


def _of_patterns(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor], estimator: str) -> np.ndarray:
    shared = torch.stack([torch.stack([products_of_patterns(x, y, estimator) for y in second]) for x in first])
    own = [torch.stack([products_of_patterns(x, x, estimator).clamp_min(0.0) for x in side]) for side in (first, second)]
    scale = (own[0][:, None] * own[1]).sqrt()
    return (shared / torch.where(scale > 0, scale, torch.nan)).cpu().numpy()


@dataclass(frozen=True)
class Batched:
    """Alignment over batches of `batch` stimuli in their order: Σ HSIC(X, Y) / √(Σ HSIC(X, X) Σ HSIC(Y, Y)).

    Nguyen et al. 2021. No matrix is larger than a batch. Each batch weighs by the number of pairs that its HSIC is a mean of,
    so that a smaller last one counts for less; one of fewer than four stimuli is left out. A Gaussian kernel takes the median
    of its own batch.
    """

    options: Mapping[str, Any]

    @property
    def permuting(self) -> str:
        """Kernels of all batches."""
        return "costly"

    @property
    def fewest(self) -> int:
        """A batch that counts."""
        return FEWEST["debiased"]

    @property
    def light(self) -> bool:
        """Patterns are taken as they are."""
        return True

    def of(self, system: Any, rows: np.ndarray) -> Narrow:
        return Narrow(patterns_of(system, rows, "cka", FEWEST["debiased"]))

    def permuted(self, summary: Narrow, order: np.ndarray) -> Narrow:
        return summary.permuted(order)

    def compare(self, first: Sequence[Narrow], second: Sequence[Narrow]) -> np.ndarray:
        shared = first[0].patterns.new_zeros((len(first), len(second)))
        own = shared.new_zeros(len(first)), shared.new_zeros(len(second))
        for part in self._parts(len(first[0])):
            sides = [[self._kernel(s.patterns[part]) for s in side] for side in (first, second)]
            shared += inner_products(*sides)
            for total, side in zip(own, sides, strict=True):
                total += powers(side)
        scale = (own[0][:, None] * own[1]).sqrt()
        return (shared / torch.where(scale > 0, scale, torch.nan)).cpu().numpy()

    def _parts(self, n: int) -> list[slice]:
        step = int(self.options["batch"])
        return [slice(k, min(k + step, n)) for k in range(0, n, step) if n - k >= FEWEST["debiased"]]

    def _kernel(self, x: torch.Tensor) -> Ordered:
        moved = x - x.mean(0)
        return _kernel_of(moved @ moved.mT, self.options)

    @property
    def noiseless(self) -> Callable[[Any, Any, Any], float] | None:
        """As of `Aligned`."""
        exact = self.options["kernel"] == "linear" and self.options["estimator"] == "debiased"
        return self._noiseless if exact else None

    def _noiseless(self, whole: Narrow, first: Narrow, second: Narrow) -> float:
        shared = own = 0.0
        for part in self._parts(len(whole)):
            y, a, b = (self._kernel(s.patterns[part]) for s in (whole, first, second))
            shared += float(inner_products([a], [b])[0, 0])
            own += float(y.power)
        return float(np.sqrt(np.clip(shared / own, 0.0, 1.0))) if own > 0 else float("nan")


def summaries(options: Mapping[str, Any]) -> Summaries:
    """How kernels are aligned with these options."""
    chosen = {**_DEFAULTS, **options}
    for name, known in (("kernel", KERNELS), ("estimator", CENTRINGS)):
        if chosen[name] not in known:
            raise ValueError(f"cka: found {name} {chosen[name]!r}, expected one of {sorted(known)}")
    if chosen["batch"] is not None:
        return Batched(chosen)
    return Aligned(chosen, Grams("cka", FEWEST[chosen["estimator"]]))


def cka(
    x: Any, y: Any, kernel: str = "linear", estimator: str = "debiased", bandwidth: float = 1.0, batch: int | None = None
) -> float:
    """Centred kernel alignment of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Kornblith et al. 2019; debiased as in Song et al. 2012 and Murphy et al. 2024. `kernel`: "linear", or "rbf" with distances
    by `bandwidth` times their median (`gaussian_kernel`). `estimator`: "debiased" or "biased"; the biased value of unrelated
    noise nears 1 where units are many. `batch`: stimuli of a batch (`Batched`). NaN where a kernel has no variance once it is
    centred. Raises `DataError` for different numbers of stimuli, fewer than four (three, biased), values that are not finite,
    and stimuli that are all alike.
    """
    given = {"kernel": kernel, "estimator": estimator, "bandwidth": bandwidth, "batch": batch}
    return compare_systems(summaries(given), *paired(x, y, "cka"))
