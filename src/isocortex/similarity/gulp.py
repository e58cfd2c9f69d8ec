"""GULP: how differently ridge regressions from two representations predict, on average over all tasks of the same stimuli."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.similarity.ordered import Grams, Ordered, inner_products, ordered, paired, powers
from isocortex.similarity.summaries import Summaries, compare_systems

_FEWEST = 2


def smoother(gram: torch.Tensor, ridge: float) -> torch.Tensor:
    """G (G + λ)⁻¹ (n, n), G = K / tr K of the inner products K of centred patterns: what ridge regression makes of any task.

    With λ = 0 the projection on the axes of the patterns.
    """
    values, vectors = torch.linalg.eigh(gram / gram.trace())
    values = values.clamp_min(0.0)
    least = len(gram) * torch.finfo(gram.dtype).eps
    weights = values / (values + ridge) if ridge > 0 else (values > least * values[-1]).to(values.dtype)
    return (vectors * weights) @ vectors.mT


@dataclass(frozen=True)
class Smoothed:
    """Squared Frobenius distances |S_X − S_Y|² of the smoothers of systems."""

    options: Mapping[str, Any]
    grams: Grams

    @property
    def permuting(self) -> str:
        """A matrix is read in another order."""
        return "moderate"

    def of(self, system: Any, rows: np.ndarray) -> Ordered:
        return ordered(smoother(self.grams.of(system, rows), float(self.options["ridge"])))

    def permuted(self, summary: Ordered, order: np.ndarray) -> Ordered:
        return summary.permuted(order)

    def compare(self, first: Sequence[Ordered], second: Sequence[Ordered]) -> np.ndarray:
        own = powers(first)[:, None] + powers(second)
        return (own - 2.0 * inner_products(first, second)).clamp_min(0.0).cpu().numpy()


def summaries(options: Mapping[str, Any]) -> Summaries:
    """Distances with the penalty that the options name."""
    chosen = {"ridge": 0.1, **options}
    if not 0 <= chosen["ridge"] < float("inf"):
        raise DataError(f"gulp: found ridge {chosen['ridge']}, expected a number of at least 0")
    return Smoothed(chosen, Grams("gulp", _FEWEST))


def gulp(x: Any, y: Any, ridge: float = 0.1) -> float:
    """Squared GULP distance of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids); Boix-Adsera et al. 2022.

    Patterns are centred and brought to a mean square length of 1; with Σ = XᵀX/n it is tr(Σ_x^λ Σ_x Σ_x^λ Σ_x) + the same of y
    − 2 tr(Σ_x^λ Σ_xy Σ_y^λ Σ_yx), Σ^λ = (Σ + λ)⁻¹, which is |S_x − S_y|² for S = G(G + λ)⁻¹, G the Gram matrix by n.
    `ridge`: λ; with 0, by the pseudoinverse, it counts canonical correlations. The distance grows with the number of stimuli
    where units are many (1000 units: 1.43 of 50 stimuli, 1.97 of 1500); calibrated by its null it does not (.49 both).

    Raises `DataError` for different numbers of stimuli, fewer than two, values that are not finite, stimuli that are all alike,
    and a penalty below 0.
    """
    return compare_systems(summaries({"ridge": ridge}), *paired(x, y, "gulp"))
