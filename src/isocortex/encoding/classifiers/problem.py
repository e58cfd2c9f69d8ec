"""One training set and many labellings of it: what every classifier starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from isocortex.encoding.decomposition import Basis


@dataclass(frozen=True)
class Problem:
    """P labellings of one training set.

    basis : the centred training kernel, and the rows to be classified in it. labels : (P, n_train) class numbers; a labelling
    may lack a class. n_features : of the space whose kernel it is.
    """

    basis: Basis
    labels: torch.Tensor
    n_classes: int
    n_features: int

    @cached_property
    def members(self) -> torch.Tensor:
        """1 where a row is of a class: (n_train, P, K)."""
        return torch.nn.functional.one_hot(self.labels.T.long(), self.n_classes).to(torch.float64)

    @cached_property
    def counts(self) -> torch.Tensor:
        """Rows per class (P, K)."""
        return self.members.sum(0)

    @cached_property
    def present(self) -> torch.Tensor:
        """Classes that a labelling has (P, K)."""
        return self.counts > 0

    @cached_property
    def root(self) -> torch.Tensor:
        """Lengths of the principal components (r,), never zero."""
        return self.basis.values.clamp(min=torch.finfo(torch.float64).tiny).sqrt()

    @property
    def train(self) -> torch.Tensor:
        """Principal scores of the training rows (n_train, r): their columns are centred and orthogonal."""
        return self.basis.vectors * self.root

    @property
    def other(self) -> torch.Tensor:
        """Principal scores of the other rows (n_other, r); what lies outside the training rows' span moves no score."""
        return self.basis.cross / self.root

    def winners(self, scores: torch.Tensor) -> torch.Tensor:
        """The class with the largest of `scores` (n_other, P, K), among those present: (P, n_other); the first wins ties."""
        return scores.masked_fill(~self.present, -torch.inf).argmax(-1).T.to(torch.int16)
