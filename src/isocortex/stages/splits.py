"""Splits of one subject's stimuli."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas

from isocortex.encoding.splits import joined, make_splits
from isocortex.errors import DataError
from isocortex.recordings.stimuli import COLUMNS
from isocortex.storage.atomic import write_json
from isocortex.storage.lazy import answered, open_recording
from isocortex.storage.tables import read_parquet


def run(spec: dict[str, Any], device: str) -> None:
    """Write the splits of `spec["options"]["subject"]` as JSON; the device is not used."""
    del device
    options, inputs = spec["options"], spec["inputs"]
    table = read_parquet(inputs["stimuli"])
    recording = open_recording(inputs["recording"])
    seen = _answered(recording)
    rows: pandas.DataFrame = table.loc[table["stimulus_id"].isin(sorted(seen))]
    if len(rows) < len(seen):
        lost = sorted(seen - set(rows["stimulus_id"]))
        raise DataError(
            f"splits: subject {options['subject']}: found {len(lost)} stimuli of the recording that are not in the "
            f"stimulus set (first {lost[0]!r}), expected all; name the right set under `subjects`"
        )
    kind, subject = str(options.get("kind", "stimulus")), str(options["subject"])
    groups = _groups(rows, options.get("groups"), subject)
    runs = None if kind == "stimulus" else _runs(rows, recording, kind == "blocked" or bool(options.get("in_time")), subject)
    if kind == "run" and runs is None:
        raise DataError(
            f"subject {subject}: splits.kind run, found no runs, expected a column 'run' in the stimulus table or runs in the "
            "recording; add them, or use kind: blocked"
        )
    try:
        result = make_splits(
            rows["stimulus_id"].tolist(),
            test=float(options["test"]),
            folds=int(options["folds"]),
            seed=int(options["seed"]),
            groups=groups,
            digests=rows["digest"].fillna("").tolist(),
            kind=kind,
            runs=runs,
            gap=int(options.get("gap", 0)),
            near=_near(rows) if options.get("near_duplicates", True) else None,
        )
    except DataError as error:
        raise DataError(f"subject {subject}: {error}") from error
    write_json(spec["output"], {"subject": options["subject"], **result})


def _answered(recording: Any) -> set[str]:
    """Stimuli with at least one valid response."""
    ids = np.asarray(recording["stimulus_id"].values).astype(str)
    return set(ids[answered(recording["response"])].tolist() if "response" in recording else ids.tolist())


def _near(rows: pandas.DataFrame) -> list[str] | None:
    return rows["near"].fillna("").astype(str).tolist() if "near" in rows.columns else None


def _groups(rows: pandas.DataFrame, columns: str | list[str] | None, subject: str) -> list[str] | None:
    """A label per stimulus, the same where one of the columns has the same value."""
    if columns is None:
        return None
    columns = [columns] if isinstance(columns, str) else columns
    for column in columns:
        if column not in rows.columns:
            known = [name for name in rows.columns if name not in COLUMNS]
            raise DataError(
                f"subject {subject}: splits.groups, found no column {column!r} in the stimulus table, expected one of {known}; "
                "name one of these or leave groups out"
            )
    labels = {column: rows[column].fillna("").astype(str).tolist() for column in columns}
    return labels[columns[0]] if len(columns) == 1 else joined(rows["stimulus_id"].tolist(), labels)


def _runs(rows: pandas.DataFrame, recording: Any, in_time: bool, subject: str) -> list[str] | None:
    """The run of each stimulus: the table's column `run`, whose rows are then in the order of time; else that of the recording,
    None where it has no runs.

    Runs of a recording that show the same stimulus count as one, for its averaged response is of both. `in_time` asks that the
    table's rows follow the order in which the recording first showed them.
    """
    if "run" in rows.columns:
        return [_label(run) for run in rows["run"]]
    shown = recording["stimulus_id"].to_numpy().astype(str)
    run = _presented_in(recording)
    first: dict[str, int] = {}
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while joined.setdefault(name, name) != name:
            name = joined[name]
        return name

    for index, stimulus in enumerate(shown):
        earlier = first.setdefault(stimulus, index)
        joined[root(run[index])] = root(run[earlier])
    ids = rows["stimulus_id"].astype(str).tolist()
    labels = [root(run[first[stimulus]]) for stimulus in ids]
    if in_time:
        _check_order(ids, [first[stimulus] for stimulus in ids], labels, subject)
    return labels if len(set(run)) > 1 else None


def _presented_in(recording: Any) -> list[str]:
    """Session and run of each presentation; runs are numbered anew in each session of many recordings."""
    n = recording.sizes["presentation"]
    parts = [recording[name].to_numpy().astype(str) if name in recording else [""] * n for name in ("session", "run")]
    return ["/".join(part for part in pair if part) for pair in zip(*parts, strict=True)]


def _check_order(ids: list[str], place: list[int], labels: list[str], subject: str) -> None:
    last: dict[str, int] = {}
    for stimulus, here, label in zip(ids, place, labels, strict=True):
        if here < last.get(label, -1):
            raise DataError(
                f"subject {subject}: splits: stimulus {stimulus!r} was shown before the one above it in the stimulus table, "
                "expected the rows of a run in the order of time; order the table, or give it a column 'run'"
            )
        last[label] = here


def _label(run: Any) -> str:
    """A run as text, the same whether a table holds it as 1 or 1.0; empty where it is missing."""
    if pandas.isna(run):
        return ""
    return str(int(run)) if isinstance(run, float) and run.is_integer() else str(run)
