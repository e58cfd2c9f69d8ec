"""Partial least squares as an encoder: a fixed number of components, found for all neuroids of the region together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isocortex.encoding.nested import OuterFit, OuterKernel
from isocortex.encoding.pls import COMPONENTS, basis_pls


def fit_pls(kernel: OuterKernel, y: torch.Tensor, options: Mapping[str, Any]) -> OuterFit:
    """PLS2 of `y` (n, v; rows are the subject's stimuli) on z-scored features, from the decompositions that ridge uses.

    options : {"components"}, as many as there are directions at most. Every component is a compromise between all neuroids:
    they must come together, and permuted copies one by one. There is no penalty, so `alphas` are NaN.
    """
    components = int(options.get("components", COMPONENTS))
    oof = torch.empty_like(y[kernel.train])
    for fold, where in zip(kernel.inner, kernel.positions, strict=True):
        oof[where] = basis_pls(fold.basis, y[fold.train], components).to(y.dtype)
    test = basis_pls(kernel.final.basis, y[kernel.train], components).to(y.dtype)
    return OuterFit(test, oof, torch.full((y.shape[1],), torch.nan, dtype=torch.float64, device=y.device), 0.0)
