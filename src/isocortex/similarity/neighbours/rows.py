"""Mutual neighbours as rows of METRICS: the neighbourhoods of a system, and two of them compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor
from isocortex.errors import DataError
from isocortex.similarity.neighbours.knn import (
    Neighbourhood,
    cosines,
    most_neighbours,
    neighbour_products,
    neighbourhood,
    pair,
    patterns,
    shared_neighbours,
)
from isocortex.similarity.summaries import Summaries, compare_systems

# A kernel's product with itself below this part of its square is none.
_NOTHING = 1e-12


@dataclass(frozen=True)
class MutualNeighbours:
    """Lists of the nearest of each stimulus: a permutation moves their entries, and a comparison reads n × k of them."""

    options: Mapping[str, Any]
    name: str = "mutual_knn"
    fewest: int = 3

    @property
    def permuting(self) -> str:
        """As many entries are read as there are neighbours."""
        return "moderate"

    def of(self, system: Any, rows: np.ndarray) -> Neighbourhood:
        whole = as_tensor(system, dtype=torch.float64)
        x = patterns(whole[torch.as_tensor(rows, device=whole.device)], self.name, self.fewest)
        k = most_neighbours(int(self.options["neighbours"]), len(x))
        return neighbourhood(cosines(x, self.name, self.options.get("clamp")), k)

    def permuted(self, summary: Neighbourhood, order: np.ndarray) -> Neighbourhood:
        return summary.reordered(torch.as_tensor(order, device=summary.index.device))

    def compare(self, first: Sequence[Neighbourhood], second: Sequence[Neighbourhood]) -> np.ndarray:
        return shared_neighbours(first, second).cpu().numpy()


@dataclass(frozen=True)
class AlignedNeighbours(MutualNeighbours):
    """The same lists with cosines, and the length of each system's own kernel."""

    name: str = "cknna"
    fewest: int = 4

    def of(self, system: Any, rows: np.ndarray) -> Neighbourhood:
        found = super().of(system, rows)
        power = float(neighbour_products([found], [found]))
        if power <= _NOTHING * float(found.cosine.square().mean()) / len(found.index):
            raise DataError(
                f"cknna: found {len(found.index)} patterns whose {found.k} nearest are alike in no way, expected some that "
                "are; take fewer neighbours, or leave cknna out"
            )
        return replace(found, length=power**0.5)

    def compare(self, first: Sequence[Neighbourhood], second: Sequence[Neighbourhood]) -> np.ndarray:
        found = neighbour_products(first, second).cpu().numpy()
        lengths = [np.array([s.length for s in systems]) for systems in (first, second)]
        return found / np.outer(*lengths)


def mutual_knn_summaries(options: Mapping[str, Any]) -> Summaries:
    """Mutual neighbours with these options."""
    return MutualNeighbours(options)


def cknna_summaries(options: Mapping[str, Any]) -> Summaries:
    """Kernel alignment of mutual neighbours with these options."""
    return AlignedNeighbours(options)


def mutual_knn(x: Any, y: Any, neighbours: int = 10, clamp: float | None = None) -> float:
    """Mean share of each stimulus's nearest that `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids) have in common.

    Huh et al. 2024, arXiv:2405.07987. Neighbours by cosine, the stimulus itself left out; `neighbours` of them, at most half of
    the other stimuli (9 of 20), so that subsamples of few stimuli have some. Where places are tied, as by copies of a stimulus,
    the value is the expected one of ties broken at random in each system: it minds no order, and that of a system with itself
    is below 1 then. `clamp`: values beyond ± the mean over patterns of that quantile of |x| are set to it first, as the
    authors' pipeline does with 0.95; a study has it not, since layers come as coordinates that are rotated at will.

    Chance is k/(n − 1), which the permutation null takes out. What is left is local: noise changes who the nearest are long
    before it changes the geometry, so that the calibrated value of a right but noisy model is below the 1 of a noiseless one,
    and falls with more stimuli at the same k. Eight dimensions in common with as much noise in each unit of both systems give
    .25, .68 and .86 with 20, 200 and 2000 units and 50 stimuli, .15, .54 and .83 with 200 stimuli: read it beside its ceiling.
    Raises `DataError` for different numbers of stimuli, fewer than three, patterns of zeros and values that are not finite.
    """
    a, b = pair(x, y, "mutual_knn", MutualNeighbours.fewest)
    return compare_systems(mutual_knn_summaries({"neighbours": neighbours, "clamp": clamp}), a, b)


def cknna(x: Any, y: Any, neighbours: int = 10, clamp: float | None = None) -> float:
    """Kernel alignment of the mutual neighbours of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Huh et al. 2024: cosines are kept where a stimulus is among the nearest of another in both systems, and aligned by the
    debiased HSIC (Song et al. 2012), over the root of the same for each system alone, where its own nearest are kept. Their
    estimator minds the order of `x` and `y`, since "among the nearest" is not mutual: this is the mean of both orders, and
    `directed_cknna` one of them. `neighbours`, ties and `clamp` as in `mutual_knn`; 1 of a system with itself, ties or none.

    The cosines count, not their deviations from the mean, so that systems with nothing in common have about the share of
    neighbours that they have by chance, which the permutation null takes out. Noise lowers the calibrated value nearly as it
    does that of `mutual_knn` (.29, .79 and .93 where that has .25, .68 and .86).
    Raises `DataError` as `mutual_knn`, for fewer than four stimuli, and for neighbours that are alike in no way.
    """
    a, b = pair(x, y, "cknna", AlignedNeighbours.fewest)
    return compare_systems(cknna_summaries({"neighbours": neighbours, "clamp": clamp}), a, b)
