"""Whole maps of a searchlight with their inference: of one subject, and the mean over subjects of one space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from isocortex.errors import DataError
from isocortex.inference.nulls import permutations
from isocortex.inference.searchlight import Field, Map, flipped_maps, judge, permuted_maps, sign_flips
from isocortex.inference.searchlight_clusters import Clusters, clusters
from isocortex.recordings.grids import Grid, grid_of
from isocortex.similarity.neighbourhoods import Neighbourhoods

# From so many subjects on a mean map speaks of people who were not measured.
POPULATION = 6
# Places of several subjects are one place if their positions agree to so many decimals of a millimetre.
_DECIMALS = 3


@dataclass(frozen=True)
class Plan:
    """How maps are made and tested; names as in the study's `searchlight`."""

    rdm: str = "correlation"
    compare: str = "rho_a"
    correct: str = "max"
    permutations: int = 1000
    seed: int = 0
    cluster_p: float = 0.001
    connectivity: int = 26
    cluster_by: str = "mass"

    @property
    def forming(self) -> float | None:
        """The cluster-forming p, where clusters are asked for."""
        return self.cluster_p if self.correct == "cluster" else None


@dataclass(frozen=True)
class Part:
    """One subject: responses (n, v), positions (v, 3) in mm, neighbourhoods, RDMs of the layers (L, N), and the volume's
    affine (16 numbers) and shape where they are known."""

    responses: torch.Tensor
    coordinates: np.ndarray
    hoods: Neighbourhoods
    layers: torch.Tensor
    affine: tuple[float, ...] | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Result:
    """A map at positions (C, 3), with the neuroid that each place is (−1 in a mean map) and the size of its neighbourhood
    (there its mean over subjects); clusters (None unless asked for), voxels (None where there are none), the null's kind."""

    coordinates: np.ndarray
    neuroids: np.ndarray
    sizes: np.ndarray
    map: Map
    clusters: Clusters | None
    grid: Grid | None
    null_kind: str

    @property
    def corrected(self) -> np.ndarray:
        """Family-wise p (C,): of the place by the largest score, or of its cluster; NaN without a score."""
        if self.clusters is None:
            return self.map.p_max
        return np.where(np.isfinite(self.map.score), self.clusters.p_of_places, np.nan)


def subject_map(part: Part, plan: Plan) -> Result:
    """One subject's map, its null by permuted stimuli. Raises `DataError` where clusters are asked for without a grid."""
    moves = permutations(part.responses.shape[0], plan.permutations, plan.seed)
    places = part.coordinates[part.hoods.centres]
    grid = _grid(places, part, plan)
    found = judge(permuted_maps([Field(part.responses, part.hoods, part.layers, moves)], plan.rdm, plan.compare), plan.forming)
    return Result(places, part.hoods.centres, part.hoods.sizes, found, *_clustered(found, grid, plan, "permute_stimuli"))


def group_map(parts: Sequence[Part], plan: Plan) -> Result:
    """The mean map over subjects whose positions are of one space, at the places that all of them have.

    From six subjects on the null flips the signs of whole subjects, if there are as many flips as the cluster-forming p needs;
    else stimuli are permuted, in all subjects alike. Raises `DataError` where subjects share no place.
    """
    rows = _shared_places(parts)
    hoods = [part.hoods.take(chosen) for part, chosen in zip(parts, rows, strict=True)]
    places = parts[0].coordinates[hoods[0].centres]
    grid = _grid(places, parts[0], plan)
    flips = sign_flips(len(parts), plan.permutations, plan.seed)
    flipped = len(parts) >= POPULATION and (plan.forming is None or plan.forming * (1 + len(flips)) >= 1)
    n_moves = 0 if flipped else plan.permutations
    fields = [
        Field(part.responses, own, part.layers, permutations(part.responses.shape[0], n_moves, plan.seed))
        for part, own in zip(parts, hoods, strict=True)
    ]
    if flipped:
        single = [torch.cat([scores[:, 0] for _, scores in permuted_maps([one], plan.rdm, plan.compare)]) for one in fields]
        blocks, kind = flipped_maps(torch.stack(single), flips), "flip_subjects"
    else:
        blocks, kind = permuted_maps(fields, plan.rdm, plan.compare), "permute_stimuli"
    sizes = np.mean([own.sizes for own in hoods], axis=0)
    found = judge(blocks, plan.forming)
    return Result(places, np.full(len(places), -1), sizes, found, *_clustered(found, grid, plan, kind))


def _clustered(found: Map, grid: Grid | None, plan: Plan, kind: str) -> tuple[Clusters | None, Grid | None, str]:
    groups = None
    if found.peaks is not None and grid is not None:
        groups = clusters(found.peaks, grid, 1 + len(found.largest), plan.connectivity, plan.cluster_by)
    return groups, grid, kind + (", layer chosen anew" if found.layer_score.shape[1] > 1 else "")


def _grid(places: np.ndarray, part: Part, plan: Plan) -> Grid | None:
    grid = grid_of(places, part.affine, part.shape, "searchlight")
    if grid is None and plan.correct == "cluster":
        raise DataError(
            "searchlight: found positions on no regular grid, expected voxels for correct: cluster; "
            "give the recording its affine, or choose correct: max"
        )
    return grid


def _shared_places(parts: Sequence[Part]) -> list[np.ndarray]:
    """Numbers of the neighbourhoods of each subject that stand where every subject has one, in the first one's order."""
    keys = [[tuple(row) for row in np.round(part.coordinates[part.hoods.centres], _DECIMALS) + 0.0] for part in parts]
    numbers = [{key: number for number, key in enumerate(mine)} for mine in keys]
    common = [key for key in keys[0] if all(key in other for other in numbers[1:])]
    if not common:
        raise DataError(
            f"searchlight: found no place that all of {len(parts)} subjects have, expected positions of one space; "
            "resample the recordings to it, or set common_space: false"
        )
    return [np.array([mine[key] for key in common], dtype=np.int64) for mine in numbers]
