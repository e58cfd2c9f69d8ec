"""The stage `fetch`: the files of a part of a data set and the manifest of what they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from isocortex.recordings.fetch import Places, fetch_dataset
from isocortex.storage.atomic import write_json


def run(spec: dict[str, Any], device: str) -> None:  # noqa: ARG001 (every stage takes a device)
    """Fetch the files of `options.entry` to the folder above that of the manifest, which is written last."""
    options, manifest = spec["options"], Path(spec["output"])
    name, entry = options["name"], options["entry"]
    mirror = os.environ.get("ISOCORTEX_MIRROR")
    places = Places(
        name=name,
        target=manifest.parent.parent,
        mirror=Path(mirror) / name if mirror else None,
        root=Path(entry["root"]) if entry.get("root") else None,
        accept_terms=bool(options.get("accept_terms")),
    )
    manifest.unlink(missing_ok=True)
    write_json(manifest, fetch_dataset(entry, places))
