"""Which neuroids lie in a mask, in labels of an atlas, in spheres, or within bounds of a coordinate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.tables import read_table

Clause = Mapping[str, Any]
AXES = ("x", "y", "z")


def in_places(recording: xr.Dataset, clauses: Sequence[Clause], fitting: np.ndarray, place: str) -> np.ndarray:
    """The neuroids of `fitting` (n,) bool that fit every clause, (n,) bool.

    Parameters
    ----------
    recording : has neuroid coordinates x, y, z (mm), and its attribute `space` where the space is known.
    clauses : {kind: mask, image, threshold, space}, {kind: atlas, image, table: {place, index, name} or None, labels, space},
        {kind: spheres, spheres: [{center (mm), radius (mm), space}]}, {kind: at_least | at_most, bounds: {coordinate: number}};
        `image` and `place` are {file: path}. A space that is None or `any` is not checked.
    place : names region and subject in messages.

    Raises
    ------
    DataError for another or an unknown space, neuroids without positions, a file that is no volume of labels, labels or
    coordinates that there are not.
    """
    kept = fitting.copy()
    for clause in clauses:
        kept &= KINDS[clause["kind"]](recording, clause, place)
    return kept


def told(clauses: Sequence[Clause]) -> str:
    """Clauses in words, for messages."""
    return " and ".join(_WORDS[clause["kind"]](clause) for clause in clauses) or "all of the recording"


def nearest(points: np.ndarray, affine: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The voxels (n, 3) of a volume that points (n, 3) in mm are nearest to, and which lie inside it (n,) bool.

    A point half way between two voxels belongs to the higher, as `nilearn.image.resample_to_img` with interpolation nearest has
    it. Voxels of points outside are 0.
    """
    known = np.asarray(np.isfinite(points).all(axis=1))
    inverse = np.linalg.inv(affine)
    found = np.where(known[:, None], points, 0) @ inverse[:3, :3].T + inverse[:3, 3]
    # Rounded first, so that a half that the affine's inverse has left at .4999999 stays one.
    voxels = np.floor(np.round(found, 6) + 0.5).astype(np.int64)
    within = np.asarray(known & (voxels >= 0).all(axis=1) & (voxels < np.asarray(shape)).all(axis=1))
    return np.where(within[:, None], voxels, 0), within


def _positions(recording: xr.Dataset, spaces: Sequence[str | None], what: str, place: str) -> np.ndarray:
    """Positions (n, 3) in mm, in the space that is asked for."""
    here = str(recording.attrs.get("space", ""))
    for space in spaces:
        if space in (None, "any", here):
            continue
        found = f"the recording is in {here}" if here else "the recording's space is not known"
        raise DataError(
            f"{place}: {what} is in {space}, and {found}, expected the same; take one of the recording's space, or say "
            "space: any if their positions agree"
        )
    points = np.stack([recording[axis].to_numpy().astype(np.float64) for axis in AXES], axis=1)
    if not np.isfinite(points).all(axis=1).any():
        raise DataError(f"{place}: {what} needs positions, and no neuroid has x, y and z; give them to the recording")
    return points


def _values(recording: xr.Dataset, clause: Clause, place: str) -> tuple[np.ndarray, np.ndarray]:
    """The volume's values (n,) at the neuroids, 0 outside it; and all of its values."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    path = Path(clause["image"]["file"])
    points = _positions(recording, [clause.get("space")], path.name, place)
    try:
        image: Any = nibabel.load(path)
        volume, affine = np.asanyarray(image.dataobj), np.asarray(image.affine, dtype=np.float64)
    except FileNotFoundError:
        raise DataError(f"{place}: {path} is missing; put it there, or fetch the data set again") from None
    except (ImageFileError, OSError, EOFError, AttributeError) as error:
        raise DataError(f"{place}: {path} is not readable as a volume ({type(error).__name__}); replace it") from error
    while volume.ndim > 3 and volume.shape[-1] == 1:
        volume = volume[..., 0]
    if volume.ndim != 3:
        raise DataError(f"{place}: {path} has shape {volume.shape}, expected a volume of three dimensions; take one map of it")
    voxels, within = nearest(points, affine, volume.shape)
    values = np.where(within, volume[tuple(voxels.T)], np.nan)  # outside: in no mask and of no label
    return values, volume


def _in_mask(recording: xr.Dataset, clause: Clause, place: str) -> np.ndarray:
    values, volume = _values(recording, clause, place)
    if not (volume > clause["threshold"]).any():
        raise DataError(
            f"{place}: {clause['image']['file']} has no voxel above {clause['threshold']:g}; correct mask or threshold"
        )
    return values > clause["threshold"]


def _in_atlas(recording: xr.Dataset, clause: Clause, place: str) -> np.ndarray:
    values, volume = _values(recording, clause, place)
    numbers = _numbers(clause, place)
    there = np.unique(volume)
    if not np.array_equal(there, np.round(there)):
        raise DataError(
            f"{place}: {clause['image']['file']} holds no whole numbers, expected a label image; use mask, threshold"
        )
    lost = [label for label, found in zip(clause["labels"], numbers, strict=True) if not np.isin(found, there).any()]
    if lost:
        raise DataError(
            f"{place}: {clause['image']['file']} has no voxel of label {lost[0]!r}, expected some; correct labels or table"
        )
    return np.isin(np.round(values), np.concatenate(numbers))


def _numbers(clause: Clause, place: str) -> list[np.ndarray]:
    """The numbers in the image that each label stands for; a label is a name of the table, or else a number."""
    table, names = clause.get("table"), {}
    if table is not None:
        path = Path(table["place"]["file"])
        read = read_table(path, place, dtype={table["name"]: str})
        for column in (table["index"], table["name"]):
            if column not in read.columns:
                raise DataError(f"{place}: {path} has no column {column!r}, found {', '.join(map(str, read.columns))}")
        for name, rows in read.groupby(table["name"])[table["index"]]:
            names[str(name)] = rows.to_numpy(dtype=np.int64)
    found = []
    for label in clause["labels"]:
        if label not in names and (table is not None or not label.isdecimal()):
            known = ", ".join(list(names)[:12]) or "numbers, for the atlas has no table of names"
            raise DataError(f"{place}: the atlas has no label {label!r}, expected some of {known}; correct labels")
        found.append(names[label] if label in names else np.asarray([int(label)]))
    return found


def _in_spheres(recording: xr.Dataset, clause: Clause, place: str) -> np.ndarray:
    spheres = clause["spheres"]
    points = _positions(recording, [sphere.get("space") for sphere in spheres], "a sphere", place)
    inside = [((points - np.asarray(sphere["center"])) ** 2).sum(axis=1) <= sphere["radius"] ** 2 for sphere in spheres]
    return np.logical_or.reduce(inside)


def _bounded(recording: xr.Dataset, clause: Clause, place: str, fits: Callable[..., Any]) -> np.ndarray:
    kept = np.ones(recording.sizes["neuroid"], dtype=bool)
    for name, bound in clause["bounds"].items():
        if name not in recording.coords or recording[name].dims != ("neuroid",):
            known = sorted(str(key) for key, coord in recording.coords.items() if coord.dims == ("neuroid",))
            raise DataError(f"{place}: no neuroid coordinate {name!r}, found {', '.join(known)}; correct {clause['kind']}")
        values = recording[name].to_numpy()
        try:
            numbers = np.asarray([value if value != "" else np.nan for value in values], dtype=np.float64)
        except ValueError:
            raise DataError(
                f"{place}: {clause['kind']}: coordinate {name!r} is text (first {str(values[0])!r}), expected numbers; "
                "use where"
            ) from None
        kept &= fits(numbers, bound)
    return kept


# How each kind of clause is tested: (recording, clause, place) → (n,) bool.
KINDS: Mapping[str, Callable[[xr.Dataset, Clause, str], np.ndarray]] = {
    "mask": _in_mask,
    "atlas": _in_atlas,
    "spheres": _in_spheres,
    "at_least": lambda recording, clause, place: _bounded(recording, clause, place, np.greater_equal),
    "at_most": lambda recording, clause, place: _bounded(recording, clause, place, np.less_equal),
}
_WORDS: Mapping[str, Callable[[Clause], str]] = {
    "mask": lambda clause: f"the mask {Path(clause['image']['file']).name}",
    "atlas": lambda clause: f"{', '.join(clause['labels'])} of {Path(clause['image']['file']).name}",
    "spheres": lambda clause: " or ".join(f"{one['radius']:g} mm around {one['center']}" for one in clause["spheres"]),
    "at_least": lambda clause: ", ".join(f"{name} at least {bound:g}" for name, bound in clause["bounds"].items()),
    "at_most": lambda clause: ", ".join(f"{name} at most {bound:g}" for name, bound in clause["bounds"].items()),
}
