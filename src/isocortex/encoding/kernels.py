"""Gram matrices of features, raw and z-scored by training rows, gathered over blocks of feature columns in float64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from isocortex.encoding.decomposition import decompose
from isocortex.encoding.penalties import CONSTANT
from isocortex.errors import DataError


class GramSum:
    """Adds up X Xᵀ, the row means, and Z Zᵀ for each z-scoring, block by block of columns.

    selections : per z-scoring, the rows that it holds and, among them, the training rows whose mean and sd (ddof 0) it uses.
    Columns without variance on the training rows are left out of that Z and counted in `n_constant`.
    """

    def __init__(self, n: int, selections: Sequence[tuple[np.ndarray, np.ndarray]], device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.selections = [tuple(torch.as_tensor(part, device=device) for part in pair) for pair in selections]
        self.gram = torch.zeros(n, n, dtype=torch.float64, device=device)
        self.row_sum = torch.zeros(n, dtype=torch.float64, device=device)
        self.scored = [torch.zeros(len(rows), len(rows), dtype=torch.float64, device=device) for rows, _ in self.selections]
        self.n_constant = [0] * len(self.selections)
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
        self.gram += block @ block.T
        self.row_sum += block.sum(1)
        self.n_features += block.shape[1]
        for number, (rows, train) in enumerate(self.selections):
            scores, constant = z_scored(block[rows], train)
            self.n_constant[number] += constant
            self.scored[number] += scores @ scores.T

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


def column_blocks(n_features: int, n: int, n_selections: int, budget: float) -> Iterable[slice]:
    """Slices of columns whose block, in float64 and z-scored, stays under `budget` bytes."""
    step = max(1, int(budget // (8 * n * (4 + n_selections))))
    return (slice(start, min(n_features, start + step)) for start in range(0, n_features, step))


def decomposition_bytes(splits: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of all decompositions of one layer, at full rank."""
    total = 0
    for split in splits:
        for outer in split["outer"]:
            n_train = len(outer["train"])
            total += 8 * n_train**2 + sum(8 * (n_train - len(part)) ** 2 for part in outer["inner"])
    return total


def decompositions(gram: torch.Tensor, outer: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Eigenpairs (s, V) of the centred training kernel of each inner fold ("0", "1", …) and of all training rows ("all")."""
    train = torch.as_tensor(outer["train"], device=gram.device)
    parts = {
        str(number): train[~torch.isin(train, torch.as_tensor(part, device=gram.device))]
        for number, part in enumerate(outer["inner"])
    }
    parts["all"] = train
    result = {}
    for name, rows in parts.items():
        values, vectors = decompose(gram[rows][:, rows])
        result[name] = (values.cpu().numpy(), vectors.cpu().numpy())
    return result
