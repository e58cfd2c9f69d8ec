"""Subjects with RDMs on the same stimuli, compared with the RDMs of a model's layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isocortex.inference import ceilings
from isocortex.inference.rdm_tables import RdmTable
from isocortex.inference.table_draws import Settings
from isocortex.similarity.comparators import Comparator


@dataclass(frozen=True)
class RdmBlock:
    """Brain RDMs (S, N) and layer RDMs (L, N), compared by `comparators`, of which one is chosen where there are several.

    `repeats` (K, 2, N) are RDMs from two halves of the repeats of a single subject; None where there are none.
    """

    subjects: tuple[str, ...]
    stimulus_ids: tuple[str, ...]
    brain: torch.Tensor
    layers: torch.Tensor
    comparators: tuple[Comparator, ...]
    repeats: torch.Tensor | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        """The comparators' names."""
        return tuple(c.name for c in self.comparators)

    @property
    def kind(self) -> str:
        """Scores are divided by the lower ceiling."""
        return "rdm"

    @property
    def null(self) -> str:
        """Stimuli are permuted."""
        return "permute_stimuli"

    def table(self) -> RdmTable:
        """All subjects with all layers by all comparators."""
        return RdmTable(self.brain, self.layers, self.comparators)

    def ceiling(self, variant: int, masks: np.ndarray | None, settings: Settings) -> ceilings.Ceiling:
        """From the other subjects; of a single one from halves of its repeats."""
        chosen = self.comparators[variant]
        if len(self.subjects) > 1:
            return ceilings.leave_one_subject_out(self.brain, chosen, settings.seed)
        if self.repeats is None:
            return ceilings.none(1, "no repeats: no ceiling")
        return ceilings.split_half(self.repeats, masks, chosen, settings.seed)
