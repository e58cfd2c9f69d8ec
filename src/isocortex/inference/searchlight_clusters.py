"""Clusters of a searchlight's map: neighbouring voxels above a threshold, and how large the largest is by chance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from isocortex.inference.searchlight import Peaks, exceeding
from isocortex.recordings.grids import Grid

# Neighbours of a voxel: those that share a face; or an edge; or a corner.
CONNECTIVITY = {6: 1, 18: 2, 26: 3}


@dataclass(frozen=True)
class Clusters:
    """label (C,) : number of the cluster of each place, from 1 by falling weight, 0 outside; weight (K,) and p (K,) of each;
    largest (P,) : the largest weight in each null map, 0 where it has no cluster."""

    label: np.ndarray
    weight: np.ndarray
    p: np.ndarray
    largest: np.ndarray

    @property
    def p_of_places(self) -> np.ndarray:
        """p (C,) of the cluster that a place is in, 1 outside of all."""
        return np.concatenate([[1.0], self.p])[self.label]


def clusters(peaks: Peaks, grid: Grid, n_maps: int, connectivity: int = 26, weigh: str = "mass") -> Clusters:
    """Clusters of the observed map beside the largest of each of `n_maps` − 1 null maps (Bullmore et al. 1999; Nichols &
    Holmes 2002). `grid` has the voxels of all places.

    `weigh`: "size" counts voxels, "mass" adds up by how much each is above its threshold. p is family-wise over the map.
    """
    index = grid.index[peaks.places]
    unit = np.ones(len(index)) if weigh == "size" else peaks.excess
    order = np.argsort(peaks.maps, kind="stable")
    ends = np.searchsorted(peaks.maps[order], np.arange(n_maps + 1))
    largest = np.zeros(n_maps)
    own, weights = np.empty(0, dtype=np.int64), np.empty(0)
    for number, (start, end) in enumerate(pairwise(ends)):
        rows = order[start:end]
        if len(rows) == 0:
            continue
        found = label(index[rows], connectivity)
        total = np.bincount(found, unit[rows])[1:]
        largest[number] = total.max()
        if number == 0:
            own, weights = found, total
    rank = np.argsort(-weights, kind="stable")
    renumbered = np.concatenate([[0], np.argsort(rank) + 1])
    labels = np.zeros(len(grid.index), dtype=np.int64)
    labels[peaks.places[order[: ends[1]]]] = renumbered[own] if len(own) else 0
    return Clusters(labels, weights[rank], exceeding(weights[rank], largest[1:]), largest[1:])


def label(voxels: np.ndarray, connectivity: int) -> np.ndarray:
    """Number of the connected component, from 1, of each voxel (k, 3) of a set; `connectivity` 6, 18 or 26."""
    from scipy.ndimage import generate_binary_structure
    from scipy.ndimage import label as label_volume

    places = voxels - voxels.min(axis=0)
    volume = np.zeros(places.max(axis=0) + 1, dtype=bool)
    volume[tuple(places.T)] = True
    numbered, _ = label_volume(volume, generate_binary_structure(3, CONNECTIVITY[connectivity]))  # type: ignore[misc]
    return np.asarray(numbered)[tuple(places.T)]
