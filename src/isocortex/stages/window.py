"""Stage `window`: what a region's responses in one window of time say, by the stages that make the study's other cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from isocortex.errors import DataError
from isocortex.inference.rows import new_row, to_frame, to_rows
from isocortex.recordings.regions import EmptyRegionError
from isocortex.stages import compare, decode, encode, region, summarise
from isocortex.storage.tables import read_netcdf, read_parquet, write_parquet
from isocortex.study.cells import of_models

CELLS = {"encode": encode.run, "compare": compare.run, "decode": decode.run}
# The family of a row that only says, in its note, what could not be computed in a window, and why.
NOT_COMPUTED = "window"


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write the scores of one region in `options.window` (s), with time_start and time_end, as a table of `SCORE_COLUMNS`.

    The numbers are those of a study whose `time.window` is this one. What cannot be computed of a window's responses (a region
    that is silent in it, a pattern without variance) has a row of the family `NOT_COMPUTED` with the reason; `q_region` is over
    the models in this window, and that over windows belongs to all of them together (`reporting.time_course`).
    """
    options = spec["options"]
    with TemporaryDirectory(prefix="isocortex-window-") as folder:
        rows = _rows(spec, Path(folder), device)
    start, end = (float(edge) for edge in options["window"])
    write_parquet(to_frame([{**row, "time_start": start, "time_end": end} for row in rows]), spec["output"])


def _rows(spec: dict[str, Any], folder: Path, device: str) -> list[dict[str, Any]]:
    inputs, parts = spec["inputs"], spec["options"]["parts"]
    brain = str(folder / "brain.nc")
    cut = {**parts["region"], "window": spec["options"]["window"]}
    own = {name: inputs[name] for name in ("recordings", "stimuli", "splits", "manifests") if name in inputs}
    try:
        region.run({"stage": "region", "inputs": own, "output": brain, "options": cut}, device)
    except EmptyRegionError as error:
        return [_not_computed(spec, "", "", str(error))]
    cells: dict[str, str] = {}
    failed: list[dict[str, Any]] = []
    for number, (stage, model, job) in enumerate(cell_jobs(spec, brain)):
        job["output"] = str(folder / f"{number}.nc")
        try:
            CELLS[stage](job, device)
        except DataError as error:  # the same job on all of the responses has failed where it is not the window's
            failed.append(_not_computed(spec, stage, model, str(error)))
            continue
        failed += _refused(spec, job["output"], model)
        cells[f"{model}/{stage}"] = job["output"]
    outputs = {name: str(folder / f"{name}.parquet") for name in ("scores", "comparisons")}
    summarise.run({"stage": "summarise", "inputs": {"cells": cells}, "output": outputs, "options": parts["summarise"]}, device)
    return [*to_rows(read_parquet(outputs["scores"])), *failed]


def cell_jobs(spec: dict[str, Any], brain: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Stage, model and job (without its output) of every cell of a window, as they are for a region's whole responses."""
    inputs, options = spec["inputs"], spec["options"]
    shared = {"brain": brain, "stimuli": inputs["stimuli"], "splits": inputs.get("splits") or {}}
    for stage in CELLS:
        part = options["parts"].get(stage)
        if part is None:
            continue
        if stage == "decode":
            alone = {**part, "model": "", "contaminated": [], "layers": None}
            yield stage, "", {"stage": stage, "inputs": shared, "options": alone}
        if stage == "decode":
            part = {**part, "decoders": of_models(part["decoders"])}
            if not part["decoders"]:
                continue
        for model, own in options["models"].items():
            own_inputs = {**shared, "kernels": inputs["kernels"][model]}
            yield stage, model, {"stage": stage, "inputs": own_inputs, "options": {**part, **own, "model": model}}


def _refused(spec: dict[str, Any], cell: str, model: str) -> list[dict[str, Any]]:
    """Rows of the metrics that a cell was not given."""
    found = json.loads(read_netcdf(cell).attrs.get("refused", "{}"))
    return [_not_computed(spec, method, model, reason) for method, reason in found.items()]


def _not_computed(spec: dict[str, Any], method: str, model: str, reason: str) -> dict[str, Any]:
    return new_row(
        region=spec["options"]["region"], model=model, family=NOT_COMPUTED, method=method, subject="all", note=reason
    )
