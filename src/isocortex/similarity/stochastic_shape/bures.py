"""Roots of covariances and the Bures distance between them; torch, float64, batched over leading axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.comparators.parallel import spread

# Below so many matrices a second thread is not worth its start.
_WORTH_SPREADING = 16
REGULAR = 1e4


def _decomposed(kind: Callable[..., Any], matrices: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A decomposition of each matrix; on the CPU, where LAPACK takes one after another, in all threads."""
    threads, flat = torch.get_num_threads(), matrices.reshape(-1, *matrices.shape[-2:])
    if matrices.device.type != "cpu" or threads == 1 or len(flat) < _WORTH_SPREADING:
        return kind(matrices)
    parts = spread(kind, [(part,) for part in flat.chunk(threads)])
    joined = (torch.cat([part[k] for part in parts]) for k in range(len(parts[0])))
    return tuple(part.reshape(*matrices.shape[:-2], *part.shape[1:]) for part in joined)


def singular(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """U (..., p, p), s (..., p) and Vᵀ (..., p, p)."""
    u, s, v = _decomposed(torch.linalg.svd, matrices)
    return u, s, v


def singular_of_regular(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As `singular`, in half of the time, s ascending: for matrices whose condition numbers are below `REGULAR`.

    By eigenvectors of WᵀW, whose rounding grows with the square of that number.
    """
    squares, v = _decomposed(torch.linalg.eigh, matrices.mT @ matrices)
    s = squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()
    return (matrices @ v) / s[..., None, :], s, v.mT


def polar(matrices: torch.Tensor) -> torch.Tensor:
    """The orthogonal T (..., p, p) nearest to each matrix, which maximises tr TᵀG."""
    u, _, v = singular(matrices)
    return u @ v


def roots(covariances: torch.Tensor) -> torch.Tensor:
    """Symmetric square roots (..., p, p); eigenvalues that rounding made negative count as 0."""
    values, vectors = _decomposed(torch.linalg.eigh, covariances)
    return (vectors * values.clamp_min(0.0).sqrt()[..., None, :]) @ vectors.mT


def between_roots(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """B² (...) of covariances with symmetric roots a and b (..., p, p): min over orthogonal Q of |a − bQ|².

    That equals tr A + tr B − 2 Σ singular values of ab, without its cancellation where A and B are near.
    """
    return (a - b @ polar(b @ a)).square().sum((-2, -1))


def bures_squared(a: Any, b: Any) -> Any:
    """Squared Bures distances (...) between covariances a and b (..., p, p), which broadcast; float64.

    tr A + tr B − 2 tr (A^½ B A^½)^½: the squared 2-Wasserstein distance between Gaussians of one mean. Covariances may be
    singular. Raises `DataError` for shapes that do not fit and for values that are not finite.
    """
    first, second = as_tensor(a, dtype=torch.float64), as_tensor(b, dtype=torch.float64)
    for name, value in (("a", first), ("b", second)):
        if value.ndim < 2 or value.shape[-1] != value.shape[-2]:
            raise DataError(f"bures_squared: found {name} of shape {tuple(value.shape)}, expected (..., p, p)")
        if not bool(torch.isfinite(value).all()):
            raise DataError(f"bures_squared: found {name} with values that are not finite, expected covariances; drop them")
    if first.shape[-1] != second.shape[-1]:
        raise DataError(f"bures_squared: found {first.shape[-1]} and {second.shape[-1]} dimensions, expected as many in both")
    a_root, b_root = torch.broadcast_tensors(roots(first), roots(second.to(first.device)))
    return like_input(between_roots(a_root, b_root), a)
