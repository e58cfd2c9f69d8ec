"""fMRI on cortical surfaces: GIFTI or MGH files of the left and right hemisphere, as estimates or as runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.fmri.presentations import side_by_side
from isocortex.recordings.fmri.runs import parts_of, source_of
from isocortex.recordings.fmri.surfaces import (
    NO_LABEL,
    SPACES,
    Frames,
    open_frames,
    read_colour_table,
    read_labels,
    read_positions,
)
from isocortex.recordings.paths import inside

SIDES = {"left": "L", "right": "R"}


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : {betas | runs: [{left: {path}, right: {path}, session, run, …}], ids, series, glm, space, geometry, mask, labels}.
        `betas` have a frame per trial or condition with `ids`; `runs` have `events` for `glm`, or are series as they are.
        `mask` keeps vertices that are not 0; without it those that are finite and not 0 somewhere in the first file.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read in parts; neuroid_id is L or R and the vertex from 0,
    hemisphere is L or R, x y z in mm are of `geometry`, and every entry of `labels` is a coordinate.

    Raises
    ------
    DataError for a missing hemisphere, another number of vertices, ids that are not known, and what readers find.
    """
    items = spec.get("betas") or spec["runs"]
    sides = _sides(items)
    where = f"surface {items[0][sides[0]]['path']}"
    opened = [{side: _open(item[side]["path"], root) for side in sides} for item in items]
    sizes = {side: opened[0][side].vertices for side in sides}
    for item, frames in zip(items, opened, strict=True):
        _check(item, frames, sizes)
    space = _space(spec.get("space"), sizes, where)
    frames = [_joined(one, items[index], sides) for index, one in enumerate(opened)]
    keep = _kept(spec, root, sizes, frames[0], where)
    neuroids = {name: values[keep] for name, values in _neuroids(spec, root, sizes).items()}
    known, kind = stimuli_table["stimulus_id"].astype(str).tolist(), "estimates" if spec.get("betas") else "run"
    sources = [
        source_of(one, keep, [root / item[side]["path"] for side in sides], f"{kind} {item[sides[0]]['path']}")
        for one, item in zip(frames, items, strict=True)
    ]
    result = side_by_side(parts_of(spec, root, known, sources, where), len(keep), known, where)
    result = result.assign_coords({name: ("neuroid", values) for name, values in neuroids.items()})
    return result.assign_attrs({"space": space} if space else {})


def _sides(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The hemispheres that every file has."""
    sides = [side for side in SIDES if any(item.get(side) for item in items)]
    for number, item in enumerate(items):
        for side in sides:
            if not item.get(side):
                other = next(item[name]["path"] for name in sides if item.get(name))
                raise DataError(
                    f"surface {other}: entry {number} has no {side} hemisphere, which others have; add {side}: {{path: …}}"
                )
    return sides


def _open(path: str, root: Path) -> Frames:
    where = f"surface {path}"
    return open_frames(inside(root, path, where), where)


def _check(item: Mapping[str, Any], frames: Mapping[str, Frames], sizes: Mapping[str, int]) -> None:
    for side, one in frames.items():
        where = f"surface {item[side]['path']}"
        if one.vertices != sizes[side]:
            raise DataError(
                f"{where}: found {one.vertices} vertices, expected {sizes[side]} as in the first file; name one space"
            )
    counts = {one.n for one in frames.values()}
    if len(counts) > 1:
        found = " and ".join(f"{one.n} frames {side}" for side, one in frames.items())
        raise DataError(f"surface {item['left']['path']}: found {found}, expected as many; name files of one run")


def _space(space: str | None, sizes: Mapping[str, int], where: str) -> str | None:
    """The space, as it is said or as numbers of vertices tell."""
    expected = SPACES.get(space or "")
    for side, n in sizes.items():
        if expected not in (None, n):
            fits = next((name for name, size in SPACES.items() if size == n), "no space that is known")
            raise DataError(
                f"{where}: space is {space}, which has {expected} vertices, found {n} on the {side} ({fits}); correct space"
            )
    if space or len(set(sizes.values())) > 1:
        return space
    return next((name for name, size in SPACES.items() if size == next(iter(sizes.values()))), None)


def _joined(frames: Mapping[str, Frames], item: Mapping[str, Any], sides: Sequence[str]) -> Frames:
    """Both hemispheres as one, the left first."""
    first = frames[sides[0]]
    seconds = {frames[side].seconds for side in sides}
    if len(seconds) > 1:
        raise DataError(f"surface {item[sides[0]]['path']}: hemispheres have other repetition times; name files of one run")
    return Frames(
        first.n,
        sum(one.vertices for one in frames.values()),
        lambda start, stop: np.concatenate([frames[side].read(start, stop) for side in sides], axis=1),
        first.names,
        first.seconds,
        whole=any(one.whole for one in frames.values()),
    )


def _kept(spec: Mapping[str, Any], root: Path, sizes: Mapping[str, int], frames: Frames, where: str) -> np.ndarray:
    """Indices of the vertices that are neuroids."""
    if mask := spec.get("mask"):
        inside_mask = ~np.isin(_labels(mask, root, sizes, "mask"), NO_LABEL)
    else:
        inside_mask = np.zeros(frames.vertices, dtype=bool)
        for start in range(frames.n if not frames.whole else 1):
            values = frames.read(start, start + 1 if not frames.whole else frames.n)
            inside_mask |= (np.isfinite(values) & (values != 0)).any(axis=0)
    if not inside_mask.any():
        raise DataError(f"{where}: no vertex is left, expected some; correct mask or the files")
    return np.flatnonzero(inside_mask)


def _labels(place: Mapping[str, Any], root: Path, sizes: Mapping[str, int], what: str) -> np.ndarray:
    """Labels of all vertices, from a file per hemisphere."""
    for side in sizes:
        if not place.get(side):
            raise DataError(f"surface {what}: no {side} hemisphere, which the values have; add {side}: {{path: …}}")
    names = place.get("names")
    if table := place.get("table"):
        where = f"surface {what}"
        names = read_colour_table(inside(root, table["path"], where), where)
    found = []
    for side, n in sizes.items():
        where = f"surface {what}, {side}"
        found.append(read_labels(inside(root, place[side]["path"], where), n, names, where))
    return np.concatenate(found)


def _neuroids(spec: Mapping[str, Any], root: Path, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Coordinates of all vertices."""
    letters = np.repeat([SIDES[side] for side in sizes], list(sizes.values()))
    numbers = np.concatenate([np.arange(n) for n in sizes.values()]).astype(str)
    positions = np.concatenate([_positions(spec, root, side, n) for side, n in sizes.items()])
    coords = {"neuroid_id": np.char.add(letters, numbers), "hemisphere": letters}
    coords |= dict(zip("xyz", positions.T, strict=True))
    return coords | {name: _labels(place, root, sizes, name) for name, place in (spec.get("labels") or {}).items()}


def _positions(spec: Mapping[str, Any], root: Path, side: str, n: int) -> np.ndarray:
    place = (spec.get("geometry") or {}).get(side)
    if not place:
        return np.full((n, 3), np.nan)
    where = f"surface geometry, {side}"
    points = read_positions(inside(root, place["path"], where), where)
    if points.shape != (n, 3):
        raise DataError(f"{where}: {place['path']} has {len(points)} vertices, expected {n}; name a surface of the same space")
    return points
