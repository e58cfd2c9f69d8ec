"""Vectors of RDMs and their matrices: a vector is the strict upper triangle, row by row, of length n(n − 1)/2."""

from __future__ import annotations

import math
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input


def n_stimuli(n_pairs: int) -> int:
    """The number of stimuli whose RDM has `n_pairs` entries; ValueError where there is none."""
    n = (1 + math.isqrt(1 + 8 * n_pairs)) // 2
    if n * (n - 1) // 2 != n_pairs:
        raise ValueError(f"RDM vector: found {n_pairs} entries, expected n(n - 1)/2 for a whole number n")
    return n


def to_square(vectors: Any) -> Any:
    """RDM matrices (..., n, n) with a diagonal of zeros, from vectors (..., n(n − 1)/2)."""
    v = as_tensor(vectors)
    n = n_stimuli(v.shape[-1])
    square = v.new_zeros((*v.shape[:-1], n, n))
    rows, columns = torch.triu_indices(n, n, 1, device=v.device)
    square[..., rows, columns] = v
    square[..., columns, rows] = v
    return like_input(square, vectors)


def to_vector(matrices: Any) -> Any:
    """The strict upper triangle (..., n(n − 1)/2) of matrices (..., n, n)."""
    m = as_tensor(matrices)
    rows, columns = torch.triu_indices(m.shape[-1], m.shape[-1], 1, device=m.device)
    return like_input(m[..., rows, columns], matrices)


def contrasts(products: torch.Tensor) -> torch.Tensor:
    """Vectors (…, n(n − 1)/2) of k_ii + k_jj − k_ij − k_ji, from products k (…, n, n) that need not be symmetric.

    With k_ij = x_i·y_j that is (x_i − x_j)·(y_i − y_j).
    """
    own = products.diagonal(dim1=-2, dim2=-1)
    return to_vector(own[..., :, None] + own[..., None, :] - products - products.mT)
