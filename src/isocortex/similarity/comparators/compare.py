"""RDM vectors compared in full: all rows of one set with all of another, and the pools of several subjects."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.comparators.moments import centre
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.comparators.table import Comparator, comparator


def compare_rdms(a: Any, b: Any, method: str | Comparator = "rho_a") -> Any:
    """Similarities (A, B) of RDM vectors `a` (A, N) and `b` (B, N); a single vector (N,) takes its axis away.

    `method`: a name in COMPARATORS or a comparator. An entry that is NaN in any vector is left out of all. NaN where a vector
    has no variance (no length for cosine); the a-statistics are 0 there. Raises `DataError` where the lengths differ, where
    fewer than three entries are left, and where any is missing for a comparator that needs all (bures).
    """
    chosen = comparator(method)
    x, y = as_tensor(a, dtype=torch.float64), as_tensor(b, dtype=torch.float64)
    if x.shape[-1] != y.shape[-1]:
        raise DataError(
            f"RSA: found RDMs with {x.shape[-1]} and {y.shape[-1]} pairs, expected equal; use the same stimuli for both"
        )
    rows, columns = torch.atleast_2d(x), torch.atleast_2d(y)
    kept = torch.isfinite(rows).all(0) & torch.isfinite(columns).all(0)
    if int(kept.sum()) < 3:
        raise DataError(f"RSA: found {int(kept.sum())} pairs with a value in all RDMs, expected at least 3")
    table = _some(chosen, rows, columns, kept)
    return like_input(table.reshape(x.shape[:-1] + y.shape[:-1]), a)


def _some(chosen: Comparator, rows: torch.Tensor, columns: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    if bool(kept.all()):
        return chosen.compare(rows, columns)
    if chosen.masked is not None:
        return chosen.masked(rows, columns, kept)
    if chosen.whole:
        raise DataError(
            f"RSA: found {int((~kept).sum())} pairs without a value, expected none for compare: {chosen.name}; "
            "drop those stimuli or choose another comparator"
        )
    return chosen.compare(rows[:, kept], columns[:, kept])


def pooled(vectors: torch.Tensor, how: str) -> torch.Tensor:
    """The mean RDM (…, N) of subjects (…, S, N) for a family of comparators (rsatoolbox; Nili et al. 2014).

    "z": mean of z-scored RDMs; "rms": of RDMs scaled to unit root mean square; "rank": of ranks.
    """
    if how == "rank":
        return average_ranks(vectors).mean(-2)
    scaled = centre(vectors) if how == "z" else vectors
    return (scaled / scaled.square().mean(-1, keepdim=True).sqrt()).mean(-2)
