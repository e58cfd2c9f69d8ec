"""Stage `known`: what the models say that stand in for regions, for one stimulus set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from isocortex.compute import resolve_device
from isocortex.errors import DataError, StudyError
from isocortex.features.ahead import ahead
from isocortex.features.checking import Files
from isocortex.features.model import Context, Model
from isocortex.features.sources import build
from isocortex.stages.known_layers import known_dataset, some_units
from isocortex.storage.images import ImageReader
from isocortex.storage.sounds import is_sound
from isocortex.storage.tables import read_parquet, write_netcdf

log = logging.getLogger(__name__)


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `known_models/<set>.nc`: every instance's layers, at most `options.max_units` random units of each, in float32.

    Raises `StudyError` for a model that does not take the set's stimuli, `DataError` where it gives what is not finite.
    """
    options, table = spec["options"], read_parquet(spec["inputs"]["stimuli"])
    if table.empty:
        raise DataError(f"{spec['inputs']['stimuli']}: found no stimuli, expected at least one; check the data set's entry")
    root, where = Path(options["root"]), resolve_device(device)
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    with ImageReader(root) as images:
        files = Files(images, table)
        for item in options["instances"]:
            kind, instance = item["kind"], item["instance"]
            context = Context(root, Path(options["study_dir"]), table, where, instance, options.get("degrees"))
            model = build(item["entry"], context)
            _check_input(model, table, f"identify_models.kinds.{kind}")
            found[kind, instance] = _layers(model, table, files, (kind, instance), options)
            log.info("known model %s", instance)
    write_netcdf(known_dataset(table["stimulus_id"].astype(str).tolist(), found), spec["output"])


def _layers(
    model: Model, table: pd.DataFrame, files: Files, name: tuple[str, str], options: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Layer → float32 (stimulus, unit) of some units, batch by batch: a layer as it is may be too large to be held."""
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in model.layers}
    kept: dict[str, np.ndarray] = {}
    with torch.inference_mode(), _stimuli(model, table, files) as stimuli:
        for batch in model.features(stimuli, list(model.layers)):
            for layer in model.layers:
                values = torch.as_tensor(batch[layer]["activation"]).flatten(1)
                units = kept.setdefault(
                    layer, some_units(values.shape[1], options["max_units"], options["seed"], (*name, layer))
                )
                parts[layer].append(values[:, torch.as_tensor(units, device=values.device)].to(torch.float32).cpu().numpy())
    layers = {layer: np.concatenate(some) for layer, some in parts.items()}
    for layer, values in layers.items():
        if not np.isfinite(values).all():
            row = int((~np.isfinite(values)).any(axis=1).argmax())
            raise DataError(
                f"known model {name[1]!r}, layer {layer!r}: found NaN or infinite values for stimulus "
                f"{table['stimulus_id'].iloc[row]!r}, expected numbers; mend the model"
            )
    return layers


@contextmanager
def _stimuli(model: Model, table: pd.DataFrame, files: Files) -> Iterator[Any]:
    """What the model takes, read and prepared by threads ahead of it."""
    if model.input == "table":
        yield table
        return
    prepare: Callable[[Any], Any] = getattr(model, "prepare", lambda stimulus: stimulus)
    with closing(ahead(lambda row: prepare(files.read(row)), list(range(len(table))), 2 * model.batch)) as stimuli:
        yield stimuli


def _check_input(model: Model, table: pd.DataFrame, where: str) -> None:
    """Raise `StudyError` where a model of images is to see what is none, or the other way round."""
    if model.input == "table":
        return
    for stimulus, path in zip(table["stimulus_id"], table["path"].astype(str), strict=True):
        if not path or is_sound(path) != (model.input == "sounds"):
            found = repr(path) if path else "not shown as a file"
            raise StudyError(
                f"{where}: takes {model.input}, but stimulus {stimulus!r} is {found}; name kinds that take these stimuli, "
                "or models: [...], models of the study"
            )
