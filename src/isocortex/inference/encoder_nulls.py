"""Nulls of predictions: fixed ones permuted on a separate test set, or the whole fit redone for permuted responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.encoding.scores import r_of_moments, region_median, standardized
from isocortex.inference.fdr import benjamini_hochberg
from isocortex.inference.nulls import p_value, permutations

# Multiplications up to which 10 000 permutations cost next to nothing.
CHEAP = 2e7
FIXED, REFIT = "permute_stimuli: fixed predictions of a separate test set", "permute_stimuli: refitted"

# Permutations (P, n) → inner score per (layer, outer split, P) and moments on test rows (layer, outer split, 3, P, v).
Refit = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Settings:
    """confidence, seed, draws and permutations ("auto" or a number) of the study's `inference`."""

    confidence: float = 0.95
    seed: int = 0
    draws: int = 1000
    permutations: int | str = "auto"


def choose(inner: np.ndarray) -> np.ndarray:
    """The layer with the largest inner score for each column of (L, …); NaN never wins, the first wins ties."""
    return np.where(np.isnan(inner), -np.inf, inner).argmax(0)


def to_array(x: torch.Tensor) -> np.ndarray:
    """A tensor as float64 NumPy."""
    return x.cpu().numpy().astype(np.float64)


def null_of(
    predicted: list[torch.Tensor],
    observed: list[torch.Tensor],
    r: torch.Tensor,
    settings: Settings,
    refit: Refit | None,
) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """Null of the region's statistic (P,), p values per neuroid (`p`, `p_max`, `q`), and its kind."""
    n = sum(len(part) for part in observed)
    if refit is None:
        cheap = n * len(r) * 10_000 <= CHEAP
        wanted = settings.permutations
        n_null = (10_000 if cheap else 1000) if wanted == "auto" else int(wanted)
        orders = permutations(n, n_null, settings.seed)
        null, counts = _fixed_null(predicted[0], observed[0], r, orders)
        return null, counts, FIXED
    n_null = 200 if settings.permutations == "auto" else int(settings.permutations)
    null, counts = _refit_null(refit, permutations(n, n_null, settings.seed), r)
    p = p_value(float(region_median(r)), null)
    # Near .05 two hundred values do not settle the matter.
    if settings.permutations == "auto" and 0.01 < p < 0.15:
        null, counts = _refit_null(refit, permutations(n, 1000, settings.seed), r)
    return null, counts, REFIT


class _Tally:
    """Counts, permutation by permutation, what p values per neuroid need, without keeping (P, v)."""

    def __init__(self, r: torch.Tensor) -> None:
        self.r = r
        self.above, self.valid, self.n, self.max_above = (torch.zeros_like(r) for _ in range(4))
        self.medians: list[np.ndarray] = []

    def add(self, null: torch.Tensor) -> None:
        self.medians.append(to_array(region_median(null)))
        threshold = self.r - 1e-12
        self.above += (null >= threshold).sum(0)
        self.valid += (~null.isnan()).sum(0)
        largest = null.nan_to_num(nan=-2.0).amax(1)
        self.max_above += (largest[:, None] >= threshold).sum(0)
        self.n += len(null)

    def finish(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        missing = self.r.isnan()
        p = to_array(torch.where(missing, torch.nan, (1 + self.above) / (1 + self.valid)))
        p_max = to_array(torch.where(missing, torch.nan, (1 + self.max_above) / (1 + self.n)))
        return np.concatenate(self.medians), {"p": p, "p_max": p_max, "q": benjamini_hochberg(p)}


def _fixed_null(
    predicted: torch.Tensor, observed: torch.Tensor, r: torch.Tensor, orders: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    a, b = standardized(predicted), standardized(observed)
    tally = _Tally(r)
    for part in batches(len(orders), 8 * a.numel(), 32 << 20):
        tally.add((a[torch.as_tensor(orders[part], device=a.device)] * b).sum(1))
    return tally.finish()


def _refit_null(refit: Refit, orders: np.ndarray, r: torch.Tensor) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The layer is chosen anew in every permutation and outer split, as it was from the real responses."""
    inner, tested = refit(orders)
    winners = choose(inner)
    n_outer = inner.shape[1]
    # (3, P, v): of each outer split the moments of the layer that won it, summed as the score sums them.
    moments = sum(tested[winners[fold], fold, :, np.arange(len(orders))].transpose(1, 0, 2) for fold in range(n_outer))
    tally = _Tally(r)
    tally.add(r_of_moments(torch.as_tensor(moments, dtype=torch.float64, device=r.device)))
    return tally.finish()
