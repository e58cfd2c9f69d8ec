"""Gram matrices of features, raw and z-scored by training rows, gathered over blocks of feature columns in float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.encoding.decomposition import basis_of_features, decompose
from isocortex.encoding.penalties import CONSTANT
from isocortex.errors import DataError

Selection = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Strip:
    """Some rows of one Gram matrix: of the raw features (selection None) or of a z-scoring by its number."""

    selection: int | None
    rows: slice


def passes(n: int, selections: Sequence[Selection], budget: float, chunk: float = 1) -> Iterator[list[Strip]]:
    """The strips of all Gram matrices, raw ones first, in groups that fit `budget` bytes: one pass over the features each.

    A matrix that is larger than the budget is made in strips of rows, whole chunks (of `chunk` bytes) each; small ones go
    together.
    """
    group: list[Strip] = []
    used = 0.0
    for number, size in [(None, n), *((number, len(rows)) for number, (rows, _) in enumerate(selections))]:
        aligned = max(1, int(chunk // (8 * size)))
        step = max(1, int(budget // (8 * size)) // aligned) * aligned
        for start in range(0, size, step):
            strip = Strip(number, slice(start, min(size, start + step)))
            cost = 8 * size * (strip.rows.stop - start)
            if group and used + cost > budget:
                yield group
                group, used = [], 0.0
            group.append(strip)
            used += cost
    yield group


class GramSum:
    """Adds up strips of X Xᵀ and of Z Zᵀ for each z-scoring, and the row means, block by block of columns.

    selections : per z-scoring, the rows that it holds and, among them, the training rows whose mean and sd (ddof 0) it uses.
    Columns without variance on the training rows are left out of that Z and counted in `n_constant`. strips : which are made;
    `made` holds them, (rows, n) each.
    """

    def __init__(
        self, n: int, selections: Sequence[Selection], strips: Sequence[Strip], device: torch.device | str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.selections = [tuple(torch.as_tensor(part, device=device) for part in pair) for pair in selections]
        self.strips = list(strips)
        sizes = {None: n, **{number: len(rows) for number, (rows, _) in enumerate(selections)}}
        self.made = [
            torch.zeros(strip.rows.stop - strip.rows.start, sizes[strip.selection], dtype=torch.float64, device=device)
            for strip in strips
        ]
        self.row_sum = torch.zeros(n, dtype=torch.float64, device=device)
        self.n_constant = dict.fromkeys((strip.selection for strip in strips if strip.selection is not None), 0)
        self.n_features = 0

    def add(self, columns: np.ndarray) -> None:
        """Add a block of columns (n, q). Raises `DataError` for a value that is not finite."""
        block = torch.as_tensor(columns, device=self.device).to(torch.float64)
        if not bool(torch.isfinite(block).all()):
            row, column = (int(index) for index in (~torch.isfinite(block)).nonzero()[0])
            raise DataError(
                f"features: found NaN or infinity at stimulus {row}, feature {self.n_features + column}, expected finite "
                "numbers; mend the model's output for that stimulus"
            )
        self.row_sum += block.sum(1)
        self.n_features += block.shape[1]
        self._add(None, block)
        for number in self.n_constant:
            rows, train = self.selections[number]
            scores, constant = z_scored(block[rows], train)
            self.n_constant[number] += constant
            self._add(number, scores)

    def _add(self, selection: int | None, values: torch.Tensor) -> None:
        for strip, made in zip(self.strips, self.made, strict=True):
            if strip.selection == selection:
                made.addmm_(values[strip.rows], values.T)

    @property
    def row_mean(self) -> torch.Tensor:
        """Mean over features per stimulus (n,)."""
        return self.row_sum / max(self.n_features, 1)


def z_scored(x: torch.Tensor, train: torch.Tensor) -> tuple[torch.Tensor, int]:
    """`x` (n, p) z-scored by its training rows, without the columns that are constant there, and how many those are.

    Held-out scores are clipped to ±√(n_train − 1), which no training row can exceed: a unit that is all but silent on the
    training stimuli would else meet a held-out one with a score of 10⁵ and drown every prediction for it.
    """
    inside = x[train]
    spread = inside.std(0, correction=0)
    varies = spread > CONSTANT * inside.abs().amax(0)
    scores = (x[:, varies] - inside[:, varies].mean(0)) / spread[varies]
    bound = float(max(len(train) - 1, 1)) ** 0.5
    return scores.clamp(-bound, bound), int((~varies).sum())


def column_blocks(n_features: int, n: int, budget: float) -> Iterable[slice]:
    """Slices of columns whose block, as read, in float64 and z-scored, stays under `budget` bytes."""
    step = max(1, int(budget // (8 * n * 5)))
    return (slice(start, min(n_features, start + step)) for start in range(0, n_features, step))


def decomposition_bytes(splits: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of all decompositions of one layer, at full rank."""
    total = 0
    for split in splits:
        for outer in split["outer"]:
            n_train = len(outer["train"])
            total += 8 * n_train**2 + sum(8 * (n_train - len(part)) ** 2 for part in outer["inner"])
    return total


def decompositions(
    source: torch.Tensor, outer: Mapping[str, Any], *, primal: bool = False
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Eigenpairs (s, V) of the centred training kernel of each inner fold ("0", "1", …) and of all training rows ("all").

    source : the Gram matrix (n, n) of z-scored features; or, `primal`, these features (n, p), p < n, whose p × p Gram matrix is
    the smaller one. One at a time, for each is as large as a Gram matrix.
    """
    train = torch.as_tensor(outer["train"], device=source.device)
    parts = {
        str(number): train[~torch.isin(train, torch.as_tensor(part, device=source.device))]
        for number, part in enumerate(outer["inner"])
    }
    parts["all"] = train
    for name, rows in parts.items():
        if primal:
            basis = basis_of_features(source, rows, rows[:1])
            values, vectors = basis.values, basis.vectors
        else:
            values, vectors = decompose(source[rows[:, None], rows], overwrite=True)
        yield name, (values.cpu().numpy(), vectors.cpu().numpy())
