"""Values and labels of grayordinates: CIFTI-2 files (dscalar, dtseries, dlabel), read with nibabel's axes.

Format: CIFTI-2 (www.nitrc.org/projects/cifti); rows are maps or time points, columns are vertices and voxels of structures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.recordings.fmri.surfaces import Frames, guarded, named

PREFIX = "CIFTI_STRUCTURE_"


@dataclass(frozen=True)
class Grayordinates:
    """Where columns lie: structure (n,), vertex (n,) or -1, voxel (n, 3) or -1, the voxels' affine (4, 4) or None."""

    structure: np.ndarray
    vertex: np.ndarray
    voxel: np.ndarray
    affine: np.ndarray | None
    n_vertices: dict[str, int]

    @property
    def keys(self) -> list[tuple[int, ...]]:
        """What tells the grayordinates of one structure apart."""
        return [
            (vertex,) if vertex >= 0 else tuple(voxel)
            for vertex, voxel in zip(self.vertex.tolist(), self.voxel.tolist(), strict=True)
        ]


def open_grayordinates(file: Path, where: str) -> tuple[Frames, Grayordinates]:
    """The rows and the columns of a dscalar or dtseries file; rows are read where they are wanted.

    `Frames.names` are the maps' names, `Frames.seconds` the repetition time. Raises `DataError` for another kind of file.
    """
    image, rows = _open(file, where)
    from nibabel.cifti2.cifti2_axes import SeriesAxis

    series = isinstance(rows, SeriesAxis)
    frames = Frames(
        image.shape[0],
        image.shape[1],
        lambda start, stop: guarded(lambda _: np.asarray(image.dataobj[start:stop], dtype=np.float32), file, where),
        () if series else tuple(str(name) for name in rows.name),
        float(rows.step) if series and rows.unit == "SECOND" and rows.step > 0 else None,
        whole=file.name.endswith(".gz"),
    )
    return frames, _columns(image)


def _open(file: Path, where: str) -> tuple[Any, Any]:
    import nibabel
    from nibabel.cifti2.cifti2 import Cifti2Image
    from nibabel.cifti2.cifti2_axes import BrainModelAxis

    image = guarded(nibabel.load, file, where)
    if not isinstance(image, Cifti2Image):
        raise DataError(f"{where}: {file.name} is no CIFTI-2 file, expected .dscalar.nii, .dtseries.nii or .dlabel.nii")
    axes = [image.header.get_axis(index) for index in range(len(image.shape))]
    if len(axes) != 2 or not isinstance(axes[1], BrainModelAxis):
        kinds = " × ".join(type(axis).__name__.removesuffix("Axis").lower() for axis in axes)
        raise DataError(f"{where}: {file.name} has axes {kinds}, expected maps or time × grayordinates; name the dense file")
    return image, axes[0]


def _columns(image: Any) -> Grayordinates:
    axis = image.header.get_axis(1)
    return Grayordinates(
        structure=np.asarray([str(name).removeprefix(PREFIX) for name in axis.name], dtype=str),
        vertex=np.asarray(axis.vertex, dtype=np.int64),
        voxel=np.asarray(axis.voxel, dtype=np.int64),
        affine=None if axis.affine is None else np.asarray(axis.affine, dtype=np.float64),
        n_vertices={str(name).removeprefix(PREFIX): int(count) for name, count in axis.nvertices.items()},
    )


def check_same(found: Grayordinates, expected: Grayordinates, where: str) -> None:
    """A `DataError` that names the first structure in which two files differ."""
    for name in dict.fromkeys([*expected.structure.tolist(), *found.structure.tolist()]):
        ours, theirs = expected.structure == name, found.structure == name
        if ours.sum() != theirs.sum():
            raise DataError(
                f"{where}: {name} has {theirs.sum()} grayordinates, expected {ours.sum()} as in the first file; "
                "name files of one grid"
            )
        same = (found.vertex[theirs] == expected.vertex[ours]).all() and (found.voxel[theirs] == expected.voxel[ours]).all()
        if not same or found.n_vertices.get(name) != expected.n_vertices.get(name) or _moved(found, expected, name):
            raise DataError(f"{where}: {name} has other vertices or voxels than in the first file; name files of one grid")
    if found.structure.tolist() != expected.structure.tolist():
        raise DataError(f"{where}: structures are in another order than in the first file; name files of one grid")


def _moved(found: Grayordinates, expected: Grayordinates, name: str) -> bool:
    """Whether voxels of a structure lie on another grid."""
    if name in expected.n_vertices:
        return False
    return found.affine is None or expected.affine is None or not np.allclose(found.affine, expected.affine, atol=1e-3)


def labels_on(file: Path, grid: Grayordinates, which: str | int | None, where: str) -> np.ndarray:
    """A label (text) per grayordinate of `grid`, from one map of a dlabel file or of a dscalar file of whole numbers.

    Structures that the file lacks get "". `which` is the map's name or its number from 0; needed where there are several.
    Raises `DataError` where a structure of both lies on another surface or voxel grid.
    """
    image, rows = _open(file, where)
    row = _map_index(rows, which, f"{where}: {file.name}")
    numbers = guarded(lambda _: np.asarray(image.dataobj[row : row + 1])[0], file, where)
    numbers = np.where(np.isfinite(numbers), numbers, 0)
    if (numbers != np.round(numbers)).any():
        raise DataError(f"{where}: {file.name} holds fractions, expected whole numbers; threshold it first")
    names = {int(key): str(value[0]) for key, value in rows.label[row].items()} if hasattr(rows, "label") else None
    text = named(numbers.astype(np.int64), names, f"{where}: {file.name}")
    return _onto(text, _columns(image), grid, f"{where}: {file.name}")


def _map_index(rows: Any, which: str | int | None, where: str) -> int:
    names = [str(name) for name in getattr(rows, "name", ["series"])]
    if which is None and len(names) == 1:
        return 0
    if isinstance(which, int) and 0 <= which < len(names):
        return which
    if which in names:
        return names.index(str(which))
    raise DataError(f"{where} has the maps {', '.join(names[:6])}, found map {which!r}; say map: with one of them")


def _onto(text: np.ndarray, own: Grayordinates, grid: Grayordinates, where: str) -> np.ndarray:
    """Labels of the grayordinates `own` on the grayordinates `grid`."""
    shared = [name for name in dict.fromkeys(own.structure.tolist()) if (grid.structure == name).any()]
    if not shared:
        found = ", ".join(dict.fromkeys(own.structure.tolist()))
        raise DataError(f"{where} has {found}, expected a structure of the values; name labels of the same grid")
    result = np.full(len(grid.structure), "", dtype=text.dtype if text.dtype.itemsize else "<U1")
    for name in shared:
        _check_grid(own, grid, name, where)
    place = {(name, *key): index for index, (name, key) in enumerate(zip(own.structure.tolist(), own.keys, strict=True))}
    for index, (name, key) in enumerate(zip(grid.structure.tolist(), grid.keys, strict=True)):
        if name in shared:
            if (name, *key) not in place:
                raise DataError(f"{where} lacks {name} at {key}, which the values have; name labels of the same grid")
            result[index] = text[place[name, *key]]
    return result


def _check_grid(own: Grayordinates, grid: Grayordinates, name: str, where: str) -> None:
    if own.n_vertices.get(name) != grid.n_vertices.get(name):
        raise DataError(
            f"{where} has {name} on a surface of {own.n_vertices.get(name)} vertices, expected {grid.n_vertices.get(name)} "
            "as the values; name labels of the same grid"
        )
    if _moved(own, grid, name):
        raise DataError(f"{where} has {name} on voxels of another affine than the values; name labels of the same grid")
