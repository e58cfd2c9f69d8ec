"""Each neuroid from a few units of the other system, chosen one after another by orthogonal matching pursuit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.matching.correlations import Beside, directions, parted, standardised

# A unit adds nothing new if this is all of its length, 1, that those before it leave.
_SPENT = 1e-6


def sparse_curve(x: Any, y: Any, active: int = 10, units: int = 1000) -> Any:
    """Held-out R² of the neuroids of `y` (n, q) by 1…`active` units of `x` (n, p) each, mean over neuroids: (active,).

    Li et al. 2016, arXiv:1511.07543, by orthogonal matching pursuit (Pati et al. 1993) in the place of their lasso. Units are
    chosen and weighed on one half of the stimuli, R² = 1 − SSE/SST is of the other with means of the first, and both ways of
    two fixed halvings are averaged. Where the first half gives no further unit, R² stays. Units that do not vary in both
    halves are left out. NaN if none is left; raises DataError as `standardised`, and for stimuli that are not as many.
    """
    first, second = as_tensor(x, dtype=torch.float64), as_tensor(y, dtype=torch.float64)
    if len(first) != len(second):
        raise DataError(f"matching: found {len(first)} stimuli in x and {len(second)} in y, expected the same stimuli")
    every = np.arange(len(first))
    made = [parted(standardised(z, every, units)) for z in (first, second.to(first.device))]
    found = [pursuit(one, other, active).mean(1) for one, other in directions(made[0], made[1])]
    return like_input(torch.stack(found).mean(0) if found else first.new_full((active,), float("nan")), x)


def pursuit(matched: Beside, judged: Beside, active: int) -> torch.Tensor:
    """R² (active, q) on the half `judged` of 1…`active` units that were chosen and weighed on the half `matched`.

    All neuroids at once. The same combinations of units are made of the half judged as make the chosen ones orthogonal on
    the half matched: no weights need be solved for, and each number of units is a step.
    """
    unit, residual = matched.x.z, matched.y.z
    other, truth = judged.x.seen_from(matched.x), judged.y.seen_from(matched.y)
    total, predicted = truth.square().sum(0), torch.zeros_like(truth)
    before: list[tuple[torch.Tensor, torch.Tensor]] = []
    found: list[torch.Tensor] = []
    for _ in range(min(active, unit.shape[1], len(unit) - 1)):
        best = (unit.T @ residual).abs().argmax(0)
        chosen, carried = _orthogonal(unit[:, best], other[:, best], before)
        before.append((chosen, carried))
        weight = (chosen * residual).sum(0)
        residual = residual - weight * chosen
        predicted = predicted + weight * carried
        found.append(1.0 - (truth - predicted).square().sum(0) / total)
    return torch.stack(found + found[-1:] * (active - len(found)))


def _orthogonal(
    chosen: torch.Tensor, carried: torch.Tensor, before: list[tuple[torch.Tensor, torch.Tensor]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns less what those `before` hold of them, of length 1, and `carried` likewise; zero where nothing is left."""
    for _ in range(2):  # once leaves rounding in what is nearly spent
        for one, other in before:
            share = (one * chosen).sum(0)
            chosen, carried = chosen - share * one, carried - share * other
    length = torch.linalg.vector_norm(chosen, dim=0)
    scale = torch.where(length > _SPENT, 1.0 / length.clamp(min=_SPENT), 0.0)
    return scale * chosen, scale * carried
