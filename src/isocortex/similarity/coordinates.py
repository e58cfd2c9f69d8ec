"""Patterns that have a given Gram matrix: all that a metric sees that does not mind rotations of units."""

from __future__ import annotations

import torch


def coordinates(gram: torch.Tensor) -> torch.Tensor:
    """Patterns (n, r) whose inner products are `gram` (n, n), r its numerical rank (at least 1), largest axes first."""
    values, vectors = torch.linalg.eigh(0.5 * (gram + gram.mT))
    values, vectors = values.flip(-1), vectors.flip(-1)
    least = values[0].clamp_min(0.0) * len(gram) * torch.finfo(gram.dtype).eps
    rank = max(1, int((values > least).sum()))
    return vectors[:, :rank] * values[:rank].clamp_min(0.0).sqrt()
