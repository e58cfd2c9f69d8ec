"""Jobs of a time course: one for each region and window, of what the region's other jobs say of the window's responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from isocortex.study import cells, sources
from isocortex.study.code import METHOD_MODULES
from isocortex.study.course import FAMILY, methods_in_time, planned_windows
from isocortex.study.job import Job
from isocortex.study.layout import Layout
from isocortex.study.options.time import window_name

# Options of a cell that differ between models; all others are told once for all of them.
OF_MODEL = ("model", "contaminated", "layers")
# Where a cell's options hold its methods.
METHODS = {"encode": "encoders", "compare": "metrics", "decode": "decoders"}
CELLS: dict[str, Callable[[Layout], Iterator[Job]]] = {
    "encode": cells.encode,
    "compare": cells.compare,
    "decode": cells.decode,
}


def windows(at: Layout, summarise: dict[str, dict[str, Any]]) -> Iterator[Job]:
    """Jobs of every region and window; none where the study asks for no time course.

    `summarise` are the options of each region's tables.
    """
    planned = planned_windows(at.study)
    if not planned:
        return
    regions = {job.options["region"]: job for job in sources.region(at)}
    made = {stage: list(jobs(at)) for stage, jobs in CELLS.items()}
    for region, whole in regions.items():
        options = {
            **{name: whole.options[name] for name in ("region", "study", "subjects")},
            "parts": {
                "region": {name: value for name, value in whole.options.items() if name != "window"},
                **_parts(at, region, made),
                "summarise": summarise[region],
            },
            "models": _models(at, region, made),
        }
        options["methods"] = sorted(
            name
            for stage, key in METHODS.items()
            for name in options["parts"].get(stage, {}).get(key, ())
            if name in METHOD_MODULES
        )
        sets = whole.inputs["stimuli"]
        kernels = {model: {name: at.kernels(model, name) for name in sets} for model in options["models"]}
        for window in planned:
            target = at.window(region, window_name(window))
            yield Job("window", {**whole.inputs, "kernels": kernels}, target, {**options, "window": window}, whole.watched)


def _parts(at: Layout, region: str, made: dict[str, list[Job]]) -> dict[str, dict[str, Any]]:
    """Options of the cells of each stage, without what differs between models, with the methods that a window is given."""
    found = {}
    for stage, methods in methods_in_time(at.study, region).items():
        job = next(iter(_of_region(made[stage], region)), None)
        if job is not None and methods:
            shared = {name: value for name, value in job.options.items() if name not in OF_MODEL}
            found[stage] = {**shared, METHODS[stage]: methods}
    return found


def _models(at: Layout, region: str, made: dict[str, list[Job]]) -> dict[str, dict[str, Any]]:
    """Model → its part of the options of its cells."""
    found = {}
    for jobs in made.values():
        for job in _of_region(jobs, region):
            if job.options["model"]:
                found[job.options["model"]] = {name: job.options[name] for name in OF_MODEL[1:]}
    return {model: found[model] for model in at.study.models if model in found}


def _of_region(jobs: list[Job], region: str) -> Iterator[Job]:
    return (job for job in jobs if job.options["region"] == region and job.options.get("family", FAMILY) == FAMILY)
