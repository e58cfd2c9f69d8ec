"""The whole plane of thresholds (l, u) of rank geo-topological transforms, from one sort per RDM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, like_input
from isocortex.errors import DataError
from isocortex.similarity.comparators import moments
from isocortex.similarity.trsa.order import mid_ranks, quantiles
from isocortex.similarity.trsa.transforms import as_vectors, checked_levels, ramp

PREPARE = {"pearson": moments.pearson, "cosine": moments.unit}
# Transformed RDMs of about this many bytes are made, used and dropped in a CPU's cache; a GPU is filled by more.
_BLOCK_BYTES = {"cpu": 4e6, "cuda": 1e9}


def prepared_by(compare: str):
    """The function of PREPARE of that name; ValueError otherwise."""
    if compare not in PREPARE:
        raise ValueError(f"tRSA: found compare {compare!r}, expected one of {sorted(PREPARE)}")
    return PREPARE[compare]


def block_bytes(device: torch.device) -> float:
    """Bytes of one block of work on `device`."""
    return _BLOCK_BYTES.get(device.type, 4e6)


def grid(step: float = 0.05, *, equal: bool = False) -> np.ndarray:
    """All pairs (l, u) (P, 2) of levels 0, step, …, 1 with l < u, or l ≤ u where `equal`.

    In the order in which ties between pairs are broken: the widest first, that nearest to the plain rank RDM; then the lower l.
    """
    count = round(1.0 / step) if step > 0 else 0
    if count < 1 or abs(count * step - 1.0) > 1e-9:
        raise DataError(f"tRSA: found a grid step of {step}, expected a whole part of 1 such as 0.05; change it")
    steps = [(low, high) for low in range(count + 1) for high in range(low + (not equal), count + 1)]
    steps.sort(key=lambda pair: (pair[0] - pair[1], pair[0]))
    return np.array(steps, dtype=np.float64).reshape(-1, 2) / count


def checked_pairs(pairs: Any) -> np.ndarray:
    """Pairs (P, 2) of levels; `DataError` unless each is 0 ≤ l ≤ u ≤ 1."""
    found = np.asarray(pairs, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or not len(found):
        raise DataError(f"tRSA: found thresholds of shape {found.shape}, expected (n_pairs, 2); give rows of (lower, upper)")
    for lower, upper in found:
        checked_levels(lower, upper)
    return found


class RankPlane:
    """Ranks (…, N) of RDM vectors and their quantiles at all levels of `pairs`; RGTMs are made of them when asked for."""

    def __init__(self, vectors: torch.Tensor, pairs: np.ndarray) -> None:
        self.ranks = mid_ranks(vectors)
        levels, place = np.unique(pairs, return_inverse=True)
        self._place = torch.as_tensor(place.reshape(pairs.shape), device=vectors.device)
        at = torch.as_tensor(levels, dtype=torch.float64, device=vectors.device)
        self._thresholds = quantiles(self.ranks, at).movedim(-1, 0)[..., None]

    def __getitem__(self, block: slice) -> torch.Tensor:
        """RGTMs (p, …, N) of the pairs of `block`."""
        low, high = (self._thresholds[self._place[block, side]] for side in (0, 1))
        return ramp(self.ranks, low, high)

    def blocks(self, copies: float = 4.0) -> Iterator[slice]:
        """Blocks of pairs with room for `copies` of their RGTMs."""
        return batches(len(self._place), copies * 8.0 * self.ranks.numel(), block_bytes(self.ranks.device))


def rgtm_plane(d: Any, pairs: Any) -> Any:
    """RGTMs (P, …, N) of RDM vectors (…, N) at `pairs` (P, 2) of thresholds; each as from `rgtm`."""
    chosen = checked_pairs(pairs)
    plane = RankPlane(as_vectors(d), chosen)
    result = torch.empty((len(chosen), *plane.ranks.shape), dtype=torch.float64, device=plane.ranks.device)
    for block in plane.blocks():
        result[block] = plane[block]
    return like_input(result, d)


def compare_plane(a: Any, b: Any, pairs: Any, compare: str = "pearson") -> Any:
    """Similarities (P, A, B) of the RGTMs of RDM vectors `a` (A, N) and `b` (B, N) at `pairs` (P, 2) of thresholds.

    `compare`: "pearson" or "cosine". A single vector (N,) takes its axis away. An entry that is NaN in any vector is left out
    of all, before the ranks. NaN where an RGTM has no variance (no length for cosine). Transformed RDMs are never held for more
    than a block of pairs. Raises `DataError` where the lengths differ or fewer than three entries are left.
    """
    prepared_by(compare)
    chosen = checked_pairs(pairs)
    x = as_vectors(a)
    y = as_tensor(b, device=x.device, dtype=torch.float64)
    if x.shape[-1] != y.shape[-1]:
        raise DataError(
            f"tRSA: found RDMs with {x.shape[-1]} and {y.shape[-1]} pairs, expected equal; use the same stimuli for both"
        )
    rows = torch.cat([x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])])
    kept = torch.isfinite(rows).all(0)
    if int(kept.sum()) < 3:
        raise DataError(f"tRSA: found {int(kept.sum())} pairs with a value in all RDMs, expected at least 3")
    plane = RankPlane(rows[:, kept], chosen)
    first = x.numel() // x.shape[-1]
    table = torch.empty((len(chosen), first, len(rows) - first), dtype=torch.float64, device=x.device)
    for block in plane.blocks():
        table[block] = _similarities(plane[block], first, centred=compare == "pearson")
    return like_input(table.reshape(len(chosen), *x.shape[:-1], *y.shape[:-1]), a)


def _similarities(made: torch.Tensor, first: int, *, centred: bool) -> torch.Tensor:
    """Pearson correlations, or cosines, (p, A, B) of the first A rows of `made` (p, A + B, N) with the others; changes `made`.

    As of prepared rows, with the lengths divided out of the small table instead of the rows.
    """
    if centred:
        made.sub_(made.mean(-1, keepdim=True))
    length = made.norm(dim=-1)
    # Entries are at most 1: what rounding leaves of a constant RGTM is no variance.
    length = torch.where(length > 1e-13 * made.shape[-1] ** 0.5, length, torch.nan)
    return (made[:, :first] @ made[:, first:].mT) / (length[:, :first, None] * length[:, None, first:])
