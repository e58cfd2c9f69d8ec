"""How close a model could come: ceilings of RDM comparisons, and whether there is any signal to explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isocortex.inference.nulls import p_value, permutations
from isocortex.similarity.comparators import Comparator, comparator, compare_rdms, pooled
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.comparators.resampled import permuted_products
from isocortex.similarity.rdm import n_stimuli, to_square, to_vector

N_NULL = 1000
# Permutations of each subject that are combined into the null values; fewer where RDMs are large.
_MOVES = 32
_MOVED_ENTRIES = 1e8


@dataclass(frozen=True)
class Ceiling:
    """Ceilings per subject (S,), their null test statistics `observed` (S,) and `null` (P, S), and what was done."""

    low: np.ndarray
    high: np.ndarray
    observed: np.ndarray
    null: np.ndarray
    kind: str
    note: str = ""
    higher_is_closer: bool = True

    def p(self, subject: int | None = None) -> float:
        """Permutation p of the lower ceiling of one subject, or of the mean over subjects."""
        if not self.null.size:
            return float("nan")
        if subject is None:
            return float(p_value(self.observed.mean(), self.null.mean(axis=1), higher_is_closer=self.higher_is_closer))
        return float(p_value(self.observed[subject], self.null[:, subject], higher_is_closer=self.higher_is_closer))


def none(n_subjects: int, note: str) -> Ceiling:
    """No ceiling, and why."""
    missing = np.full(n_subjects, np.nan)
    return Ceiling(missing, missing, missing, np.empty((0, n_subjects)), "", note)


def leave_one_subject_out(brain: torch.Tensor, method: str | Comparator, seed: int) -> Ceiling:
    """Ceilings of subjects (S, N) on the same stimuli: with the pool of the others (low) and of all (high).

    Nili et al. 2014; pooled as the comparator needs (rsatoolbox), transformed RDMs after their transformation. The upper one
    is positive on pure noise: only the lower is tested, by permuting the stimuli of every subject independently.
    """
    brain, chosen = _transformed(brain, method)
    how = chosen.pool
    everyone = pooled(brain, how)
    keep = ~torch.eye(len(brain), dtype=torch.bool)
    # NaN where a pool or a subject has no variance: there is nothing to agree in.
    high = chosen.compare(everyone[None], brain)[0].cpu().numpy()
    low = np.array([float(chosen.compare(pooled(brain[keep[s]], how)[None], row[None])) for s, row in enumerate(brain)])
    observed, null = _tested(brain, chosen, seed)
    return Ceiling(low, high, observed, null, "leave one subject out / own subject included")


def _transformed(vectors: torch.Tensor, method: str | Comparator) -> tuple[torch.Tensor, Comparator]:
    """RDMs after the comparator's transformation, and what compares them then."""
    chosen = comparator(method)
    if chosen.transform is None:
        return vectors, chosen
    return chosen.transform(vectors), comparator(chosen.base)


def _tested(brain: torch.Tensor, method: Comparator, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The statistic that decides whether subjects share anything, and its null (P, S).

    A subject's RDM with the mean of the others', in the comparator's scale (ranks are not ranked again after the mean, which
    makes it a function of the inner products of subjects; a permutation test is valid with any statistic). Each subject has
    a few permutations, and null values combine them at random.
    """
    rows = _test_rows(brain, method)
    s, n = len(rows), n_stimuli(rows.shape[-1])
    moves = int(np.clip(_MOVED_ENTRIES // rows.numel(), 8, _MOVES))
    order = torch.as_tensor(permutations(n, s * moves, seed), device=rows.device).reshape(s, moves, n)
    gram = np.empty((s, moves, s, moves))
    for a in range(s):
        for b in range(a, s):
            block = permuted_products([rows[a : a + 1], rows[b : b + 1]], [order[a], order[b]])[0, :, 0].cpu().numpy()
            gram[a, :, b], gram[b, :, a] = block, block.T
    pick = np.random.default_rng([int(seed), 0x6365696C]).integers(0, moves, size=(N_NULL, s))
    subjects = np.arange(s)
    null = gram[subjects[:, None], pick[:, :, None], subjects[None, :], pick[:, None, :]]
    return _with_others((rows @ rows.T).cpu().numpy()[None])[0], _with_others(null)


def _test_rows(brain: torch.Tensor, method: Comparator) -> torch.Tensor:
    if method.pool == "rms":
        return brain / brain.norm(dim=-1, keepdim=True)
    rows = average_ranks(brain) if method.pool == "rank" else brain
    rows = rows - rows.mean(-1, keepdim=True)
    return rows / rows.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)


def _with_others(gram: np.ndarray) -> np.ndarray:
    """Correlation (P, S) of every row with the sum of the others, from inner products (P, S, S) of unit rows."""
    total = gram.sum(axis=2)
    own = np.diagonal(gram, axis1=1, axis2=2)
    others = total - own
    power = total.sum(axis=1)[:, None] - 2.0 * total + own
    return others / np.sqrt(np.maximum(power, 1e-300))


def split_half(halves: torch.Tensor, masks: np.ndarray | None, method: str | Comparator, seed: int) -> Ceiling:
    """√(Spearman–Brown) of RDMs from two halves of the repeats: `halves` (K, 2, N), one subject.

    `masks` (K, n): with each split of repeats, score within that half of the stimuli and within the other, as a cross-fitted
    score is; None: on all stimuli. A negative reliability gives 0. Tested on the first split, stimuli permuted.
    """
    values = [_half_with_half(pair, None if masks is None else masks[k], method) for k, pair in enumerate(halves)]
    r = max(float(np.mean(values)), 0.0)
    ceiling = np.array([np.sqrt(2.0 * r / (1.0 + r))])
    observed, null = _tested(*_transformed(halves[0], method), seed)
    kind = "√(Spearman–Brown) of split-half RDMs over repeats"
    return Ceiling(ceiling, ceiling, observed[:1], null[:, :1], kind)


def _half_with_half(pair: torch.Tensor, mask: np.ndarray | None, method: str | Comparator) -> float:
    if mask is None:
        return float(compare_rdms(pair[0], pair[1], method))
    values = []
    for keep in (mask, ~mask):
        part = to_vector(to_square(pair)[:, keep][:, :, keep])
        values.append(float(compare_rdms(part[0], part[1], method)))
    return float(np.mean(values))
