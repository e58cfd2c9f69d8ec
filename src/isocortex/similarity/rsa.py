"""Comparators of RDMs, and representational similarity analysis itself.

All but tau-a are inner products of prepared vectors, so that subjects × layers, permutations and pools are matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.ranks import average_ranks, tau_a
from isocortex.similarity.rdm import rdm as make_rdm


def _centre(v: torch.Tensor) -> torch.Tensor:
    return v - v.mean(dim=-1, keepdim=True)


def _unit(v: torch.Tensor) -> torch.Tensor:
    """Rows of length one; a row of zeros (an RDM without variance) becomes NaN, because its similarity is undefined."""
    length = v.norm(dim=-1, keepdim=True)
    return v / torch.where(length > 0, length, torch.nan)


def _pearson(v: torch.Tensor) -> torch.Tensor:
    centred = _centre(v)
    # Rounding leaves a constant RDM with a tiny variance: that is none.
    flat = centred.abs().amax(-1, keepdim=True) <= 1e-14 * v.abs().amax(-1, keepdim=True)
    return _unit(torch.where(flat, torch.zeros_like(v), centred))


def _spearman(v: torch.Tensor) -> torch.Tensor:
    return _pearson(average_ranks(v))


def _rho_a(v: torch.Tensor) -> torch.Tensor:
    """12 Σ (r_a − r̄)(r_b − r̄) / (N³ − N), the expectation of Spearman's rho under random breaking of ties."""
    n = v.shape[-1]
    return _centre(average_ranks(v)) * (12.0 / (float(n) ** 3 - n)) ** 0.5


@dataclass(frozen=True)
class Comparator:
    """How two RDM vectors are compared.

    `prepare` maps vectors to rows whose inner product is the comparison (None for tau-a); `pool` names how RDMs of several
    subjects are averaged; `ranks` says whether a resample must rank anew; `weighted` how weighted sums become the value.
    """

    name: str
    prepare: Callable[[torch.Tensor], torch.Tensor] | None
    pool: str
    ranks: bool
    cost: str = "cheap"


COMPARATORS = {
    comparator.name: comparator
    for comparator in (
        Comparator("pearson", _pearson, "z", ranks=False),
        Comparator("spearman", _spearman, "rank", ranks=True),
        Comparator("rho_a", _rho_a, "rank", ranks=True),
        Comparator("tau_a", None, "rank", ranks=True, cost="costly"),
        Comparator("cosine", _unit, "rms", ranks=False),
    )
}


def comparator(name: str) -> Comparator:
    """The comparator of that name; ValueError otherwise."""
    if name not in COMPARATORS:
        raise ValueError(f"RSA: found comparator {name!r}, expected one of {sorted(COMPARATORS)}")
    return COMPARATORS[name]


def tau_table(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kendall's tau-a of every row of `a` (A, N) with every row of `b` (B, N)."""
    return np.array([[tau_a(x, y) for y in b] for x in a], dtype=np.float64).reshape(len(a), len(b))


def compare_rdms(a: Any, b: Any, method: str = "rho_a") -> Any:
    """Similarities (A, B) of RDM vectors `a` (A, N) and `b` (B, N); a single vector (N,) takes its axis away.

    `method`: "pearson", "spearman" (mean ranks), "rho_a", "tau_a" or "cosine". An entry that is NaN in any vector is left
    out of all. NaN where a vector has no variance (no length for cosine); the a-statistics are 0 there.
    Raises `DataError` where the lengths differ or fewer than three entries are left.
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
    rows, columns = rows[:, kept], columns[:, kept]
    if chosen.prepare is None:
        table = torch.as_tensor(tau_table(rows.cpu().numpy(), columns.cpu().numpy()), device=x.device)
    else:
        table = chosen.prepare(rows) @ chosen.prepare(columns).T
    return like_input(table.reshape(x.shape[:-1] + y.shape[:-1]), a)


def pooled(vectors: torch.Tensor, how: str) -> torch.Tensor:
    """The mean RDM (…, N) of subjects (…, S, N) for a family of comparators (rsatoolbox; Nili et al. 2014).

    "z": mean of z-scored RDMs; "rms": of RDMs scaled to unit root mean square; "rank": of ranks.
    """
    if how == "rank":
        return average_ranks(vectors).mean(-2)
    scaled = _centre(vectors) if how == "z" else vectors
    return (scaled / scaled.square().mean(-1, keepdim=True).sqrt()).mean(-2)


def rsa(x: Any, y: Any, rdm: str = "correlation", compare: str = "rho_a") -> float:
    """Similarity of the geometries of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Kriegeskorte, Mur & Bandettini 2008; `rdm` as in `similarity.rdm.rdm`, `compare` as in `compare_rdms`.
    Raises `DataError` for different numbers of stimuli, fewer than three, and patterns without a distance.
    """
    return float(compare_rdms(make_rdm(x, rdm), make_rdm(y, rdm), compare))
