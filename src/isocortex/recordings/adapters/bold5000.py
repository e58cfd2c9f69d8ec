"""BOLD5000, release 2 (Chang et al. 2019, doi:10.1038/s41597-019-0052-3): trials × voxels of ten regions, in NPY files."""

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
from isocortex.storage.arrays import open_array
from isocortex.storage.lazy import lazy_response

TRIALS = 37  # of a run


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject.

    Parameters
    ----------
    spec : as `study.adapters.bold5000.Bold5000Subject` fills it: files {trials, rois: {LHEarlyVis: {path}}} and `runs`,
        how many runs each session has, or None.
    root : the data set's folder.
    stimuli_table : the stimulus set; ids are the images' names without suffix and `rep_`.

    Returns
    -------
    Dataset with `response` (presentation, neuroid) float32 in percent signal change, read lazily; presentations in the order of
    `<name>_imgnames.txt`, with coords stimulus_id, repeat, session (01 …, or '') and run (from 1, of the session or of all);
    neuroids have neuroid_id, `roi`, `hemisphere` and no position. A voxel in two regions is there twice: the files do not say
    which it is.

    Raises
    ------
    DataError for files that do not fit together, and images that are not in the stimulus set.
    """
    where = f"BOLD5000 {spec['name']},"
    ids = shown(spec["files"]["trials"], root, where)["stimulus_id"].to_numpy(dtype=str)
    check_shown(ids, stimuli_table, where.rstrip(","))
    arrays = {roi: _array(place, root, len(ids), where) for roi, place in spec["files"]["rois"].items()}
    sizes = [array.shape[1] for array in arrays.values()]
    names = np.repeat(list(arrays), sizes)
    session, run = _runs(len(ids), spec.get("runs"), where)
    nowhere = np.full(len(names), np.nan)
    return xr.Dataset(
        {"response": lazy_response((len(ids), len(names)), lambda rows, columns: _read(list(arrays.values()), rows, columns))},
        coords={
            "stimulus_id": ("presentation", ids),
            "repeat": ("presentation", repeat_numbers(ids)),
            "session": ("presentation", session),
            "run": ("presentation", run),
            "neuroid_id": (
                "neuroid",
                np.asarray(_numbered(arrays)),
            ),
            "roi": ("neuroid", np.asarray([name[2:] for name in names], dtype=str)),
            "hemisphere": ("neuroid", np.asarray([name[0] for name in names], dtype=str)),
            **dict.fromkeys(("x", "y", "z"), ("neuroid", nowhere)),
        },
    )


def _array(place: Mapping[str, Any], root: Path, n: int, where: str) -> Any:
    where = f"{where} {place['path']}"
    array = open_array(inside(root, place["path"], where))
    if len(array.shape) != 2 or array.shape[0] != n or array.dtype.kind != "f":
        raise DataError(
            f"{where}: found {array.dtype} {array.shape}, expected numbers ({n}, voxels), a row per line of the list of "
            "images; the files are of different subjects or releases"
        )
    return array


def _numbered(arrays: Mapping[str, Any]) -> list[str]:
    return [f"{roi}-{k}" for roi, array in arrays.items() for k in range(array.shape[1])]


def _read(arrays: Sequence[Any], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    found = [np.asarray(array[int(rows.min()) : int(rows.max()) + 1], dtype=np.float32) for array in arrays if len(rows)]
    return np.concatenate(found, axis=1)[np.ix_(rows - rows.min(), columns)] if found else np.empty((0, len(columns)))


def _runs(n: int, runs: Sequence[int] | None, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Session and run of each trial: 37 trials are a run."""
    if n % TRIALS:
        raise DataError(f"{where} list of images: found {n} trials, expected a multiple of {TRIALS}; the list is cut short")
    total = n // TRIALS
    if runs is not None and sum(runs) != total:
        raise DataError(f"{where} runs: found {sum(runs)} in all, expected {total} ({n} trials of {TRIALS}); correct runs")
    counts = runs or [total]
    names = [f"{place:02d}" if runs else "" for place, count in enumerate(counts, 1) for _ in range(count)]
    numbers = [run for count in counts for run in range(1, count + 1)]
    return np.repeat(np.asarray(names, dtype=str), TRIALS), np.repeat(np.asarray(numbers, dtype=np.int64), TRIALS)
