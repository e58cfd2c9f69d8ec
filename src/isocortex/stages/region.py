"""The stage `region`: all that a region's other jobs read, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.manifest import read_manifests, verify
from isocortex.recordings.regions import BUILDERS, EmptyRegionError, Selection, build_tree
from isocortex.storage.atomic import read_json
from isocortex.storage.lazy import open_recording
from isocortex.storage.tables import read_parquet, write_tree
from isocortex.study.places import resolved


def run(spec: dict[str, Any], device: str) -> None:  # noqa: ARG001 (every stage takes a device)
    """Cut `options.region` out of every subject's recording; a subject without it is named with the reason."""
    inputs, options = spec["inputs"], spec["options"]
    tables = {name: read_parquet(path) for name, path in inputs["stimuli"].items()}
    places = _places(spec)
    parts, absent = {}, {}
    for subject, chosen in options["subjects"].items():
        recording = open_recording(inputs["recordings"][subject])
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
            window=tuple(options["window"]) if options.get("window") else None,
            places=places,
        )
        try:
            parts[subject] = BUILDERS[options["level"]](recording, selection)
        except EmptyRegionError as error:
            absent[subject] = str(error)
            continue
        check_split(inputs.get("splits") or {}, subject, parts[subject])
        parts[subject] = _with_digests(parts[subject], tables[chosen["set"]])
    attrs = {"region": options["region"], "level": options["level"], "study": options.get("study", "")}
    write_tree(build_tree(parts, absent, attrs), spec["output"])


def _with_digests(part: xr.Dataset, table: pd.DataFrame) -> xr.Dataset:
    """The part with the digest of each stimulus's picture, which tells whether two sets mean the same by one id."""
    if "digest" not in table:
        return part
    digests = dict(zip(table["stimulus_id"].astype(str), table["digest"].astype(str), strict=True))
    return part.assign_coords(digest=("stimulus", [digests[str(name)] for name in part["stimulus_id"].values]))


def _places(spec: dict[str, Any]) -> list[Any]:
    """What neuroids must fit beside `anywhere`, with the paths of files that are still what was fetched."""
    options = spec["options"]
    if not options.get("places"):
        return []
    listed = read_manifests(spec["inputs"]["manifests"])
    verify(options["places"], listed, Path(options["root"]), f"region {options['region']}")
    return resolved(options["places"], options["root"])


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
