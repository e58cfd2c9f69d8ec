"""The voxels of a recording: where neuroids lie in a volume, as its affine says or as their positions show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.errors import DataError

# In voxels: positions are written with few digits, and by float32 arithmetic.
TOLERANCE = 0.02
# Positions rounded to a tenth of a millimetre lie on a grid of that spacing, which is none.
LARGEST = 1 << 25


@dataclass(frozen=True)
class Grid:
    """A volume: affine (4, 4) from voxel indices to mm, shape, and the voxel (v, 3) of each neuroid; `given`, or inferred."""

    affine: np.ndarray
    shape: tuple[int, int, int]
    index: np.ndarray
    given: bool

    def volume(self, values: Any) -> np.ndarray:
        """Values (v,) as a float32 volume, 0 where there is none or it is NaN."""
        filled = np.zeros(self.shape, dtype=np.float32)
        filled[tuple(self.index.T)] = np.nan_to_num(np.asarray(values, dtype=np.float64))
        return filled


def grid_of(
    coordinates: np.ndarray, affine: Sequence[float] | None = None, shape: Sequence[int] | None = None, where: str = "recording"
) -> Grid | None:
    """The grid of neuroids at coordinates (v, 3) in mm; None where no affine is given and they lie on none.

    affine : 16 numbers, row by row, as in NIfTI; shape : of the volume, by default as small as holds all neuroids. Without an
    affine, a grid along the axes whose spacings are the smallest steps between positions.
    Raises `DataError` for an affine that is none, and for neuroids off its voxels, outside its shape, or two in one voxel.
    """
    points = np.asarray(coordinates, dtype=np.float64)
    if affine is None:
        return _inferred(points)
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.size != 16 or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix.reshape(4, 4)[:3, :3])) == 0:
        raise DataError(f"{where}: found affine {matrix.ravel().tolist()}, expected 16 numbers of a matrix with an inverse")
    matrix = matrix.reshape(4, 4)
    exact = (points - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    index = np.rint(exact).astype(np.int64)
    off = int((np.abs(exact - index) > TOLERANCE).any(axis=1).sum())
    if off:
        raise DataError(f"{where}: found {off} of {len(points)} neuroids off the voxels of its affine; correct one of them")
    size = tuple(int(n) for n in (index.max(axis=0) + 1 if shape is None else shape))
    outside = int(((index < 0) | (index >= np.asarray(size))).any(axis=1).sum())
    if len(size) != 3 or outside:
        raise DataError(f"{where}: found {outside} neuroids outside a volume of shape {size}; correct x, y, z, affine or shape")
    if twice := len(index) - len(np.unique(index, axis=0)):
        raise DataError(f"{where}: found {twice} neuroids in the voxel of another, expected one each; correct affine")
    return Grid(matrix, (size[0], size[1], size[2]), index, given=True)


def _inferred(points: np.ndarray) -> Grid | None:
    steps = [_step(np.unique(points[:, axis])) for axis in range(3)]
    known = [step for step in steps if step]
    if not known:
        return None
    spacing = np.array([step or min(known) for step in steps])
    origin = points.min(axis=0)
    exact = (points - origin) / spacing
    index = np.rint(exact).astype(np.int64)
    shape = index.max(axis=0) + 1
    if (np.abs(exact - index) > TOLERANCE).any() or float(np.prod(shape.astype(np.float64))) > LARGEST:
        return None
    if len(np.unique(index, axis=0)) < len(index):
        return None
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(affine, (int(shape[0]), int(shape[1]), int(shape[2])), index, given=False)


def _step(values: np.ndarray) -> float:
    """The smallest step between sorted values that is more than rounding; 0 where they are all one."""
    steps = np.diff(values)
    steps = steps[steps > 1e-4 * steps.max(initial=0.0)]
    return float(steps.min(initial=np.inf)) if len(steps) else 0.0
