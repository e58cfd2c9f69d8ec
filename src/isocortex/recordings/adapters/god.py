"""Generic Object Decoding (Horikawa & Kamitani 2017, doi:10.1038/ncomms15037): one response per trial, in bdpy files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.bdpy import BData, open_bdata
from isocortex.recordings.paths import inside
from isocortex.recordings.repeats import repeat_numbers
from isocortex.recordings.shown_stimuli import check_shown, image_names
from isocortex.storage.lazy import lazy_response

TYPES = {"training": 1, "test": 2, "imagery": 3}


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : {number, file: {path}, trials: [training, test, imagery]}; the file is `Subject<number>.h5`, whose column `DataType`
        is 1 (training), 2 (test) or 3 (imagery).
    root : the data set's folder.
    stimuli_table : the stimulus set; its ids are ImageNet's names, n01518878_10042 for the `stimulus_id` 1518878.010042.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32, read lazily; presentations in the order of the file, with coords
    stimulus_id, repeat, session (training, test or imagery) and run; neuroids are the columns of `VoxelData`, with x y z in mm
    and a label "1" or "0" for each key `ROI_…`.

    Raises
    ------
    DataError for a file of another form, no trial of the wanted kinds, and images that are not in the stimulus set.
    """
    where = f"GOD subject {spec['number']}, {spec['file']['path']}"
    data = open_bdata(inside(root, spec["file"]["path"], where), where)
    kinds = data.column("DataType")
    rows = np.flatnonzero(np.isin(kinds, [TYPES[name] for name in spec["trials"]]))
    if not len(rows):
        raise DataError(f"{where}: no trial of {', '.join(spec['trials'])}, expected some; correct trials")
    ids = np.asarray(image_names(data.column("stimulus_id")[rows]), dtype=str)
    check_shown(ids, stimuli_table, where)
    voxels = data.columns("VoxelData")
    names = {code: name for name, code in TYPES.items()}
    return xr.Dataset(
        {"response": lazy_response((len(rows), len(voxels)), lambda at, columns: _read(data, rows[at], voxels[columns]))},
        coords={
            "stimulus_id": ("presentation", ids),
            "repeat": ("presentation", repeat_numbers(ids)),
            "session": ("presentation", np.asarray([names[int(kind)] for kind in kinds[rows]], dtype=str)),
            "run": ("presentation", data.column("Run")[rows].astype(np.int64)),
            "neuroid_id": ("neuroid", np.arange(len(voxels)).astype(str)),
            **{name: ("neuroid", values) for name, values in _neuroids(data, voxels).items()},
        },
    )


def _read(data: BData, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    start, stop = (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)
    return data.read(start, stop, columns)[rows - start]


def _neuroids(data: BData, voxels: np.ndarray) -> dict[str, np.ndarray]:
    """Positions (NaN where the file has none) and membership of regions."""
    nowhere = np.full(len(data.metadata["VoxelData"]), np.nan)
    found = {axis: data.metadata.get(f"voxel_{axis}", nowhere)[voxels] for axis in "xyz"}
    regions = {key.removeprefix("ROI_"): values for key, values in data.metadata.items() if key.startswith("ROI_")}
    return found | {name: np.where(values[voxels] == 1, "1", "0") for name, values in regions.items()}
