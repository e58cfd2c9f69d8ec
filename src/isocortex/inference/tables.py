"""What the inference asks of a comparison: scores of all subjects with all candidates, whole, permuted, drawn and in part."""

from __future__ import annotations

from typing import Protocol

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
