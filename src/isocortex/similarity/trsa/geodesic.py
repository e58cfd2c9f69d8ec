"""Geodesic distances: how far apart stimuli are along the shortest paths of a graph of an RDM's short edges.

Lin & Kriegeskorte, "The topology and geometry of neural representations" (2024). Where their code and rsatoolbox's drop edges
of length zero, so that the nearest stimuli are not joined, here an edge is an edge; and what is a near neighbour does not hang
on the order of the stimuli. `compat=True` is theirs.
"""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import batches, budget_bytes, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.vectors import n_stimuli, to_square, to_vector
from isocortex.similarity.trsa.order import mid_ranks, quantiles
from isocortex.similarity.trsa.paths import shortest_paths
from isocortex.similarity.trsa.transforms import as_vectors, make_transform

KEEP = ("p_shortest", "p_nearest", "k_nearest")
DISCONNECTED = ("top", "finite_max")
# Lengths are rounded to this part of the longest, so that sums are exact and equal paths tie whatever edges they are made of.
_GRID_BITS = 46


def geodesic(
    d: Any,
    keep: str = "p_shortest",
    p: float = 0.05,
    k: int | None = None,
    *,
    rank: bool = True,
    disconnected: str = "top",
    compat: bool = False,
) -> Any:
    """Geodesic distances (…, N) on graphs of the short edges of RDM vectors (…, N), N = n(n − 1)/2; float64.

    Lengths are the mean ranks of an RDM's entries scaled to 0…1 (zeros where all are equal). `keep`: "p_shortest", entries up
    to their quantile p; "k_nearest", from every stimulus to its k nearest and all that tie with the last; "p_nearest", with
    k = ⌊p n⌋, at least 1. An edge is kept for either of its ends. An entry that is NaN is no edge. `rank`: mean ranks of the
    distances. `disconnected`: where there is no path, infinity, which is the top of the ranks ("top"), or the longest distance
    of that RDM ("finite_max"; 1 where there is none). `compat`: the pair with the smallest entry is no edge, and i < j are
    joined only if j is among the k nearest of i, as in the code of the paper.
    Raises `DataError` for p outside 0…1 and k below 1, ValueError for other names and for an N that is of no RDM.
    """
    checked_options(keep, p, k, disconnected)

    def made(vectors: torch.Tensor) -> torch.Tensor:
        ranks = mid_ranks(vectors)
        ends = quantiles(ranks, torch.tensor([0.0, 1.0], dtype=torch.float64, device=ranks.device))
        span = ends[:, 1:] - ends[:, :1]
        span = torch.where(span > 0, span, torch.ones_like(span))
        # Ranks are halves of whole numbers: their sums are exact, and are scaled afterwards.
        lengths = (ranks - ends[:, :1]) / (span if compat else 1.0)
        edges = _short_edges(lengths, keep, p, k, compat=compat)
        return _along_paths(lengths, edges, compat=compat) / (1.0 if compat else span)

    return _finished(d, made, rank=rank, disconnected=disconnected)


def two_step(
    d: Any,
    lower: float = 0.2,
    upper: float = 0.8,
    *,
    transform: str = "rgtm",
    rank: bool = True,
    disconnected: str = "top",
    compat: bool = False,
) -> Any:
    """Geodesic distances (…, N) on graphs of RDM vectors (…, N) transformed by "rgtm" or "gtm"; float64.

    Edges are the pairs whose transformed entry is below 1; those at or below quantile l are of length 0. `rank` and
    `disconnected` as in `geodesic`. `compat`: what is 0 is no edge, as in the code of the paper ("rgtm") and in rsatoolbox
    0.3.2 ("gtm"). Raises `DataError` for thresholds that are no levels in order, ValueError as `geodesic`.
    """
    if transform not in ("rgtm", "gtm"):
        raise ValueError(f"geodesic: found transform {transform!r}, expected 'rgtm' or 'gtm'")
    checked_options("p_shortest", 0.0, None, disconnected)
    chosen = make_transform(transform, lower, upper)

    def made(vectors: torch.Tensor) -> torch.Tensor:
        levels = torch.tensor(chosen.levels, dtype=torch.float64, device=vectors.device)
        if compat:
            lengths = chosen(vectors)
            low, high = quantiles(lengths, torch.tensor([0.0, 1.0], dtype=torch.float64, device=vectors.device)).split(1, 1)
            lengths = (lengths - low) / torch.where(high > low, high - low, torch.ones_like(low))
            return _along_paths(lengths, lengths < 1.0, compat=True)
        x = mid_ranks(vectors) if chosen.ranked else vectors
        low, high = quantiles(x, levels).split(1, dim=1)
        width = torch.where(high > low, high - low, torch.ones_like(low))
        return _along_paths((x - low).clamp_min(0.0), x < high, compat=False) / width

    return _finished(d, made, rank=rank, disconnected=disconnected)


def checked_options(keep: str, p: float, k: int | None, disconnected: str) -> None:
    """Raises as `geodesic` for options that it does not know."""
    if keep not in KEEP:
        raise ValueError(f"geodesic: found keep {keep!r}, expected one of {list(KEEP)}")
    if disconnected not in DISCONNECTED:
        raise ValueError(f"geodesic: found disconnected {disconnected!r}, expected one of {list(DISCONNECTED)}")
    if not 0.0 <= p <= 1.0:
        raise DataError(f"geodesic: found p = {p}, expected a part between 0 and 1")
    if keep == "k_nearest" and (k is None or k < 1):
        raise DataError(f"geodesic: found k = {k}, expected at least 1; say how many nearest stimuli k_nearest keeps")


def _short_edges(lengths: torch.Tensor, keep: str, p: float, k: int | None, *, compat: bool) -> torch.Tensor:
    """Which entries (B, N) are edges."""
    if keep == "p_shortest":
        cut = quantiles(lengths, torch.tensor([p], dtype=torch.float64, device=lengths.device))
        # Ranks are halves apart: the room is for the rounding of a quantile that is an entry.
        return lengths <= (cut if compat else cut + 1e-6)
    n = n_stimuli(lengths.shape[1])
    asked = k or 0
    if keep == "p_nearest":
        asked = int(p * n) if compat else max(1, int(p * n + 1e-9))
    square = to_square(lengths)
    square.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    square = square.nan_to_num(nan=torch.inf, posinf=torch.inf)
    if compat:
        square = torch.where(square == 0, torch.inf, square)
        place = square.argsort(dim=2, stable=True).argsort(dim=2)
        return to_vector(place < asked)
    farthest = square.kthvalue(max(1, min(asked, n - 1)), dim=2, keepdim=True).values
    near = square <= farthest
    return to_vector(near | near.mT)


def _along_paths(lengths: torch.Tensor, edges: torch.Tensor, *, compat: bool) -> torch.Tensor:
    """Shortest paths (B, N) along the `edges` (B, N) of these lengths (B, N)."""
    kept = edges & ~lengths.isnan()
    if compat:
        kept &= lengths > 0
    else:
        longest = torch.where(kept, lengths, 0.0).amax(1, keepdim=True)
        grid = torch.ldexp(torch.ones_like(longest), longest.frexp().exponent - _GRID_BITS)
        lengths = (lengths / grid).round() * grid
    graphs = torch.where(kept, lengths, torch.inf)
    result = torch.empty_like(graphs)
    n = n_stimuli(graphs.shape[1])
    for block in batches(len(graphs), 40.0 * n * n, budget_bytes(graphs.device)):
        result[block] = to_vector(shortest_paths(to_square(graphs[block])))
    return result


def _finished(d: Any, made: Any, *, rank: bool, disconnected: str) -> Any:
    vectors = as_vectors(d)
    paths = made(vectors.reshape(-1, vectors.shape[-1]))
    if disconnected == "finite_max":
        reached = torch.isfinite(paths)
        longest = torch.where(reached, paths, -torch.inf).amax(1, keepdim=True)
        longest = torch.where(reached.any(1, keepdim=True), longest, torch.ones_like(longest))
        paths = torch.where(reached, paths, longest)
    if rank:
        paths = mid_ranks(paths)
    return like_input(paths.reshape(vectors.shape), d)
