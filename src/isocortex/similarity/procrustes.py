"""Procrustes distance: how far two systems stay apart after the best rotation of one onto the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.similarity.linear_patterns import checked_pair, narrowed, refuse_constant, some_rows
from isocortex.similarity.shape.factors import centred, factor_distances
from isocortex.similarity.summaries import Summaries, compare_systems

_LENGTHS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "normalized": lambda x: x / torch.linalg.matrix_norm(x),
    "size_and_shape": lambda x: x,
}


@dataclass(frozen=True)
class Procrustes:
    """Centred patterns, of length one where only their shape counts."""

    options: Mapping[str, Any]

    @property
    def permuting(self) -> str:
        """Singular values of one product."""
        return "costly"

    @property
    def light(self) -> bool:
        """Patterns are centred and scaled, no more."""
        return True

    def of(self, system: Any, rows: np.ndarray) -> torch.Tensor:
        x = some_rows(system, rows)
        refuse_constant(x, "procrustes")
        return _LENGTHS[self.options["kind"]](narrowed(centred(x)))

    def permuted(self, summary: torch.Tensor, order: np.ndarray) -> torch.Tensor:
        return summary[torch.as_tensor(order, device=summary.device)]

    def compare(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> np.ndarray:
        return factor_distances(first, second, "euclidean").cpu().numpy()


def procrustes_summaries(options: Mapping[str, Any]) -> Summaries:
    """Procrustes distances of the kind that the options name; where they name none, of patterns of length one."""
    return Procrustes({"kind": "normalized", **options})


def procrustes(x: Any, y: Any, kind: str = "normalized") -> float:
    """Distance of centred `x` (n, p) and `y` (n, q) after the best rotation (Williams et al. 2021; Ding et al. 2021 square it).

    "normalized": √(2 − 2 |XᵀY|_* / (|X| |Y|)), from 0 to √2, of patterns of length one; "size_and_shape":
    √(|X|² + |Y|² − 2 |XᵀY|_*) in the units of the patterns. A metric of either kind, and 2 sin(θ/2) of the angle θ of `shape`.
    Few stimuli of many units are near one another whatever they are (.35 for noise, n = 50, p = 200). Calibrated scores are 0
    for noise and too high for what is shared: where many stimuli have .42, 50 have .62 with 100 units and .87 with 1000, and
    200 have .50 and .81. Raises `DataError` for constant patterns, values that are not finite, and numbers of stimuli that
    differ; ValueError for another kind.
    """
    if kind not in _LENGTHS:
        raise ValueError(f"procrustes: found kind {kind!r}, expected one of {sorted(_LENGTHS)}")
    return compare_systems(procrustes_summaries({"kind": kind}), *checked_pair(x, y, "procrustes"))
