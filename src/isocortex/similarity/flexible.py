"""Models whose RDM is fitted: a weighted mixture of layers' RDMs, a mixture of two adjacent layers, or one selected layer.

Every fit is a function of inner products alone, of layers with layers H (L, L) and of layers with the target h (L,), so that
thousands of folds, draws and permutations cost no more than their products (Schütt et al. 2023, Khaligh-Razavi et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.rdm.vectors import to_square

# What is left of an RDM after its mean is taken away is rounding below this part of it: the RDM is constant.
_ROUNDING = 1e-13
# Two layers whose common part leaves less than this of either are one layer.
_DEPENDENT = 1e-10


def nnls_batch(H: Any, h: Any) -> Any:
    """Non-negative weights (B, …, L) that minimise wᵀHw − 2wᵀh, for H (B, L, L) and h (B, L) or (B, K, L), in float64.

    Lawson and Hanson (1974) on the normal equations, with tolerances relative to columns of unit length and at most 10 L
    steps (NaN beyond). A layer that depends linearly on those already in, or has no length, gets no weight; all weights are
    zero where no layer is positively related; NaN in gives NaN. Runs on the CPU, whatever the device.
    """
    from isocortex.similarity.nonnegative import solve  # compiled code takes a third of a second to import

    grams, targets = (np.ascontiguousarray(as_tensor(a, dtype=torch.float64).cpu().numpy()) for a in (H, h))
    weights = solve(grams, targets.reshape(len(grams), -1, targets.shape[-1])).reshape(targets.shape)
    known = np.isfinite(targets).all(axis=-1, keepdims=True)
    known &= np.isfinite(grams).all(axis=(1, 2)).reshape(-1, *[1] * (targets.ndim - 1))
    return like_input(as_tensor(np.where(known, weights, np.nan), device=as_tensor(h).device), h)


def _least_squares(H: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Weights of any sign; those of least length where layers depend on each other."""
    length = H.diagonal(dim1=-2, dim2=-1).clamp_min(0.0).sqrt()
    scale = torch.where(length > 0, 1.0 / length, 0.0)
    inverse = torch.linalg.pinv(H * scale[..., :, None] * scale[..., None, :], hermitian=True, rtol=_DEPENDENT)
    return ((h * scale[:, None]) @ inverse) * scale[:, None]


def _non_negative(H: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    return nnls_batch(H, h)


def _selected(H: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Weight 1 for the layer closest to the target, the first of equals; zeros where every layer is constant."""
    length = H.diagonal(dim1=-2, dim2=-1).clamp_min(0.0).sqrt()[:, None]
    closeness = torch.where(length > 0, h / length, -torch.inf)
    one = torch.zeros_like(h).scatter_(-1, closeness.argmax(-1, keepdim=True), 1.0)
    return torch.where((length > 0).any(-1, keepdim=True), one, 0.0)


def _interpolated(H: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Weights w and 1 − w of the best pair of neighbours.

    The similarity of aw + b(1 − w) with the target is the cosine of an angle in the plane of a and b: greatest at the
    projection of the target where that lies between them, else at an end. The ends are single layers.
    """
    best = _selected(H, h)
    if h.shape[-1] < 2:
        return best
    diagonal = H.diagonal(dim1=-2, dim2=-1)
    a, b = diagonal[:, None, :-1], diagonal[:, None, 1:]
    ab = H.diagonal(offset=1, dim1=-2, dim2=-1)[:, None]
    first, second = h[..., :-1], h[..., 1:]
    u, v = b * first - ab * second, a * second - ab * first
    inside = (u > 0) & (v > 0) & (a * b - ab.square() > _DEPENDENT * a * b)
    w = torch.where(inside, u / torch.where(inside, u + v, 1.0), 0.0)
    length = (a * w.square() + b * (1.0 - w).square() + 2.0 * ab * w * (1.0 - w)).clamp_min(0.0).sqrt()
    closeness = torch.where(inside, (w * first + (1.0 - w) * second) / torch.where(inside, length, 1.0), -torch.inf)
    value, pair = closeness.max(-1, keepdim=True)
    share = w.gather(-1, pair)
    mixed = torch.zeros_like(h).scatter_(-1, pair, share).scatter_(-1, pair + 1, 1.0 - share)
    return torch.where(value.isfinite(), torch.where(_better(value, best, H, h), mixed, best), best)


def _better(value: torch.Tensor, best: torch.Tensor, H: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Whether the similarity `value` of a mixture is above that of the single layer `best`."""
    length = (best * H.diagonal(dim1=-2, dim2=-1)[:, None]).sum(-1, keepdim=True).clamp_min(0.0).sqrt()
    single = (best * h).sum(-1, keepdim=True) / torch.where(length > 0, length, torch.nan)
    return value > single


Fit = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Weights (B, K, L) from H (B, L, L) and h (B, K, L), float64.
FITS: dict[str, Fit] = {"weighted": _non_negative, "interpolated": _interpolated, "selected": _selected}


def fit_weights(layers: Any, target: Any, compare: str = "pearson", nonnegative: bool = True, ridge: float = 0.0) -> Any:
    """Weights (L,) of unit length of the mixture of layer RDMs (L, N) that is closest to the target (S, N) or (N,).

    `compare`: "pearson", "cosine", "whitened_pearson" or "whitened_cosine" (whitened for independent noise: inner products of
    double-centred RDMs). Several targets are scaled to unit length in its space, and averaged. Least squares in float64, of
    weights ≥ 0 unless told otherwise, with `ridge` added to the layers' inner products in their own units (rsatoolbox). All
    zeros where no layer is positively related; a constant layer (of zeros, for cosines) has weight 0. Entries that are NaN in
    any RDM are left out of all.
    Raises `DataError` for unequal lengths, for fewer than three entries, and for NaN under a whitened comparison.
    """
    H, h = _moments(layers, target, compare)
    H = H + ridge * torch.eye(len(H), dtype=H.dtype, device=H.device) * (H.diagonal() > 0)
    weights = (_non_negative if nonnegative else _least_squares)(H[None], h[None, None])[0, 0]
    length = weights.norm()
    return like_input(torch.where(length > 0, weights / length, 0.0), layers)


def fit_interpolation(layers: Any, target: Any, compare: str = "pearson") -> Any:
    """Weights (L,), w and 1 − w on two adjacent layers, of the mixture that is closest to the target; as `fit_weights`.

    In closed form. Where no mixture is closer than its ends, one layer has weight 1.
    """
    H, h = _moments(layers, target, compare)
    return like_input(_interpolated(H[None], h[None, None])[0, 0], layers)


def fit_selection(layers: Any, target: Any, compare: str = "pearson") -> Any:
    """Weights (L,) with 1 for the layer that is closest to the target, the first of equals; as `fit_weights`."""
    H, h = _moments(layers, target, compare)
    return like_input(_selected(H[None], h[None, None])[0, 0], layers)


def _double_centred(vectors: torch.Tensor) -> torch.Tensor:
    """Rows (…, n²) of −½ C D C: their inner products are aᵀV⁻¹b, V the covariance of distances under independent noise."""
    square = to_square(vectors)
    rows = square.mean(-1, keepdim=True)
    return -0.5 * (square - rows - rows.mT + rows.mean(-2, keepdim=True)).flatten(-2)


# Whether the mean of an RDM is taken away first, and whether it is whitened then.
_SPACES = {
    "pearson": (True, False),
    "cosine": (False, False),
    "whitened_pearson": (True, True),
    "whitened_cosine": (False, True),
}


def _moments(layers: Any, target: Any, compare: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Inner products of layers with layers (L, L) and with the mean of targets of unit length (L,)."""
    if compare not in _SPACES:
        raise ValueError(f"flexible RDM model: found comparison {compare!r}, expected one of {sorted(_SPACES)}")
    centred, whitened = _SPACES[compare]
    rows = torch.atleast_2d(as_tensor(layers, dtype=torch.float64))
    goal = torch.atleast_2d(as_tensor(target, device=rows.device, dtype=torch.float64))
    if rows.shape[-1] != goal.shape[-1]:
        raise DataError(
            f"flexible RDM model: found RDMs with {rows.shape[-1]} and {goal.shape[-1]} pairs, expected equal; "
            "use the same stimuli for both"
        )
    kept = rows.isfinite().all(0) & goal.isfinite().all(0)
    if int(kept.sum()) < 3 or (whitened and not bool(kept.all())):
        expected = "no missing one under a whitened comparison" if whitened else "at least 3"
        raise DataError(
            f"flexible RDM model: found {int(kept.sum())} of {len(kept)} pairs with a value in all RDMs, expected {expected}; "
            "leave out the stimuli without a value"
        )
    x, y = rows[:, kept], goal[:, kept]
    if centred:
        x, y = _centred(x), _centred(y)
    if whitened:
        x, y = _double_centred(x), _double_centred(y)
    length = y.norm(dim=-1, keepdim=True)
    y = torch.where(length > 0, y / length, 0.0).mean(0)
    return x @ x.mT, x @ y


def _centred(vectors: torch.Tensor) -> torch.Tensor:
    away = vectors - vectors.mean(-1, keepdim=True)
    flat = away.abs().amax(-1, keepdim=True) <= _ROUNDING * vectors.abs().amax(-1, keepdim=True)
    return torch.where(flat, 0.0, away)
