"""Topological RSA as comparators of RDMs, so that ceilings, nulls and intervals of RSA hold for it unchanged.

A pool of several subjects, as in a ceiling, is a mean of transformed RDMs and is not transformed again: `transform` first, then
pool and compare as `base`. In a mean of raw RDMs the subjects with the largest dissimilarities would decide which entries lie
beyond the thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from isocortex.similarity.comparators.table import COMPARATORS, Comparator
from isocortex.similarity.trsa.geodesic import checked_options, geodesic
from isocortex.similarity.trsa.plane import checked_pairs, prepared_by
from isocortex.similarity.trsa.repeated import weighted_transforms
from isocortex.similarity.trsa.transforms import Transform, make_transform


def _transformed(name: str, made: Callable[[torch.Tensor], torch.Tensor], compare: str, **options: Any) -> Comparator:
    prepare, base = partial(_prepared, made, prepared_by(compare)), COMPARATORS[compare]
    return Comparator(f"{name}/{compare}", base.pool, prepare, transform=made, base=compare, **options)


def _prepared(made: Callable, prepare: Callable, vectors: torch.Tensor) -> torch.Tensor:
    return prepare(made(vectors))


def _weigh(chosen: Transform, compare: str, brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return weighted_transforms(brain, layers, counts, [chosen], compare)[0]


def trsa_comparator(
    transform: str = "rgtm",
    lower: float = 0.2,
    upper: float = 0.8,
    compare: str = "pearson",
    steepness: float = 10.0,
    centre: float = 0.5,
) -> Comparator:
    """RDMs compared after "gtm" or "rgtm" between levels `lower` and `upper`, or "sigmoid" of `steepness` about `centre`.

    `compare`: "pearson" or "cosine". Named like "rgtm(0.2,0.8)/pearson". Bootstrap draws are exact: ranks and quantiles are
    those of the repeated entries. ValueError for another name; `DataError` for thresholds that are no levels in order.
    """
    chosen = make_transform(transform, lower, upper, steepness, centre)
    shown = (steepness, centre) if transform == "sigmoid" else (lower, upper)
    name = f"{transform}({shown[0]:g},{shown[1]:g})"
    prepared_by(compare)
    return _transformed(name, chosen, compare, weigh=partial(_weigh, chosen, compare), ranks=chosen.ranked)


def plane_comparators(pairs: Any, transform: str = "rgtm", compare: str = "pearson") -> list[Comparator]:
    """`trsa_comparator` at each of `pairs` (P, 2) of thresholds.

    Their bootstrap draws together, with ranks made once, are `weighted_plane`; their comparisons are `compare_plane`.
    """
    return [trsa_comparator(transform, lower, upper, compare) for lower, upper in checked_pairs(pairs).tolist()]


def weighted_plane(
    brain: torch.Tensor,
    layers: torch.Tensor,
    counts: torch.Tensor,
    pairs: Any,
    transform: str = "rgtm",
    compare: str = "pearson",
) -> torch.Tensor:
    """Comparisons (P, D, S, L) of brain RDMs (S, N) with layer RDMs (L, N) in draws of multiplicities `counts` (D, n).

    At each of `pairs` (P, 2) what `weighted_scores` gives for its comparator, NaN with fewer than three different stimuli.
    """
    prepared_by(compare)
    chosen = [make_transform(transform, lower, upper) for lower, upper in checked_pairs(pairs).tolist()]
    scores = weighted_transforms(brain, layers, counts, chosen, compare)
    few = (counts > 0).sum(1) < 3
    return torch.where(few.to(scores.device)[None, :, None, None], torch.nan, scores)


def geodesic_comparator(
    keep: str = "p_shortest", p: float = 0.05, k: int | None = None, disconnected: str = "top", compare: str = "pearson"
) -> Comparator:
    """RDMs compared by the ranks of their geodesic distances (`geodesic`), named like "geodesic(p_shortest,0.05)/pearson".

    A repeated stimulus is a node more, and changes paths: there is no weighted form, and intervals take subsamples of stimuli.
    Needs whole RDMs: leave out the stimuli of missing entries, not the entries.
    """
    checked_options(keep, p, k, disconnected)
    made = partial(geodesic, keep=keep, p=p, k=k, rank=True, disconnected=disconnected)
    size = k if keep == "k_nearest" else p
    return _transformed(f"geodesic({keep},{size})", made, compare, ranks=True, whole=True)
