"""Relative representations: stimuli by how like others, the anchors, they are, which two systems can say in the same words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, like_input
from isocortex.errors import DataError
from isocortex.similarity.neighbours.knn import cosines, directions, pair, patterns
from isocortex.similarity.summaries import Summaries, compare_systems
from isocortex.similarity.units import drawn_units

# Two anchors, and three stimuli that are told apart by them.
FEWEST = 5
_COMPARED = 3
# Below this part of what was centred, what is left is rounding.
_ROUNDING = 1e-12
# Cosines that differ by less are tied.
_TIED = 1e-12
_BUDGET = 2.5e8
_ANCHORS = 0x616E63


def relative_representation(x: Any, anchors: Any) -> Any:
    """Cosines (n, m) of patterns `x` (n_stimuli, n_features) with those of the stimuli `anchors` (m,), given by their places.

    Moschella et al. 2023, arXiv:2209.15430. Raises `DataError` for patterns of zeros and values that are not finite.
    """
    unit = directions(patterns(x, "relative", 1), "relative")
    return like_input(unit @ unit[as_tensor(anchors, device=unit.device, dtype=torch.int64)].mT, x)


def mean_cosine(a: Any, b: Any) -> float:
    """Mean cosine of corresponding rows of `a` and `b` (n, m), as they are: far from 0 where all rows are alike."""
    first, second = (directions(z, "relative") for z in pair(a, b, "relative", 1))
    return float((first * second).sum(1).mean())


def mean_reciprocal_rank(a: Any, b: Any) -> float:
    """Mean of 1/rank of the corresponding row of `b` (n, m) among all of its rows by their cosine with each row of `a` (n, m).

    Rows that are as like are not counted as better. 1 where every row finds its own; of unrelated ones ln n / n about.
    """
    first, second = (directions(z, "relative") for z in pair(a, b, "relative", 1))
    near = first @ second.mT
    better = near > near.diagonal()[:, None] + _TIED
    return float((1.0 / (1.0 + better.sum(1).double())).mean())


def _distances(p: float) -> Callable[[torch.Tensor, str], torch.Tensor]:
    def between(x: torch.Tensor, _what: str) -> torch.Tensor:
        return torch.cdist(x, x, p=p, compute_mode="donot_use_mm_for_euclid_dist")

    return between


# What a space of similarities to anchors is made of, (n, n) for all pairs.
SIMILARITIES: dict[str, Callable[[torch.Tensor, str], torch.Tensor]] = {
    "cosine": cosines,
    "euclidean": _distances(2.0),
    "manhattan": _distances(1.0),
    "chebyshev": _distances(float("inf")),
}


@dataclass(frozen=True)
class Spaces:
    """A system's stimuli beside each other: `order` (m,) are those that are compared, in their order; None: all as they came.

    `values` (S, n, n): similarities or distances of all pairs; or, where it is `laid` out, the `profile` of all stimuli, all of
    them anchors: no order changes a mean over all. A part of the stimuli is laid out when it is compared, for a table keeps
    the summaries of many parts.
    """

    values: torch.Tensor
    order: torch.Tensor | None = None
    laid: bool = False


@dataclass
class _Kept:
    """Spaces of whole systems, of which draws take a part; no more of them than fit in the budget."""

    made: dict[int, tuple[Any, torch.Tensor]] = field(default_factory=dict)
    room: float = _BUDGET

    def get(self, system: Any, make: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, bool]:
        """The spaces of a system, and whether they are kept."""
        # The system is kept beside, so that no other has its place in memory.
        if id(system) in self.made:
            return self.made[id(system)][1], True
        found = make()
        size = 8.0 * found.numel()
        fits = size <= self.room
        if fits:
            self.made[id(system)] = (system, found)
            self.room -= size
        return found, fits


@dataclass(frozen=True)
class Relative:
    """Stimuli by their similarities to anchors, each by several of them side by side, and the mean cosine of two systems'."""

    options: Mapping[str, Any]
    name: str = "relative"
    kept: _Kept = field(default_factory=_Kept)

    @property
    def permuting(self) -> str:
        """A matrix of stimuli × anchors for each similarity is permuted."""
        return "moderate" if len(self._similarities) == 1 else "costly"

    @property
    def fewest(self) -> int:
        """Three that are compared, and two anchors."""
        return FEWEST

    @property
    def _similarities(self) -> Sequence[str]:
        return self.options.get("similarities", ("cosine",))

    @property
    def _of_all(self) -> bool:
        return self.options["anchors"] == "auto"

    def of(self, system: Any, rows: np.ndarray) -> Spaces:
        whole, kept = self.kept.get(system, lambda: self._spaces(system))
        if len(rows) < FEWEST:
            raise DataError(f"{self.name}: found {len(rows)} stimuli, expected at least {FEWEST}; take more stimuli")
        chosen = torch.as_tensor(rows, device=whole.device)
        if len(rows) == whole.shape[1]:
            found = Spaces(profile(whole, _diagonal(whole)), laid=True) if self._of_all else Spaces(whole)
        else:
            found = Spaces(whole, chosen) if kept else Spaces(whole[:, chosen[:, None], chosen])
        if not bool(self._profile(found).any()):
            raise DataError(f"{self.name}: found stimuli that are all as like each other, expected some that differ")
        return found

    def _spaces(self, system: Any) -> torch.Tensor:
        x = patterns(system, self.name, FEWEST)
        most = self.options.get("units")
        if most is not None and x.shape[1] > most:
            x = x[:, torch.as_tensor(drawn_units(x.shape[1], most), device=x.device)]
        return torch.stack([SIMILARITIES[similarity](x, self.name) for similarity in self._similarities])

    def permuted(self, summary: Spaces, order: np.ndarray) -> Spaces:
        moved = torch.as_tensor(order, device=summary.values.device)
        return replace(summary, order=moved if summary.order is None else summary.order[moved])

    def compare(self, first: Sequence[Spaces], second: Sequence[Spaces]) -> np.ndarray:
        found = np.empty((len(first), len(second)))
        largest = max(s.values.numel() for s in second)
        for some in batches(len(second), 8.0 * largest, _BUDGET):
            theirs = torch.stack([self._profile(y) for y in second[some]])
            compared = theirs.shape[2]
            for a, x in enumerate(first):
                values = theirs.flatten(1) @ self._profile(x).flatten()
                found[a, some] = (values / compared).cpu().numpy()
        return found

    def _profile(self, spaces: Spaces) -> torch.Tensor:
        values, order = spaces.values, spaces.order
        if spaces.laid:
            return values if order is None else values.index_select(1, order).index_select(2, order)
        order = torch.arange(values.shape[1], device=values.device) if order is None else order
        rows, anchors = (
            order[torch.as_tensor(p, device=order.device)] for p in anchor_places(len(order), self.options["anchors"])
        )
        return profile(values.index_select(1, rows).index_select(2, anchors), rows[:, None] == anchors)


def _diagonal(spaces: torch.Tensor) -> torch.Tensor:
    return torch.eye(spaces.shape[-1], dtype=torch.bool, device=spaces.device)


def profile(spaces: torch.Tensor, itself: torch.Tensor) -> torch.Tensor:
    """Of E stimuli their `spaces` (S, E, m), similarities to m anchors, such that a stimulus's S × m values are of length 1.

    Centred over stimuli for each anchor, and each space by its size, so that none counts for more than another. `itself` (E, m)
    says where a stimulus is its own anchor, as like as can be in any system: left out, and 0. So is what is without direction.
    """
    others = (~itself).sum(0)
    mean = spaces.masked_fill(itself, 0.0).sum(1, keepdim=True) / others
    centred = (spaces - mean).masked_fill(itself, 0.0)
    size = torch.linalg.vector_norm(centred, dim=(1, 2), keepdim=True)
    nothing = size <= _ROUNDING * torch.linalg.vector_norm(spaces, dim=(1, 2), keepdim=True)
    scaled = torch.where(nothing, 0.0, centred / torch.where(nothing, 1.0, size))
    length = torch.linalg.vector_norm(scaled, dim=(0, 2))[:, None]
    return torch.where(length > _ROUNDING, scaled / length.clamp_min(_ROUNDING), 0.0)


def anchor_places(n: int, anchors: str | int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the stimuli that are compared and of their anchors, of n stimuli.

    "auto": all and all. A number: so many anchors drawn at random, the same for every system of n stimuli, and the other
    stimuli; at most n − 3, since three at least are compared. Raises `DataError` for fewer than two.
    """
    if anchors == "auto":
        return np.arange(n), np.arange(n)
    if int(anchors) < 2:
        raise DataError(f"relative: found {anchors} anchors, expected at least 2, or auto")
    order = np.random.default_rng([_ANCHORS, n]).permutation(n)
    most = min(int(anchors), n - _COMPARED)
    return np.sort(order[most:]), np.sort(order[:most])


def relative_summaries(options: Mapping[str, Any]) -> Summaries:
    """Relative representations by cosine with these options."""
    return Relative(options)


def relative_product_summaries(options: Mapping[str, Any]) -> Summaries:
    """Relative representations by several similarities with these options."""
    return Relative(options, "relative_product")


def relative(x: Any, y: Any, anchors: str | int = "auto") -> float:
    """Mean cosine of the relative representations of `x` (n_stimuli, n_features) and `y` (n_stimuli, n_neuroids).

    Moschella et al. 2023, arXiv:2209.15430: a stimulus is the vector of its cosines to anchors, stimuli that are the same for
    both. `anchors` "auto": every other stimulus, so that none is drawn, and the order of stimuli decides nothing; a number:
    so many stimuli by their place, drawn with a fixed seed, and the others compared. Cosines to an anchor are centred over
    stimuli first: those of patterns with a part in common are all alike, and their plain cosine (`mean_cosine` of
    `relative_representation`) is near 1 between systems that have nothing to do with each other. A stimulus's cosine with
    itself, 1 everywhere, is left out.

    Within about .01 of 0 on independent noise, which the null takes out. Noise lowers it where units are few, since a cosine is
    a mean over units: eight dimensions in common with as much noise in each unit of both systems give .40, .87 and .99 with
    20, 200 and 2000 units, of 50 stimuli or 200, where a noiseless model has 1. Its ceiling bounds it, and no more.
    Raises `DataError` for different numbers of stimuli, fewer than five, patterns of zeros, values that are not finite, and
    stimuli that are all alike.
    """
    a, b = pair(x, y, "relative", FEWEST)
    return compare_systems(relative_summaries({"anchors": anchors}), a, b)


def relative_product(
    x: Any,
    y: Any,
    anchors: str | int = "auto",
    similarities: Sequence[str] = ("cosine", "euclidean", "manhattan", "chebyshev"),
    units: int | None = 1000,
) -> float:
    """As `relative`, by several `similarities` of SIMILARITIES side by side, in a product of spaces.

    Cannistraci et al. 2024, arXiv:2310.01211: each similarity does not mind transformations of its own (cosine: rotation and
    length of patterns; euclidean: rotation and translation; manhattan and chebyshev: translation and permutation of units).
    Each space is centred for each anchor and divided by its size, and they are joined; the authors learn how to add them for a
    task, which a comparison does not have. The product does not mind what none of them minds: permutations of units, and a
    scale common to all patterns, which its size takes out. Systems that differ by a rotation have less than 1 therefore.

    Of more than `units` units of either so many are drawn with a fixed seed. Bias and noise as in `relative`.
    Raises `DataError` as `relative`, ValueError for other names.
    """
    unknown = sorted(set(similarities) - set(SIMILARITIES))
    if unknown:
        raise ValueError(f"relative_product: found similarities {unknown}, expected some of {sorted(SIMILARITIES)}")
    options = {"anchors": anchors, "similarities": tuple(similarities), "units": units}
    return compare_systems(relative_product_summaries(options), *pair(x, y, "relative_product", FEWEST))
