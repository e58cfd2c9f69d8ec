"""Splits of one subject's stimuli."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas

from isocortex.encoding.splits import make_splits
from isocortex.errors import DataError
from isocortex.storage.atomic import write_json
from isocortex.storage.store import read_dataset_store
from isocortex.storage.tables import read_parquet


def run(spec: dict[str, Any], device: str) -> None:
    """Write the splits of `spec["options"]["subject"]` as JSON; the device is not used."""
    del device
    options, inputs = spec["options"], spec["inputs"]
    table = read_parquet(inputs["stimuli"])
    recording = read_dataset_store(inputs["recording"])
    seen = _answered(recording)
    rows: pandas.DataFrame = table.loc[table["stimulus_id"].isin(sorted(seen))]
    if len(rows) < len(seen):
        lost = sorted(seen - set(rows["stimulus_id"]))
        raise DataError(
            f"splits: subject {options['subject']}: found {len(lost)} stimuli of the recording that are not in the "
            f"stimulus set (first {lost[0]!r}), expected all; name the right set under `subjects`"
        )
    groups = _groups(rows, options.get("groups"), str(options["subject"]))
    try:
        result = make_splits(
            rows["stimulus_id"].tolist(),
            test=float(options["test"]),
            folds=int(options["folds"]),
            seed=int(options["seed"]),
            groups=groups,
            digests=rows["digest"].fillna("").tolist(),
        )
    except DataError as error:
        raise DataError(f"subject {options['subject']}: {error}") from error
    write_json(spec["output"], {"subject": options["subject"], **result})


def _answered(recording: Any) -> set[str]:
    """Stimuli with at least one valid response."""
    if "response" not in recording:
        return {str(name) for name in recording["stimulus_id"].values}
    response = recording["response"]
    order = ("presentation", *(name for name in response.dims if name != "presentation"))
    values = response.transpose(*order).values
    valid = np.isfinite(values.reshape(len(values), -1)).any(axis=1)
    return {str(name) for name in np.asarray(recording["stimulus_id"].values)[valid]}


def _groups(rows: pandas.DataFrame, column: str | None, subject: str) -> list[str] | None:
    if column is None:
        return None
    if column not in rows.columns:
        known = [name for name in rows.columns if name not in ("stimulus_id", "digest", "path", "row", "caption")]
        raise DataError(
            f"subject {subject}: splits.groups, found no column {column!r} in the stimulus table, expected one of {known}; "
            "name one of these or leave groups out"
        )
    return rows[column].fillna("").astype(str).tolist()
