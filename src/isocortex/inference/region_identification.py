"""Identification of regions across subjects: whose regions of the other subjects is a held-out subject's region nearest to?

Every statistic sees the same random subsets of stimuli and the same noise, so that their accuracies can be compared in pairs
(Lin & Kriegeskorte, "The topology and geometry of neural representations", 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.inference.resampling import subsamples
from isocortex.similarity.comparators import moments
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.rdm import rdm
from isocortex.similarity.trsa.centroids import products, standardized, without_two
from isocortex.similarity.trsa.identify import identify, nested
from isocortex.similarity.trsa.plane import RankPlane, grid
from isocortex.similarity.trsa.transforms import FAMILIES

LEAST_SUBJECTS, LEAST_STIMULI = 3, 3
NOT_DONE = -1  # of `Identified.correct` and `chosen`: all stimuli without noise are one subset, whatever was asked for


@dataclass(frozen=True)
class Measured:
    """What is identified: RDM vectors (S, R, N) of all stimuli, and the patterns (n, p) behind each where they are known."""

    subjects: Sequence[str]
    regions: Sequence[str]
    stimulus_ids: Sequence[str]
    rdms: torch.Tensor
    patterns: Sequence[Sequence[np.ndarray]] | None = None
    method: str = "correlation"


@dataclass(frozen=True)
class Plan:
    """Numbers of stimuli, standard deviations of noise, subsets per number, and what regions are identified by."""

    sizes: Sequence[int]
    noise: Sequence[float]
    subsets: int
    statistics: Mapping[str, Mapping[str, Any]]
    seed: int = 0


@dataclass(frozen=True)
class Identified:
    """What came of it.

    `correct` (statistic, size, noise, subset, S, R) int8: 1, 0, or NOT_DONE; `without` (statistic, size, noise, subset, S): the
    mean accuracy of the others where a subject is in no centroid either, NaN where not done; `chosen` (statistic, size, noise,
    subset, S) int16: the row of `pairs` (P, 2) whose thresholds were chosen for a held-out subject, or NOT_DONE.
    """

    correct: np.ndarray
    without: np.ndarray
    chosen: np.ndarray
    pairs: np.ndarray


def identify_regions(measured: Measured, plan: Plan) -> Identified:
    """Leave-one-subject-out identification by the nearest region centroid, over subsets of stimuli and levels of noise.

    Raises `DataError` for fewer than two regions or three subjects, and for a subset larger than the stimuli.
    """
    check_plan(measured, plan)
    planes = {name: thresholds(name, options) for name, options in plan.statistics.items()}
    pairs = np.unique(np.concatenate([np.empty((0, 2)), *(p for p in planes.values() if p is not None)]), axis=0)
    shape = (len(planes), len(plan.sizes), len(plan.noise), plan.subsets, len(measured.subjects))
    correct = np.full((*shape, len(measured.regions)), NOT_DONE, dtype=np.int8)
    without, chosen = np.full(shape, np.nan), np.full(shape, NOT_DONE, dtype=np.int16)
    for size, noise, subset, vectors in resampled(measured, plan):
        for row, (name, plane) in enumerate(planes.items()):
            at = (row, size, noise, subset)
            correct[at], without[at], best = identified(name, vectors, plane)
            if plane is not None:
                chosen[at] = _rows_of(plane[best], pairs)
    return Identified(correct, without, chosen, pairs)


def check_plan(measured: Measured, plan: Plan) -> None:
    """Raises `DataError` where nothing can be left out or told apart, or a subset is too large or too small."""
    n, regions, subjects = len(measured.stimulus_ids), measured.regions, measured.subjects
    if len(regions) < 2:
        raise DataError(
            f"identification of regions: found the region {', '.join(regions)}, expected at least 2 to tell apart; add one"
        )
    if len(subjects) < LEAST_SUBJECTS:
        raise DataError(
            f"identification of regions: found {len(subjects)} subjects with every region, expected at least "
            f"{LEAST_SUBJECTS}, because one is left out and thresholds are chosen on the others; add subjects"
        )
    if wrong := [size for size in plan.sizes if not LEAST_STIMULI <= size <= n]:
        raise DataError(
            f"identification of regions: found a subset of {wrong[0]} stimuli, expected {LEAST_STIMULI} to {n}; correct it"
        )


def thresholds(name: str, options: Mapping[str, Any]) -> np.ndarray | None:
    """Pairs (l, u) that a statistic chooses from, (P, 2); None for one that has no thresholds."""
    if name in WHOLE:
        return None
    pairs = np.asarray(grid(options["step"]), dtype=np.float64).reshape(-1, 2)
    if name in FAMILIES:
        pairs = pairs[[FAMILIES[name](lower, upper) for lower, upper in pairs.tolist()]]
    if len(pairs) == 0:
        raise DataError(
            f"identification of regions: found no thresholds of {name} with step {options['step']:g}; take a smaller step"
        )
    return pairs


def _without_scale(vectors: torch.Tensor) -> torch.Tensor:
    """RDMs of mean zero and length one, as Pearson's correlation takes them: subjects differ in the scale of theirs."""
    return moments.pearson(vectors).nan_to_num(nan=0.0)  # an RDM without variance says nothing


WHOLE = {"rsa": _without_scale, "rsa_rank": average_ranks}  # statistics without thresholds: what becomes of RDM vectors
STATISTICS = (*WHOLE, "topology", "geometry", "trsa")  # the first of those asked for is what the others are compared with


def identified(name: str, vectors: torch.Tensor, pairs: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of RDM vectors (S, R, N): whether each is identified (S, R), accuracy without each subject (S,), rows of `pairs` (S,).

    Without a subject, thresholds are those that were chosen with it among the training subjects: what it did to this choice
    is not undone.
    """
    if pairs is None:
        rows = WHOLE[name](vectors)
        return identify(rows).correct, _without_each(_others(rows)), np.empty(0, dtype=np.int64)
    found = nested(vectors, pairs)
    distinct, place = np.unique(found.chosen, return_inverse=True)
    plane = RankPlane(vectors.to(torch.float64), pairs[distinct])
    right = torch.empty((len(vectors), *vectors.shape[:2]), dtype=torch.bool, device=vectors.device)
    for number in range(len(distinct)):
        mine = torch.as_tensor(place == number, device=vectors.device)
        right[:, mine] = _others(plane[slice(number, number + 1)][0])[:, mine]
    return found.correct, _without_each(right), found.chosen


def _others(rows: torch.Tensor) -> torch.Tensor:
    """Whether (S, S, R) of rows (S, R, N): at [s, t, r] region r of subject t is identified with s and t in no centroid."""
    present = torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)
    found = without_two(products(standardized(rows, present, "euclidean"), present, full=True), "euclidean")
    return found == torch.arange(rows.shape[1], device=rows.device)


def _without_each(right: torch.Tensor) -> np.ndarray:
    """Mean accuracies (S,) of the others without each subject, from `_others`."""
    other = ~torch.eye(len(right), dtype=torch.bool, device=right.device)
    return ((right.double().mean(-1) * other).sum(1) / (len(right) - 1)).cpu().numpy()


def _rows_of(chosen: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return (chosen[:, None, :] == pairs[None]).all(-1).argmax(1)


# --- subsets and noise -------------------------------------------------------------------------------------------------


def resampled(measured: Measured, plan: Plan) -> Iterator[tuple[int, int, int, torch.Tensor]]:
    """(size, noise, subset, RDM vectors (S, R, pairs of the subset)), the first three as places in the plan.

    A subset of few stimuli lies inside the subset of more with the same number, and both see the same noise.
    """
    n = len(measured.stimulus_ids)
    places = [pairs_of(subsamples(measured.stimulus_ids, plan.subsets, size, plan.seed), n) for size in plan.sizes]
    for subset in range(plan.subsets):
        noisy = noisy_rdms(measured, plan, subset)
        for noise, level in enumerate(plan.noise):
            vectors = noisy[level] if level > 0 else measured.rdms
            for size, count in enumerate(plan.sizes):
                if subset == 0 or level > 0 or count < n:
                    index = torch.as_tensor(places[size][subset], device=vectors.device)
                    yield size, noise, subset, vectors.index_select(-1, index)


def pairs_of(subsets: np.ndarray, n: int) -> np.ndarray:
    """Places (K, m(m − 1)/2) in an RDM vector of `n` stimuli, for subsets (K, m) of ascending rows."""
    first, second = np.triu_indices(subsets.shape[1], 1)
    i, j = subsets[:, first], subsets[:, second]
    return i * n - i * (i + 1) // 2 + j - i - 1


def noisy_rdms(measured: Measured, plan: Plan, subset: int) -> dict[float, torch.Tensor]:
    """RDM vectors (S, R, N) at each level of noise above zero, the same noise at all levels.

    Gaussian noise goes on the patterns, in units of their standard deviation over stimuli and neuroids; where only RDMs are
    known, on these, in units of the standard deviation of an RDM's entries, and what falls below 0 is set to 0.
    """
    levels = [float(level) for level in plan.noise if level > 0]
    if not levels:
        return {}
    made = torch.stack([
        torch.stack([_noisy(measured, (s, r), np.asarray(levels), [plan.seed, subset]) for r in range(len(measured.regions))])
        for s in range(len(measured.subjects))
    ])  # fmt: skip
    return {level: made[:, :, place] for place, level in enumerate(levels)}


def _noisy(measured: Measured, place: tuple[int, int], levels: np.ndarray, seed: list[int]) -> torch.Tensor:
    """RDM vectors (levels, N) of one subject and region."""
    s, r = place
    rng = np.random.default_rng([*seed, *f"{measured.subjects[s]}\0{measured.regions[r]}".encode()])
    clean = measured.rdms[s, r]
    if measured.patterns is None:
        sd = clean.std(correction=0)
        added = torch.as_tensor(np.multiply.outer(levels, rng.standard_normal(len(clean))), device=clean.device)
        return (clean + sd * added).clamp_min(0.0)
    patterns = measured.patterns[s][r]
    added = np.multiply.outer(levels * patterns.std(), rng.standard_normal(patterns.shape))
    return rdm(torch.as_tensor(patterns + added, device=clean.device), measured.method)
