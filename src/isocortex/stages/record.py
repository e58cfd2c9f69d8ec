"""The stage `record`: one subject's recording in one form, whatever format it came in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.manifest import read_manifests, verify
from isocortex.recordings.paths import bind
from isocortex.recordings.wholeness import Checked, check_recording
from isocortex.storage.lazy import write_recording
from isocortex.storage.store import write_dataset_store
from isocortex.storage.tables import read_parquet
from isocortex.study.recipes import RECIPES

VARIABLES = {"patterns": "response", "rdm": "rdm"}
MAX_LABELS = 1000  # more values than this are names, not labels


def run(spec: dict[str, Any], device: str) -> None:  # noqa: ARG001 (every stage takes a device)
    """Read the recording of `options.subject` through its adapter and write it as a store."""
    options = spec["options"]
    root, entry = Path(options["root"]), options["entry"]
    where = f"data set {options['name']}, subject {options['subject']}"
    sources = verify(entry, read_manifests(spec["inputs"]["manifests"]), root, where)
    table = read_parquet(spec["inputs"]["stimuli"])
    try:
        recording = bind(ADAPTERS, entry["adapter"], where)({**entry, "subject": options["subject"]}, root, table)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error.__cause__
    variable = VARIABLES[options["level"]]
    if variable not in recording:
        raise DataError(
            f"{where}: level is {options['level']!r} but adapter {entry['adapter']!r} gives another; correct level or adapter"
        )
    extra = describe_rdm(recording) if options["level"] == "rdm" else describe_patterns(recording)
    declared = entry.get("repeats") or 1
    if extra["repeats_max"] != declared:
        raise DataError(
            f"{where}: found up to {extra['repeats_max']} repeats of a stimulus, expected {declared}; "
            f"set repeats: {extra['repeats_max']}"
        )
    recipe = {"stage": "record", "version": RECIPES["record"], "options": options}
    about = {"subject": options["subject"], "sources": sources, **extra}
    if options["level"] == "rdm":
        write_dataset_store(recording, spec["output"], recipe, **about)
        return
    try:
        check_recording(recording, table["stimulus_id"].astype(str))
        seen = Checked(recording)
        write_recording(recording, spec["output"], recipe, seen.block, finish=seen.finish, **about)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error.__cause__


def describe_patterns(recording: xr.Dataset) -> dict[str, Any]:
    """What planning and checks need to know of a recording without opening it."""
    shown = Counter(recording["stimulus_id"].to_numpy().tolist())
    names = [str(name) for name, coord in recording.coords.items() if coord.dims == ("neuroid",)]
    labels = {}
    for name in sorted(set(names) - {"neuroid_id", "x", "y", "z"}):
        values, counts = np.unique(recording[name].to_numpy().astype(str), return_counts=True)
        if len(values) <= MAX_LABELS:
            labels[name] = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return {
        "n_presentations": int(recording.sizes["presentation"]),
        "n_neuroids": int(recording.sizes["neuroid"]),
        "n_stimuli": len(shown),
        "repeats_max": max(shown.values()),
        "labels": labels,
        **_bins(recording),
    }


def _bins(recording: xr.Dataset) -> dict[str, Any]:
    """How the time after a stimulus is divided, where it is."""
    if "time" not in recording.dims:
        return {}
    ends = [float(recording["time"][0]), float(recording["time_end"][-1])]
    return {"n_bins": int(recording.sizes["time"]), "recorded_s": ends}


def describe_rdm(recording: xr.Dataset) -> dict[str, Any]:
    """The same for RDMs: no presentations, no neuroids."""
    regions = recording["region"].to_numpy().astype(str).tolist()
    return {
        "n_presentations": 0,
        "n_neuroids": 0,
        "n_stimuli": int(recording.sizes["stimulus"]),
        "repeats_max": 1,
        "labels": {"region": dict.fromkeys(regions, 1)},
    }
