"""COMPARATORS: how two RDM vectors are compared, and what may be done with each way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from isocortex.similarity.comparators import bures, drawn_ceilings, draws, kendall, moments, whitened

Table = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Weigh = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Comparator:
    """How two RDM vectors are compared.

    `prepare` maps vectors (…, N) to rows whose inner product is the comparison; where there is none, `table` compares all of
    (A, N) with all of (B, N). `weigh` compares brain (S, N) with layers (L, N) in draws of multiplicities (D, n) → (D, S, L),
    pairs of a stimulus with itself dropped; None where only subsamples of stimuli can be compared. `pool` names how RDMs of
    several subjects are averaged. `ranks`: only the order of dissimilarities counts. `cost` as in METRICS. Where RDMs are
    transformed first and then compared by the comparator `base`, `transform` maps vectors (…, N) to (…, N). `masked` compares
    (A, N) with (B, N) where only some pairs (N,) are known; without it the others are cut out, which suits comparators that
    treat all pairs alike (`whole`: this one does not). `ceil` is a faster way to `weighted_ceilings`.
    """

    name: str
    pool: str
    prepare: Callable[[torch.Tensor], torch.Tensor] | None = None
    table: Table | None = None
    weigh: Weigh | None = None
    ranks: bool = False
    cost: str = "cheap"
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None
    base: str = ""
    masked: Weigh | None = None
    ceil: Weigh | None = None
    whole: bool = False

    def compare(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Comparisons (A, B) of RDM vectors (A, N) and (B, N)."""
        if self.prepare is not None:
            return self.prepare(a) @ self.prepare(b).mT
        if self.table is None:
            raise ValueError(f"comparator {self.name!r}: found neither prepare nor table")
        return self.table(a, b)


def _linear(name: str, *, centre: bool) -> Comparator:
    prepare = moments.pearson if centre else moments.unit
    weigh = partial(draws.by_moments, centre=centre)
    ceil = partial(drawn_ceilings.linear, centre=centre, whitened=False)
    return Comparator(name, "z" if centre else "rms", prepare, weigh=weigh, ceil=ceil)


def _whitened(name: str, *, centre: bool) -> Comparator:
    prepare = whitened.pearson if centre else whitened.cosine
    weigh = partial(whitened.by_whitening, centre=centre)
    some = partial(whitened.present_table, centre=centre)
    ceil = partial(drawn_ceilings.linear, centre=centre, whitened=True)
    return Comparator(name, "z" if centre else "rms", prepare, weigh=weigh, masked=some, ceil=ceil)


def _rho(name: str, *, unit: bool) -> Comparator:
    prepare = moments.spearman if unit else moments.rho_a
    weigh, ceil = partial(draws.by_ranks, unit=unit), partial(drawn_ceilings.ranked, unit=unit)
    return Comparator(name, "rank", prepare, weigh=weigh, ceil=ceil, ranks=True)


def _tau(name: str, *, adjust: bool) -> Comparator:
    table, weigh = partial(kendall.tau_table, adjust=adjust), partial(kendall.by_tau, adjust=adjust)
    return Comparator(name, "rank", table=table, weigh=weigh, ranks=True, cost="moderate")


COMPARATORS = {
    comparator.name: comparator
    for comparator in (
        _linear("pearson", centre=True),
        _linear("cosine", centre=False),
        _rho("spearman", unit=True),
        _rho("rho_a", unit=False),
        _tau("tau_a", adjust=False),
        _tau("tau_b", adjust=True),
        _whitened("whitened_pearson", centre=True),
        _whitened("whitened_cosine", centre=False),
        Comparator("bures", "rms", table=bures.similarity, cost="costly", whole=True),
    )
}


def comparator(method: str | Comparator) -> Comparator:
    """The comparator of that name (or the one given); ValueError otherwise."""
    if isinstance(method, Comparator):
        return method
    if method not in COMPARATORS:
        raise ValueError(f"RSA: found comparator {method!r}, expected one of {sorted(COMPARATORS)}")
    return COMPARATORS[method]
