"""The geometry of every neuroid's neighbourhood compared with a model's (Kriegeskorte, Goebel & Bandettini 2006, PNAS)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.errors import DataError
from isocortex.similarity.comparators import COMPARATORS, comparator
from isocortex.similarity.neighbourhoods import Neighbourhoods

# RDMs made at once: they stay in a CPU's cache; a GPU is filled by more.
_BLOCK_BYTES = {"cpu": 3.2e7, "cuda": 2e9}
# A pattern's variance (or squared length) below this part of its mean square is rounding: the pattern has no direction.
_ROUNDING = 1e-12


def searchlight(
    responses: Any, hoods: Neighbourhoods, model_rdms: Any, rdm: str = "correlation", compare: str = "rho_a"
) -> Any:
    """Comparisons (C, L) of the RDMs of C neighbourhoods with those (L, N) of layers; responses are (n_stimuli, n_neuroids).

    `rdm` is "correlation", "euclidean" or "cosine" as in `similarity.rdm`; `compare` a comparator that is an inner product
    (not tau-a). In float64. NaN for a neighbourhood in which some pattern has no direction (constant; zero for cosine) or a
    value is not finite. No more RDMs are held than one batch.
    Raises `DataError` for layers of other stimuli, fewer than three stimuli, or another comparator.
    """
    x = as_tensor(responses)
    given = torch.atleast_2d(as_tensor(model_rdms, x.device, torch.float64))
    check_pairs(x, given)
    layers = prepared(given, compare)
    scores = torch.empty((len(hoods), len(layers)), dtype=torch.float64, device=x.device)
    for rows, vectors in searchlight_rdms(x, hoods, rdm):
        scores[torch.as_tensor(rows, device=x.device)] = prepared(vectors, compare) @ layers.T
    return like_input(scores, responses)


def searchlight_rdms(
    responses: torch.Tensor, hoods: Neighbourhoods, rdm: str = "correlation"
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Batches of (numbers of neighbourhoods, their RDM vectors (b, n(n − 1)/2) in float64), by size so that little is padded.

    An RDM is made from the Gram matrix of the neighbourhood's patterns: 2 n² m operations for m neuroids. The Gram matrices
    of single neuroids, once made, add up to it in as many, but those are bound by memory and a product is not; and
    correlation distance must centre each neighbourhood's patterns by themselves.
    """
    if rdm not in _DISTANCES:
        raise ValueError(f"searchlight: found rdm {rdm!r}, expected one of {sorted(_DISTANCES)}")
    n, device = responses.shape[0], responses.device
    # A neuroid of zeros at the end stands where a neighbourhood has no more.
    rows = torch.cat([responses.T, responses.new_zeros((1, n))])
    first, second = torch.triu_indices(n, n, 1, device=device)
    order = np.argsort(hoods.sizes, kind="stable")
    width = 8.0 * n * (3 * int(hoods.sizes.max(initial=1)) + 3 * n)
    budget = min(_BLOCK_BYTES.get(device.type, 3.2e7), budget_bytes(device))
    for part in batches(len(order), width, budget):
        chosen = order[part]
        index = torch.as_tensor(hoods.padded(chosen, len(rows) - 1), device=device)
        sizes = torch.as_tensor(hoods.sizes[chosen], dtype=torch.float64, device=device)
        patterns = rows[index].to(torch.float64)  # (b, m, n)
        present = (index < len(rows) - 1)[:, :, None]
        matrix = _DISTANCES[rdm](patterns, present, sizes[:, None, None])
        vectors = matrix[:, first, second]
        whole = torch.isfinite(vectors).all(1, keepdim=True)
        yield chosen, torch.where(whole, vectors, torch.nan)


def prepared(vectors: torch.Tensor, compare: str) -> torch.Tensor:
    """RDM vectors (…, N) as rows whose inner products are the comparisons; NaN for an RDM that is not finite."""
    prepare = comparator(compare).prepare
    if prepare is None:
        usable = ", ".join(name for name, one in COMPARATORS.items() if one.prepare is not None)
        raise DataError(f"searchlight: found compare {compare!r}, expected one that is an inner product: {usable}")
    whole = torch.isfinite(vectors).all(-1, keepdim=True)
    return torch.where(whole, prepare(torch.where(whole, vectors, 0.0)), torch.nan)


def check_pairs(responses: torch.Tensor, layers: torch.Tensor) -> None:
    """A `DataError` for fewer than three stimuli, and where layers (…, N) are not RDMs of those of responses (n, v)."""
    n = responses.shape[0]
    if n < 3:
        raise DataError(f"searchlight: found {n} stimuli, expected at least 3 for an RDM")
    if layers.shape[-1] != n * (n - 1) // 2:
        raise DataError(
            f"searchlight: found {n} stimuli and RDMs with {layers.shape[-1]} pairs, expected {n * (n - 1) // 2} pairs; "
            "use the same stimuli for both"
        )


def _euclidean(patterns: torch.Tensor, _present: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """Squared distance per neuroid; what all stimuli share is taken out first, for the digits."""
    gram = _gram(patterns - patterns.mean(-1, keepdim=True))
    power = gram.diagonal(dim1=-2, dim2=-1)
    both = power[:, :, None] + power[:, None, :]
    return _zeroed(both - 2.0 * gram, _precision(sizes) * both) / sizes


def _correlation(patterns: torch.Tensor, present: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """1 − Pearson correlation over the neighbourhood's neuroids."""
    power = patterns.square().sum(1)
    mean = patterns.sum(1, keepdim=True) / sizes
    return _one_minus_cosine((patterns - mean) * present, _ROUNDING * power, sizes)


def _cosine(patterns: torch.Tensor, _present: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """1 − cosine."""
    return _one_minus_cosine(patterns, torch.zeros_like(patterns[:, 0]), sizes)


def _one_minus_cosine(patterns: torch.Tensor, floor: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    gram = _gram(patterns)
    power = gram.diagonal(dim1=-2, dim2=-1)
    length = torch.where(power > floor, power, torch.nan).sqrt()
    return _zeroed(1.0 - gram / (length[:, :, None] * length[:, None, :]), _precision(sizes))


def _precision(sizes: torch.Tensor) -> torch.Tensor:
    """Relative error of an inner product, as `similarity.rdm` has it: equal patterns are exactly 0 apart, and tie."""
    return 4.0 * torch.finfo(sizes.dtype).eps * sizes.sqrt()


def _zeroed(distances: torch.Tensor, error: torch.Tensor) -> torch.Tensor:
    return torch.where(distances <= error, 0.0, distances)  # NaN stays NaN


def _gram(patterns: torch.Tensor) -> torch.Tensor:
    """(b, n, n) of patterns (b, m, n)."""
    return patterns.mT @ patterns


_DISTANCES: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "correlation": _correlation,
    "euclidean": _euclidean,
    "cosine": _cosine,
}
