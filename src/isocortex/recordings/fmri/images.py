"""Volumes of NIfTI files: read one at a time inside a mask, and label images on the grid of the data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.fmri.events import column_of, read_events
from isocortex.recordings.paths import inside

TOLERANCE = 1e-3  # mm, of affines that are the same
FIRST = 8  # volumes that tell which voxels vary
Prepare = Callable[[np.ndarray], np.ndarray]  # what is done to a volume before voxels are taken from it
UNITS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}


@dataclass(frozen=True)
class Grid:
    """Where voxels lie: shape (3,) and affine (4, 4), voxel indices to mm."""

    shape: tuple[int, ...]
    affine: np.ndarray

    def differs(self, other: Grid) -> str:
        """How `other` differs from this grid, or ''."""
        if self.shape != other.shape:
            return f"{' × '.join(map(str, other.shape))} voxels, expected {' × '.join(map(str, self.shape))}"
        apart = float(np.abs(self.affine - other.affine).max())
        return f"an affine that differs by {apart:.3g} mm, expected at most {TOLERANCE:g}" if apart > TOLERANCE else ""

    def neuroids(self, voxels: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """neuroid_id `i_j_k` and x, y, z (mm) of voxels, by their indices (i, j, k) from 0."""
        index = np.stack(list(voxels), axis=1)
        positions = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        ids = np.asarray(["_".join(map(str, voxel)) for voxel in index.tolist()], dtype=str)
        return {"neuroid_id": ids} | dict(zip("xyz", positions.T, strict=True))

    @property
    def attrs(self) -> dict[str, str]:
        """What a recording says of the volume that its neuroids are voxels of."""
        return {"affine": json.dumps(self.affine.ravel().tolist()), "shape": json.dumps(list(self.shape))}


@dataclass(frozen=True)
class Scan:
    """Volumes `start` to `stop` of a file; `total` volumes are in it; `tr` in seconds, None where the header has none."""

    file: Path
    where: str
    grid: Grid
    start: int
    stop: int
    total: int
    tr: float | None

    def __len__(self) -> int:
        return self.stop - self.start


def _open(file: Path, where: str, *, keep_file_open: bool = False) -> Any:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nibabel.load(file, keep_file_open=keep_file_open)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(f"{where}: {file.name} is not a readable image ({text}); make or fetch the file again") from error
    if not isinstance(image, nibabel.Nifti1Image | nibabel.Nifti1Pair):
        raise DataError(
            f"{where}: {file.name} is no NIfTI volume ({type(image).__name__}); surfaces have adapters of their own"
        )
    return image


def open_scan(place: Mapping[str, Any], root: Path, what: str) -> Scan:
    """The header of a 3D or 4D image {path, volumes: [start, stop] | None}; nothing of its values is read.

    Raises `DataError` for a file that is no NIfTI image, has another number of dimensions, or lacks the volumes.
    """
    where = f"{what} {place['path']}"
    file = inside(root, place["path"], where)
    image = _open(file, where)
    if len(image.shape) not in (3, 4):
        raise DataError(f"{where}: found shape {image.shape}, expected (x, y, z) or (x, y, z, volume); convert the file")
    total = (*image.shape, 1)[3]
    start, stop = place.get("volumes") or (0, total)
    if stop > total:
        raise DataError(
            f"{where}: volumes are {start} to {stop}, expected at most {total}, which the file has; correct volumes"
        )
    seconds = 0.0
    if len(image.shape) == 4:
        seconds = float(image.header.get_zooms()[3]) * UNITS.get(image.header.get_xyzt_units()[1], 1.0)
    grid = Grid(tuple(int(n) for n in image.shape[:3]), np.asarray(image.affine, dtype=np.float64))
    return Scan(file, where, grid, start, stop, total, seconds or None)


def volumes(scan: Scan, start: int, stop: int, prepare: Prepare | None = None) -> Iterator[np.ndarray]:
    """Volumes (x, y, z) float64 of a scan, from its own `start` to `stop`, scaled as the header says.

    One volume is held at a time, of compressed files too: the file stays open, so that the next is read on from where the last
    one ended.
    """
    proxy = _open(scan.file, scan.where, keep_file_open=True).dataobj
    try:
        for number in range(scan.start + start, scan.start + stop):
            values = np.asarray(proxy[..., number] if proxy.ndim == 4 else proxy, dtype=np.float64)
            yield prepare(values) if prepare else values
    except (OSError, EOFError, ValueError) as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(
            f"{scan.where}: the values are not readable, perhaps the file is cut short ({text}); make or fetch the file again"
        ) from error


class Voxels:
    """Reads (start, stop) of a scan to values (stop - start, n_voxels) float32: voxels of a mask, in C order of their indices.

    Successive calls go on in the file where the last one ended, so that a compressed file is unpacked once and never held.
    """

    def __init__(self, scan: Scan, mask: np.ndarray, prepare: Prepare | None = None, scale: float = 1.0) -> None:
        self._scan, self._mask, self._prepare, self._scale = scan, mask, prepare, scale
        self._stream: Iterator[np.ndarray] = iter(())
        self._next = -1

    def __call__(self, start: int, stop: int) -> np.ndarray:
        if start != self._next:
            self._stream = volumes(self._scan, start, len(self._scan), self._prepare)
        result = np.empty((stop - start, int(self._mask.sum())), dtype=np.float32)
        for row in range(stop - start):
            result[row] = next(self._stream)[self._mask] / self._scale
        self._next = stop
        if stop == len(self._scan):
            self._stream, self._next = iter(()), -1  # lets go of the file
        return result


def varying(scan: Scan) -> np.ndarray:
    """Voxels (x, y, z) that differ between the first volumes of a scan; of one volume, that are neither 0 nor NaN."""
    first: np.ndarray | None = None
    found = np.zeros(scan.grid.shape, dtype=bool)
    for volume in volumes(scan, 0, min(FIRST, len(scan))):
        first = volume if first is None else first
        found |= np.isfinite(volume) & (volume != (first if len(scan) > 1 else 0))
    if not found.any():
        raise DataError(f"{scan.where}: no voxel varies, expected some; name another file, or give a mask")
    return found


def on_grid(place: Mapping[str, Any], root: Path, grid: Grid, resample: str, what: str) -> np.ndarray:
    """A mask or label image (x, y, z) on the grid of the data, float64.

    An image on another grid is refused, or with `resample` = nearest takes the value of its nearest voxel. Raises `DataError`
    for another grid, values that are NaN or no whole numbers.
    """
    scan = open_scan(place, root, what)
    if len(scan) != 1:
        raise DataError(f"{scan.where}: found {len(scan)} volumes, expected one; split the file, or name volumes of one region")
    values = next(volumes(scan, 0, 1))
    if not (np.isfinite(values).all() and (values == np.round(values)).all()):
        raise DataError(
            f"{scan.where}: found values that are no whole numbers, expected labels or 0 and 1; threshold the image"
        )
    if not (difference := grid.differs(scan.grid)):
        return values
    if resample != "nearest":
        raise DataError(f"{scan.where}: found {difference}, as the data have; say resample: nearest, or resample the file")
    return _moved(values, scan.grid, grid)


def _moved(values: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    from nibabel import Nifti1Image
    from nilearn.image import resample_to_img
    from nilearn.image.resampling import BoundingBoxError

    goal = Nifti1Image(np.zeros(target.shape, dtype=np.uint8), target.affine)
    image: Any = Nifti1Image(values, source.affine)
    try:
        moved: Any = resample_to_img(image, goal, interpolation="nearest", force_resample=True, copy_header=True)
    except BoundingBoxError:  # nothing of the image lies where the data are
        return np.zeros(target.shape)
    return np.asarray(moved.dataobj, dtype=np.float64)


def read_mask(place: Mapping[str, Any], root: Path, grid: Grid, resample: str) -> np.ndarray:
    """A boolean mask (x, y, z) on the grid of the data; `DataError` where it is empty, or becomes so by resampling."""
    values = on_grid(place, root, grid, resample, "mask") != 0
    if not values.any():
        scan = open_scan(place, root, "mask")
        after = f" on the grid of the data, and {int((next(volumes(scan, 0, 1)) != 0).sum())} on its own"
        raise DataError(
            f"{scan.where}: no voxel is left{after if grid.differs(scan.grid) else ''}, expected some; name another mask"
        )
    return values


def read_labels(place: Mapping[str, Any], root: Path, grid: Grid, resample: str, mask: np.ndarray) -> np.ndarray:
    """The label of each voxel of `mask` as text: its name where there are names, else its number.

    Raises `DataError` for a number other than 0 that the names or the table lack, and where every voxel is 0.
    """
    numbers = on_grid(place, root, grid, resample, "labels")[mask].astype(np.int64)
    where = f"labels {place['path']}"
    if not numbers.any():
        raise DataError(f"{where}: no voxel of the mask has a label, expected some; correct mask or labels")
    names = _names(place, root, where)
    found = np.unique(numbers)
    if names is not None and (unnamed := [int(n) for n in found if n != 0 and int(n) not in names]):
        raise DataError(f"{where}: label {unnamed[0]} has no name ({len(unnamed)} of {len(found)} have none); add it")
    text = {int(n): (names or {}).get(int(n), str(int(n))) for n in found}
    return np.asarray([text[int(n)] for n in numbers], dtype=str)


def _names(place: Mapping[str, Any], root: Path, where: str) -> dict[int, str] | None:
    if place.get("names"):
        return {int(number): str(name) for number, name in place["names"].items()}
    if not (table := place.get("table")):
        return None
    where = f"{where}, table {table['path']}"
    rows = read_events(inside(root, table["path"], where), where)
    numbers = np.asarray(pd.to_numeric(column_of(rows, table["index"], where), errors="coerce"), dtype=np.float64)
    names = column_of(rows, table["name"], where)
    if wrong := np.flatnonzero(numbers != np.round(numbers)).tolist():
        found = rows[table["index"]].iloc[wrong[0]]
        raise DataError(f"{where}: row {wrong[0] + 1} has the index {found!s}, expected a whole number; correct the table")
    return {int(number): str(name) for number, name in zip(numbers, names, strict=True)}
