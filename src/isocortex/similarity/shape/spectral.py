"""Unbiased moments of the squared singular values of a cross-covariance, from Gram matrices of few stimuli."""

from __future__ import annotations

from itertools import pairwise
from math import comb
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.shape.chains import traces_of_patterns

# Blocks of strict upper triangles: enough that empty ones are not multiplied, large enough that a product is worth a call.
_BLOCK = 64
_MAX_BLOCKS = 8
# Powers of numbers in [0, 1] beyond are not told apart in float64.
MAX_MOMENTS = 16


def _edges(m: int) -> list[slice]:
    count = max(1, min(_MAX_BLOCKS, m // _BLOCK))
    ends = [round(k * m / count) for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def _upper(left: torch.Tensor, right: torch.Tensor, edges: list[slice], out: torch.Tensor) -> torch.Tensor:
    """left @ right into `out`, of strict upper triangles (…, M, M): a third of the work of the full product."""
    for i, rows in enumerate(edges):
        for j in range(i, len(edges)):
            inner = slice(rows.start, edges[j].stop)
            out[..., rows, edges[j]] = left[..., rows, inner] @ right[..., inner, edges[j]]
    return out


def _lowered(left: torch.Tensor, right: torch.Tensor, edges: list[slice], out: torch.Tensor) -> torch.Tensor:
    """The upper part of leftᵀ @ right into `out`, which needs only the upper part of `right`."""
    for rows in edges:
        inner = slice(0, rows.stop)
        out[..., rows, rows.start :] = left[..., inner, rows].mT @ right[..., inner, rows.start :]
    return out


def traces(u: torch.Tensor, t: torch.Tensor, n_moments: int) -> torch.Tensor:
    """tr((U T)^{p−1} U Tᵀ) for p = 1 … n_moments, (…, n_moments), of strict upper triangles `u` and `t` (…, M, M).

    With W = U T it is ⟨W^{p−1} U, T⟩ = ⟨W^j U, (Wᵀ)^i T⟩ for i + j = p − 1. Upper parts suffice throughout, and with j of 0
    and 1 and i even, n moments take n/2 + 2 products of a third of M³ multiplications, where one after another takes 2 n of M³.
    """
    edges = _edges(u.shape[-1])
    found = u.new_empty((*u.shape[:-2], n_moments))

    def trace(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vecdot(a.flatten(-2), b.flatten(-2))

    found[..., 0] = trace(u, t)
    if n_moments == 1:
        return found
    w = _upper(u, t, edges, torch.zeros_like(u))
    wu = _upper(w, u, edges, torch.zeros_like(u))
    found[..., 1] = trace(wu, t)
    if n_moments == 2:
        return found
    square = _upper(w, w, edges, torch.zeros_like(u))
    last, spare = t, w  # W itself is no longer needed
    for p in range(2, n_moments, 2):
        made = _lowered(square, last, edges, spare)
        last, spare = made, (torch.zeros_like(w) if last is t else last)
        found[..., p] = trace(u, last)
        if p + 1 < n_moments:
            found[..., p + 1] = trace(wu, last)
    return found


def work(m: int, n_moments: int) -> float:
    """Multiplications that `traces` takes for M stimuli."""
    return (n_moments // 2 + 2) * m**3 / 3


def _counted(sums: torch.Tensor, m: int, size: float) -> torch.Tensor:
    """Means over chains (…, n_moments), from sums over the C(M, 2p) chains of what was divided by `size` once per stimulus."""
    return sums * sums.new_tensor([size ** (2 * p) / comb(m, 2 * p) for p in range(1, sums.shape[-1] + 1)])


def scaled_moments(a: torch.Tensor, b: torch.Tensor, n_moments: int, scale: float = 1.0) -> torch.Tensor:
    """The moments (…, n_moments) of `eigenmoments` over powers 2p of `scale`, unchecked, from Gram matrices (…, M, M)."""
    # Sums over chains grow with their number; a part of it in each triangle keeps high powers within range.
    size = a.shape[-1] / 4
    first, second = ((z / (size * scale)).triu_(1) for z in (a, b))
    return _counted(traces(first, second, n_moments), a.shape[-1], size)


def moments_of_patterns(x: torch.Tensor, y: torch.Tensor, n_moments: int, scale: float = 1.0) -> torch.Tensor:
    """The same (D, n_moments) from patterns (D, M, p) and (D, M, q) of few units."""
    m = x.shape[-2]
    size = m / 4
    root = (size * scale) ** 0.5
    return _counted(traces_of_patterns(x / root, y / root, n_moments), m, size)


def check_moments(m: int, n_moments: int) -> None:
    """DataError unless `m` stimuli have chains of 2 n_moments different ones, and powers so high can be computed with."""
    if not 1 <= n_moments <= min(m // 2, MAX_MOMENTS):
        raise DataError(
            f"eigenmoments: found {n_moments} moments of {m} stimuli, expected 1 to {min(m // 2, MAX_MOMENTS)}: each takes two "
            "more different stimuli; set fewer moments"
        )


def eigenmoments(a: Any, b: Any, n_moments: int) -> Any:
    """Unbiased estimates (…, n_moments) of tr((Σ_xy Σ_yx)^p), p = 1 … n_moments, from Gram matrices XXᵀ, YYᵀ (…, M, M).

    μ_p = tr((U T)^{p−1} U B) / C(M, 2p) with U and T the strict upper triangles of A and B (Pospisil et al. 2024; Kong &
    Valiant 2017 for one matrix): the mean over increasing chains of 2p different stimuli, whose patterns are independent
    of one another with a mean of zero. Patterns centred on their own mean add a bias of the order of 1/M.
    It depends on the order of the stimuli, which must therefore not depend on their patterns.
    float64; NumPy in, NumPy out. Raises DataError for Gram matrices of unlike shapes or n_moments above M/2 or 16.
    """
    first = as_tensor(a).to(torch.float64)
    second = as_tensor(b).to(first.device, torch.float64)
    if first.ndim < 2 or first.shape != second.shape or first.shape[-1] != first.shape[-2]:
        raise DataError(
            f"eigenmoments: found Gram matrices of shape {tuple(first.shape)} and {tuple(second.shape)}, "
            "expected both (…, M, M)"
        )
    check_moments(first.shape[-1], n_moments)
    return like_input(scaled_moments(first, second, n_moments), a)
