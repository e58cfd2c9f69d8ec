"""Brain Treebank (Wang et al. 2024; braintreebank.dev): electrodes after the onset of each word of a film."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import read_array
from isocortex.recordings.neural.bins import bin_edges, check_width, time_coords
from isocortex.recordings.neural.presentations import Presentations, identify, in_order
from isocortex.recordings.neural.samples import SIGNALS, sample_reader
from isocortex.recordings.paths import inside
from isocortex.storage.lazy import lazy_response

# Channels that carry the film's trigger, not the brain.
TRIGGERS = ("DC", "TRIG")
POSITION = {"x": "L", "y": "I", "z": "P"}


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one film.

    Parameters
    ----------
    spec : {path, electrodes, words: {path, id}, timings, localization: {path, labels}, corrupted, subject_key, rate, signal,
        band, window, bin, session, run}. `path` is HDF5 with data/electrode_0, electrode_1 … (n_samples,); `electrodes` a JSON
        list of their names, in that order; `timings` a CSV table of triggers (movie_time in s, index of the sample); `words`
        one of words (start in s of the film). A word's sample is that of the first trigger not before it, less the time
        between.
    root : the data set's folder.
    stimuli_table : the stimulus set, its ids those of the words.

    Returns
    -------
    Dataset with `response` (presentation, neuroid, time) float32, read from the file when it is indexed. Words outside the
    triggers, without start, or whose window is not recorded whole are left out; so are trigger channels and corrupted
    electrodes (attribute `dropped`, JSON). Neuroids have neuroid_id (the electrode's name), the labels of `localization`, and
    as x, y, z its L, I, P: mm to the left, down and back in the subject's own space.

    Raises
    ------
    DataError for files of another form, electrodes that the recording lacks, triggers out of order, unknown words.
    """
    where = f"recording {spec['path']}"
    edges = bin_edges(spec["window"], spec["bin"])
    check_width(edges, 1 / spec["rate"], where)
    file = inside(root, spec["path"], where)
    names, keys, corrupted = _electrodes(spec, root, where)
    length = _length(file, keys, where)
    shown, lost = _words(spec, root, stimuli_table, length, edges, where)
    read = sample_reader(file, keys, shown.onset.astype(np.int64), edges, spec["rate"], SIGNALS[spec["signal"]](spec))
    places = {name: ("neuroid", values) for name, values in _places(spec, root, names, where).items()}
    return xr.Dataset(
        {"response": lazy_response((len(shown.onset), len(keys), len(edges) - 1), read)},
        coords={**shown.coords(), **places, **time_coords(edges)},
        attrs={"over_time": "mean", "space": "LIP", "dropped": json.dumps({"corrupted": corrupted, "words": lost})},
    )


def _json(root: Path, path: str, where: str) -> Any:
    try:
        return json.loads(inside(root, path, where).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{where}: {path} is not JSON ({error}); fetch the file again") from error


def _clean(name: str) -> str:
    """An electrode's name without the marks that some files put to it."""
    return name.replace("*", "").replace("#", "").strip()


def _electrodes(spec: Mapping[str, Any], root: Path, where: str) -> tuple[list[str], list[str], int]:
    """Names of the electrodes that are kept, the names of their data, and how many are corrupted."""
    listed = _json(root, spec["electrodes"]["path"], where)
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise DataError(f"{where}: {spec['electrodes']['path']} is no list of names, expected one name per electrode")
    names = [_clean(name) for name in listed]
    bad: set[str] = set()
    if spec.get("corrupted"):
        known, key = _json(root, spec["corrupted"]["path"], where), spec["subject_key"]
        if key not in known:
            found = ", ".join(known)
            raise DataError(f"{where}: {spec['corrupted']['path']} has no {key!r}, found {found}; correct subject_key")
        bad = {_clean(name) for name in known[key]}
    brain = [k for k, name in enumerate(names) if not name.upper().startswith(TRIGGERS)]
    kept = [k for k in brain if names[k] not in bad]
    if not kept:
        raise DataError(f"{where}: none of {len(names)} electrodes is left, expected some; check 'corrupted'")
    return [names[k] for k in kept], [f"data/electrode_{k}" for k in kept], len(brain) - len(kept)


def _length(file: Path, keys: list[str], where: str) -> int:
    """The number of samples, the same of all electrodes."""
    import h5py

    try:
        with h5py.File(file, "r") as content:
            missing = [key for key in keys if key not in content]
            if missing:
                raise DataError(
                    f"{where}: found no {missing[0]}, expected one array per name in 'electrodes'; give the subject's own"
                )
            lengths: set[int] = {content[key].shape[0] for key in keys}  # pyright: ignore[reportAttributeAccessIssue]
    except OSError as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {file.name} is not readable as HDF5 ({text}); fetch the file again") from error
    if len(lengths) > 1:
        raise DataError(f"{where}: electrodes have {min(lengths)} to {max(lengths)} samples, expected as many of all")
    return lengths.pop()


def _column(root: Path, path: str, name: str, where: str) -> np.ndarray:
    """A column of a table as numbers, NaN where it is empty."""
    return np.asarray(pd.to_numeric(pd.Series(read_array(root, path, name, where)), errors="coerce"), dtype=np.float64)


def _words(
    spec: Mapping[str, Any], root: Path, stimuli: pd.DataFrame, length: int, edges: np.ndarray, where: str
) -> tuple[Presentations, int]:
    """The words, each at the sample of its onset, in order of time; and how many are left out."""
    path = spec["timings"]["path"]
    film, index = (_column(root, path, name, f"{where}, timings") for name in ("movie_time", "index"))
    # A pause and its end are at one time of the film.
    if not (len(film) and (np.diff(film) >= 0).all() and (np.diff(index) >= 0).all()):
        raise DataError(f"{where}, timings: triggers of {path} are not in order, expected movie_time and index to rise")
    start = _column(root, spec["words"]["path"], "start", f"{where}, words")
    ids = read_array(root, spec["words"]["path"], spec["words"]["id"], f"{where}, words")
    trigger = np.searchsorted(film, start)
    known = np.isfinite(start) & (trigger < len(film)) & (start >= film[0])
    trigger = np.where(known, trigger, 0)
    sample = np.round(index[trigger] + (np.where(known, start, 0) - film[trigger]) * spec["rate"])
    reach = np.round(edges * spec["rate"])
    kept = known & (sample + reach[0] >= 0) & (sample + reach[-1] <= length)
    n = int(kept.sum())
    session = (spec.get("session") or {}).get("value") or Path(spec["path"]).stem
    run = (spec.get("run") or {}).get("value") or ""
    shown = identify({"word": ids[kept]}, "word", stimuli, f"{where}, words")
    return in_order(sample[kept], shown, np.full(n, session), np.full(n, run), f"{where}, words"), int((~kept).sum())


def _places(spec: Mapping[str, Any], root: Path, names: list[str], where: str) -> dict[str, np.ndarray]:
    """Coordinates of the electrodes; "" and NaN for those that the table lacks."""
    coords: dict[str, np.ndarray] = {"neuroid_id": np.asarray(names)} | {axis: np.full(len(names), np.nan) for axis in POSITION}
    if not spec.get("localization"):
        return coords
    path, where = spec["localization"]["path"], f"{where}, localization"
    listed = [_clean(name) for name in read_array(root, path, "Electrode", where).tolist()]
    rows = {name: row for row, name in enumerate(listed)}
    if not rows.keys() & set(names):
        raise DataError(
            f"{where}: none of the {len(names)} electrodes (first {names[0]!r}) is in {path}; give the subject's own"
        )
    for label in spec["localization"]["labels"]:
        values = read_array(root, path, label, where)
        coords[label] = np.asarray([values[rows[name]] if name in rows else "" for name in names], dtype=str)
    for axis, name in POSITION.items():
        values = _column(root, path, name, where)
        coords[axis] = np.asarray([values[rows[one]] if one in rows else np.nan for one in names], dtype=np.float64)
    return coords
