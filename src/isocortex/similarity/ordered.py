"""Matrices of stimuli × stimuli that serve as summaries: permuted by an index, and compared by their inner products.

What centring or regression leaves of a kernel or of an RDM moves with its stimuli, so that a permutation of these costs no more
than reading the matrix in another order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches
from isocortex.errors import DataError

# What either side of a product of flattened matrices may hold at once: few on the left, that these stay in a processor's cache.
_LEFT_BYTES, _RIGHT_BYTES = 2.0**22, 2.0**28
# Gram matrices of whole systems that are kept between draws of their stimuli.
_KEPT_BYTES = 2.0**28
# What centring leaves of a constant is rounding below this part of what was there before.
_CONSTANT = 1e-13


def some_pairs(matrices: Any, rows: np.ndarray, where: str) -> torch.Tensor:
    """Vectors (…, N) of the RDMs (…, n, n) of the stimuli `rows`; `DataError` for fewer than three, and missing distances."""
    whole = as_tensor(matrices, dtype=torch.float64)
    if len(rows) < 3:
        raise DataError(f"{where}: found {len(rows)} stimuli, expected at least 3; compare needs more stimuli")
    # The pairs alone, in one reading: of many halves each is read in full otherwise.
    first, second = np.triu_indices(len(rows), 1)
    pairs = torch.as_tensor(rows[first] * whole.shape[-1] + rows[second], device=whole.device)
    vectors = whole.flatten(-2).index_select(-1, pairs)
    missing = int((~torch.isfinite(vectors)).sum())
    if missing:
        raise DataError(f"{where}: found {missing} pairs of stimuli without a distance, expected none; leave those stimuli out")
    return vectors


@dataclass(frozen=True)
class Ordered:
    """A symmetric matrix (n, n), its sum of squares `power`, and the `order` (n,) that its stimuli are read in, if another."""

    matrix: torch.Tensor
    power: torch.Tensor
    order: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.matrix)

    def permuted(self, order: np.ndarray) -> Ordered:
        """The same with its stimuli in another order."""
        new = torch.as_tensor(order, device=self.matrix.device)
        return replace(self, order=new if self.order is None else self.order[new])

    def flat(self) -> torch.Tensor:
        """All entries (n²,) in the order of the stimuli."""
        if self.order is None:
            return self.matrix.reshape(-1)
        # Entries of a row are gathered twice as fast as columns are selected.
        return self.matrix.index_select(0, self.order).gather(1, self.order.expand(self.matrix.shape)).reshape(-1)


def ordered(matrix: torch.Tensor) -> Ordered:
    """A matrix as a summary."""
    return Ordered(matrix, matrix.square().sum())


def inner_products(first: Sequence[Ordered], second: Sequence[Ordered]) -> torch.Tensor:
    """Σ_ij a_ij b_ij of all pairs of matrices: (A, B)."""
    matrix = first[0].matrix
    found = matrix.new_empty((len(first), len(second)))
    each = 8.0 * matrix.numel()
    for columns in batches(len(second), each, _RIGHT_BYTES):
        right = _flattened(second[columns])
        for rows in batches(len(first), each, _LEFT_BYTES):
            found[rows, columns] = _flattened(first[rows]) @ right.mT
    return found


def _flattened(summaries: Sequence[Ordered]) -> torch.Tensor:
    return summaries[0].flat()[None] if len(summaries) == 1 else torch.stack([s.flat() for s in summaries])


def powers(summaries: Sequence[Ordered]) -> torch.Tensor:
    """The sums of squares of matrices."""
    return torch.stack([s.power for s in summaries])


def cosines(first: Sequence[Ordered], second: Sequence[Ordered]) -> torch.Tensor:
    """Cosines (A, B) of all pairs of matrices; NaN with a matrix of zeros."""
    scale = (powers(first)[:, None] * powers(second)).sqrt()
    return inner_products(first, second) / torch.where(scale > 0, scale, torch.nan)


def agreement(whole: Ordered, first: Ordered, second: Ordered) -> float:
    """√(⟨Y₁, Y₂⟩ / ⟨Y, Y⟩), within [0, 1]: the cosine of a signal with the noisy whole `whole` that contains it.

    For matrices whose entries are unbiased, the noise in the halves of the repeats independent: ⟨Y₁, Y₂⟩ and the product of a
    noiseless right model with the whole both have the signal's own ⟨S, S⟩ for their expectation. The root is low by a few
    hundredths where hardly any of the variance is signal. NaN without variance.
    """
    own = float(whole.power)
    shared = float(inner_products([first], [second])[0, 0])
    return float(np.sqrt(np.clip(shared / own, 0.0, 1.0))) if own > 0 else float("nan")


def patterns(system: Any, where: str, fewest: int) -> torch.Tensor:
    """Patterns (n, p) in float64; `DataError` where they are no such matrix, too few, or not finite."""
    x = as_tensor(system).to(torch.float64)
    if x.ndim != 2 or len(x) < fewest or x.shape[1] < 1:
        raise DataError(f"{where}: found patterns of shape {tuple(x.shape)}, expected (stimuli >= {fewest}, units >= 1)")
    if not bool(torch.isfinite(x).all()):
        raise DataError(f"{where}: found NaN or infinite values, expected finite ones; leave those units or stimuli out")
    return x


def centred(x: torch.Tensor, where: str) -> torch.Tensor:
    """Patterns less their mean; `DataError` where rounding is all that is left."""
    moved = x - x.mean(0)
    if bool(moved.square().sum() <= _CONSTANT**2 * x.square().sum()):
        raise DataError(f"{where}: found the same pattern for all {len(x)} stimuli, expected some that differ")
    return moved


def patterns_of(system: Any, rows: np.ndarray, where: str, fewest: int) -> torch.Tensor:
    """Centred patterns (m, p) of the stimuli `rows` of a system; `DataError` as of `patterns` and `centred`."""
    x = patterns(system, where, 1)
    return centred(patterns(x[torch.as_tensor(rows, device=x.device)], where, fewest), where)


def paired(x: Any, y: Any, where: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Two systems in float64 on the device of the first; `DataError` where their stimuli are not as many."""
    first = as_tensor(x, dtype=torch.float64)
    second = as_tensor(y, device=first.device, dtype=torch.float64)
    if len(first) != len(second):
        raise DataError(f"{where}: found {len(first)} stimuli in x and {len(second)} in y, expected the same stimuli")
    return first, second


@dataclass(frozen=True)
class Grams:
    """Gram matrices of centred systems, kept while they fit, so that a draw of stimuli costs a part of one and no product."""

    where: str
    fewest: int
    kept: OrderedDict[tuple[Any, ...], tuple[torch.Tensor, torch.Tensor]] = field(default_factory=OrderedDict)

    def of(self, system: Any, rows: np.ndarray) -> torch.Tensor:
        """Inner products (m, m) of the patterns of the stimuli `rows`, centred over these; `DataError` where all are alike."""
        if len(rows) < self.fewest:
            raise DataError(
                f"{self.where}: found {len(rows)} stimuli, expected at least {self.fewest}; compare needs more stimuli"
            )
        whole = self._whole(system)
        if whole is None:
            made = patterns_of(system, rows, self.where, self.fewest)
            return made @ made.mT
        at = torch.as_tensor(rows, device=whole.device)
        part = whole.index_select(0, at).index_select(1, at)
        mean = part.mean(0)
        part = part - mean - mean[:, None] + mean.mean()
        # The whole is centred: what a part has beyond its own mean is small beside the whole, whose rounding it has.
        if bool(part.diagonal().sum() <= _CONSTANT * len(whole) * whole.diagonal().sum()):
            raise DataError(f"{self.where}: found the same pattern for all {len(rows)} stimuli, expected some that differ")
        return part

    def _whole(self, system: Any) -> torch.Tensor | None:
        """The Gram matrix of a whole system; None where it is too large to be kept."""
        n = len(system)
        if 8.0 * n**2 > _KEPT_BYTES / 8 or not isinstance(system, torch.Tensor):
            return None
        key = (system.data_ptr(), system.shape, system.stride(), system.dtype)
        # A system is kept with its matrix: no other has its place in memory meanwhile.
        if key not in self.kept:
            made = centred(patterns(system, self.where, self.fewest), self.where)
            self.kept[key] = (system, made @ made.mT)
            while (
                sum(8.0 * gram.numel() + 8.0 * x.numel() for x, gram in self.kept.values()) > _KEPT_BYTES and len(self.kept) > 1
            ):
                self.kept.popitem(last=False)
        return self.kept[key][1]
