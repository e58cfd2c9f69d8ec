"""The covariance of noise between neuroids, shrunk so that it can be inverted, and what is made with its inverse."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError

# A variance below this part of the largest is rounding: the neuroid has no noise.
_NO_NOISE = 1e-20


def residuals_of_repeats(trials: Any) -> tuple[Any, int]:
    """Residuals (n_rows, n_neuroids) of trials (n_stimuli, n_repeats, n_neuroids) about each stimulus's mean, and their dof.

    A repeat counts where it is finite in every neuroid; a stimulus with R_i of them gives R_i rows and R_i − 1 degrees of
    freedom, one with fewer than two gives none. float64; equal repeats leave exactly 0. Raises `DataError` where no stimulus
    has two.
    """
    x = as_tensor(trials, dtype=torch.float64)
    if x.ndim != 3:
        raise DataError(f"noise: found trials of shape {tuple(x.shape)}, expected (n_stimuli, n_repeats, n_neuroids)")
    valid = torch.isfinite(x).all(-1)
    counts = valid.sum(1)
    used = counts >= 2
    if not bool(used.any()):
        most = int(counts.max()) if counts.numel() else 0
        raise DataError(
            f"noise: found at most {most} valid repeats of a stimulus, expected 2 of at least one; choose rdm: euclidean"
        )
    x, valid, counts = x[used], valid[used], counts[used]
    # About the first valid repeat, so that the mean of equal numbers is not off by rounding.
    first = x[torch.arange(len(x), device=x.device), valid.to(torch.uint8).argmax(1)]
    x = torch.where(valid[..., None], x - first[:, None], 0.0)
    x -= x.sum(1, keepdim=True) / counts[:, None, None]
    return like_input(x[valid], trials), int((counts - 1).sum())


def _full(_x: torch.Tensor, product: torch.Tensor, dof: float) -> torch.Tensor:
    return product / dof


def _diagonal(_x: torch.Tensor, product: torch.Tensor, dof: float) -> torch.Tensor:
    return torch.diag_embed(product.diagonal(dim1=-2, dim2=-1) / dof)


def _toward_diagonal(x: torch.Tensor, product: torch.Tensor, dof: float) -> torch.Tensor:
    """Schäfer & Strimmer 2005: correlations times 1 − λ, λ = Σ var(r_ij) / Σ r_ij² over i ≠ j, clipped to [0, 1]."""
    n = x.shape[-2]
    variance = product.diagonal(dim1=-2, dim2=-1) / dof
    inverse = torch.where(variance > 0, variance.rsqrt(), 0.0)  # no noise, no correlation
    correlation = product * inverse[..., :, None] * inverse[..., None, :] / (n - 1)
    correlation.diagonal(dim1=-2, dim2=-1).zero_()
    squares = correlation.square().sum((-2, -1))
    power = (x * inverse[..., None, :]).square_()
    # Σ_{i≠j} Σ_n z_ni² z_nj², without the second product of matrices that it looks like.
    fourth = (power.sum(-1).square() - power.square().sum(-1)).sum(-1) / (n - 1)
    spread = (fourth - squares) * n / dof**2
    shrink = torch.where(squares > 0, spread / squares, 1.0).clamp(0.0, 1.0)[..., None, None]
    shrunk = product * (1.0 - shrink) / dof
    shrunk.diagonal(dim1=-2, dim2=-1).copy_(variance)
    return shrunk


def _toward_identity(x: torch.Tensor, product: torch.Tensor, dof: float) -> torch.Tensor:
    """Ledoit & Wolf 2004: toward the mean variance times the identity."""
    n, p = x.shape[-2:]
    s = product / n
    mean = s.diagonal(dim1=-2, dim2=-1).mean(-1)
    size = s.square().sum((-2, -1))
    apart = s.clone()
    apart.diagonal(dim1=-2, dim2=-1).sub_(mean[..., None])
    distance = apart.square().sum((-2, -1))
    spread = (x.square().sum(-1).square().sum(-1) / n - size) / n
    share = torch.where(distance > 0, spread.clamp_min(0.0).minimum(distance) / distance, 1.0)[..., None, None]
    identity = torch.eye(p, dtype=s.dtype, device=s.device)
    return (share * mean[..., None, None] * identity + (1.0 - share) * s) * (n / dof)


SHRINKAGES = {
    "shrinkage_diag": _toward_diagonal,
    "shrinkage_eye": _toward_identity,
    "diag": _diagonal,
    "full": _full,
}


def noise_covariance(residuals: Any, dof: float | None = None, shrinkage: str = "shrinkage_diag") -> Any:
    """Covariance (…, p, p) of noise residuals (…, n_rows, p), in float64; the rows' mean is taken out.

    `dof`: degrees of freedom, n_rows − 1 unless given; Σ(R_i − 1) for residuals of repeats, as `residuals_of_repeats` says.
    `shrinkage`: "shrinkage_diag" toward the variances (Schäfer & Strimmer 2005, doi:10.2202/1544-6115.1175), "shrinkage_eye"
    toward one variance (Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), "diag" or "full"; all with rsatoolbox's
    treatment of `dof`. A neuroid without noise has a row of zeros (except in "shrinkage_eye"); nothing else is changed by it.
    Raises `DataError` for fewer than two rows, fewer than one degree of freedom and values that are not finite.
    """
    if shrinkage not in SHRINKAGES:
        raise ValueError(f"noise: found shrinkage {shrinkage!r}, expected one of {sorted(SHRINKAGES)}")
    x = as_tensor(residuals, dtype=torch.float64)
    if x.ndim < 2 or x.shape[-2] < 2 or x.shape[-1] < 1:
        raise DataError(f"noise: found residuals of shape {tuple(x.shape)}, expected (n_rows, n_neuroids) with 2 rows or more")
    if not bool(torch.isfinite(x).all()):
        raise DataError("noise: found residuals with NaN or infinite values, expected finite ones; drop those rows or neuroids")
    freedom = x.shape[-2] - 1 if dof is None else dof
    if freedom < 1:
        raise DataError(f"noise: found {freedom:g} degrees of freedom, expected at least 1; more repeats are needed")
    x = x - x.mean(-2, keepdim=True)
    return like_input(SHRINKAGES[shrinkage](x, x.mT @ x, freedom), residuals)


# In units of p times the rounding of a number: pivots that say that a matrix is regular, and the least eigenvalue beside the
# largest of one that is not. Of 80 000 singular correlation matrices (p = 2 to 10) pivots reached 1e7 and eigenvalues .8.
_DOUBTFUL, _SINGULAR = 1e10, 4.0


def _cholesky(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The Cholesky factor of the matrix scaled to a unit diagonal, and the scale (…, p); None where it is singular."""
    scale = matrix.diagonal(dim1=-2, dim2=-1).sqrt()
    scaled = matrix / (scale[..., :, None] * scale[..., None, :])
    factor, failed = torch.linalg.cholesky_ex(scaled)
    if bool(failed.any()):
        return None
    rounding = matrix.shape[-1] * torch.finfo(matrix.dtype).eps
    # Pivots of a singular matrix may be far above rounding, where earlier ones are small: where any is, eigenvalues decide.
    if bool(factor.diagonal(dim1=-2, dim2=-1).square().amin() < _DOUBTFUL * rounding):
        values = torch.linalg.eigvalsh(scaled)
        if bool((values[..., 0] <= _SINGULAR * rounding * values[..., -1]).any()):
            return None
    return factor, scale


def inverted(covariance: torch.Tensor, remedy: str) -> torch.Tensor:
    """The inverse (…, p, p) of a covariance; a `DataError` that ends with `remedy` where it has none."""
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    silent = variance <= _NO_NOISE * variance.amax(-1, keepdim=True)
    if bool(silent.any()):
        raise DataError(
            f"noise: found {int(silent.sum())} neuroids of {silent.numel()} whose repeats never differ, expected noise in all; "
            "leave them out, or choose rdm: euclidean"
        )
    found = _cholesky(covariance)
    if found is None:
        raise DataError(
            f"noise: the covariance of {covariance.shape[-1]} neuroids is singular, expected one that can be inverted; {remedy}"
        )
    factor, scale = found
    return torch.cholesky_inverse(factor) / (scale[..., :, None] * scale[..., None, :])


def noise_precision(residuals: Any, dof: float | None = None, shrinkage: str = "shrinkage_diag") -> Any:
    """The inverse (…, p, p) of `noise_covariance`, in float64.

    Raises `DataError` as that does, for neuroids without noise (their count), and for a singular covariance: "full" with fewer
    degrees of freedom than neuroids.
    """
    covariance = as_tensor(noise_covariance(residuals, dof, shrinkage))
    copies = "leave out neuroids that copy one another"
    remedy = "choose noise: shrinkage_diag" if shrinkage == "full" else copies
    return like_input(inverted(covariance, remedy), residuals)


def whiten(patterns: torch.Tensor, precision: Any) -> torch.Tensor:
    """Patterns (…, n, p) in coordinates where the noise is white: their inner products are x P yᵀ, P = `precision` (…, p, p).

    Raises `DataError` where P is no positive definite matrix of that size.
    """
    p = patterns.shape[-1]
    matrix = as_tensor(precision, device=patterns.device, dtype=torch.float64)
    if matrix.shape[-2:] != (p, p):
        raise DataError(f"noise: found a precision of shape {tuple(matrix.shape)}, expected ({p}, {p}) for {p} neuroids")
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool(failed.any()) or not bool(torch.isfinite(matrix).all()):
        raise DataError("noise: found a precision that is not positive definite, expected one; make it with noise_precision")
    return patterns @ factor
