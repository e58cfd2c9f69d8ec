"""Comparisons of systems by their summaries, as a table: what is dear is made once for each system and set of stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.inference.nulls import PERMUTATIONS
from isocortex.inference.tables import DRAWS
from isocortex.similarity.summaries import Summaries

# Splits of every permutation, where a comparison is dear.
_SPLITS = {"moderate": 8, "costly": 4, "heavy": 2}


# Orders of the candidates' stimuli that are held at once.
_TOGETHER = 16


@dataclass(frozen=True)
class SummaryTable:
    """Systems of S subjects and of L layers, on the stimuli `rows` of theirs, compared by `method(layer, brain)`.

    `rewired`: the null moves the layers' edges and leaves the brain as it is. Parts share the summaries `known` so far;
    those of draws are not kept.
    """

    brain: Sequence[Any]
    layers: Sequence[Any]
    method: Summaries
    rows: np.ndarray
    higher_is_closer: bool
    resample: str = "subsample"
    cost: str = "costly"
    rewired: bool = False
    known: dict[tuple[str, int, bytes], Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """n stimuli, S subjects, C candidates."""
        return len(self.rows), len(self.brain), len(self.layers)

    @property
    def permuting(self) -> str:
        """The class of cost of a permutation."""
        return self.method.permuting

    @property
    def dear(self) -> bool:
        """Whether a summary of other stimuli costs more than a permuted one."""
        return not getattr(self.method, "light", False)

    def _summaries(self, who: str, rows: np.ndarray) -> list[Any]:
        systems = self.brain if who == "brain" else self.layers
        for k, system in enumerate(systems):
            key = (who, k, rows.tobytes())
            if key not in self.known:
                self.known[key] = self.method.of(system, rows)
        return [self.known[who, k, rows.tobytes()] for k in range(len(systems))]

    def subjects(self) -> list[Any]:
        """The subjects' summaries."""
        return self._summaries("brain", self.rows)

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        layers, brain = (self._summaries(who, rows) for who in ("layers", "brain"))
        return np.asarray(self.method.compare(layers, brain), dtype=np.float64).T

    def _drawn(self, rows: np.ndarray) -> np.ndarray:
        """Scores (S, C) of a draw; NaN of a system that has no summary on these stimuli, as where they are all alike."""
        found = np.full(self.shape[1:], np.nan)
        layers, brain = (self._made(systems, rows) for systems in (self.layers, self.brain))
        if layers and brain:
            values = np.asarray(self.method.compare(list(layers.values()), list(brain.values())), dtype=np.float64).T
            found[np.ix_(list(brain), list(layers))] = values
        return found

    def _made(self, systems: Sequence[Any], rows: np.ndarray) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for k, system in enumerate(systems):
            try:
                found[k] = self.method.of(system, rows)
            except DataError:
                continue
        return found

    def scores(self) -> np.ndarray:
        """All scores (S, C)."""
        return self._scores(self.rows)

    def permuted(self, moves: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Scores (A·B, S, C) under permutations of stimuli."""
        every = range(0, len(moves[0]), _TOGETHER)
        return np.concatenate([self._permuted((moves[0][start : start + _TOGETHER], moves[1])) for start in every])

    def _permuted(self, moves: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        _, s, c = self.shape
        layers = [self.method.permuted(y, a) for a in moves[0] for y in self._summaries("layers", self.rows)]
        brain = [
            x if self.rewired else self.method.permuted(x, b) for b in moves[1] for x in self._summaries("brain", self.rows)
        ]
        values = np.asarray(self.method.compare(layers, brain), dtype=np.float64)
        return values.reshape(len(moves[0]), c, len(moves[1]), s).transpose(0, 2, 3, 1).reshape(-1, s, c)

    def drawn(self, counts: np.ndarray) -> np.ndarray:
        """Scores (D, S, C) on the different stimuli of each draw; NaN for fewer than three."""
        missing = np.full(self.shape[1:], np.nan)
        kept = [self.rows[np.flatnonzero(c)] for c in np.asarray(counts)]
        whole = len(self.rows)
        found = [missing if len(rows) < 3 else self._scores(rows) if len(rows) == whole else self._drawn(rows) for rows in kept]
        return np.array(found).reshape(-1, *self.shape[1:])

    def part(self, rows: np.ndarray) -> SummaryTable:
        """The same comparison on some of the stimuli."""
        settings = (self.higher_is_closer, self.resample, self.cost, self.rewired, self.known)
        return SummaryTable(self.brain, self.layers, self.method, self.rows[rows], *settings)

    def halves(self, masks: np.ndarray, orders: np.ndarray) -> np.ndarray:
        """Scores (2, P, K, C) of the first subject in both halves of K splits, candidates' stimuli in `orders` (P, n).

        A permutation pairs the same stimuli in all splits: each split by a permutation of its own would give a null far too
        narrow for the mean over splits (.30 false positives at .05 with twenty). Where a summary of other stimuli is dear, one
        split alone is tested, its stimuli permuted within each half, which exchangeable stimuli may be.
        """
        light = not self.dear
        masks = masks[: _SPLITS.get(self.permuting, len(masks)) if light else 1]
        found = np.empty((2, len(orders), len(masks), len(self.layers)))
        for k, mask in enumerate(masks):
            for side, inside in enumerate((mask, ~mask)):
                kept = np.flatnonzero(inside)
                part = self.part(kept)
                brain = part._summaries("brain", part.rows)[:1]
                for start in range(0, len(orders), _TOGETHER):
                    some = range(start, min(start + _TOGETHER, len(orders)))
                    moved = [y for p in some for y in self._moved(orders[p], kept, part, light=light)]
                    values = np.asarray(self.method.compare(moved, brain))[:, 0]
                    found[side, some, k] = values.reshape(len(some), -1)
        return found

    def _moved(self, order: np.ndarray, kept: np.ndarray, part: SummaryTable, *, light: bool) -> list[Any]:
        """The candidates' summaries with the stimuli `order[kept]` in the place of those of a half."""
        chosen = order[kept]
        within = np.argsort(np.argsort(chosen))
        if light and not np.array_equal(np.sort(chosen), kept):
            rows = self.rows[np.sort(chosen)]
            return [self.method.permuted(self.method.of(y, rows), within) for y in self.layers]
        layers = part._summaries("layers", part.rows)
        if np.array_equal(within, np.arange(len(kept))):
            return layers
        return [self.method.permuted(y, within) for y in layers]

    def most_draws(self) -> int:
        """By the declared cost alone: results must not depend on the speed of a machine."""
        return DRAWS[self.cost]

    def most_permutations(self, times: int = 1) -> int:
        """By the declared cost alone."""
        return max(PERMUTATIONS[self.permuting] // max(times, 1), 99)
