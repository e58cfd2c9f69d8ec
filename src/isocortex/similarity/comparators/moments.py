"""Comparators that are inner products of prepared vectors, so that subjects × layers, permutations and pools are products."""

from __future__ import annotations

import torch

from isocortex.similarity.comparators.ranks import average_ranks


def centre(v: torch.Tensor) -> torch.Tensor:
    return v - v.mean(dim=-1, keepdim=True)


def unit(v: torch.Tensor) -> torch.Tensor:
    """Rows of length one; a row of zeros (an RDM without variance) becomes NaN, because its similarity is undefined."""
    length = v.norm(dim=-1, keepdim=True)
    return v / torch.where(length > 0, length, torch.nan)


def centred(v: torch.Tensor) -> torch.Tensor:
    """As `centre`, and exactly zero for a constant row: rounding leaves it with a tiny variance, and that is none."""
    rest = centre(v)
    flat = rest.abs().amax(-1, keepdim=True) <= 1e-14 * v.abs().amax(-1, keepdim=True)
    return torch.where(flat, torch.zeros_like(v), rest)


def pearson(v: torch.Tensor) -> torch.Tensor:
    return unit(centred(v))


def spearman(v: torch.Tensor) -> torch.Tensor:
    return pearson(average_ranks(v))


def rho_a(v: torch.Tensor) -> torch.Tensor:
    """12 Σ (r_a − r̄)(r_b − r̄) / (N³ − N), the expectation of Spearman's rho under random breaking of ties."""
    n = v.shape[-1]
    return centre(average_ranks(v)) * (12.0 / (float(n) ** 3 - n)) ** 0.5
