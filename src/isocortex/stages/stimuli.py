"""The stage `stimuli`: the table of one stimulus set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isocortex.recordings.manifest import read_manifests, verify
from isocortex.recordings.stimuli import make_table
from isocortex.storage.tables import write_parquet


def run(spec: dict[str, Any], device: str) -> None:  # noqa: ARG001 (every stage takes a device)
    """Write the table of `options.set`, from files that are still what was fetched."""
    options = spec["options"]
    root, where = Path(options["root"]), f"data set {options['name']}, stimulus set {options['set']}"
    verify(options["entry"], read_manifests(spec["inputs"]["manifests"]), root, where)
    write_parquet(make_table(options["entry"], root, where), spec["output"])
