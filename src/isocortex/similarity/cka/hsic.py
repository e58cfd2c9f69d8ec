"""Kernels, how they are centred, and the Hilbert–Schmidt independence criterion as a plain inner product of centred kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError

# Debiased sums divide by n − 3.
FEWEST = {"biased": 3, "debiased": 4}


def double_centred(kernel: torch.Tensor) -> torch.Tensor:
    """H K H with H = I − 1/n: kernels (…, n, n) less the means of their rows and columns."""
    mean = kernel.mean(-1, keepdim=True)
    return kernel - mean - mean.mT + mean.mean(-2, keepdim=True)


def u_centred(kernel: torch.Tensor) -> torch.Tensor:
    """The U-centred kernel (…, n, n) of Székely & Rizzo 2014, zero on its diagonal and in the sum of every row.

    ⟨U(K), U(L)⟩ / (n(n − 3)) is the unbiased HSIC of Song et al. 2012. The diagonal of K is never read: noise that differs from
    stimulus to stimulus adds to it alone.
    """
    n = kernel.shape[-1]
    hollow = kernel - torch.diag_embed(kernel.diagonal(dim1=-2, dim2=-1))
    rows = hollow.sum(-1, keepdim=True)
    whole = rows.sum(-2, keepdim=True)
    made = hollow - (rows + rows.mT) / (n - 2) + whole / ((n - 1) * (n - 2))
    return made - torch.diag_embed(made.diagonal(dim1=-2, dim2=-1))


CENTRINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"biased": double_centred, "debiased": u_centred}


def squared_distances(gram: torch.Tensor) -> torch.Tensor:
    """|x_i − x_j|² (n, n) from inner products, exactly zero where rounding is all that there is."""
    power = gram.diagonal()
    both = power[:, None] + power
    found = both - 2.0 * gram
    least = 4.0 * torch.finfo(gram.dtype).eps * len(gram) ** 0.5
    return torch.where(found > least * both, found, 0.0)


def gaussian_kernel(gram: Any, bandwidth: float = 1.0, scale: float | None = None) -> Any:
    """exp(−d² / (2 b² m)) of patterns by their inner products (n, n); Kornblith et al. 2019.

    `bandwidth`: b. `scale`: m, by default the median of all n² squared distances d², the n zeros of the diagonal among them.
    Raises `DataError` where that median is zero: at least half of the pairs are copies.
    """
    distances = squared_distances(as_tensor(gram, dtype=torch.float64))
    unit = _median(distances) if scale is None else scale
    if unit <= 0:
        raise DataError(
            "cka: found a median distance of 0, expected stimuli that differ; leave copies out, or choose kernel: linear"
        )
    return like_input(torch.exp(distances / (-2.0 * bandwidth**2 * unit)), gram)


def _median(values: torch.Tensor) -> float:
    """The mean of the two middle values, where their number is even."""
    flat = values.reshape(-1)
    n = flat.numel()
    high = flat.kthvalue(n // 2 + 1).values
    return float(high if n % 2 else 0.5 * (high + flat.kthvalue(n // 2).values))


def hsic(first: Any, second: Any, estimator: str = "debiased") -> Any:
    """HSIC of kernels (…, n, n): "biased" tr(KHLH)/(n − 1)² (Gretton et al. 2005), or "debiased" (Song et al. 2012).

    Debiased it may be negative; of a kernel with itself it never is. Raises `DataError` for fewer than three stimuli (four,
    debiased).
    """
    k, l_ = as_tensor(first, dtype=torch.float64), as_tensor(second, dtype=torch.float64)
    n = k.shape[-1]
    if n < FEWEST[estimator]:
        raise DataError(f"hsic: found {n} stimuli, expected at least {FEWEST[estimator]}")
    parts = {"biased": (n - 1) ** 2, "debiased": n * (n - 3)}[estimator]
    centre = CENTRINGS[estimator]
    return like_input((centre(k) * centre(l_)).sum((-2, -1)) / parts, first)


def products_of_patterns(x: torch.Tensor, y: torch.Tensor, estimator: str = "debiased") -> torch.Tensor:
    """⟨C(XXᵀ), C(YYᵀ)⟩ of centred patterns (n, p) and (n, q), C the estimator's centring, without a matrix (n, n).

    Biased: |XᵀY|²; debiased: |XᵀY|² − n/(n − 2) Σ k_i l_i + Σ k_i Σ l_i / ((n − 1)(n − 2)), k_i = |x_i|² and l_i = |y_i|².
    """
    shared = (x.mT @ y).square().sum()
    if estimator == "biased":
        return shared
    n = len(x)
    k, l_ = x.square().sum(1), y.square().sum(1)
    return shared - n / (n - 2) * (k @ l_) + k.sum() * l_.sum() / ((n - 1) * (n - 2))
