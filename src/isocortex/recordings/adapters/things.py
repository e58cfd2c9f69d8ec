"""THINGS-fMRI (Hebart et al. 2023, doi:10.7554/eLife.82580): single-trial responses of voxels in a pandas table.

Layout (github.com/ViCCo-Group/THINGS-data, MRI/notebooks): `ResponseData` is a frame of voxels × (voxel_id, trial 0, 1, …) in
pandas' fixed format, hence `block0_values` (voxels, trials) float64 and `block1_values` (voxels, 1) the voxel_id. The names of
the columns are pickled and not read: trials are in the order of the table of trials, as its authors use them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.paths import inside
from isocortex.recordings.repeats import repeat_numbers
from isocortex.recordings.shown_stimuli import check_shown, shown
from isocortex.storage.lazy import lazy_response

GROUP = "ResponseData"
POSITION = ("voxel_x", "voxel_y", "voxel_z")
ORDER = ("session", "run", "trial_id")
NUMBERS = ("nc_", "splithalf_", "prf-")  # columns that begin so are numbers, not memberships
SLAB = 1024  # voxels read at a time


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : as `study.adapters.things.ThingsSubject` fills it: rois and files {responses, trials, voxels}.
    root : the data set's folder.
    stimuli_table : the stimulus set; ids are the images' names without suffix (dog_12s).

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read lazily; presentations in the order of session, run and
    trial_id, with coords stimulus_id, repeat, session and run; neuroids are the voxels in any of `rois`, with neuroid_id (the
    voxel_id), a label "1" or "0" per region, noise ceilings (percent), split-half and pRF columns as numbers, and the voxel's
    indices as `voxel_x voxel_y voxel_z`; x y z are NaN, as the affine is in no table.

    Raises
    ------
    DataError for tables without their columns, files that do not fit together, and images that are not in the stimulus set.
    """
    what, files = f"THINGS subject {spec['number']},", spec["files"]
    trials = _trials(files["trials"], root, what)
    ids = trials["stimulus_id"].to_numpy(dtype=str)
    check_shown(ids, stimuli_table, what.rstrip(","))
    every = _voxels(files["voxels"], spec["rois"], root, what)
    member = (every[list(spec["rois"])] > 0).to_numpy()
    rows = np.flatnonzero(member.any(axis=1))
    if not len(rows):
        raise DataError(f"{what} {files['voxels']['path']}: no voxel is in any of rois, expected some; name other columns")
    file = _checked(files["responses"], every["voxel_id"].to_numpy(dtype=np.int64), len(trials), root, what)
    order = trials["row"].to_numpy(dtype=np.int64)
    kept, nowhere = every.iloc[rows], np.full(len(rows), np.nan)
    numbers = [name for name in kept if str(name).startswith(NUMBERS) or name in POSITION]
    labels = {name: np.where(member[rows, k], "1", "0") for k, name in enumerate(spec["rois"])}
    return xr.Dataset(
        {"response": lazy_response((len(ids), len(rows)), lambda at, columns: _read(file, rows[columns], order[at]))},
        coords={
            "stimulus_id": ("presentation", ids),
            "repeat": ("presentation", repeat_numbers(ids)),
            "session": ("presentation", trials["session"].astype(str).to_numpy(dtype=str)),
            "run": ("presentation", trials["run"].to_numpy(dtype=np.int64)),
            "neuroid_id": ("neuroid", kept["voxel_id"].to_numpy(dtype=np.int64).astype(str)),
            **dict.fromkeys(("x", "y", "z"), ("neuroid", nowhere)),
            **{name: ("neuroid", kept[name].to_numpy(dtype=np.float64)) for name in numbers},
            **{name: ("neuroid", values) for name, values in labels.items()},
        },
        attrs={"space": "T1w"},
    )


def _trials(place: Mapping[str, Any], root: Path, what: str) -> pd.DataFrame:
    """The table of trials in the order of time, with `row`, the column of each in the table of responses."""
    table = shown(place, root, what)
    for name in ORDER:
        if name not in table:
            raise DataError(f"{what} {place['path']}: no column {name!r}, found {', '.join(table.columns)}; fetch it again")
    numbers = table[list(ORDER)].apply(pd.to_numeric, errors="coerce")
    if numbers.isna().to_numpy().any():
        raise DataError(
            f"{what} {place['path']}: session, run or trial_id of a trial is no number, expected one; fetch it again"
        )
    table = table.assign(**numbers.astype(np.int64), row=np.arange(len(table)))
    return table.sort_values(list(ORDER), kind="stable", ignore_index=True)


def _voxels(place: Mapping[str, Any], rois: Sequence[str], root: Path, what: str) -> pd.DataFrame:
    where = f"{what} {place['path']}"
    try:
        table = pd.read_csv(inside(root, place["path"], where), sep=None, engine="python")
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(f"{where}: not a readable table ({text}); fetch it again") from error
    # No store takes `LO1 (prf)`, or the backslash and n in `glasser-p9-\n46v`.
    table = table.rename(columns=lambda name: str(name).replace("\\n", "").removesuffix(" (prf)"))
    for name in ("voxel_id", *rois):
        if name not in table:
            raise DataError(f"{where}: no column {name!r}, found {', '.join(map(str, table.columns[:40]))} …; correct rois")
    return table


def _checked(place: Mapping[str, Any], voxels: np.ndarray, n_trials: int, root: Path, what: str) -> Path:
    """The file of responses, found to have these voxels (in their order) and as many trials."""
    import h5py

    where = f"{what} {place['path']}"
    file = inside(root, place["path"], where)
    try:
        with h5py.File(file, "r") as opened:
            blocks: list[Any] = [opened.get(f"{GROUP}/block{k}_values") for k in (0, 1)]
            if any(block is None for block in blocks):
                raise DataError(
                    f"{where}: no {GROUP}/block0_values and block1_values, found {', '.join(opened)}; fetch it again"
                )
            values, ids = blocks[0], np.asarray(blocks[1]).ravel()
            shape = values.shape
    except OSError as error:
        text = " ".join(str(error).split())[:150]
        raise DataError(f"{where}: not readable as HDF5 ({text}); fetch it again") from error
    if shape != (len(voxels), n_trials):
        raise DataError(
            f"{where}: responses have shape {shape}, expected ({len(voxels)}, {n_trials}), voxels × trials of the two tables; "
            "the files are of different subjects"
        )
    if not np.array_equal(ids, voxels):
        raise DataError(f"{where}: its voxel_id differ from those of the table of voxels; the files are of different subjects")
    return file


def _read(file: Path, voxels: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Values (trials, voxels): a slab of voxels at a time, of which only the wanted trials' range is read."""
    import h5py

    result = np.empty((len(trials), len(voxels)), dtype=np.float32)
    if not len(trials):
        return result
    first, last = int(trials.min()), int(trials.max()) + 1
    with h5py.File(file, "r") as opened:
        values: Any = opened[f"{GROUP}/block0_values"]
        for slab in np.unique(voxels // SLAB):
            here = np.flatnonzero(voxels // SLAB == slab)
            start = int(voxels[here].min())
            part = values[start : int(voxels[here].max()) + 1, first:last]
            result[:, here] = part[np.ix_(voxels[here] - start, trials - first)].T
    return result
