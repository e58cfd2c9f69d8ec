"""COMPARATORS: how two RDM vectors are compared, and what may be done with each way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from isocortex.similarity.comparators import draws, kendall, moments

Table = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Weigh = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Comparator:
    """How two RDM vectors are compared.

    `prepare` maps vectors (…, N) to rows whose inner product is the comparison; where there is none, `table` compares all of
    (A, N) with all of (B, N). `weigh` compares brain (S, N) with layers (L, N) in draws of multiplicities (D, n) → (D, S, L),
    pairs of a stimulus with itself dropped; None where only subsamples of stimuli can be compared. `pool` names how RDMs of
    several subjects are averaged. `ranks`: only the order of dissimilarities counts. `cost` as in METRICS.
    """

    name: str
    pool: str
    prepare: Callable[[torch.Tensor], torch.Tensor] | None = None
    table: Table | None = None
    weigh: Weigh | None = None
    ranks: bool = False
    cost: str = "cheap"

    def compare(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Comparisons (A, B) of RDM vectors (A, N) and (B, N)."""
        if self.prepare is not None:
            return self.prepare(a) @ self.prepare(b).mT
        if self.table is None:
            raise ValueError(f"comparator {self.name!r}: found neither prepare nor table")
        return self.table(a, b)


COMPARATORS = {
    comparator.name: comparator
    for comparator in (
        Comparator("pearson", "z", moments.pearson, weigh=partial(draws.by_moments, centre=True)),
        Comparator("cosine", "rms", moments.unit, weigh=partial(draws.by_moments, centre=False)),
        Comparator("spearman", "rank", moments.spearman, weigh=partial(draws.by_ranks, unit=True), ranks=True),
        Comparator("rho_a", "rank", moments.rho_a, weigh=partial(draws.by_ranks, unit=False), ranks=True),
        Comparator("tau_a", "rank", table=kendall.tau_a_table, weigh=draws.by_tau, ranks=True, cost="costly"),
    )
}


def comparator(method: str | Comparator) -> Comparator:
    """The comparator of that name (or the one given); ValueError otherwise."""
    if isinstance(method, Comparator):
        return method
    if method not in COMPARATORS:
        raise ValueError(f"RSA: found comparator {method!r}, expected one of {sorted(COMPARATORS)}")
    return COMPARATORS[method]
