"""Nested cross-validation of one layer on one outer split, for the real responses or for permuted ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes
from isocortex.encoding.decomposition import Basis, basis_of_kernel, with_cross
from isocortex.encoding.penalties import Fold
from isocortex.encoding.scores import fold_moments, r_of_moments, region_median

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class OuterKernel:
    """All that one layer has to say to one outer split: inner folds, and the full training set against the test rows.

    train, test : (n_train,), (n_test,) indices of the subject's stimuli; inner : positions *within train* of each validation
    fold.
    """

    inner: list[Fold]
    final: Fold
    positions: list[torch.Tensor]


@dataclass(frozen=True)
class OuterFit:
    """test : (n_test, v) predictions. oof : (n_train, v) out-of-fold predictions at the chosen penalty. alphas : (v,), NaN for
    a
    neuroid without variance. alpha_at_edge : share of neuroids on an end of the grid."""

    test: torch.Tensor
    oof: torch.Tensor
    alphas: torch.Tensor
    alpha_at_edge: float


# An encoder: bases of an outer split, responses (n, v), options → OuterFit.
Fit = Callable[[OuterKernel, torch.Tensor, Mapping[str, Any]], OuterFit]


def outer_kernel(
    gram: np.ndarray | torch.Tensor,
    outer: Mapping[str, Any],
    stored: Mapping[str, Pair] | None = None,
    device: torch.device | str = "cpu",
) -> OuterKernel:
    """Bases of an outer split from the Gram matrix (n, n) of z-scored features; `stored` eigenpairs by "0", "1", …, "all" spare
    the decomposition."""
    kernel = torch.as_tensor(gram, dtype=torch.float64, device=device)
    train = torch.as_tensor(outer["train"], device=kernel.device)
    test = torch.as_tensor(outer["test"], device=kernel.device)

    def basis(name: str, rows: torch.Tensor, other: torch.Tensor) -> Basis:
        if stored is None:
            return basis_of_kernel(kernel, rows, other)
        values, vectors = (torch.as_tensor(part, dtype=torch.float64, device=kernel.device) for part in stored[name])
        return with_cross(kernel, rows, other, (values, vectors))

    inner = []
    for number, part in enumerate(outer["inner"]):
        other = torch.as_tensor(part, device=kernel.device)
        rows = train[~torch.isin(train, other)]
        inner.append(Fold(basis(str(number), rows, other), rows, other))
    positions = [torch.searchsorted(train, fold.other) for fold in inner]
    return OuterKernel(inner, Fold(basis("all", train, test), train, test), positions)


def inner_score(kernel: OuterKernel, oof: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Fold-wise r (v,) of out-of-fold predictions on the training stimuli: what a layer is chosen by."""
    folds = zip(kernel.inner, kernel.positions, strict=True)
    return r_of_moments(torch.stack([fold_moments(oof[where], y[fold.other]) for fold, where in folds]).sum(0))


def fit_permuted(
    fit: Fit, kernel: OuterKernel, y: torch.Tensor, permutations: np.ndarray, options: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Refit with `fit` and the rows of `y` (n, v) permuted, the decompositions reused and every penalty chosen anew.

    permutations : (P, n). Returns the inner score, median over neuroids (P,), and the moments of the test rows (3, P, v)
    float32 (`fold_moments`). Permuted copies are extra columns of the same products.
    """
    n_neuroids = y.shape[1]
    inner, tested = [], []
    cost = 8.0 * n_neuroids * (8 * len(y) + 4 * len(kernel.final.basis.values))
    for part in batches(len(permutations), cost, min(budget_bytes(y.device), 1 << 28)):
        index = torch.as_tensor(permutations[part], device=y.device)
        columns = y[index].permute(1, 0, 2).flatten(1)
        made = fit(kernel, columns, options)
        scores = inner_score(kernel, made.oof, columns).unflatten(0, (-1, n_neuroids))
        inner.append(region_median(scores).cpu().numpy())
        moments = fold_moments(made.test, columns[kernel.final.other])
        tested.append(moments.unflatten(1, (-1, n_neuroids)).to(torch.float32).cpu().numpy())
    return np.concatenate(inner), np.concatenate(tested, axis=1)
