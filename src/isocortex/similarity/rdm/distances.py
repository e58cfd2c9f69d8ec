"""Representational dissimilarity matrices from patterns or from their Gram matrix.

A vector of an RDM is its strict upper triangle, row by row, of length n(n − 1)/2.
"""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.heat import heat_geodesic_vectors
from isocortex.similarity.rdm.noise import whiten

# A pattern's variance (or squared length) below this part of its mean square is rounding: the pattern is constant (or zero).
_ROUNDING = 1e-12


def _rounding(dtype: torch.dtype, n_features: int) -> float:
    """Relative error of an inner product: a distance below it is none, so that equal patterns are exactly 0 apart."""
    return 4.0 * torch.finfo(dtype).eps * n_features**0.5


def _euclidean(gram: torch.Tensor, _row_mean: torch.Tensor, n_features: int) -> torch.Tensor:
    """Squared Euclidean distance per feature, |x_i − x_j|²/p, as in rsatoolbox."""
    power = gram.diagonal(dim1=-2, dim2=-1)
    both = power[..., :, None] + power[..., None, :]
    distances = both - 2.0 * gram
    return torch.where(distances > _rounding(gram.dtype, n_features) * both, distances, 0.0) / n_features


def _one_minus_cosine(product: torch.Tensor, reference: torch.Tensor, what: str, n_features: int) -> torch.Tensor:
    power = product.diagonal(dim1=-2, dim2=-1)
    flat = power <= _ROUNDING * reference
    if bool(flat.any()):
        raise DataError(
            f"RDM: found {int(flat.sum())} {what} of {flat.numel()}, expected none; "
            "leave those stimuli out, or choose rdm: euclidean"
        )
    length = power.sqrt()
    distances = 1.0 - product / (length[..., :, None] * length[..., None, :])
    return torch.where(distances > _rounding(product.dtype, n_features), distances, 0.0)


def _correlation(gram: torch.Tensor, row_mean: torch.Tensor, n_features: int) -> torch.Tensor:
    """1 − Pearson correlation of two patterns over features."""
    covariance = gram / n_features - row_mean[..., :, None] * row_mean[..., None, :]
    return _one_minus_cosine(covariance, gram.diagonal(dim1=-2, dim2=-1) / n_features, "constant patterns", n_features)


def _cosine(gram: torch.Tensor, row_mean: torch.Tensor, n_features: int) -> torch.Tensor:
    """1 − cosine of the angle between two patterns."""
    tiny = torch.full_like(row_mean, torch.finfo(gram.dtype).tiny)
    return _one_minus_cosine(gram, tiny, "patterns of zeros", n_features)


def _heat_geodesic(gram: torch.Tensor, row_mean: torch.Tensor, n_features: int) -> torch.Tensor:
    """Distance along a graph of near stimuli, `heat_geodesic` with its defaults; its scale is the graph's own."""
    return heat_geodesic_vectors(_euclidean(gram, row_mean, n_features))


RDMS = {"correlation": _correlation, "euclidean": _euclidean, "cosine": _cosine, "heat_geodesic": _heat_geodesic}


def _vectors(gram: torch.Tensor, row_mean: torch.Tensor, n_features: int, method: str) -> torch.Tensor:
    if method not in RDMS:
        raise ValueError(f"RDM: found method {method!r}, expected one of {sorted(RDMS)}")
    n = gram.shape[-1]
    if n < 3:
        raise DataError(f"RDM: found {n} stimuli, expected at least 3; compare needs more stimuli")
    if not bool(torch.isfinite(gram).all()):
        raise DataError("RDM: found patterns with NaN or infinite values, expected finite ones; drop those units or stimuli")
    matrix = RDMS[method](gram, row_mean, n_features)
    rows, columns = torch.triu_indices(n, n, 1, device=gram.device)
    return matrix[..., rows, columns]


def rdm(patterns: Any, method: str = "correlation", precision: Any | None = None, remove_mean: bool = False) -> Any:
    """RDM vectors (..., n(n − 1)/2) of patterns (..., n_stimuli, n_features), in float64.

    `method`: "correlation" (1 − r), "euclidean" (squared, per feature), "cosine", "heat_geodesic" (`heat_geodesic`, not
    squared), or "mahalanobis", the squared distance per feature with `precision`, the inverse (p, p) or (..., p, p) of the
    noise covariance (`noise_precision`). `remove_mean` takes each pattern's own mean over features out first (Euclidean and
    Mahalanobis). Raises `DataError` for fewer than three
    stimuli, for values that are not finite, for patterns without a direction (constant; zero for cosine), and for a precision
    that is none.
    """
    x = as_tensor(patterns, dtype=torch.float64)
    if x.ndim < 2 or x.shape[-1] == 0:
        raise DataError(f"RDM: found patterns of shape {tuple(x.shape)}, expected (n_stimuli, n_features)")
    if (method == "mahalanobis") != (precision is not None):
        raise ValueError(
            f"RDM: found method {method!r} {'with' if precision is not None else 'without'} a precision; "
            "Mahalanobis distances need one, no other takes it"
        )
    if remove_mean and method not in ("euclidean", "mahalanobis"):
        raise ValueError(f"RDM: found remove_mean with method {method!r}, expected euclidean or mahalanobis")
    row_mean = x.mean(dim=-1)
    if method == "correlation":
        # Centring first costs little and keeps the digits that a large common offset would take.
        centred = x - row_mean[..., None]
        flat = centred.square().sum(-1) <= _ROUNDING * x.square().sum(-1)
        x, row_mean = torch.where(flat[..., None], torch.zeros_like(x), centred), torch.zeros_like(row_mean)
    elif method in ("euclidean", "mahalanobis"):
        x = x - row_mean[..., None] if remove_mean else x
        x = x - x.mean(dim=-2, keepdim=True)
        x, method = (x if precision is None else whiten(x, precision)), "euclidean"
    elif method == "heat_geodesic":
        x = x - x.mean(dim=-2, keepdim=True)
    return like_input(_vectors(x @ x.mT, row_mean, x.shape[-1], method), patterns)


def rdm_from_gram(gram: Any, row_mean: Any, n_features: int, method: str = "correlation") -> Any:
    """As `rdm`, from the raw Gram matrix X Xᵀ (..., n, n) and the patterns' means (..., n) over `n_features` features."""
    product = as_tensor(gram, dtype=torch.float64)
    means = as_tensor(row_mean, device=product.device, dtype=torch.float64)
    return like_input(_vectors(product, means, n_features, method), gram)
