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


def coordinates_of(whole: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Patterns (m, r ≤ m) of some stimuli, by their `rows` (m,) of the `coordinates` (n, q) of all.

    More columns than rows are turned into as many as rows. Stimuli that differ by no more than is lost in decomposing the
    whole have one pattern: they did not differ before.
    """
    x = whole[rows]
    if x.shape[1] > len(x):
        x = torch.linalg.qr(x.mT, mode="r")[1].mT  # x = RᵀQᵀ, and Q is a rotation
    mean = x.mean(0)
    lost = len(whole) * torch.finfo(whole.dtype).eps * whole.square().sum(0).amax()
    return mean.repeat(len(x), 1) if bool((x - mean).square().sum() <= lost) else x
