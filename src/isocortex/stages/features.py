"""The stage `features`: a model's activations to one stimulus set, streamed into a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from isocortex.compute import resolve_device
from isocortex.errors import DataError, StudyError
from isocortex.features.blocks import rows_of, rows_per_chunk, stored_layers
from isocortex.features.checking import Files
from isocortex.features.extract import AUTO_FEATURES, NOT_RECIPE, Extraction, Request, Storing, row_keys
from isocortex.features.model import Context, Model
from isocortex.features.sources import build
from isocortex.storage.atomic import read_json, write_json
from isocortex.storage.images import ImageReader
from isocortex.storage.sounds import is_sound
from isocortex.storage.store import StoreWriter, stored_recipe
from isocortex.storage.tables import read_parquet
from isocortex.study.recipes import RECIPES

# Sources that see no stimulus, but what the user or the stimulus table says of it.
WITHOUT_STIMULI = ("precomputed", "labels")
# Sources whose features are few, and kept in float32 as tables are.
SMALL = ("pixels", "gabor")


def run(spec: dict[str, Any], device: str) -> None:
    """Extract the layers of `options.entry` for the stimuli of `inputs.stimuli`; see `features.extract`.

    The files that will be needed are read before the model is built. Raises `DataError` for one that is broken or changed.
    """
    options, table = spec["options"], _table(spec["inputs"]["stimuli"])
    entry, root, maps = options["entry"], Path(options["root"]), tuple(options.get("maps") or ())
    storing = storing_of(entry)
    asked = {"stage": "features", "recipe": RECIPES["features"], "entry": _settings(entry), "half": storing.half}
    with ImageReader(root) as images:
        files = Files(images, table)
        if _sees_files(entry):
            files.check(_early_rows(spec, asked, table, storing))
        folder, where = Path(options.get("study_dir", ".")), resolve_device(device)
        model = build(entry, Context(root, folder, table, where, options["model"], options.get("degrees")))
        _refuse_stray(maps, model, options["model"])
        _refuse_others(table, model, options["model"])
        recipe = {**asked, "input": model.input, "digest": model.digest}
        writer = StoreWriter(spec["output"], recipe, row_keys(table, model.input == "table"))
        extraction = Extraction(writer, Request(model, table, files.read, maps, storing))
        if model.input != "table":
            files.check(extraction.computed)
        counts = extraction.run()
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


def storing_of(entry: dict[str, Any]) -> Storing:
    """How an entry's features are kept: those of networks in float16, projected where a layer has many."""
    if entry["source"] in (*WITHOUT_STIMULI, *SMALL):
        return Storing()
    asked = entry.get("project", "auto")
    k = {"auto": AUTO_FEATURES, "none": None}[asked] if isinstance(asked, str) else int(asked)
    return Storing(True, k, int(entry.get("projection_seed", 0)))


def _sees_files(entry: dict[str, Any]) -> bool:
    """Whether a model takes images or sounds, as far as its entry says."""
    reads = entry.get("input") not in (None, "image", "sound") or entry.get("modality") == "text"
    return entry["source"] not in WITHOUT_STIMULI and not reads


def _settings(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in NOT_RECIPE}


def _table(path: str) -> pd.DataFrame:
    table = read_parquet(path)
    if table.empty:
        raise DataError(f"{path}: found no stimuli, expected at least one; check the data set's entry")
    return table


def _refuse_stray(maps: Sequence[str], model: Model, name: str) -> None:
    stray = [layer for layer in maps if layer not in model.layers]
    if stray:
        raise StudyError(f"readout.layers.{name}: found {stray[0]!r}, expected one of its layers: {', '.join(model.layers)}")


def _refuse_others(table: pd.DataFrame, model: Model, name: str) -> None:
    """Raise `StudyError` where a model of images is to see a sound, or the other way round."""
    for stimulus, path in zip(table["stimulus_id"], table["path"].astype(str), strict=True):
        if path and model.input != "table" and is_sound(path) != (model.input == "sounds"):
            raise StudyError(
                f"models.{name}: takes {model.input}, but stimulus {stimulus!r} is {path!r}; choose another model, or input:"
            )


def _early_rows(spec: dict[str, Any], asked: dict[str, Any], table: pd.DataFrame, storing: Storing) -> list[int]:
    """Rows with a file that will be needed as far as can be told without the model: its weights may have changed."""
    kept, keys = stored_recipe(spec["output"]), row_keys(table)
    with_file = [row for row, path in enumerate(table["path"].astype(str)) if path]
    if kept is None or {**kept, **asked} != kept:
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        return [row for row in with_file if first[keys[row]] == row]
    if kept["input"] == "table":
        return []
    writer = StoreWriter(spec["output"], kept, keys)
    layers, maps = spec["options"]["entry"].get("layers"), spec["options"].get("maps") or ()
    layers = layers if isinstance(layers, list) else stored_layers(writer)
    rows = rows_of(writer, [*layers, *maps], "float16" if storing.half else "float32")
    pairs = [(layer, "activation") for layer in layers] + [(layer, "maps") for layer in maps]
    needed = {row for block in rows.blocks(pairs, rows_per_chunk(writer) or len(keys)) for row in block.computed}
    return [row for row in with_file if row in needed]


def show_only(path: Path, layers: Sequence[str]) -> None:
    """Take the groups of other requests' layers out of a sidecar: their arrays stay for the study that asked for them."""
    sidecar = read_json(path)
    wanted = {name: attributes for name, attributes in sidecar["groups"].items() if attributes["layer"] in layers}
    if wanted != sidecar["groups"]:
        write_json(path, sidecar | {"groups": wanted})
