"""Entropies of a spectrum."""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError


def shannon(weights: torch.Tensor) -> torch.Tensor:
    """−Σ w ln w of weights (K,) that sum to 1, with 0 ln 0 = 0; in nats."""
    return torch.special.entr(weights.clamp_min(0.0)).sum()


def von_neumann_entropy(x: Any, *, centred: bool = False) -> float:
    """−Σ λ ln λ of ZᵀZ/n, with Z the patterns `x` (n, p) scaled to length 1: from 0 to ln min(n, p), in nats.

    `centred` takes the mean pattern away before. Kim et al. 2023, arXiv:2304.01434. From singular values, which are never
    negative. NaN where no pattern has a length; patterns without one are left out.
    """
    patterns = as_tensor(x, dtype=torch.float64)
    if patterns.ndim != 2 or not patterns.numel():
        raise DataError(f"geometry: found patterns of shape {tuple(patterns.shape)}, expected stimuli × units")
    moved = patterns - patterns.mean(dim=0) if centred else patterns
    length = moved.norm(dim=1)
    kept = length > 0
    if not bool(kept.any()):
        return float("nan")
    values = torch.linalg.svdvals(moved[kept] / length[kept, None]).square() / kept.sum()
    return float(shannon(values))
