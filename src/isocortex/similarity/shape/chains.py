"""Sums over increasing chains of stimuli by running sums over stimuli, for systems of few units: no matrix of M × M at all."""

from __future__ import annotations

import torch

# Stimuli that are met by a product of their own; between such chunks there are sums over all later stimuli.
CHUNK = 64


def work(m: int, p: int, q: int, n_moments: int) -> float:
    """Multiplications that `traces_of_patterns` takes for M stimuli of p and q units."""
    return 2.0 * m * q * (n_moments * p + (n_moments - 1) * q + CHUNK * n_moments)


def _later(x: list[torch.Tensor], own: list[torch.Tensor], z: list[torch.Tensor]) -> list[torch.Tensor]:
    """U Z with U the strict upper triangle of XXᵀ: row i is xᵢ (Σ_{j>i} xⱼᵀ zⱼ); chunks of x, of U, and of the result."""
    made: list[torch.Tensor] = []
    sums = None
    for chunk, block, rows in zip(reversed(x), reversed(own), reversed(z), strict=True):
        product = block @ rows
        if sums is None:
            sums = chunk.mT @ rows
        else:
            product.baddbmm_(chunk, sums)
            sums.baddbmm_(chunk.mT, rows)
        made.append(product)
    return made[::-1]


def traces_of_patterns(x: torch.Tensor, y: torch.Tensor, n_moments: int) -> torch.Tensor:
    """tr((U T)^{p−1} U Y Yᵀ) for p = 1 … n_moments, (D, n_moments), of patterns (D, M, p) and (D, M, q).

    U and T are the strict upper triangles of XXᵀ and YYᵀ. The trace is ⟨Y, (U T)^{p−1} U Y⟩, and to apply a triangle to
    Y takes about M q (2p + 64) multiplications: less than products of triangles wherever units are much fewer than stimuli.
    """
    first, second = ([part.contiguous() for part in z.split(CHUNK, -2)] for z in (x, y))
    own_first, own_second = ([(part @ part.mT).triu_(1) for part in z] for z in (first, second))
    found = x.new_zeros((len(x), n_moments))
    moved = second
    for p in range(n_moments):
        moved = _later(first, own_first, moved)
        for rows, others in zip(second, moved, strict=True):
            found[:, p] += (rows * others).sum((-2, -1))
        if p + 1 < n_moments:
            moved = _later(second, own_second, moved)
    return found
