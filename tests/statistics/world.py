"""All calls into the package: RDMs, the row that a study would hold for "all" subjects, and the comparison of two models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch

from isocortex.inference import blocks, ceilings
from isocortex.inference.blocks import evaluate
from isocortex.inference.comparisons import Candidate, compare_models
from isocortex.inference.metric_rows import Context, build
from isocortex.inference.pooling import ENOUGH_SUBJECTS
from isocortex.inference.rdm_blocks import RdmBlock
from isocortex.inference.table_draws import Settings
from isocortex.similarity import rdm
from isocortex.similarity.comparators import comparator

__all__ = ["ENOUGH_SUBJECTS", "ceiling_p", "difference", "in_minutes", "judge", "rdms", "score"]

DRAWS, PERMUTATIONS, SPLITS = 200, 199, 4


@dataclass(frozen=True)
class Judged:
    """The row of "all" subjects, and the model as a candidate for comparisons."""

    row: dict[str, Any]
    candidate: Candidate


def rdms(patterns: np.ndarray, method: str) -> torch.Tensor:
    """RDM vectors (k, N) of patterns (k, n, p)."""
    return torch.as_tensor(rdm(patterns, method))


@contextmanager
def in_minutes() -> Iterator[None]:
    """Without ceilings, on which nothing but their own p depends; layers of one subject chosen in fewer splits."""
    nothing = mock.patch.object(ceilings, "leave_one_subject_out", lambda brain, *_: ceilings.none(len(brain), ""))
    with nothing, mock.patch.object(blocks, "N_SPLITS", SPLITS):
        yield


def _block(brain: torch.Tensor, layers: torch.Tensor, n: int, compare: str) -> RdmBlock:
    subjects, stimuli = tuple(f"s{k}" for k in range(len(brain))), tuple(f"i{k}" for k in range(n))
    return RdmBlock(subjects, stimuli, brain, layers, (comparator(compare),))


def score(brain: torch.Tensor, layers: torch.Tensor, n: int, compare: str, seed: int) -> float:
    """The mean score over subjects, in layers chosen as in `judge`."""
    return float(evaluate(_block(brain, layers, n, compare), Settings(2, 1, seed)).score.mean())


def judge(
    model: str, brain: torch.Tensor, layers: torch.Tensor, n: int, compare: str, seed: int, generalise: str = "auto"
) -> Judged:
    """A model's row from brain RDMs (S, N) and layer RDMs (L, N) of n stimuli; draws are a function of the seed."""
    block = _block(brain, layers, n, compare)
    names = (*block.subjects, "all")
    context = Context({"model": model}, {name: {} for name in names}, tuple(f"l{k}" for k in range(len(layers))), frozenset())
    settings = Settings(DRAWS, PERMUTATIONS, seed, generalise=generalise)
    evaluated = evaluate(block, settings)
    cell = build([evaluated], context, settings)
    row = next(r for r in cell.rows if r["subject"] == "all" and r["is_chosen"])
    return Judged(row, Candidate(model, block.subjects, evaluated.score, evaluated.draws, n))


def difference(one: Judged, other: Judged, generalise: str = "auto") -> dict[str, Any]:
    """The row of `comparisons.parquet` of two models."""
    return compare_models([one.candidate, other.candidate], "region", "rsa", generalise=generalise)[0]


def ceiling_p(brain: torch.Tensor, compare: str, seed: int) -> float:
    """The p of the lower ceiling of subjects (S, N)."""
    return ceilings.leave_one_subject_out(brain, compare, seed).p()
