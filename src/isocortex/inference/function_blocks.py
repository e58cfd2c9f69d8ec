"""Subjects with arrays whose first axis is stimuli, compared with a model's layers by any function of two such arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.inference import ceilings, nulls
from isocortex.inference.table_draws import Settings
from isocortex.inference.tables import FunctionTable

# Null values of a ceiling of a row of this cost.
_CEILING_NULL = {"cheap": 1000, "moderate": 200, "costly": 99, "heavy": 99}


@dataclass(frozen=True)
class FunctionBlock:
    """`brain` S arrays (n, …) and `layers` L arrays (n, …), compared by `function(layer, brain)`.

    `repeats`: of each subject the arrays from two halves of its repeats, K pairs; empty where there are none. `resample`,
    `cost`: as the row of METRICS declares.
    """

    subjects: tuple[str, ...]
    stimulus_ids: tuple[str, ...]
    brain: Sequence[np.ndarray]
    layers: Sequence[np.ndarray]
    function: Callable[[Any, Any], float]
    higher_is_closer: bool = True
    resample: str = "subsample"
    cost: str = "moderate"
    repeats: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """A function has one form."""
        return ("",)

    @property
    def kind(self) -> str:
        """Patterns' similarities and distances are normalised between the null and the region's agreement with itself."""
        return "pattern" if self.higher_is_closer else "distance"

    @property
    def null(self) -> str:
        """Stimuli are permuted."""
        return "permute_stimuli"

    def table(self) -> FunctionTable:
        """All subjects with all layers."""
        return FunctionTable(self.brain, self.layers, self.function, self.higher_is_closer, self.resample, self.cost)

    def ceiling(self, variant: int, masks: np.ndarray | None, settings: Settings) -> ceilings.Ceiling:  # noqa: ARG002
        """Each subject's half of the repeats against the other half."""
        if not self.repeats or not all(len(pairs) for pairs in self.repeats):
            return ceilings.none(len(self.subjects), "no repeats: no ceiling")
        order = nulls.permutations(len(self.stimulus_ids), _CEILING_NULL[self.cost], settings.seed)
        values = [np.array([float(self.function(a, b)) for a, b in pairs]) for pairs in self.repeats]
        null = [np.array([float(self.function(pairs[0][0][o], pairs[0][1])) for o in order]) for pairs in self.repeats]
        return ceilings.half_with_half(values, np.stack(null, axis=1), higher_is_closer=self.higher_is_closer)
