"""fMRI in volumes: NIfTI estimates per trial or condition, runs that a GLM makes estimates of, or time series."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.fmri.events import (
    check_within,
    clean_confounds,
    clean_events,
    events_of_volumes,
    labels_of_volumes,
    read_table,
)
from isocortex.recordings.fmri.glm import estimates, presentations
from isocortex.recordings.fmri.images import Grid, Prepare, Scan, Voxels, open_scan, read_labels, read_mask, varying
from isocortex.recordings.fmri.presentations import Part, side_by_side
from isocortex.recordings.paths import inside


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : {betas, scale | runs, glm | runs, series; smoothing, mask, labels, resample, space}. `betas`: files with a volume per
        trial or condition, whose values are divided by `scale`. `runs`: {bold, events, confounds, session, run, tr}, of which
        `glm` makes estimates, or whose samples are stimuli of their own, in the order of the stimulus table (`series`).
        `smoothing` is the full width at half maximum in mm. Neuroids are the voxels of `mask`, else those that vary in the
        first file; every image of `labels` is a coordinate of neuroids.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read run by run; neuroid_id `i_j_k` (voxel indices from 0), x y z
    in mm by the affine; attrs affine, shape, space.

    Raises
    ------
    DataError for files of different grids, and whatever the readers of images, events and confounds refuse.
    """
    places = spec.get("betas") or [run["bold"] for run in spec["runs"]]
    scans = [open_scan(place, root, "betas" if spec.get("betas") else "run") for place in places]
    grid = _common_grid(scans)
    resample = spec.get("resample") or "refuse"
    mask = read_mask(spec["mask"], root, grid, resample) if spec.get("mask") else varying(scans[0])
    make = _betas if spec.get("betas") else _series if spec.get("series") else _estimated
    parts = make(spec, root, scans, mask, stimuli_table["stimulus_id"].astype(str).tolist())
    result = side_by_side(parts, int(mask.sum()), stimuli_table["stimulus_id"].astype(str).tolist(), scans[0].where)
    labels = {name: read_labels(place, root, grid, resample, mask) for name, place in (spec.get("labels") or {}).items()}
    neuroids = {**voxel_coordinates(mask, grid), **labels}
    attrs = {"affine": json.dumps(grid.affine.ravel().tolist()), "shape": json.dumps(list(grid.shape))}
    result = result.assign_coords({name: ("neuroid", values) for name, values in neuroids.items()})
    return result.assign_attrs(attrs | ({"space": spec["space"]} if spec.get("space") else {}))


def voxel_coordinates(mask: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """neuroid_id and x, y, z (mm) of the voxels of `mask` (x, y, z), in C order of their indices."""
    voxels = np.argwhere(mask)
    positions = voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    ids = np.asarray(["_".join(map(str, voxel)) for voxel in voxels.tolist()], dtype=str)
    return {"neuroid_id": ids} | dict(zip("xyz", positions.T, strict=True))


def _common_grid(scans: Sequence[Scan]) -> Grid:
    """The grid of all files; a `DataError` that names the first that differs."""
    for scan in scans[1:]:
        if difference := scans[0].grid.differs(scan.grid):
            raise DataError(f"{scan.where}: found {difference}, as {scans[0].file.name} has; resample the files to one grid")
    return scans[0].grid


def _prepare(spec: Mapping[str, Any], grid: Grid) -> Prepare | None:
    """What is done to each volume before voxels are taken from it."""
    if not (width := spec.get("smoothing")):
        return None
    from nibabel import Nifti1Image
    from nilearn.image import smooth_img

    def smoothed(volume: np.ndarray) -> np.ndarray:
        image: Any = smooth_img(Nifti1Image(volume, grid.affine), width)
        return np.asarray(image.dataobj, dtype=np.float64)

    return smoothed


def _of(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"session": str(item.get("session") or ""), "run": int(item.get("run") or 0)}


def _betas(spec: Mapping[str, Any], root: Path, scans: Sequence[Scan], mask: np.ndarray, _: list[str]) -> list[Part]:
    prepare, scale = _prepare(spec, scans[0].grid), float(spec.get("scale") or 1)
    return [
        Part(_ids(item, root, scan), Voxels(scan, mask, prepare, scale), **_of(item))
        for item, scan in zip(spec["betas"], scans, strict=True)
    ]


def _ids(item: Mapping[str, Any], root: Path, scan: Scan) -> np.ndarray:
    """The stimulus id of each volume."""
    if item.get("stimulus_id") is not None:
        return np.full(len(scan), item["stimulus_id"])
    place = item["ids"]
    if place.get("value") is not None:
        return np.full(len(scan), place["value"])
    ids = as_text(read_array(root, place["path"], place.get("key") or place.get("column"), f"{scan.where}, ids"))
    ids = ids[scan.start : scan.stop] if ids.shape == (scan.total,) else ids
    if ids.shape != (len(scan),):
        raise DataError(f"{scan.where}: ids have shape {ids.shape}, expected ({len(scan)},), one id per volume; correct ids")
    return ids


def _series(spec: Mapping[str, Any], _: Path, scans: Sequence[Scan], mask: np.ndarray, known: list[str]) -> list[Part]:
    """Each volume is a stimulus of its own, in the order of the table, run by run."""
    ids, counts = np.asarray(known, dtype=str), [len(scan) for scan in scans]
    if sum(counts) != len(ids):
        raise DataError(
            f"{scans[0].where}: {len(scans)} runs have {sum(counts)} volumes, expected {len(ids)}, one per stimulus; "
            "correct runs or stimuli"
        )
    prepare, shown = _prepare(spec, scans[0].grid), np.split(ids, np.cumsum(counts)[:-1])
    items = zip(spec["runs"], scans, shown, strict=True)
    return [Part(mine, Voxels(scan, mask, prepare), **_of(item)) for item, scan, mine in items]


def _estimated(spec: Mapping[str, Any], root: Path, scans: Sequence[Scan], mask: np.ndarray, known: list[str]) -> list[Part]:
    prepare = _prepare(spec, scans[0].grid)
    return [
        _estimated_run(item, spec["glm"], root, scan, Voxels(scan, mask, prepare), set(known))
        for item, scan in zip(spec["runs"], scans, strict=True)
    ]


def _estimated_run(
    item: Mapping[str, Any],
    glm: Mapping[str, Any],
    root: Path,
    scan: Scan,
    read: Callable[[int, int], np.ndarray],
    known: set[str],
) -> Part:
    """The estimates of a run, which is read when they are wanted."""
    tr = item.get("tr") or scan.tr
    if not tr:
        raise DataError(
            f"{scan.where}: the header has no repetition time, expected seconds between volumes; say tr: of the run"
        )
    events = _events(item["events"], glm, root, scan, float(tr))
    strange = [name for name in events["trial_type"] if name not in known]
    if strange:
        raise DataError(
            f"{scan.where}: event {strange[0]!r} is no stimulus of the set ({len(strange)} of {len(events)} events are none); "
            "add it to glm: leave_out, or to the stimuli"
        )
    confounds = _confounds(item, root, scan)
    shown = presentations(events, glm["model"])["trial_type"].to_numpy(dtype=str)

    def estimated(start: int, stop: int) -> np.ndarray:
        return estimates(read(0, len(scan)), events, float(tr), glm, confounds, scan.where)[start:stop]

    return Part(shown, estimated, **_of(item), whole=True)


def _events(place: Mapping[str, Any], glm: Mapping[str, Any], root: Path, scan: Scan, tr: float) -> pd.DataFrame:
    where = f"{scan.where}, events {place['path']}"
    file, separator = inside(root, place["path"], where), place.get("separator")
    column, leave_out = place.get("column") or "trial_type", glm.get("leave_out") or []
    if place.get("per") == "volume":
        labels = labels_of_volumes(file, where, column, separator)
        labels = labels[scan.start : scan.stop] if len(labels) == scan.total else labels
        if len(labels) != len(scan):
            raise DataError(
                f"{where}: found {len(labels)} rows, expected {len(scan)}, one per volume; name the table of this run"
            )
        return events_of_volumes(labels, tr, where, leave_out)
    events = clean_events(read_table(file, where, separator), where, column, leave_out)
    check_within(events, len(scan), tr, where)
    return events


def _confounds(item: Mapping[str, Any], root: Path, scan: Scan) -> pd.DataFrame | None:
    if not (place := item.get("confounds")):
        return None
    where = f"{scan.where}, confounds {place['path']}"
    return clean_confounds(read_table(inside(root, place["path"], where), where), place["columns"], len(scan), where)
