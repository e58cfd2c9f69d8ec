"""RDMs compared in pairs, each with its own stimuli and multiplicities: what predictions that differ by fold and draw need."""

from __future__ import annotations

from collections.abc import Callable

import torch

from isocortex.similarity.comparators import Comparator, comparator
from isocortex.similarity.comparators.resampled import weighted_scores

# A variance below this part of an RDM's largest entry, squared, is rounding: the RDM is constant.
_ROUNDING = 1e-13


def paired_scores(a: torch.Tensor, b: torch.Tensor, counts: torch.Tensor, method: str | Comparator) -> torch.Tensor:
    """Comparisons (B, S) of RDM vectors `a` (B, S, N) with those of `b` (B, S, N), of stimuli present `counts` (B, n) times.

    As RDMs of the repeated stimuli without the pairs of a stimulus with itself; a comparator without a weighted form sees the
    different stimuli once. Pearson, cosine and the ranks (float64) are one pass over all; others go row by row. NaN where
    fewer than three different stimuli are present, and where `comparator` has it.
    """
    chosen = comparator(method)
    n = counts.shape[1]
    first, second = torch.triu_indices(n, n, 1, device=a.device)
    counts = counts.to(device=a.device, dtype=torch.float64)
    at_once = AT_ONCE.get(chosen.name) if chosen.transform is None else None
    if at_once is None:
        values = torch.stack([_row(x, y, c, chosen) for x, y, c in zip(a, b, counts, strict=True)])
    else:
        values = at_once(a, b, (counts[:, first] * counts[:, second])[:, None])
    return torch.where(((counts > 0).sum(1) < 3)[:, None], torch.nan, values)


def is_fast(method: str | Comparator) -> bool:
    """Whether all rows are compared at once."""
    chosen = comparator(method)
    return chosen.transform is None and chosen.name in AT_ONCE


def _row(a: torch.Tensor, b: torch.Tensor, counts: torch.Tensor, chosen: Comparator) -> torch.Tensor:
    """Comparisons (S,) of (S, N) with (S, N)."""
    present = counts > 0
    if int(present.sum()) < 3:
        return a.new_full((len(a),), torch.nan)
    first, second = torch.triu_indices(len(counts), len(counts), 1, device=a.device)
    kept = present[first] & present[second]
    x, y = a[:, kept], b[:, kept]
    if chosen.weigh is None:
        return chosen.compare(x, y).diagonal()
    return weighted_scores(x, y, counts[present][None], chosen)[0].diagonal()


def _moments(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor, *, centre: bool) -> torch.Tensor:
    """Pearson or cosine, from weights (B, 1, N) of the entries."""
    x, y = (_about_mean(v, weights) if centre else v for v in (a, b))
    norm = ((weights * x.square()).sum(-1) * (weights * y.square()).sum(-1)).sqrt()
    return (weights * x * y).sum(-1) / torch.where(norm > 0, norm, torch.nan)


def _about_mean(v: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    total = weights.sum(-1, keepdim=True)
    away = v - (weights * v).sum(-1, keepdim=True) / torch.where(total > 0, total, torch.nan)
    present = weights > 0
    spread = torch.where(present, away.abs(), 0.0).amax(-1, keepdim=True)
    return torch.where(spread <= _ROUNDING * torch.where(present, v.abs(), 0.0).amax(-1, keepdim=True), 0.0, away)


def _ranks(v: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mid-ranks (B, S, N) among entries present `weights` (B, 1, N) times."""
    if v.device.type == "cpu":
        from isocortex.similarity.midranks import midranks  # compiled code takes a third of a second to import

        return torch.as_tensor(midranks(v.contiguous().numpy(), weights[:, 0].numpy()))
    return torch_ranks(v, weights)


def torch_ranks(v: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The same on any device."""
    ordered, order = v.contiguous().sort(-1)
    total = torch.nn.functional.pad(weights.expand(v.shape).gather(-1, order).cumsum(-1), (1, 0))
    below, up_to = (torch.searchsorted(ordered, v.contiguous(), right=right) for right in (False, True))
    return 0.5 * (total.gather(-1, below) + total.gather(-1, up_to) + 1.0)


def _by_ranks(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor, *, unit: bool) -> torch.Tensor:
    """Spearman (`unit`) or rho-a."""
    x, y = _ranks(a, weights), _ranks(b, weights)
    if unit:
        return _moments(x, y, weights, centre=True)
    total = weights.sum(-1)
    middle = 0.5 * (total[..., None] + 1.0)
    return 12.0 * (weights * (x - middle) * (y - middle)).sum(-1) / (total**3 - total)


def _pearson(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return _moments(a, b, weights, centre=True)


def _cosine(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return _moments(a, b, weights, centre=False)


def _spearman(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return _by_ranks(a, b, weights, unit=True)


def _rho_a(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return _by_ranks(a, b, weights, unit=False)


AT_ONCE: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "pearson": _pearson,
    "cosine": _cosine,
    "spearman": _spearman,
    "rho_a": _rho_a,
}
