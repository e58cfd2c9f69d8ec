"""fMRI in grayordinates: CIFTI-2 files of cortical vertices and subcortical voxels, as estimates or as runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.fmri.grayordinates import Grayordinates, check_same, labels_on, open_grayordinates
from isocortex.recordings.fmri.presentations import side_by_side
from isocortex.recordings.fmri.runs import parts_of, source_of
from isocortex.recordings.fmri.surfaces import NO_LABEL, read_positions
from isocortex.recordings.paths import inside

CORTEX = {"left": "CORTEX_LEFT", "right": "CORTEX_RIGHT"}
ENDS = {"_LEFT": "L", "_RIGHT": "R"}


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : {betas | runs: [{path, session, run, …}], ids, series, glm, structures, mask, labels: {name: {path, map}}, geometry}.
        `betas` are dscalar files with a map per trial or condition, whose names are the stimulus ids unless `ids` says them;
        `runs` are dtseries files with `events` for `glm`, or series as they are. `mask` keeps grayordinates that are not 0.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read in parts; neuroid_id is the structure with the vertex, or with
    the voxel's indices; coords structure and hemisphere (L, R or ""); x y z in mm of voxels, and of vertices by `geometry`.

    Raises
    ------
    DataError for files of different grayordinates, a structure that there is not, and what readers find.
    """
    items = spec.get("betas") or spec["runs"]
    where = f"CIFTI {items[0]['path']}"
    opened = [_open(item["path"], root) for item in items]
    grid = opened[0][1]
    for item, (_, other) in zip(items[1:], opened[1:], strict=True):
        check_same(other, grid, f"CIFTI {item['path']}")
    keep = _kept(spec, root, grid, where)
    known, kind = stimuli_table["stimulus_id"].astype(str).tolist(), "estimates" if spec.get("betas") else "run"
    sources = [
        source_of(frames, keep, [root / item["path"]], f"{kind} {item['path']}")
        for (frames, _), item in zip(opened, items, strict=True)
    ]
    result = side_by_side(parts_of(spec, root, known, sources, where), len(keep), known, where)
    neuroids = _neuroids(spec, root, grid)
    result = result.assign_coords({name: ("neuroid", values[keep]) for name, values in neuroids.items()})
    return result.assign_attrs({"space": spec["space"]} if spec.get("space") else {})


def _open(path: str, root: Path) -> Any:
    where = f"CIFTI {path}"
    return open_grayordinates(inside(root, path, where), where)


def _kept(spec: Mapping[str, Any], root: Path, grid: Grayordinates, where: str) -> np.ndarray:
    """Indices of the grayordinates that are neuroids."""
    chosen = np.ones(len(grid.structure), dtype=bool)
    if wanted := spec.get("structures"):
        known = list(dict.fromkeys(grid.structure.tolist()))
        for name in wanted:
            if name not in known:
                raise DataError(f"{where}: no structure {name}, found {', '.join(known[:8])}; correct structures")
        chosen &= np.isin(grid.structure, wanted)
    if mask := spec.get("mask"):
        chosen &= ~np.isin(_labels(mask, root, grid, "mask"), NO_LABEL)
    if not chosen.any():
        raise DataError(f"{where}: no grayordinate is left, expected some; correct mask or structures")
    return np.flatnonzero(chosen)


def _labels(place: Mapping[str, Any], root: Path, grid: Grayordinates, what: str) -> np.ndarray:
    where = f"CIFTI {what}"
    return labels_on(inside(root, place["path"], where), grid, place.get("map"), where)


def _neuroids(spec: Mapping[str, Any], root: Path, grid: Grayordinates) -> dict[str, np.ndarray]:
    """Coordinates of all grayordinates."""
    names = grid.structure.tolist()
    ids = ["_".join((name, *map(str, key))) for name, key in zip(names, grid.keys, strict=True)]
    sides = [next((letter for end, letter in ENDS.items() if name.endswith(end)), "") for name in names]
    coords = {"neuroid_id": np.asarray(ids), "structure": grid.structure, "hemisphere": np.asarray(sides)}
    coords |= dict(zip("xyz", _positions(spec, root, grid).T, strict=True))
    return coords | {name: _labels(place, root, grid, name) for name, place in (spec.get("labels") or {}).items()}


def _positions(spec: Mapping[str, Any], root: Path, grid: Grayordinates) -> np.ndarray:
    """Positions (n, 3) in mm."""
    positions = np.full((len(grid.structure), 3), np.nan)
    voxels = grid.vertex < 0
    if grid.affine is not None:
        positions[voxels] = grid.voxel[voxels] @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    for side, place in (spec.get("geometry") or {}).items():
        if place is None:
            continue
        where = f"CIFTI geometry, {side}"
        points = read_positions(inside(root, place["path"], where), where)
        expected = grid.n_vertices.get(CORTEX[side])
        if len(points) != expected:
            raise DataError(
                f"{where}: {place['path']} has {len(points)} vertices, expected {expected}; name a surface of the same space"
            )
        here = grid.structure == CORTEX[side]
        positions[here] = points[grid.vertex[here]]
    return positions
