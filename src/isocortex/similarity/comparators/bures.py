"""Bures similarity and squared Bures distance between RDMs, by way of centred Gram matrices."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.similarity.rdm.vectors import to_square

# Eigenvalues below this part of the largest are rounding.
_ROUNDING = 1e-12


def _grams(v: torch.Tensor) -> torch.Tensor:
    gram = -0.5 * to_square(v)
    rows = gram.mean(-1, keepdim=True)
    return gram - rows - rows.mT + rows.mean(-2, keepdim=True)


def _roots(grams: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Square roots (K, n, n) of symmetric matrices up to a rotation, negative eigenvalues counted as zero; which had any."""
    values, vectors = torch.linalg.eigh(grams)
    # The root of a rounding error of zero is not small: what is below the numerical rank is zero.
    rank = grams.shape[-1] * torch.finfo(grams.dtype).eps * values[:, -1:]
    roots = torch.where(values > rank, values, 0.0).sqrt()
    return vectors * roots[:, None, :], values[:, 0] < -_ROUNDING * values[:, -1]


def _overlaps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """tr (√A B √A)^½ (A, B) of symmetric matrices (A, n, n) and (B, n, n), negative eigenvalues of A and √A B √A being zero.

    For a B without negative ones these are the singular values of √A √B, whose squares would lose half of their digits.
    """
    (x, _), (y, bent) = _roots(a), _roots(b)
    table = torch.stack([torch.linalg.svdvals(root.mT @ y).sum(-1) for root in x])
    for k in bent.nonzero()[:, 0].tolist():
        table[:, k] = torch.linalg.eigvalsh(x.mT @ b[k] @ x).clamp_min(0.0).sqrt().sum(-1)
    return table


def similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Bures similarity (A, B) of RDM vectors (A, N) and (B, N): tr (√A B √A)^½ / √(tr A tr B), with the centred Gram
    matrices −HDH/2; 1 for equal Euclidean RDMs. NaN for an RDM whose Gram matrix has no positive trace.
    """
    x, y = _grams(a), _grams(b)
    of_x, of_y = (torch.where(trace > 0, trace, torch.nan) for trace in (_traces(x), _traces(y)))
    return _overlaps(x, y) / torch.outer(of_x, of_y).sqrt()


def bures_metric(a: Any, b: Any) -> Any:
    """Squared Bures distance (A, B) of RDM vectors (A, N) and (B, N), tr A + tr B − 2 tr (√A B √A)^½; its root is a metric."""
    x, y = (_grams(torch.atleast_2d(as_tensor(v, dtype=torch.float64))) for v in (a, b))
    return like_input(_traces(x)[:, None] + _traces(y) - 2.0 * _overlaps(x, y), a)


def _traces(grams: torch.Tensor) -> torch.Tensor:
    return grams.diagonal(dim1=-2, dim2=-1).sum(-1)
