"""Two-photon sessions of the Allen Brain Observatory (NWB 1, as the AllenSDK has them): dF/F after natural scenes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text
from isocortex.recordings.neural.bins import bin_edges, check_width, for_samples, mean_in_bins, time_coords
from isocortex.recordings.neural.presentations import Presentations, identify, in_order
from isocortex.recordings.neural.sorted_times import SortedTimes
from isocortex.recordings.paths import inside
from isocortex.storage.lazy import Read, lazy_response

PIPELINE = "processing/brain_observatory_pipeline"
TRACES = f"{PIPELINE}/DfOverF/imaging_plane_1"
CELLS = f"{PIPELINE}/ImageSegmentation/cell_specimen_ids"
SCENES = "stimulus/presentation/natural_scenes_stimulus"
PLANE = "general/optophysiology/imaging_plane_1"
BLANK = -1


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one session.

    Parameters
    ----------
    spec : {path, window: [start, end], bin, baseline: [start, end]}, seconds after an image appears. Of the file are read: dF/F
        (cells, frames) and its timestamps; cell_specimen_ids; the image of each presentation (-1 is a blank, left out) and
        `frame_duration` (presentations, 2), the frames of dF/F at which it starts and ends, from 0.
    root : the data set's folder.
    stimuli_table : the stimulus set; an image's number is its id, with leading zeros or without.

    Returns
    -------
    Dataset with `response` (presentation, neuroid[, time]) float32: mean dF/F in the window, or in bins of it, less the mean in
    the baseline; read from the file when it is indexed. Neuroids have neuroid_id (specimen), area, depth and no position. NaN
    where the session ended before.

    Raises
    ------
    DataError for a session without natural scenes, arrays of other shapes, timestamps that do not rise, unknown images.
    """
    where = f"session {spec['path']}"
    file = inside(root, spec["path"], where)
    edges = bin_edges(spec["window"], spec["bin"])
    with _opened(file, where) as content:
        times, n_cells = _clock(content, edges, where)
        shown = _shown(content, times, spec, stimuli_table, where)
        cells = _cells(content, n_cells, where)
    shape = (len(shown.onset), n_cells, len(edges) - 1)
    read = _reader(file, times, shown.onset, edges, spec["baseline"])
    if spec["bin"] is None:
        response, time = lazy_response(shape[:2], lambda rows, columns: read(rows, columns)[:, :, 0]), {}
    else:
        response, time = lazy_response(shape, read), time_coords(edges)
    return xr.Dataset(
        {"response": response},
        coords={**shown.coords(), **{name: ("neuroid", values) for name, values in cells.items()}, **time},
        attrs={"over_time": "mean"} if time else {},
    )


def _opened(file: Path, where: str) -> AbstractContextManager[Any]:
    import h5py

    try:
        return h5py.File(file, "r")
    except OSError as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {file.name} is not readable as HDF5 ({text}); fetch the file again") from error


def _array(content: Any, path: str, where: str) -> Any:
    if path not in content:
        advice = "choose a session that shows natural scenes (three_session_B)" if path.startswith(SCENES) else "fetch it again"
        raise DataError(f"{where}: found no {path}, expected it in a two-photon session of the Brain Observatory; {advice}")
    return content[path]


def _clock(content: Any, edges: np.ndarray, where: str) -> tuple[np.ndarray, int]:
    """The time of each frame (n_frames,), seconds, and the number of cells."""
    times = np.asarray(_array(content, f"{TRACES}/timestamps", where)[:], dtype=np.float64)
    shape = _array(content, f"{TRACES}/data", where).shape
    if len(shape) != 2 or shape[1] != len(times):
        raise DataError(f"{where}: dF/F has shape {shape}, expected (cells, {len(times)}), a value per frame; fetch it again")
    SortedTimes(times, strict=True).check(where, "timestamps", "fetch the file again")
    check_width(edges, float(np.median(np.diff(times))), where)
    return times, shape[0]


def _shown(content: Any, times: np.ndarray, spec: Mapping[str, Any], stimuli: pd.DataFrame, where: str) -> Presentations:
    """The images in order of time; an onset is the time of the frame at which it appeared."""
    images = np.asarray(_array(content, f"{SCENES}/data", where)[:])
    frames = np.asarray(_array(content, f"{SCENES}/frame_duration", where)[:])
    if frames.shape != (len(images), 2):
        raise DataError(f"{where}: frame_duration has shape {frames.shape}, expected ({len(images)}, 2); fetch the file again")
    first = frames[:, 0].astype(np.int64)
    if len(first) and not (first.min() >= 0 and first.max() < len(times)):
        raise DataError(
            f"{where}: presentations start at frames {first.min()} to {first.max()}, expected within the {len(times)} of dF/F; "
            "fetch the file again"
        )
    kept = images != BLANK
    session = _one(content, "general/session_id") or Path(spec["path"]).stem
    n = int(kept.sum())
    ids = identify({"image": images[kept]}, "image", stimuli, where)
    return in_order(times[first[kept]], ids, np.full(n, session), np.full(n, "0"), where)


def _one(content: Any, path: str) -> str:
    """One text of the file, "" where it has none."""
    if path not in content:
        return ""
    value = np.asarray(content[path][()]).ravel()[0]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _cells(content: Any, n: int, where: str) -> dict[str, np.ndarray]:
    ids = as_text(np.asarray(_array(content, CELLS, where)[:]))
    if ids.shape != (n,):
        raise DataError(f"{where}: found {len(ids)} cell_specimen_ids of {n} cells, expected as many; fetch the file again")
    labels = {"area": _one(content, f"{PLANE}/location"), "depth": _one(content, f"{PLANE}/imaging depth")}
    return {
        "neuroid_id": ids,
        **{name: np.full(n, text) for name, text in labels.items()},
        **{axis: np.full(n, np.nan) for axis in ("x", "y", "z")},
    }


def _reader(file: Path, times: np.ndarray, onsets: np.ndarray, edges: np.ndarray, baseline: list[float] | None) -> Read:
    """Reads means (rows, columns, n_bins): of each presentation only its own frames."""
    period = float(np.median(np.diff(times)))
    edges = for_samples(edges, period)
    before = for_samples(np.asarray(baseline, dtype=np.float64), period) if baseline is not None else edges[:1]
    begin, end = min(before[0], edges[0]), max(before[-1], edges[-1])

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(columns), len(edges) - 1), dtype=np.float32)
        with _opened(file, "session") as content:
            data = content[f"{TRACES}/data"]
            for place, onset in enumerate(onsets[rows]):
                first, last = np.searchsorted(times, (onset + begin, onset + end))
                values = np.asarray(data[:, first:last], dtype=np.float64).T[:, columns]
                means = mean_in_bins(values, times[first:last], onset + edges)
                if baseline is not None:
                    means = means - mean_in_bins(values, times[first:last], onset + before)
                result[place] = means
        return result

    return read
