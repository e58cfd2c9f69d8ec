"""What the inference asks of a comparison: scores of all subjects with all candidates, whole, permuted, drawn and in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

# Draws by the declared cost of a metric, at most.
DRAWS = {"cheap": 100_000, "moderate": 300, "costly": 100, "heavy": 50}


class Table(Protocol):
    """Subjects (S) that saw the same stimuli (n), compared with candidates (C): layers, or layers × variants of a metric."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """n stimuli, S subjects, C candidates."""
        ...

    @property
    def higher_is_closer(self) -> bool:
        """True for similarities, False for distances."""
        ...

    @property
    def resample(self) -> str:
        """How stimuli are drawn: a kind of `resampling.draws_of`."""
        ...

    @property
    def cost(self) -> str:
        """The class of cost that limits draws."""
        ...

    @property
    def permuting(self) -> str:
        """The class of cost that limits permutations."""
        ...

    @property
    def rewired(self) -> bool:
        """Whether the null changes the candidates alone: a descriptor that ignores the order of stimuli has no other."""
        ...

    def scores(self) -> np.ndarray:
        """All scores (S, C)."""
        ...

    def permuted(self, moves: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Scores (A·B, S, C): candidates' stimuli in each order of moves[0] (A, n), the brain's in each of moves[1] (B, n)."""
        ...

    def drawn(self, counts: np.ndarray) -> np.ndarray:
        """Scores (D, S, C) in draws with multiplicities (D, n)."""
        ...

    def part(self, rows: np.ndarray) -> Table:
        """The same comparison on some of the stimuli."""
        ...

    def halves(self, masks: np.ndarray, orders: np.ndarray) -> np.ndarray:
        """Scores (2, P, K, C) of the first subject inside masks (K, n) and outside, candidates' stimuli in `orders` (P, n)."""
        ...

    def most_draws(self) -> int:
        """So many draws take seconds to minutes, by the size of the arrays and the metric's cost."""
        ...

    def most_permutations(self, times: int = 1) -> int:
        """So many permutations do, each of `times` comparisons."""
        ...


@dataclass(frozen=True)
class FunctionTable:
    """A comparison by any function of two arrays whose first axis is stimuli: brain of S subjects, layers C.

    Copies of a stimulus are never shown to the function: a draw is the set of its different stimuli.
    """

    brain: Sequence[np.ndarray]
    layers: Sequence[np.ndarray]
    function: Callable[[Any, Any], float]
    higher_is_closer: bool = True
    resample: str = "subsample"
    cost: str = "moderate"

    @property
    def shape(self) -> tuple[int, int, int]:
        """n stimuli, S subjects, C candidates."""
        return len(self.brain[0]), len(self.brain), len(self.layers)

    @property
    def permuting(self) -> str:
        """A permutation costs what a draw does."""
        return self.cost

    @property
    def rewired(self) -> bool:
        """Stimuli are permuted."""
        return False

    def _table(self, brain_rows: np.ndarray, layer_rows: np.ndarray) -> np.ndarray:
        return np.array([[float(self.function(y[layer_rows], x[brain_rows])) for y in self.layers] for x in self.brain])

    def scores(self) -> np.ndarray:
        """All scores (S, C)."""
        every = np.arange(self.shape[0])
        return self._table(every, every)

    def permuted(self, moves: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Scores (A·B, S, C) under permutations of stimuli."""
        return np.array([self._table(b, a) for a in moves[0] for b in moves[1]]).reshape(-1, *self.shape[1:])

    def drawn(self, counts: np.ndarray) -> np.ndarray:
        """Scores (D, S, C) on the different stimuli of each draw; NaN for fewer than three."""
        rows = [np.flatnonzero(c) for c in np.asarray(counts)]
        missing = np.full(self.shape[1:], np.nan)
        return np.array([self._table(r, r) if len(r) >= 3 else missing for r in rows]).reshape(-1, *self.shape[1:])

    def part(self, rows: np.ndarray) -> FunctionTable:
        """The same comparison on some of the stimuli."""
        brain, layers = [x[rows] for x in self.brain], [y[rows] for y in self.layers]
        return FunctionTable(brain, layers, self.function, self.higher_is_closer, self.resample, self.cost)

    def halves(self, masks: np.ndarray, orders: np.ndarray) -> np.ndarray:
        """Scores (2, P, K, C) of the first subject in both halves of every split."""
        first = FunctionTable(self.brain[:1], self.layers, self.function)
        return np.array(
            [[[first._table(np.flatnonzero(m), o[m])[0] for m in side] for o in orders] for side in (masks, ~masks)]
        )

    def most_draws(self) -> int:
        """By the declared cost alone: results must not depend on the speed of a machine."""
        return DRAWS[self.cost]

    def most_permutations(self, times: int = 1) -> int:
        """By the declared cost alone."""
        from isocortex.inference.nulls import PERMUTATIONS

        return max(PERMUTATIONS[self.cost] // max(times, 1), 99)
