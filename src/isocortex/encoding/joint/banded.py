"""Banded ridge as a joint encoder: a penalty per space and neuroid, found anew for every set of spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.encoding.banded import BandedFit, banded_ridge_cv
from isocortex.encoding.bands import bands_of_kernels
from isocortex.encoding.dirichlet import candidates
from isocortex.encoding.inverses import held_out_residuals
from isocortex.encoding.joint.spaces import JointFit, Spaces
from isocortex.encoding.nested import OuterFit
from isocortex.encoding.ridge_input import largest_eigenvalue

CANDIDATES = 30


def fit_banded(spaces: Spaces, y: torch.Tensor, options: Mapping[str, Any]) -> JointFit:
    """Fit `y` (n, v; rows are the subject's stimuli) by all spaces, without each group, and by each group alone.

    options : {"candidates": weights of the spaces that are tried, the first of them equal; "alphas": "auto" or a list, of
    kernels whose mean diagonal is 1; "seed"}. A single space has one candidate. Arithmetic in the dtype of `y`, but for
    penalties that need float64. Neuroids that are constant on the training stimuli, or hold NaN, are NaN.
    """
    train, positions = spaces.rows
    inside, groups = y[train], range(spaces.n_groups)
    mean = inside.mean(0)
    whole = _fit(spaces, list(range(len(spaces))), inside, options)
    parts = torch.stack([whole.predicted[spaces.of_group(group)].sum(0) for group in groups])
    alone = [_fit(spaces, spaces.of_group(group), inside, options).predicted.sum(0) for group in groups]
    if spaces.n_groups == 2:
        without = alone[::-1]  # all but one of two groups is the other
    else:
        without = [_fit(spaces, spaces.but_group(group), inside, options).predicted.sum(0) for group in groups]
    outer = OuterFit(parts.sum(0) + mean, whole.held_out(inside, positions), whole.fit.alphas, whole.fit.alpha_at_edge)
    return JointFit(outer, parts, torch.stack(without) + mean, torch.stack(alone) + mean, whole.weights.to(y.dtype))


@dataclass(frozen=True)
class _Fit:
    """One search. kernels : (g, n, n) among training rows. gammas : candidates. predicted : (g, n_test, v) by space, about the
    mean."""

    fit: BandedFit
    kernels: torch.Tensor
    gammas: np.ndarray
    predicted: torch.Tensor

    @property
    def weights(self) -> torch.Tensor:
        """Weights of the spaces (g, v), NaN for a neuroid that was not fitted."""
        return (self.fit.deltas.exp() * self.fit.alphas).where(self.fit.gamma_index >= 0, torch.nan)

    def held_out(self, y: torch.Tensor, positions: Sequence[torch.Tensor]) -> torch.Tensor:
        """Predictions (n, v) of each inner fold by the others, at the weights and penalty that were chosen."""
        index = self.fit.gamma_index
        bands = bands_of_kernels(self.kernels, centre=True, dtype=torch.float64)
        rows = torch.arange(len(y), device=y.device)
        folds = [(rows[~torch.isin(rows, part)], part) for part in positions]
        predicted = torch.full_like(y, torch.nan)
        for number in sorted({*index.tolist()} - {-1}):
            columns = (index == number).nonzero()[:, 0]
            kernel = bands.mixed(torch.as_tensor(self.gammas[number]))
            centred = y[:, columns] - y[:, columns].mean(0)
            alphas = self.fit.alphas[columns].double()
            residuals = held_out_residuals(kernel, centred, folds, alphas, largest_eigenvalue(kernel), centre=True)
            predicted[:, columns] = y[:, columns] - residuals
        return predicted


def _fit(spaces: Spaces, some: list[int], y: torch.Tensor, options: Mapping[str, Any]) -> _Fit:
    """The search over weights of `some` spaces for training responses `y` (n_train, v)."""
    inside, outside = spaces.equalised
    kernels = inside[some] if len(some) < len(spaces) else inside
    count = int(options.get("candidates", CANDIDATES)) if len(some) > 1 else 1
    gammas = candidates(count, len(some), int(options.get("seed", 0)))
    folds = [part.cpu().numpy() for part in spaces.rows[1]]
    fit = banded_ridge_cv(kernels, y, folds, options.get("alphas", "auto"), gammas, kernels=True, dtype=y.dtype)
    return _Fit(fit, kernels, gammas, fit.predict_split([outside[space] for space in some]))
