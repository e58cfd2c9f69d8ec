"""Identification of regions (or layers) across subjects: a subject left out, the nearest of the others' mean RDMs per region.

Lin & Kriegeskorte, "The topology and geometry of neural representations" (2024). Vectors are (S, R, N): subjects, regions and
pairs of stimuli; a cell that was not measured is a row of NaN. An entry that is NaN elsewhere is left out of all, before any
transform. Regions whose centroids are equally near are told apart by their order: the first is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches
from isocortex.errors import DataError
from isocortex.similarity.rdm.vectors import n_stimuli as stimuli_of
from isocortex.similarity.trsa.centroids import DISTANCES, MISSING, products, standardized, without_one, without_two
from isocortex.similarity.trsa.plane import RankPlane, block_bytes, checked_pairs

Statistic = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Identification:
    """`predicted` (S, R) regions, `correct` (S, R) int8 (1, 0), both MISSING (−1) for a cell that was not measured.

    accuracy : over all cells. balanced : mean over subjects of their accuracy. by_subject : (S,), by_region : (R,); NaN without
    a cell.
    """

    predicted: np.ndarray
    correct: np.ndarray
    accuracy: float
    balanced: float
    by_subject: np.ndarray
    by_region: np.ndarray


@dataclass(frozen=True)
class PlaneIdentification:
    """For each of P pairs of thresholds: `accuracy` (P,) over all cells, `predicted` and `correct` (P, S, R) as above."""

    accuracy: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray


@dataclass(frozen=True)
class NestedIdentification(Identification):
    """Identification at thresholds that were chosen without the subject.

    chosen : (S,) rows of the pairs. votes : (P,) subjects that chose each. inner : (S, P) accuracy among the other subjects.
    """

    chosen: np.ndarray
    votes: np.ndarray
    inner: np.ndarray


def identify(vectors: Any, transform: Statistic | None = None, distance: str = "euclidean") -> Identification:
    """Regions of vectors (S, R, N) found from the mean RDMs, over the other subjects, of all regions.

    `transform` maps a tensor of vectors (…, N) to what is compared, each RDM by itself. `distance`: "euclidean", or
    "correlation" (1 − r).
    Raises `DataError` for fewer than two subjects or regions, ValueError for another distance.
    """
    x, present = _checked(vectors, distance)
    made = x if transform is None else _filled(transform, x, present)
    found = without_one(products(standardized(made, present, distance), present), distance)
    return _summary(found, present)


def identify_rows(
    rdms: Any, region: Sequence[Any], subject: Sequence[Any], transform: Statistic | None = None, distance: str = "euclidean"
) -> tuple[Identification, np.ndarray, np.ndarray]:
    """`identify` of rows (M, N) with a region and a subject each, at most one row for both; cells without a row are missing.

    Returns with it the names of subjects (S,) and of regions (R,), in order. Raises `DataError` for a cell with two rows.
    """
    x = as_tensor(rdms, dtype=torch.float64)
    if not len(x) == len(region) == len(subject):
        raise DataError(
            f"identification: found {len(x)} RDMs, {len(region)} regions and {len(subject)} subjects, expected one each per row"
        )
    subjects, s = np.unique(np.asarray(subject), return_inverse=True)
    regions, r = np.unique(np.asarray(region), return_inverse=True)
    cells, copies = np.unique(s * len(regions) + r, return_counts=True)
    if (copies > 1).any():
        twice = int(cells[copies.argmax()])
        raise DataError(
            f"identification: found {copies.max()} RDMs of region {regions[twice % len(regions)]} of subject "
            f"{subjects[twice // len(regions)]}, expected one; average them"
        )
    vectors = x.new_full((len(subjects), len(regions), x.shape[1]), torch.nan)
    vectors[torch.as_tensor(s, device=x.device), torch.as_tensor(r, device=x.device)] = x
    return identify(vectors, transform, distance), subjects, regions


def identify_plane(vectors: Any, pairs: Any, distance: str = "euclidean") -> PlaneIdentification:
    """`identify` of vectors (S, R, N) after rank geo-topological transforms at all of `pairs` (P, 2) of thresholds."""
    x, present = _checked(vectors, distance)
    plane = RankPlane(x, checked_pairs(pairs))
    found = [
        without_one(products(standardized(plane[block], present, distance, small=True), present), distance)
        for block in plane.blocks()
    ]
    predicted = torch.cat(found)
    correct = _correct(predicted)
    accuracy = correct[:, present].double().mean(1)
    return PlaneIdentification(accuracy.cpu().numpy(), predicted.cpu().numpy(), correct.cpu().numpy())


def nested(vectors: Any, pairs: Any, distance: str = "euclidean") -> NestedIdentification:
    """Regions of vectors (S, R, N) found at thresholds chosen from `pairs` (P, 2) without the subject that is left out.

    For subject s the pair with the highest accuracy among the other subjects, each left out in turn of centroids that s is not
    in either; the first of `pairs` among equals (`grid` begins with the widest). Raises `DataError` for fewer than three
    subjects or two regions.
    """
    x, present = _checked(vectors, distance, least=3)
    plane = RankPlane(x, checked_pairs(pairs))
    outer, inner = [], []
    for block in plane.blocks():
        made = products(standardized(plane[block], present, distance, small=True), present, full=True)
        outer.append(without_one(made, distance))
        right = _correct(without_two(made, distance)) == 1  # (p, S, S, R)
        others = present & ~torch.eye(len(present), dtype=torch.bool, device=x.device)[..., None]
        inner.append((right & others).sum((-2, -1)) / others.sum((-2, -1)))
    scores = torch.cat(inner).mT.cpu().numpy()
    chosen = scores.argmax(1)  # the first of equals
    predicted = torch.cat(outer)[torch.as_tensor(chosen, device=x.device), torch.arange(len(x), device=x.device)]
    summary = _summary(predicted, present)
    votes = np.bincount(chosen, minlength=scores.shape[1])
    return NestedIdentification(**vars(summary), chosen=chosen, votes=votes, inner=scores)


def curve(
    vectors: Any,
    n_stimuli: Sequence[int],
    subsets: Any,
    statistics: Sequence[tuple[float, float] | Statistic | None],
    distance: str = "euclidean",
) -> np.ndarray:
    """Whether each cell of vectors (S, R, N) is identified on subsets of stimuli: int8 (statistic, size, subset, S, R).

    `n_stimuli` are sizes. `subsets` (K, ≥ the largest size) are orders of stimuli, of which a size takes the first, so that
    sizes are nested; or a list of arrays (K, size). All statistics see the same subsets, ranked once: a pair of thresholds is
    an RGTM, None the RDM as it is, a function is a transform of vectors (…, pairs).
    Raises `DataError` for an entry that is NaN in a measured cell, and for subsets that do not hold as many stimuli.
    """
    x, present = _checked(vectors, distance)
    n = stimuli_of(as_tensor(vectors).shape[-1])
    if x.shape[-1] < n * (n - 1) // 2:
        raise DataError("identification: found NaN in a measured RDM, expected whole RDMs; leave those stimuli out")
    chosen = [_of_size(subsets, place, size, n) for place, size in enumerate(n_stimuli)]
    pairs = [statistic for statistic in statistics if isinstance(statistic, tuple)]
    result = np.empty((len(statistics), len(chosen), len(chosen[0]), *present.shape), dtype=np.int8)
    for place, drawn in enumerate(chosen):
        entries = torch.as_tensor(_entries(drawn, n), device=x.device)
        for block in batches(len(entries), 32.0 * present.numel() * entries.shape[1], block_bytes(x.device)):
            part = x[..., entries[block]].movedim(2, 0).contiguous()  # (k, S, R, pairs)
            plane = RankPlane(part, checked_pairs(pairs)) if pairs else None
            at = 0
            for row, statistic in enumerate(statistics):
                ranked = isinstance(statistic, tuple)
                if ranked and plane is not None:
                    made, at = plane[slice(at, at + 1)][0], at + 1
                else:
                    made = _filled(statistic, part, present) if callable(statistic) else part
                made = standardized(made, present, distance, small=ranked)
                found = without_one(products(made, present), distance)
                result[row, place, block] = _correct(found).cpu().numpy()
    return result


def _of_size(subsets: Any, place: int, size: int, n: int) -> np.ndarray:
    """Subsets (K, size) of n stimuli, in ascending order."""
    given = np.asarray(subsets[place]) if isinstance(subsets, (list, tuple)) else np.asarray(subsets)[:, :size]
    drawn = np.sort(given, axis=1)
    if size < 2 or drawn.shape[1] != size or drawn.min() < 0 or drawn.max() >= n or (drawn[:, 1:] == drawn[:, :-1]).any():
        raise DataError(
            f"identification: found subsets of {drawn.shape[1]} stimuli for size {size}, expected {size} different ones of {n}"
        )
    return drawn


def _entries(drawn: np.ndarray, n: int) -> np.ndarray:
    """Places (K, m(m − 1)/2) in the vector of an RDM of n stimuli, of ascending subsets (K, m)."""
    first, second = np.triu_indices(drawn.shape[1], 1)
    i, j = drawn[:, first], drawn[:, second]
    return i * n - i * (i + 1) // 2 + j - i - 1


def _checked(vectors: Any, distance: str, least: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (S, R, N) without entries that are NaN in a measured cell, and which cells were measured (S, R)."""
    if distance not in DISTANCES:
        raise ValueError(f"identification: found distance {distance!r}, expected one of {list(DISTANCES)}")
    x = as_tensor(vectors, dtype=torch.float64)
    if x.ndim != 3:
        raise DataError(f"identification: found RDMs of shape {tuple(x.shape)}, expected (subjects, regions, pairs of stimuli)")
    if x.shape[0] < least or x.shape[1] < 2:
        raise DataError(
            f"identification: found {x.shape[0]} subjects and {x.shape[1]} regions, expected at least {least} and 2; add some"
        )
    present = ~x.isnan().all(-1)
    kept = torch.isfinite(x[present]).all(0)
    if not bool(present.any()) or not bool(kept.any()):
        raise DataError("identification: found no pair of stimuli with a value in all RDMs, expected some; leave regions out")
    return x[..., kept], present


def _filled(transform: Statistic, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """`x` (…, S, R, N) transformed where it was measured."""
    made = as_tensor(transform(x[..., present, :]), dtype=torch.float64)
    result = made.new_zeros((*x.shape[:-1], made.shape[-1]))
    result[..., present, :] = made
    return result


def _correct(predicted: torch.Tensor) -> torch.Tensor:
    """Whether regions (…, R) are their own, int8; MISSING where there is no prediction."""
    region = torch.arange(predicted.shape[-1], device=predicted.device)
    return torch.where(predicted == MISSING, MISSING, (predicted == region).to(torch.int8)).to(torch.int8)


def _summary(predicted: torch.Tensor, present: torch.Tensor) -> Identification:
    right = ((_correct(predicted) == 1) & present).double()
    by_subject, by_region = (right.sum(axis) / present.sum(axis) for axis in (1, 0))
    return Identification(
        predicted=predicted.cpu().numpy(),
        correct=_correct(predicted).cpu().numpy(),
        accuracy=float(right.sum() / present.sum()),
        balanced=float(by_subject.nanmean()),
        by_subject=by_subject.cpu().numpy(),
        by_region=by_region.cpu().numpy(),
    )
