"""Linear dimensionality from the spectrum of the centred covariance."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError

_ROUNDING = 1e-12


def _gram(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The smaller of the two Gram matrices of centred patterns, and whether they vary at all."""
    if x.ndim < 2 or x.shape[-2] < 2 or x.shape[-1] < 1:
        raise DataError(f"geometry: found patterns of shape {tuple(x.shape)}, expected at least 2 stimuli and 1 unit")
    centred = x - x.mean(dim=-2, keepdim=True)
    varies = centred.square().sum((-2, -1)) > _ROUNDING**2 * x.square().sum((-2, -1))
    product = centred @ centred.mT if x.shape[-2] <= x.shape[-1] else centred.mT @ centred
    return product, varies


def participation_ratio(x: Any) -> Any:
    """(Σλ)² / Σλ² of the covariance over stimuli of `x` (..., n_stimuli, n_units); between 1 and min(n − 1, p).

    Computed as (tr G)² / ‖G‖² without eigenvalues. NaN where nothing varies. Biased downward for few stimuli.
    """
    product, varies = _gram(as_tensor(x, dtype=torch.float64))
    trace = product.diagonal(dim1=-2, dim2=-1).sum(-1)
    ratio = trace.square() / torch.where(varies, product.square().sum((-2, -1)), torch.nan)
    result = like_input(ratio, x)
    return float(result) if result.ndim == 0 else result


def participation_ratio_of_subsets(x: Any, masks: Any) -> Any:
    """The participation ratio (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1, by matrix products.

    With r the row sums of a subset's Gram matrix and m its size, tr HGH = tr G − Σr/m and
    ‖HGH‖² = ‖G‖² − 2 Σr²/m + (Σr)²/m².
    """
    patterns = as_tensor(x, dtype=torch.float64)
    centred = patterns - patterns.mean(dim=0)
    gram = centred @ centred.T
    kept = as_tensor(masks, device=gram.device, dtype=torch.float64)
    size = kept.sum(1)
    rows = (kept @ gram) * kept
    total = rows.sum(1)
    trace = kept @ gram.diagonal() - total / size
    power = ((kept @ gram.square()) * kept).sum(1) - 2.0 * rows.square().sum(1) / size + total.square() / size.square()
    varies = trace > _ROUNDING * (kept @ gram.diagonal())
    return like_input(trace.square() / torch.where(varies, power, torch.nan), x)


def spectrum(x: Any) -> Any:
    """Shares of variance per principal component, descending, of `x` (n_stimuli, n_units): (min(n − 1, p),), sum 1."""
    patterns = as_tensor(x, dtype=torch.float64)
    product, _ = _gram(patterns)
    values = torch.linalg.eigvalsh(product).flip(-1).clamp_min(0.0)[..., : min(patterns.shape[-2] - 1, patterns.shape[-1])]
    total = values.sum(-1, keepdim=True)
    return like_input(values / torch.where(total > 0, total, torch.nan), x)


def stable_rank(x: Any) -> float:
    """Σλ/λ₁ of the covariance of `x` (n_stimuli, n_units): the variance in units of the largest axis; NaN without variance."""
    return float(1.0 / _shares(x)[0])


def effective_rank(x: Any) -> float:
    """exp(−Σ w ln w) of the shares of variance w of `x` (n_stimuli, n_units): 1 to min(n − 1, p) (Roy & Vetterli 2007)."""
    shares = _shares(x)
    return float(torch.special.entr(shares).sum().exp())


def components_for(x: Any, share: float = 0.95) -> int:
    """The fewest principal components of `x` (n_stimuli, n_units) that hold `share` of the variance.

    Raises `DataError` where nothing varies, or `share` is outside (0, 1].
    """
    shares = _shares(x)
    if not 0 < share <= 1 or bool(shares.isnan().any()):
        raise DataError(f"geometry: found share {share:g} of patterns {tuple(x.shape)}, expected 0 to 1 of some that vary")
    # Rounding must not ask for one component more than hold the share.
    return int((shares.cumsum(0) < share - _ROUNDING).sum()) + 1


def _shares(x: Any) -> torch.Tensor:
    return spectrum(as_tensor(x, dtype=torch.float64))
