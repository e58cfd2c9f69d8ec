"""Presentations of estimates and of runs over any grid: vertices, grayordinates, or voxels as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.fmri.events import check_within, clean_confounds, clean_events, read_table
from isocortex.recordings.fmri.glm import estimates, presentations
from isocortex.recordings.fmri.presentations import Part
from isocortex.recordings.fmri.surfaces import Frames
from isocortex.recordings.paths import inside


def parts_of(
    spec: Mapping[str, Any], root: Path, table: pd.DataFrame, frames: Sequence[Frames], keep: np.ndarray, where: str
) -> list[Part]:
    """A part per file of `betas`, or per run of `runs` (estimated by `glm`, or with `series` as they are).

    `frames` are of the files in their order, `keep` the columns that are neuroids. Raises `DataError` for what does not agree.
    """
    if spec.get("betas"):
        return _betas(spec, root, frames, keep, where)
    if spec.get("series"):
        return _series(spec, table, frames, keep, where)
    return [_estimated(item, spec["glm"], root, one, keep) for item, one in zip(spec["runs"], frames, strict=True)]


def place_of(item: Mapping[str, Any]) -> str:
    """The path of a file, or of its first hemisphere."""
    return str(item.get("path") or (item.get("left") or item.get("right") or {})["path"])


def _of(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"session": str(item.get("session") or ""), "run": int(item.get("run") or 0)}


def _reader(frames: Frames, keep: np.ndarray) -> Any:
    return lambda start, stop: frames.read(start, stop)[:, keep]


def _betas(spec: Mapping[str, Any], root: Path, frames: Sequence[Frames], keep: np.ndarray, where: str) -> list[Part]:
    total = sum(one.n for one in frames)
    every = None
    if place := spec.get("ids"):
        every = _ids(place, root, total, f"{where}, ids", "all files together")
    found, start = [], 0
    for item, one in zip(spec["betas"], frames, strict=True):
        mine = every[start : start + one.n] if every is not None else None
        shown = _shown(item, root, one, mine, f"estimates {place_of(item)}")
        found.append(Part(shown, _reader(one, keep), **_of(item), whole=one.whole))
        start += one.n
    return found


def _shown(item: Mapping[str, Any], root: Path, one: Frames, common: np.ndarray | None, where: str) -> np.ndarray:
    """The stimulus id of each frame of a file."""
    if place := item.get("ids"):
        return _ids(place, root, one.n, f"{where}, ids", "the file")
    if common is not None:
        return common
    if one.names:
        return np.asarray(one.names, dtype=str)
    raise DataError(f"{where}: {one.n} frames have no names, expected the stimulus of each; say ids: {{path: …, column: …}}")


def _ids(place: Mapping[str, Any], root: Path, n: int, where: str, what: str) -> np.ndarray:
    if place.get("value") is not None:
        return np.full(n, str(place["value"]))
    values = as_text(read_array(root, place["path"], place.get("key") or place.get("column"), where))
    if values.shape != (n,):
        raise DataError(f"{where}: found shape {values.shape}, expected ({n},), one id per frame of {what}; correct ids")
    return values


def _series(spec: Mapping[str, Any], table: pd.DataFrame, frames: Sequence[Frames], keep: np.ndarray, where: str) -> list[Part]:
    """Each sample is a stimulus of its own, in the order of the table, run by run."""
    ids = table["stimulus_id"].to_numpy(dtype=str)
    counts = [one.n for one in frames]
    if sum(counts) != len(ids):
        raise DataError(
            f"{where}: runs have {' + '.join(map(str, counts[:6]))} = {sum(counts)} samples, expected {len(ids)} as in the "
            "stimulus set, one stimulus per sample; correct runs or stimuli"
        )
    shown = np.split(ids, np.cumsum(counts)[:-1])
    items = zip(spec["runs"], frames, shown, strict=True)
    return [Part(mine, _reader(one, keep), **_of(item), whole=one.whole) for item, one, mine in items]


def _estimated(item: Mapping[str, Any], options: Mapping[str, Any], root: Path, one: Frames, keep: np.ndarray) -> Part:
    """The estimates of a run, which is read when they are wanted."""
    where = f"run {place_of(item)}"
    seconds = item.get("tr") or one.seconds
    if not seconds:
        raise DataError(f"{where}: the file says no repetition time, expected seconds per volume; say tr: for the run")
    if not item.get("events"):
        raise DataError(f"{where}: a GLM needs events, found none; say events: {{path: …_events.tsv}}, or series: true")
    path, seconds = item["events"]["path"], float(seconds)
    table = read_table(inside(root, path, where), f"{where}, events")
    place = f"{where}, events {path}"
    events = clean_events(table, place, item["events"].get("column") or "trial_type", options.get("leave_out") or ())
    check_within(events, one.n, seconds, place)
    confounds = _confounds(item, root, one.n, where)

    def read(start: int, stop: int) -> np.ndarray:
        return estimates(one.read(0, one.n)[:, keep], events, seconds, options, confounds, where)[start:stop]

    shown = presentations(events, options["model"])["trial_type"].to_numpy(dtype=str)
    return Part(shown, read, **_of(item), whole=True)


def _confounds(item: Mapping[str, Any], root: Path, n: int, where: str) -> pd.DataFrame | None:
    """The named columns of a run's confounds; None where none are named."""
    place = item.get("confounds")
    if not place:
        return None
    table = read_table(inside(root, place["path"], where), f"{where}, confounds")
    return clean_confounds(table, place["columns"], n, f"{where}, confounds {place['path']}")
