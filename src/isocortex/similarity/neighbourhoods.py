"""Which neuroids lie around which: the neighbourhoods that a searchlight looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.errors import DataError

# Coordinates are often float32: a neuroid at the radius itself is inside, whatever the rounding of its distance.
_ROUNDING = 1e-6
_CHUNK = 4096  # points whose neighbours are asked for at once: the answers are lists of Python integers


@dataclass(frozen=True)
class Neighbourhoods:
    """Around neuroid `centres[c]` lie the neuroids `members[starts[c]:starts[c + 1]]`, ascending, itself among them.

    centres : (C,); starts : (C + 1,); members : (M,); int64 all.
    """

    centres: np.ndarray
    starts: np.ndarray
    members: np.ndarray

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def sizes(self) -> np.ndarray:
        """Neuroids of each neighbourhood (C,)."""
        return np.diff(self.starts)

    def take(self, rows: np.ndarray) -> Neighbourhoods:
        """Some of the neighbourhoods, by their numbers (or a mask), in that order."""
        rows = np.arange(len(self))[rows]
        padded, sizes = self.padded(rows, -1), self.sizes[rows]
        return Neighbourhoods(self.centres[rows], _starts(sizes), padded[padded >= 0])

    def padded(self, rows: np.ndarray, fill: int) -> np.ndarray:
        """Members (len(rows), largest) of some neighbourhoods, `fill` where there are fewer."""
        sizes = self.sizes[rows]
        place = np.arange(int(sizes.max(initial=0)))
        index = np.minimum(self.starts[rows][:, None] + place, len(self.members) - 1)
        return np.where(place < sizes[:, None], self.members[index], fill)


def neighbourhoods(
    coordinates: Any, radius: float | None = None, *, nearest: int | None = None, min_neuroids: int = 1
) -> Neighbourhoods:
    """Neighbourhoods of neuroids at `coordinates` (v, 3): all within `radius` (in the coordinates' unit, mm), or the `nearest`.

    A neuroid at the radius itself is inside. Of several neuroids as far as the last of the nearest, those that stand first
    are taken. Neighbourhoods of fewer than `min_neuroids` are left out.
    Raises `DataError` for coordinates that are not (v, 3) or not finite, and where no neighbourhood is left; `ValueError`
    unless exactly one of radius and nearest is given, and positive.
    """
    points = np.asarray(coordinates, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
        raise DataError(f"searchlight: found coordinates of shape {points.shape}, expected (n_neuroids, 3)")
    missing = int((~np.isfinite(points)).any(axis=1).sum())
    if missing:
        raise DataError(
            f"searchlight: found {missing} of {len(points)} neuroids without a position, expected x, y and z of all; "
            "give the recording neuroid: {x: {key: …}, y: {key: …}, z: {key: …}}"
        )
    if (radius is None) == (nearest is None) or (radius or nearest or 0) <= 0:
        raise ValueError(f"searchlight: found radius {radius} and nearest {nearest}, expected one of them, above 0")
    sizes, members = zip(*_around(points, radius, nearest), strict=True)
    all_sizes, all_members = np.concatenate(sizes), np.concatenate(members)
    found = Neighbourhoods(np.arange(len(points)), _starts(all_sizes), all_members)
    large = all_sizes >= min_neuroids
    if not large.any():
        raise DataError(
            f"searchlight: found at most {int(all_sizes.max())} neuroids in a neighbourhood, expected {min_neuroids}; "
            "take a larger radius, or a smaller min_neuroids"
        )
    return found if large.all() else found.take(large)


def _starts(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _around(points: np.ndarray, radius: float | None, nearest: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sizes and members of consecutive neuroids' neighbourhoods."""
    from scipy.spatial import KDTree  # a tenth of a second to import

    tree = KDTree(points)
    for start in range(0, len(points), _CHUNK):
        here = points[start : start + _CHUNK]
        if nearest is None:
            reach = np.full(len(here), float(radius or 0.0))
        else:
            last = min(nearest, len(points))
            reach = np.reshape(tree.query(here, k=last)[0], (len(here), -1))[:, -1]
        lists = tree.query_ball_point(here, reach * (1 + _ROUNDING), return_sorted=True)
        sizes = np.array([len(one) for one in lists], dtype=np.int64)
        members = np.concatenate([np.asarray(one, dtype=np.int64) for one in lists])
        if nearest is not None:
            sizes, members = _first(here, points, sizes, members, nearest)
        yield sizes, members


def _first(
    here: np.ndarray, points: np.ndarray, sizes: np.ndarray, members: np.ndarray, nearest: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `nearest` members of each neighbourhood, the first in order among those as far; in ascending order again."""
    owner = np.repeat(np.arange(len(here)), sizes)
    distance = np.linalg.norm(points[members] - here[owner], axis=1)
    scale = float(distance.max()) or 1.0
    order = np.lexsort((members, np.round(distance / (scale * _ROUNDING)), owner))
    rank = np.arange(len(order)) - np.repeat(_starts(sizes)[:-1], sizes)
    kept = np.sort(order[rank < nearest])  # a sorted selection is by owner, then by member
    return np.minimum(sizes, nearest), members[kept]
