"""Fractional ridge as an encoder: per neuroid the share of its least squares length that predicts best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isocortex.encoding.decomposition import Basis
from isocortex.encoding.fractional import FRACTIONS, checked_fractions, fraction_errors, fractions_to_alphas
from isocortex.encoding.nested import OuterFit, OuterKernel
from isocortex.encoding.penalties import constant_columns, edge_share, solve


def fit_fractional(kernel: OuterKernel, y: torch.Tensor, options: Mapping[str, Any]) -> OuterFit:
    """Fractional ridge of `y` (n, v; rows are the subject's stimuli) on z-scored features, in float64.

    options : {"fractions"}. The fraction of a neuroid has the least mean squared error on the inner folds; the smaller one wins
    ties. `alphas` are the penalties that its fraction comes to on all training rows.
    """
    shares = np.sort(checked_fractions(options.get("fractions", FRACTIONS)))
    values = y.to(torch.float64)
    best = fraction_errors(kernel.inner, values, shares).argmin(0)
    oof = torch.empty_like(values[kernel.train])
    for fold, where in zip(kernel.inner, kernel.positions, strict=True):
        inside = values[fold.train]
        oof[where] = solve(fold.basis, inside, _penalties(fold.basis, inside, shares, best))
    inside = values[kernel.train]
    alphas = _penalties(kernel.final.basis, inside, shares, best)
    test = solve(kernel.final.basis, inside, alphas)
    valid = torch.isfinite(values).all(0) & ~constant_columns(inside)
    edge = edge_share(best, len(shares), valid)
    return OuterFit(test.to(y.dtype), oof.to(y.dtype), torch.where(valid, alphas, torch.nan), edge)


def _penalties(basis: Basis, y: torch.Tensor, shares: np.ndarray, best: torch.Tensor) -> torch.Tensor:
    """The penalty (v,) of each neuroid's own fraction in a basis."""
    scores = basis.vectors.T @ (y - y.mean(0))
    return fractions_to_alphas(basis.values, scores, shares).gather(0, best[None])[0]
