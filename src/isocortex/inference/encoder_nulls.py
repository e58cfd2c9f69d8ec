"""Nulls of predictions: fixed ones permuted on a separate test set, or the whole fit redone for permuted responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.encoding.scores import r_of_moments, region_median, standardized
from isocortex.inference.fdr import benjamini_hochberg
from isocortex.inference.nulls import block_permutations, p_value, permutations

# Multiplications up to which 10 000 permutations cost next to nothing.
CHEAP = 2e7
FIXED, REFIT = "fixed predictions of a separate test set", "refitted"

# Permutations (P, n) → moments on test rows (3, P, v), summed over the outer splits, in each of the layer chosen anew.
Refit = Callable[[np.ndarray], np.ndarray]
# Test rows of so many neuroids are gathered at once that they stay in the cache.
GATHER_BYTES = 1 << 19


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
    runs: Sequence[str] | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """Null of the region's statistic (P,), p values per neuroid (`p`, `p_max`, `q`), and its kind.

    runs : of the rows that are permuted, where they are samples in time: neighbours then stay neighbours.
    """
    n = sum(len(part) for part in observed) if runs is None else len(runs)
    kind = "permute_stimuli" if runs is None else "shift_session"

    def drawn(n_null: int) -> np.ndarray:
        return permutations(n, n_null, settings.seed) if runs is None else block_permutations(n, n_null, settings.seed, runs)

    if refit is None:
        cheap = n * len(r) * 10_000 <= CHEAP
        wanted = settings.permutations
        n_null = (10_000 if cheap else 1000) if wanted == "auto" else int(wanted)
        null, counts = _fixed_null(predicted[0], observed[0], r, drawn(n_null))
        return null, counts, f"{kind}: {FIXED}"
    n_null = 200 if settings.permutations == "auto" else int(settings.permutations)
    null, counts = _refit_null(refit, drawn(n_null), r)
    p = p_value(float(region_median(r)), null)
    # Near .05 two hundred values do not settle the matter.
    if settings.permutations == "auto" and 0.01 < p < 0.15:
        null, counts = _refit_null(refit, drawn(1000), r)
    return null, counts, f"{kind}: {REFIT}"


class _Tally:
    """Counts, block by block of neuroids, what p values need; the null of the region's median once all blocks are in."""

    def __init__(self, r: torch.Tensor, n_null: int) -> None:
        # Float32 holds a correlation well enough for a rank, in half the memory.
        self.r, self.null = r.double(), torch.empty(n_null, len(r), dtype=torch.float32, device=r.device)
        self.above, self.valid = torch.zeros_like(self.r), torch.zeros_like(self.r)

    def add(self, part: slice, null: torch.Tensor) -> None:
        rounding = 1e-12 if null.dtype == torch.float64 else 1e-6  # what equals the score must count as reached
        self.above[part] = (null >= self.r[part] - rounding).sum(0).double()
        self.valid[part] = (~null.isnan()).sum(0).double()
        self.null[:, part] = null

    def finish(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        missing = self.r.isnan()
        p = to_array(torch.where(missing, torch.nan, (1 + self.above) / (1 + self.valid)))
        largest = self.null.nan_to_num(nan=-2.0).amax(1).double().sort().values
        # A maximum that float32 rounded down must still count as reached.
        reached = (len(largest) - torch.searchsorted(largest, self.r.nan_to_num() - 1e-6)).double()
        p_max = to_array(torch.where(missing, torch.nan, (1 + reached) / (1 + len(largest))))
        return to_array(region_median(self.null)), {"p": p, "p_max": p_max, "q": benjamini_hochberg(p)}


def _fixed_null(
    predicted: torch.Tensor, observed: torch.Tensor, r: torch.Tensor, orders: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    tally = _Tally(r, len(orders))
    index = torch.as_tensor(orders, device=predicted.device)
    for part in batches(len(r), 8 * len(predicted), GATHER_BYTES):
        a, b = (standardized(x[:, part].double()).to(predicted.dtype) for x in (predicted, observed))
        null = torch.empty(len(orders), a.shape[1], dtype=a.dtype, device=a.device)
        for number, order in enumerate(index):
            null[number] = a.index_select(0, order).mul_(b).sum(0)
        tally.add(part, null)
    return tally.finish()


def _refit_null(refit: Refit, orders: np.ndarray, r: torch.Tensor) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    moments = refit(orders)
    tally = _Tally(r, len(orders))
    for part in batches(len(r), 32 * len(orders), 64 << 20):
        tally.add(part, r_of_moments(torch.as_tensor(moments[:, :, part], dtype=torch.float64, device=r.device)))
    return tally.finish()
