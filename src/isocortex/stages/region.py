"""The stage `region`: all that a region's other jobs read, in one file."""

from __future__ import annotations

from typing import Any

import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.regions import BUILDERS, EmptyRegionError, Selection, build_tree
from isocortex.storage.atomic import read_json
from isocortex.storage.store import read_dataset_store
from isocortex.storage.tables import read_parquet, write_tree


def run(spec: dict[str, Any], device: str) -> None:  # noqa: ARG001 (every stage takes a device)
    """Cut `options.region` out of every subject's recording; a subject without it is named with the reason."""
    inputs, options = spec["inputs"], spec["options"]
    tables = {name: read_parquet(path) for name, path in inputs["stimuli"].items()}
    parts, absent = {}, {}
    for subject, chosen in options["subjects"].items():
        recording = read_dataset_store(inputs["recordings"][subject])
        ids = tables[chosen["set"]]["stimulus_id"].astype(str).tolist()
        selection = Selection(
            region=options["region"],
            subject=subject,
            set_name=chosen["set"],
            stimulus_ids=ids,
            anywhere=chosen["anywhere"],
            train=training_ids(inputs.get("splits") or {}, subject),
            min_reliability=options.get("min_reliability"),
            seed=options.get("seed", 0),
        )
        try:
            parts[subject] = BUILDERS[options["level"]](recording, selection)
        except EmptyRegionError as error:
            absent[subject] = str(error)
            continue
        check_split(inputs.get("splits") or {}, subject, parts[subject])
    attrs = {"region": options["region"], "level": options["level"], "study": options.get("study", "")}
    write_tree(build_tree(parts, absent, attrs), spec["output"])


def training_ids(splits: dict[str, str], subject: str) -> list[str] | None:
    """Ids of the training stimuli of the one outer split; None where all stimuli are tested in turn, or nothing is split."""
    if subject not in splits:
        return None
    split = read_json(splits[subject])
    if len(split["outer"]) != 1:
        return None
    ids = split["stimulus_ids"]
    train = split["outer"][0]["train"]
    if train and max(train) >= len(ids):
        raise DataError(f"{splits[subject]}: train names row {max(train)} of {len(ids)} stimuli; make the splits again")
    return [ids[row] for row in train]


def check_split(splits: dict[str, str], subject: str, part: xr.Dataset) -> None:
    """A `DataError` where the split's rows are not this recording's stimuli: its indices would point at others."""
    if subject in splits and read_json(splits[subject])["stimulus_ids"] != part["stimulus_id"].to_numpy().tolist():
        raise DataError(f"{splits[subject]}: its stimuli are not those of the recording of {subject}; make the splits again")
