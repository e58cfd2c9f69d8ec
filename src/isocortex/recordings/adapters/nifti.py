"""fMRI in volumes: NIfTI estimates per trial or condition, runs that a GLM makes estimates of, or time series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.fmri.images import Grid, Prepare, Scan, Voxels, open_scan, read_labels, read_mask, varying
from isocortex.recordings.fmri.presentations import side_by_side
from isocortex.recordings.fmri.runs import VOLUMES, Source, parts_of


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
    prepare = _prepare(spec, grid)
    scale = float(spec.get("scale") or 1) if spec.get("betas") else 1.0
    known, where = stimuli_table["stimulus_id"].astype(str).tolist(), scans[0].where
    sources = [_source(scan, Voxels(scan, mask, prepare, scale)) for scan in scans]
    result = side_by_side(parts_of(spec, root, known, sources, where), int(mask.sum()), known, where)
    labels = {name: read_labels(place, root, grid, resample, mask) for name, place in (spec.get("labels") or {}).items()}
    neuroids = {**grid.neuroids(np.nonzero(mask)), **labels}
    result = result.assign_coords({name: ("neuroid", values) for name, values in neuroids.items()})
    return result.assign_attrs(grid.attrs | ({"space": spec["space"]} if spec.get("space") else {}))


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


def _source(scan: Scan, voxels: Voxels) -> Source:
    return Source(
        scan.where,
        (scan.file,),
        len(scan),
        voxels,
        seconds=scan.tr,
        start=scan.start,
        total=scan.total,
        wording=VOLUMES,
    )
