"""Nested cross-validation of one layer on one outer split, for the real responses or for permuted ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes
from isocortex.encoding.decomposition import Basis, basis_of_kernel, with_cross
from isocortex.encoding.leave_out import LeaveOut
from isocortex.encoding.penalties import Fold
from isocortex.encoding.scores import fold_moments, r_of_moments, region_median

Pair = tuple[np.ndarray, np.ndarray]
# Permuted responses are fitted in pieces of at most this size.
PERMUTED_BYTES = 1 << 28


@dataclass(frozen=True)
class OuterKernel:
    """All that one layer has to say to one outer split: what is decomposed is decomposed once, and when it is first needed.

    source : the Gram matrix (n, n) of z-scored features, or a function that reads it: what follows holds its own. train, test :
    (n_train,), (n_test,) indices of the subject's stimuli. held : the validation rows of each inner fold, indices of stimuli;
    together they are `train`. stored : eigenpairs by "0", "1", … and "all", which spare the decomposition.
    """

    source: torch.Tensor | Callable[[], torch.Tensor]
    train: torch.Tensor
    test: torch.Tensor
    held: list[torch.Tensor]
    stored: Mapping[str, Pair]

    @property
    def gram(self) -> torch.Tensor:
        """The Gram matrix (n, n), read at every use if it is not held."""
        return self.source if isinstance(self.source, torch.Tensor) else self.source()

    @cached_property
    def positions(self) -> list[torch.Tensor]:
        """Positions of the validation rows of each inner fold within `train`."""
        return [torch.searchsorted(self.train, rows) for rows in self.held]

    @cached_property
    def final(self) -> Fold:
        """All training rows against the test rows."""
        return Fold(self._basis(self.gram, "all", self.train, self.test), self.train, self.test)

    @cached_property
    def inner(self) -> list[Fold]:
        """The inner folds, each decomposed by itself."""
        gram, folds = self.gram, []
        for number, other in enumerate(self.held):
            rows = self.train[~torch.isin(self.train, other)]
            folds.append(Fold(self._basis(gram, str(number), rows, other), rows, other))
        return folds

    @cached_property
    def leave_out(self) -> LeaveOut:
        """The inner folds by the leave-out identity, from the decomposition of all training rows."""
        return LeaveOut(self.final.basis, self.positions)

    @property
    def has_folds(self) -> bool:
        """Whether the inner folds' decompositions are at hand."""
        return "inner" in self.__dict__ or "0" in self.stored

    def _basis(self, gram: torch.Tensor, name: str, rows: torch.Tensor, other: torch.Tensor) -> Basis:
        if name not in self.stored:
            return basis_of_kernel(gram, rows, other)
        values, vectors = (torch.as_tensor(part, device=gram.device).to(gram.dtype) for part in self.stored[name])
        return with_cross(gram, rows, other, (values, vectors))


@dataclass(frozen=True)
class OuterFit:
    """test : (n_test, v) predictions. oof : (n_train, v) out-of-fold predictions at the chosen penalty. alphas : (v,), NaN for
    a neuroid without variance. alpha_at_edge : share of neuroids on an end of the grid."""

    test: torch.Tensor
    oof: torch.Tensor
    alphas: torch.Tensor
    alpha_at_edge: float


# An encoder: bases of an outer split, responses (n, v), options → OuterFit.
Fit = Callable[[OuterKernel, torch.Tensor, Mapping[str, Any]], OuterFit]


def outer_kernel(
    gram: np.ndarray | torch.Tensor | Callable[[], np.ndarray],
    outer: Mapping[str, Any],
    stored: Mapping[str, Pair] | None = None,
    device: torch.device | str = "cpu",
) -> OuterKernel:
    """An outer split {train, test, inner} on the Gram matrix (n, n) of z-scored features, or on what a function reads."""
    if callable(gram):
        read: Any = lambda: torch.as_tensor(gram(), device=device)
    else:
        read = torch.as_tensor(gram, device=device)
        device = read.device
    train, test = (torch.as_tensor(outer[name], device=device) for name in ("train", "test"))
    held = [torch.as_tensor(part, device=device) for part in outer["inner"]]
    return OuterKernel(read, train, test, held, stored or {})


def inner_score(kernel: OuterKernel, oof: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Fold-wise r (v,) of out-of-fold predictions on the training stimuli: what a layer is chosen by."""
    folds = zip(kernel.held, kernel.positions, strict=True)
    return r_of_moments(torch.stack([fold_moments(oof[where], y[rows].to(oof.dtype)) for rows, where in folds]).sum(0))


def fit_permuted(
    fit: Fit,
    kernel: OuterKernel,
    y: torch.Tensor,
    permutations: np.ndarray,
    options: Mapping[str, Any],
    *,
    together: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Refit with `fit` and the rows of `y` (n, v) permuted, the decompositions reused and every penalty chosen anew.

    permutations : (P, n). Returns the inner score, median over neuroids (P,), and the moments of the test rows (3, P, v)
    float32 (`fold_moments`). Permuted copies are extra columns of the same products, in pieces that fit the memory; where
    neuroids are fitted `together` a permutation at a time.
    """
    n_null, n_neuroids = len(permutations), y.shape[1]
    inner = torch.empty(n_null, n_neuroids, dtype=torch.float64)
    tested = np.empty((3, n_null, n_neuroids), dtype=np.float32)
    column = float(y.element_size()) * (8 * len(y) + 4 * len(kernel.train))
    budget = min(budget_bytes(y.device), PERMUTED_BYTES)
    for part in [slice(0, n_neuroids)] if together else batches(n_neuroids, column, budget):
        width = part.stop - part.start
        for some in batches(n_null, budget if together else column * width, budget):
            index = torch.as_tensor(permutations[some], device=y.device)
            columns = y[:, part][index].permute(1, 0, 2).flatten(1)
            made = fit(kernel, columns, options)
            inner[some, part] = inner_score(kernel, made.oof, columns).unflatten(0, (-1, width)).cpu()
            moments = fold_moments(made.test, columns[kernel.test]).unflatten(1, (-1, width))
            tested[:, some, part] = moments.float().cpu().numpy()
    return region_median(inner).numpy(), tested
