"""Sorting, mid-ranks and quantiles of many RDM vectors at once; entries that are NaN stand apart."""

from __future__ import annotations

import numpy as np
import torch

from isocortex.similarity.comparators.ranks import average_ranks


def argsort(x: torch.Tensor) -> torch.Tensor:
    """Ascending order (…, N) of the last axis, NaN last; the order of equal values is not defined."""
    if x.device.type == "cpu":  # NumPy sorts doubles with vector instructions, several times faster
        return torch.from_numpy(np.argsort(x.numpy(), axis=-1))
    return x.argsort(dim=-1)


def mid_ranks(x: torch.Tensor) -> torch.Tensor:
    """Ranks 1…N along the last axis, equal values sharing the mean of their ranks; float64, NaN where `x` is."""
    rows = x.reshape(-1, x.shape[-1])
    order = argsort(rows)
    ordered = rows.gather(1, order)
    place = torch.arange(1, rows.shape[1] + 1, dtype=torch.float64, device=x.device)
    ranks = torch.empty(rows.shape, dtype=torch.float64, device=x.device).scatter_(1, order, place.expand(rows.shape))
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(1)
    if bool(tied.any()):
        ranks[tied] = average_ranks(rows[tied])
    if bool(ordered[:, -1:].isnan().any()):
        ranks[rows.isnan()] = torch.nan
    return ranks.reshape(x.shape)


def between(low: torch.Tensor, high: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """`part` of the way from `low` to `high`, rounded as NumPy's quantiles are: from the nearer end."""
    gap = high - low
    return torch.where(part < 0.5, low + gap * part, high - gap * (1.0 - part))


def quantiles(x: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Quantiles (…, K) of `x` (…, N) at `levels` (K,), by linear interpolation as in NumPy; entries that are NaN are left out.

    NaN for a row without entries.
    """
    ordered = x.sort(dim=-1).values if x.device.type != "cpu" else torch.from_numpy(np.sort(x.numpy(), axis=-1))
    last = (~ordered.isnan()).sum(-1, keepdim=True) - 1
    place = last * levels
    lower = place.floor().long().clamp_min(0)
    upper = torch.minimum(lower + 1, last.clamp_min(0))
    return between(ordered.gather(-1, lower), ordered.gather(-1, upper), place - lower)
