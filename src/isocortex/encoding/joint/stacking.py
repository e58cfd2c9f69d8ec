"""Stacked ridge as a joint encoder: each space by a ridge of its own, and a convex combination of them per neuroid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.joint.spaces import JointFit, Spaces
from isocortex.encoding.nested import OuterFit
from isocortex.encoding.ridge import fit_outer
from isocortex.encoding.stacking import combine, residual_products, simplex_weights


def fit_stacking(spaces: Spaces, y: torch.Tensor, options: Mapping[str, Any]) -> JointFit:
    """Fit `y` (n, v; rows are the subject's stimuli) by every space, and weigh the fits by their out-of-fold residuals.

    A combination without a group, or of one alone, takes the same fits with weights of its own. Out-of-fold predictions are
    those that the weights were found by, so they are a little too good. `alphas` are NaN: every space has its own.
    """
    fits = [fit_outer(spaces.read(number), y, options) for number in range(len(spaces))]
    inside = y[spaces.rows[0]]
    held, tested = (torch.stack([getattr(fit, name) for fit in fits]) for name in ("oof", "test"))
    products = residual_products(held, inside)
    weights = simplex_weights(products).T
    parts = weights[:, None, :].to(tested.dtype) * (tested - inside.mean(0))

    def combined(some: list[int]) -> torch.Tensor:
        return combine(simplex_weights(products[:, some][:, :, some]).T, tested[some])

    groups = range(spaces.n_groups)
    edges = weights.nanmean(1).nan_to_num() @ weights.new_tensor([fit.alpha_at_edge for fit in fits])
    outer = OuterFit(combine(weights, tested), combine(weights, held), torch.full_like(y[0], torch.nan), float(edges))
    return JointFit(
        outer=outer,
        parts=torch.stack([parts[spaces.of_group(group)].sum(0) for group in groups]),
        without=torch.stack([combined(spaces.but_group(group)) for group in groups]),
        alone=torch.stack([combined(spaces.of_group(group)) for group in groups]),
        weights=weights.to(y.dtype),
    )
