"""Factors of systems: what of their patterns a shape metric sees, computed once per system, and distances of all pairs.

After the best rotation, a pair of systems is as near as the nuclear norm |X'Y|_* says. It depends on X and Y through their
Gram matrices alone, so a system may be replaced by a matrix of at most min(n, p) columns that has the same Gram matrix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from isocortex.compute import as_tensor, batches, budget_bytes
from isocortex.errors import DataError

# Variances below are not divided out (relative to the largest variance where that is below 1).
EIGENVALUE_FLOOR = 1e-7
# What centring leaves of a constant: norms from patterns, traces from Gram matrices, relative to what was there before.
_CONSTANT_NORM, _CONSTANT_TRACE = 1e-13, 1e-13
# One batch of products on a CPU; more would only leave the cache.
_CPU_BYTES = 2.0**26


def patterns(x: Any, name: str = "patterns", fewest: int = 2) -> torch.Tensor:
    """`x` (n, p) in float64 on its own device; DataError where it has not `fewest` stimuli and a unit, or is not finite."""
    tensor = as_tensor(x).to(torch.float64)
    if tensor.ndim != 2 or tensor.shape[0] < fewest or tensor.shape[1] < 1:
        raise DataError(
            f"shape metrics: found {name} of shape {tuple(tensor.shape)}, expected (stimuli >= {fewest}, units >= 1)"
        )
    if not bool(torch.isfinite(tensor).all()):
        raise DataError(f"shape metrics: found NaN or infinite values in {name}, expected finite ones; leave those units out")
    return tensor


def paired_patterns(x: Any, y: Any, fewest: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Patterns of two systems on the device of the first; DataError where their stimuli are not as many."""
    first, second = patterns(x, "x", fewest), patterns(y, "y", fewest)
    if len(first) != len(second):
        raise DataError(f"shape metrics: found {len(first)} stimuli in x and {len(second)} in y, expected the same stimuli")
    return first, second.to(first.device)


def centred(x: torch.Tensor, centre: bool = True) -> torch.Tensor:
    """`x` less the mean of its rows, zero throughout where rounding is all that is left; as it is without `centre`."""
    if not centre:
        return x
    moved = x - x.mean(0)
    constant = torch.linalg.vector_norm(moved) <= _CONSTANT_NORM * torch.linalg.vector_norm(x)
    return torch.zeros_like(moved) if bool(constant) else moved


def check_alpha(alpha: float) -> None:
    """ValueError unless 0 <= alpha <= 1."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"shape metrics: found alpha {alpha}, expected a number from 0 (CCA) to 1 (Procrustes)")


def gains(variances: torch.Tensor, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Gains (r,) of principal directions with `variances` (r,), and the gain of a direction in which nothing varied.

    d = α + (1 − α) λ^(−1/2) times the constant that keeps Σ λ. Where λ is rounding, whitening is left out: d = α.
    """
    largest = variances.amax()
    kept = variances > len(variances) * torch.finfo(variances.dtype).eps * largest
    floor = EIGENVALUE_FLOOR * largest.clamp(max=1.0)
    d = alpha + (1 - alpha) * torch.where(kept, torch.maximum(variances, floor).rsqrt(), 0.0)
    real = variances.clamp(min=0.0)
    total = (real * d.square()).sum()
    scale = torch.where(total > 0, (real.sum() / total).sqrt(), 1.0)
    return scale * d, scale * alpha


def _root(gram: torch.Tensor, alpha: float) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(gram)
    values = values.clamp(min=0.0)
    return vectors * (values.sqrt() * gains(values, alpha)[0])


def factor(x: Any, alpha: float = 1.0, centre: bool = True) -> torch.Tensor:
    """(n, r) with r = min(n, p), whose Gram matrix is that of the patterns `x` (n, p), centred and partially whitened.

    With XᵀX = V Λ Vᵀ the whitened patterns are X V diag(d) Vᵀ, d = α + (1 − α) λ^(−1/2), scaled to the variance of X
    (Williams et al. 2021): α = 1 leaves X as it is, α = 0 leaves no variance of its own to any direction, as CCA.
    λ is not divided out below 1e-7, or 1e-7 of the largest where that is below 1. float64, on the device of `x`.
    Raises DataError for fewer than two stimuli or values that are not finite; ValueError for `alpha` outside [0, 1].
    """
    check_alpha(alpha)
    data = centred(patterns(x), centre)
    n, p = data.shape
    if n < p:
        return _root(data @ data.T, alpha)
    if alpha == 1:
        return data.clone() if not centre else data
    values, vectors = torch.linalg.eigh(data.T @ data)
    return (data @ vectors) * gains(values, alpha)[0]


def factor_from_gram(gram: Any, alpha: float = 1.0, centre: bool = True) -> torch.Tensor:
    """The factor (n, n) of a system given by its Gram matrix (n, n) of patterns that are not centred; see `factor`.

    Patterns whose variance is below 1e-13 of their power count as constant. Raises DataError where the matrix is not
    square, finite and symmetric.
    """
    check_alpha(alpha)
    k = as_tensor(gram).to(torch.float64)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or len(k) < 2:
        raise DataError(f"shape metrics: found a Gram matrix of shape {tuple(k.shape)}, expected (n, n) with n >= 2")
    if not bool(torch.isfinite(k).all()) or not torch.allclose(k, k.T, rtol=1e-6, atol=float(1e-6 * k.abs().amax())):
        raise DataError("shape metrics: found a Gram matrix that is not finite and symmetric, expected XXᵀ")
    if not centre:
        return _root((k + k.T) / 2, alpha)
    moved = k - k.mean(0) - k.mean(1, keepdim=True) + k.mean()
    if bool(moved.trace() <= _CONSTANT_TRACE * k.trace()):
        return torch.zeros_like(moved)
    return _root((moved + moved.T) / 2, alpha)


def _angular(own: torch.Tensor, other: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    """A system without variance shares nothing with others (π/2) and has the shape of its like (0): still a metric."""
    scale = own * other
    cosine = torch.where(scale > 0, shared / scale.clamp(min=torch.finfo(scale.dtype).tiny), 0.0)
    angle = cosine.clamp(-1.0, 1.0).arccos()
    return torch.where((own == 0) & (other == 0), 0.0, angle)


def _euclidean(own: torch.Tensor, other: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    return (own.square() + other.square() - 2 * shared).clamp(min=0.0).sqrt()


KINDS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "angular": _angular,
    "euclidean": _euclidean,
}


def check_kind(kind: str) -> None:
    """ValueError for a kind of distance that there is not."""
    if kind not in KINDS:
        raise ValueError(f"shape metrics: found kind {kind!r}, expected one of {sorted(KINDS)}")


def distance(own: torch.Tensor, other: torch.Tensor, shared: torch.Tensor, kind: str) -> torch.Tensor:
    """Distances from norms of both systems and the inner product `shared` of their aligned patterns."""
    check_kind(kind)
    return KINDS[kind](own, other, shared)


def nuclear_norms(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor], pairs: torch.Tensor) -> torch.Tensor:
    """|aᵢᵀ bⱼ|_* (P,) for `pairs` (P, 2) of factors (n, rᵢ) and (n, rⱼ).

    Pairs of the same ranks are one batch, so that nothing is padded; of as many as the memory allows.
    """
    device = a[0].device
    found = torch.empty(len(pairs), dtype=torch.float64, device=device)
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, (i, j) in enumerate(pairs.tolist()):
        groups[a[i].shape[1], b[j].shape[1]].append(place)
    budget = budget_bytes(device) if device.type == "cuda" else min(budget_bytes(), _CPU_BYTES)
    for (rank_a, rank_b), places in groups.items():
        size = 8 * (len(a[0]) * (rank_a + rank_b) + 3 * rank_a * rank_b)
        for part in batches(len(places), size, budget):
            chosen = pairs[places[part]].tolist()
            left, right = torch.stack([a[i] for i, _ in chosen]), torch.stack([b[j] for _, j in chosen])
            found[places[part]] = torch.linalg.svdvals(left.mT @ right).sum(-1)
    return found


def checked_factors(factors: Sequence[Any]) -> list[torch.Tensor]:
    """Factors as float64 tensors on the device of the first; DataError where they are none or of other stimuli."""
    if not len(factors):
        raise DataError("shape metrics: found no factors, expected at least one system")
    first = as_tensor(factors[0])
    made = [as_tensor(f, first.device, torch.float64) for f in factors]
    if len({f.shape[0] for f in made}) > 1:
        raise DataError(f"shape metrics: found factors of {sorted({len(f) for f in made})} stimuli, expected the same stimuli")
    return made


def factor_distances(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor], kind: str = "angular") -> torch.Tensor:
    """Distances (A, B) of all systems of `a` to all of `b`, given by factors (n, r) of `factor` with one alpha and centring.

    "angular": arccos(|AᵀB|_* / |A||B|) in radians, from 0 to π/2. "euclidean": √(|A|² + |B|² − 2|AᵀB|_*) in units of the
    patterns. Differences below about 1e-8 (of a radian, of the norms) are rounding. Constant patterns are at π/2 from all
    others and at 0 from one another. Raises DataError where stimuli differ in number; ValueError for another kind.
    """
    check_kind(kind)
    everything = checked_factors([*a, *b])
    left, right = everything[: len(a)], everything[len(a) :]
    pairs = torch.cartesian_prod(torch.arange(len(left)), torch.arange(len(right))).reshape(-1, 2)
    shared = nuclear_norms(left, right, pairs).reshape(len(left), len(right))
    norms = torch.stack([torch.linalg.matrix_norm(f) for f in everything])
    return distance(norms[: len(left), None], norms[None, len(left) :], shared, kind)
