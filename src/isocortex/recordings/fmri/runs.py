"""Presentations of estimates and of runs over any grid: voxels, vertices or grayordinates as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.fmri.confounds import chosen_columns
from isocortex.recordings.fmri.events import (
    check_within,
    clean_confounds,
    clean_events,
    events_of_volumes,
    labels_of_volumes,
    read_events,
)
from isocortex.recordings.fmri.glm import estimates, presentations
from isocortex.recordings.fmri.presentations import Part
from isocortex.recordings.fmri.surfaces import Frames
from isocortex.recordings.paths import inside


@dataclass(frozen=True)
class Wording:
    """How messages speak of a kind of file: `frame`, `untimed` (no repetition time), `uneven` (series and stimuli)."""

    frame: str
    untimed: str
    uneven: str


VOLUMES = Wording(
    "volume",
    "the header has no repetition time, expected seconds between volumes; say tr: of the run",
    "{files} runs have {found} volumes, expected {expected}, one per stimulus; correct runs or stimuli",
)
FRAMES = Wording(
    "frame",
    "the file says no repetition time, expected seconds per volume; say tr: for the run",
    "runs have {sum} = {found} samples, expected {expected} as in the stimulus set, one stimulus per sample; "
    "correct runs or stimuli",
)


@dataclass(frozen=True)
class Source:
    """Estimates or a run: what is in the file(s) of an item of `betas` or `runs`, of the columns that are neuroids.

    `read` (start, stop) to (stop - start, n_neuroids), of `n` frames, which are `start` to `start + n` of the `total` that the
    file has; `names` of the frames and `seconds` between them where the file says them; `whole` as in `Part`.
    """

    where: str
    files: tuple[Path, ...]
    n: int
    read: Callable[[int, int], np.ndarray]
    names: tuple[str, ...] = ()
    seconds: float | None = None
    whole: bool = False
    start: int = 0
    total: int = -1
    wording: Wording = FRAMES

    def own(self, values: Any) -> Any:
        """The values of this source's frames, of one per frame of the whole file; others as they are."""
        return values[self.start : self.start + self.n] if len(values) == self.total else values


def source_of(frames: Frames, keep: np.ndarray, files: Sequence[Path], where: str) -> Source:
    """The columns `keep` of frames over vertices or grayordinates."""
    return Source(
        where,
        tuple(files),
        frames.n,
        lambda start, stop: frames.read(start, stop)[:, keep],
        frames.names,
        frames.seconds,
        frames.whole,
    )


def parts_of(spec: Mapping[str, Any], root: Path, known: Sequence[str], sources: Sequence[Source], where: str) -> list[Part]:
    """A part per source, which are of `betas`, or of `runs` (estimated by `glm`, or with `series` as they are), in their order.

    `known` are the ids of the stimulus set. Raises `DataError` for what does not agree.
    """
    if spec.get("betas"):
        return _betas(spec, root, sources, where)
    if spec.get("series"):
        return _series(spec, known, sources, where)
    return [_estimated(item, spec["glm"], root, one, frozenset(known)) for item, one in zip(spec["runs"], sources, strict=True)]


def _part(item: Mapping[str, Any], shown: np.ndarray, read: Callable[[int, int], np.ndarray], whole: bool) -> Part:
    return Part(shown, read, str(item.get("session") or ""), int(item.get("run") or 0), whole)


def _betas(spec: Mapping[str, Any], root: Path, sources: Sequence[Source], where: str) -> list[Part]:
    every: list[Any] = [None] * len(sources)
    if place := spec.get("ids"):
        counts = [one.n for one in sources]
        together = _ids(place, root, sum(counts), f"{where}, all files together", sources[0].wording)
        every = np.split(together, np.cumsum(counts)[:-1])
    items = zip(spec["betas"], sources, every, strict=True)
    return [_part(item, _shown(item, root, one, ids), one.read, one.whole) for item, one, ids in items]


def _shown(item: Mapping[str, Any], root: Path, one: Source, common: np.ndarray | None) -> np.ndarray:
    """The stimulus id of each frame of a file."""
    if item.get("stimulus_id") is not None:
        return np.full(one.n, item["stimulus_id"])
    if place := item.get("ids"):
        return _ids(place, root, one.n, one.where, one.wording, one.own)
    if common is not None:
        return common
    if one.names:
        return np.asarray(one.names, dtype=str)
    raise DataError(
        f"{one.where}: {one.n} frames have no names, expected the stimulus of each; say ids: {{path: …, column: …}}"
    )


def _ids(
    place: Mapping[str, Any],
    root: Path,
    n: int,
    where: str,
    wording: Wording,
    own: Callable[[Any], Any] = lambda values: values,
) -> np.ndarray:
    if place.get("value") is not None:
        return np.full(n, str(place["value"]))
    values = as_text(read_array(root, place["path"], place.get("key") or place.get("column"), f"{where}, ids"))
    values = own(values) if values.ndim == 1 else values
    if values.shape != (n,):
        raise DataError(f"{where}: ids have shape {values.shape}, expected ({n},), one id per {wording.frame}; correct ids")
    return values


def _series(spec: Mapping[str, Any], known: Sequence[str], sources: Sequence[Source], where: str) -> list[Part]:
    """Each frame is a stimulus of its own, in the order of the table, run by run."""
    ids, counts = np.asarray(known, dtype=str), [one.n for one in sources]
    if sum(counts) != len(ids):
        terms = " + ".join(map(str, counts[:6])) + (" + …" if len(counts) > 6 else "")
        said = {"files": len(counts), "sum": terms, "found": sum(counts), "expected": len(ids)}
        raise DataError(f"{where}: {sources[0].wording.uneven.format(**said)}")
    items = zip(spec["runs"], sources, np.split(ids, np.cumsum(counts)[:-1]), strict=True)
    return [_part(item, mine, one.read, one.whole) for item, one, mine in items]


def _estimated(item: Mapping[str, Any], glm: Mapping[str, Any], root: Path, one: Source, known: frozenset[str]) -> Part:
    """The estimates of a run, which is read when they are wanted."""
    if not (tr := float(item.get("tr") or one.seconds or 0)):
        raise DataError(f"{one.where}: {one.wording.untimed}")
    if not item.get("events"):
        raise DataError(f"{one.where}: a GLM needs events, found none; say events: {{path: …_events.tsv}}, or series: true")
    events = _events(item["events"], glm.get("leave_out") or (), root, one, tr)
    strange = [name for name in events["trial_type"] if name not in known]
    if strange:
        raise DataError(
            f"{one.where}: event {strange[0]!r} is no stimulus of the set ({len(strange)} of {len(events)} events are none); "
            "add it to glm: leave_out, or to the stimuli"
        )
    confounds = _confounds(item, root, one)
    shown = presentations(events, glm["model"])["trial_type"].to_numpy(dtype=str)

    def estimated(start: int, stop: int) -> np.ndarray:
        return estimates(one.read(0, one.n), events, tr, glm, confounds, one.where)[start:stop]

    return _part(item, shown, estimated, whole=True)


def _events(place: Mapping[str, Any], leave_out: Sequence[str], root: Path, one: Source, tr: float) -> pd.DataFrame:
    where = f"{one.where}, events {place['path']}"
    file, separator = inside(root, place["path"], one.where), place.get("separator")
    column = place.get("column") or "trial_type"
    if place.get("per") == "volume":
        labels = one.own(labels_of_volumes(file, where, column, separator))
        if len(labels) != one.n:
            raise DataError(f"{where}: found {len(labels)} rows, expected {one.n}, one per volume; name the table of this run")
        return events_of_volumes(labels, tr, where, leave_out)
    events = clean_events(read_events(file, where, separator), where, column, leave_out)
    check_within(events, one.n, tr, where)
    return events


def _confounds(item: Mapping[str, Any], root: Path, one: Source) -> pd.DataFrame | None:
    """The chosen columns of a run's confounds; None where it has none."""
    if not (place := item.get("confounds")):
        return None
    where, file = f"{one.where}, confounds {place['path']}", inside(root, place["path"], one.where)
    columns = place.get("columns") or chosen_columns(place, one.files, where)
    return clean_confounds(read_events(file, where), columns, one.n, where)
