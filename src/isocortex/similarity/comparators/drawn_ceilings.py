"""Noise ceilings of subjects in bootstrap draws of stimuli and subjects: each subject with the pool of the others, and of all.

The pool is made anew in every draw, from the subjects drawn as often as they are, and scored on each different subject in it;
the lower ceiling leaves all copies of that subject out (rsatoolbox 0.3.2, Schütt et al. 2023). NaN for a lower ceiling of a
draw with one subject only. All functions map brain RDMs (S, N), multiplicities of stimuli (D, n) or (1, n) and of subjects
(Q, D, S) to (Q, D, 2).
"""

from __future__ import annotations

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.similarity.comparators.moments import centred
from isocortex.similarity.comparators.parallel import spread
from isocortex.similarity.comparators.sums import own_moments
from isocortex.similarity.comparators.whitened import whiten

_BLOCK_BYTES = 5e8
_DRAWS = 16


def linear(brain: torch.Tensor, counts: torch.Tensor, who: torch.Tensor, *, centre: bool, whitened: bool) -> torch.Tensor:
    """For comparators that are inner products: pools are sums, so that the subjects' inner products say everything."""
    rows = centred(brain) if centre else brain
    found = who.new_empty((*who.shape[:2], 2))
    width = 64.0 * counts.shape[1] * len(rows)
    for block in batches(len(counts), width, _BLOCK_BYTES):
        c = counts[block]
        sums = own_moments(rows, c)
        plain = sums.centred() if centre else sums
        inner = whiten(sums, rows, rows, c, centre=centre).xy if whitened else plain.xy
        scale = torch.where(plain.xx > 0, plain.xx, torch.nan).sqrt()
        part = slice(None) if len(counts) == 1 else block
        found[:, part] = _of_gram(inner / (scale[:, :, None] * scale[:, None]), who[:, part])
    return found


def _of_gram(gram: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
    """From inner products (D, S, S) or (1, S, S) of what is pooled."""
    own = gram.diagonal(dim1=1, dim2=2)
    with_all = (gram @ who[..., None])[..., 0]
    power = (who * with_all).sum(-1, keepdim=True)
    high = with_all / (power * own).sqrt()
    others = power - 2.0 * who * with_all + who.square() * own
    low = (with_all - who * own) / (others.clamp_min(0.0) * own).sqrt()
    return mean_of_drawn(torch.stack([low, high], dim=-1), who)


def mean_of_drawn(values: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
    """Means (…, 2) over the subjects drawn of `values` (…, S, 2)."""
    drawn = (who > 0)[..., None]
    mean = torch.where(drawn, values, 0.0).sum(-2) / drawn.sum(-2)
    mean[..., 0] = torch.where(drawn.sum(-2)[..., 0] > 1, mean[..., 0], torch.nan)
    return mean


def ranked(brain: torch.Tensor, counts: torch.Tensor, who: torch.Tensor, *, unit: bool) -> torch.Tensor:
    """For Spearman (`unit`) and rho-a: pools are sums of mid-ranks, ranked again; on the CPU, whatever the device."""
    from isocortex.similarity.comparators import rank_ceilings, rank_draws

    prepared = rank_draws.prepare(brain.cpu().double().numpy())
    draws, subjects = (np.ascontiguousarray(c.cpu().numpy(), dtype=np.int32) for c in (counts, who))
    tasks = []
    for k in range(0, subjects.shape[1], _DRAWS):
        part = slice(k, k + _DRAWS)
        tasks.append((draws if len(draws) == 1 else draws[part], np.ascontiguousarray(subjects[:, part]), *prepared, unit))
    found = spread(rank_ceilings.ceilings, tasks)
    return torch.as_tensor(np.concatenate(found, axis=1), device=brain.device)
