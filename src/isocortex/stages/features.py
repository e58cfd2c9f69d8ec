"""The stage `features`: a model's activations to one stimulus set, streamed into a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.compute import resolve_device
from isocortex.errors import DataError, StudyError
from isocortex.features.extract import NOT_RECIPE, Request, extract, row_keys
from isocortex.features.model import Context
from isocortex.features.sources import build
from isocortex.storage.atomic import read_json, write_json
from isocortex.storage.images import ImageReader, image_digest
from isocortex.storage.store import StoreWriter
from isocortex.storage.tables import read_parquet
from isocortex.study.recipes import RECIPES


def run(spec: dict[str, Any], device: str) -> None:
    """Extract the layers of `options.entry` for the stimuli of `inputs.stimuli`; see `features.extract`."""
    options = spec["options"]
    table = read_parquet(spec["inputs"]["stimuli"])
    if table.empty:
        raise DataError(f"{spec['inputs']['stimuli']}: found no stimuli, expected at least one; check the data set's entry")
    entry, root = options["entry"], Path(options["root"])
    context = Context(root, Path(options.get("study_dir", ".")), table, resolve_device(device), options["model"])
    model = build(entry, context)
    maps = tuple(options.get("maps") or ())
    stray = [layer for layer in maps if layer not in model.layers]
    if stray:
        raise StudyError(
            f"readout.layers.{options['model']}: found {stray[0]!r}, expected one of its layers: {', '.join(model.layers)}"
        )
    settings = {key: value for key, value in entry.items() if key not in NOT_RECIPE}
    recipe = {"stage": "features", "recipe": RECIPES["features"], "entry": settings, "digest": model.digest}
    writer = StoreWriter(spec["output"], recipe, row_keys(table, model))
    with ImageReader(root) as images:
        counts = extract(writer, Request(model, table, lambda row: read_checked(images, table, row), maps))
    writer.finish(
        model=options["model"],
        set=options["set"],
        stimulus_ids=table["stimulus_id"].tolist(),
        digests=table["digest"].tolist(),
        layers=list(model.layers),
        n_features=counts,
        maps=list(maps),
        weights_digest=model.digest,
    )
    show_only(Path(spec["output"]), model.layers)


def show_only(path: Path, layers: Sequence[str]) -> None:
    """Take the groups of other requests' layers out of a sidecar: their arrays stay for the study that asked for them."""
    sidecar = read_json(path)
    wanted = {name: attributes for name, attributes in sidecar["groups"].items() if attributes["layer"] in layers}
    if wanted != sidecar["groups"]:
        write_json(path, sidecar | {"groups": wanted})


def read_checked(images: ImageReader, table: pd.DataFrame, row: int) -> np.ndarray:
    """The picture of a row. Raises `DataError` where it is no longer the one that the stimulus table was made of."""
    path, position, expected = table["path"].iloc[row], int(table["row"].iloc[row]), table["digest"].iloc[row]
    image = images.read(path, position)
    found = image_digest(image)
    if expected and found != expected:
        raise DataError(
            f"{images.root / path}: pixels changed, digest is {found[:12]}…, expected {expected[:12]}…; make the stimuli again"
        )
    return image
