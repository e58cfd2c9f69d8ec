"""Derivatives in BIDS layout, as fMRIPrep writes them: runs found by entities, read as volumes, surfaces or grayordinates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.fmri.bids_names import BidsFile, files_of, files_of_all, inherited, listed, matching, the_one
from isocortex.recordings.fmri.confounds import chosen_columns
from isocortex.recordings.paths import bind, inside

EXTENSIONS = {"volume": "nii.gz", "surface": "func.gii", "cifti": "dtseries.nii"}
READERS = {"volume": "nifti", "surface": "surface", "cifti": "cifti"}
SIDES = {"L": "left", "R": "right"}
# Entities of what was measured; the others say what was made of it.
MEASURED = ("ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part")
PASSED = ("glm", "series", "space", "labels", "mask", "geometry", "structures", "resample")


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The recording of one subject, by the adapter of its kind of files, once they are found.

    Parameters
    ----------
    spec : {derivatives, raw, participant, task, sessions, runs, space, kind: volume | surface | cifti, entities, events,
        confounds: {columns | strategy, …}, glm | series, mask, labels, …}.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set.

    Raises
    ------
    DataError for no file or several for a run, and all that the adapter of the kind refuses.
    """
    read = bind(ADAPTERS, READERS[spec["kind"]], f"sub-{spec['participant']}")
    return read(described(spec, root), root, stimuli_table)


def described(spec: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """The entry of the same runs for the adapter of their kind of files."""
    where = f"sub-{spec['participant']}, task {spec['task']}"
    inside(root, spec["derivatives"], f"{where}, derivatives")
    groups = _groups(spec, root, where)
    raw = {name: _of_raw(spec, root, *name) for name in (("events", "tsv"), ("bold", "json"))}
    runs = [_run(spec, root, key, files, number, raw) for number, (key, files) in enumerate(groups.items(), start=1)]
    entry = {name: spec[name] for name in PASSED if spec.get(name) is not None}
    if spec["kind"] == "volume" and not spec.get("mask"):
        entry["mask"] = {"path": _mask(spec, root, next(iter(groups)), where).path}
    adapter = READERS[spec["kind"]]
    return {"adapter": adapter, "stimuli": spec["stimuli"], "subject": spec.get("subject", ""), "runs": runs, **entry}


def _groups(spec: Mapping[str, Any], root: Path, where: str) -> dict[tuple[str, str], list[BidsFile]]:
    """Files by session and run, in their order: one each, or one per hemisphere."""
    every = files_of(root, spec["derivatives"], spec["participant"], "bold", EXTENSIONS[spec["kind"]])
    wanted = {"task": spec["task"], "space": spec.get("space"), "desc": spec.get("desc"), **(spec.get("entities") or {})}
    found = matching(every, wanted)
    if not found:
        asked = ", ".join(f"{key} {value or 'not there'}" for key, value in wanted.items())
        raise DataError(
            f"{where}: no *_bold.{EXTENSIONS[spec['kind']]} with {asked} in {spec['derivatives']}, found {listed(every)}; "
            "correct the entities, or fetch the files"
        )
    for name, key in (("sessions", "ses"), ("runs", "run")):
        there = sorted({file.entities.get(key, "none") for file in found})
        for label in spec.get(name) or []:
            if label not in there:
                raise DataError(f"{where}: no {key}-{label}, found {key} {', '.join(there[:8])}; correct {name}")
        if spec.get(name):
            found = [file for file in found if file.entities.get(key) in spec[name]]
    groups: dict[tuple[str, str], list[BidsFile]] = {}
    for file in sorted(found, key=lambda one: (_label(one, "ses"), _label(one, "run"))):
        groups.setdefault((file.entities.get("ses", ""), file.entities.get("run", "")), []).append(file)
    return groups


def _label(file: BidsFile, entity: str) -> tuple[int, str]:
    """An entity's label, by which files are sorted: numbers by their size, 2 before 10, and then text."""
    label = file.entities.get(entity, "")
    return (int(label), label) if label.isdigit() else (0, label)


def _of_raw(spec: Mapping[str, Any], root: Path, suffix: str, extension: str) -> list[BidsFile]:
    if spec.get("raw") is None:
        return []
    found = files_of(root, spec["raw"], spec["participant"], suffix, extension)
    return [*found, *files_of_all(root, spec["raw"], suffix, extension)]


def _run(
    spec: Mapping[str, Any],
    root: Path,
    key: tuple[str, str],
    files: Sequence[BidsFile],
    number: int,
    raw: Mapping[tuple[str, str], Sequence[BidsFile]],
) -> dict[str, Any]:
    """One run as the adapter of its kind takes it."""
    where = f"sub-{spec['participant']}, task {spec['task']}, session {key[0] or 'none'}, run {key[1] or 'none'}"
    run: dict[str, Any] = {"session": key[0], "run": int(key[1]) if key[1].isdigit() else number}
    hemispheres = sorted({file.entities.get("hemi", "") for file in files})
    chosen = {hemi: the_one([f for f in files if f.entities.get("hemi", "") == hemi], where, "the run") for hemi in hemispheres}
    first = next(iter(chosen.values()))
    if spec["kind"] == "surface":
        run |= {SIDES[hemi]: {"path": file.path} for hemi, file in chosen.items() if hemi in SIDES}
    else:
        run |= {"bold": {"path": first.path}} if spec["kind"] == "volume" else {"path": first.path}
    measured = {name: value for name, value in first.entities.items() if name in MEASURED}
    if spec.get("glm") is not None:
        run["events"] = _events(spec, raw["events", "tsv"], measured, where)
        if spec.get("confounds"):
            run["confounds"] = _confounds(spec, root, measured, [root / file.path for file in chosen.values()], where)
    if seconds := _seconds(first, root, inherited(raw["bold", "json"], measured, where, "the description"), where):
        run["tr"] = seconds
    return run


def _events(spec: Mapping[str, Any], files: Sequence[BidsFile], measured: Mapping[str, str], where: str) -> dict[str, str]:
    if spec.get("events"):
        return dict(spec["events"])
    found = inherited(files, measured, where, "the events")
    if found is None:
        raise DataError(
            f"{where}: no *_events.tsv in {spec.get('raw')}, found {listed(files)}; correct raw, or say events: {{path: …}}"
        )
    return {"path": found.path, "column": spec.get("column") or "trial_type"}


def _confounds(
    spec: Mapping[str, Any], root: Path, measured: Mapping[str, str], files: Sequence[Path], where: str
) -> dict[str, Any]:
    """The run's table of confounds and its columns, as named or as nilearn's strategy chooses them."""
    options = spec["confounds"]
    tables = [
        file
        for suffix in ("timeseries", "regressors")  # the name until fMRIPrep 20.2
        for file in files_of(root, spec["derivatives"], spec["participant"], suffix, "tsv")
        if {name: value for name, value in file.entities.items() if name in MEASURED} == measured
        and file.entities.get("desc") == "confounds"
    ]
    if not tables:
        raise DataError(
            f"{where}: no *_desc-confounds_timeseries.tsv in {spec['derivatives']}; fetch it, or leave confounds out"
        )
    path = the_one(tables, where, "the confounds").path
    columns = options.get("columns") or chosen_columns(options, files, where)
    return {"path": path, "columns": columns}


def _seconds(bold: BidsFile, root: Path, described_by: BidsFile | None, where: str) -> float | None:
    """The repetition time of the file's description beside it, else of the raw run's; None where neither says it."""
    beside = bold.path.removesuffix(next(ending for ending in EXTENSIONS.values() if bold.path.endswith(ending))) + "json"
    for path in (beside, described_by.path if described_by else ""):
        if path and (root / path).is_file():
            try:
                found = json.loads((root / path).read_text(encoding="utf-8")).get("RepetitionTime")
            except (OSError, ValueError, AttributeError) as error:
                raise DataError(f"{where}: {path} is no JSON object ({error}); make or fetch the file again") from error
            if found:
                return float(found)
    return None


def _mask(spec: Mapping[str, Any], root: Path, key: tuple[str, str], where: str) -> BidsFile:
    """The brain mask of the first run."""
    wanted = {"task": spec["task"], "space": spec.get("space"), "desc": "brain", **(spec.get("entities") or {})}
    wanted |= {name: label or None for name, label in zip(("ses", "run"), key, strict=True)}
    every = files_of(root, spec["derivatives"], spec["participant"], "mask", "nii.gz")
    found = matching(every, wanted)
    if not found:
        raise DataError(f"{where}: no *_desc-brain_mask.nii.gz of the first run, found {listed(every)}; say mask: {{path: …}}")
    return the_one(found, where, "the brain mask")
