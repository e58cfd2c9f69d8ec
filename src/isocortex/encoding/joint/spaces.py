"""Feature spaces on one outer split, and what a joint encoder gives for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from isocortex.encoding.nested import OuterFit, OuterKernel


@dataclass(frozen=True)
class JointFit:
    """A joint fit of g spaces in G groups; n test stimuli, v neuroids.

    outer : all spaces together. parts : (G, n, v) predictions of the groups about the mean of the training responses, which sum
    to the joint one. without, alone : (G, n, v) predictions, the mean included, of fits without a group and with no other.
    weights : (g, v) on the simplex: of the kernels, or of the predictions.
    """

    outer: OuterFit
    parts: torch.Tensor
    without: torch.Tensor
    alone: torch.Tensor
    weights: torch.Tensor


@dataclass
class Spaces:
    """Spaces of one outer split. read : gives a space's kernel, on the same stimuli and folds. groups : of each space, numbers
    from 0."""

    read: Callable[[int], OuterKernel]
    groups: Sequence[int]

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def rows(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Training rows of the responses, and the positions of each inner fold's validation rows among them."""
        kernel = self.read(0)
        return kernel.train, kernel.positions

    @property
    def n_groups(self) -> int:
        """Groups of spaces."""
        return max(self.groups) + 1

    def of_group(self, group: int) -> list[int]:
        """Spaces of one group."""
        return [number for number, own in enumerate(self.groups) if own == group]

    def but_group(self, group: int) -> list[int]:
        """Spaces of all other groups."""
        return [number for number, own in enumerate(self.groups) if own != group]

    @cached_property
    def equalised(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Kernels among the training rows (g, n_train, n_train), and of the test rows with them (g, n_test, n_train), float64.

        Each is divided by its mean diagonal over training rows, so that no space starts ahead because it has more features. The
        kernel of a space without variance is zero.
        """
        inside, outside = zip(*(self._of_space(number) for number in range(len(self))), strict=True)
        return torch.stack(inside), torch.stack(outside)

    def _of_space(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        kernel = self.read(number)
        size = float(kernel.gram.diagonal()[kernel.train].mean())
        scale = 1 / size if size > 0 else 0.0
        inside, outside = (kernel.gram[rows[:, None], kernel.train] for rows in (kernel.train, kernel.test))
        return inside.to(torch.float64) * scale, outside.to(torch.float64) * scale
