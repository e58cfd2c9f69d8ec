"""The command `check`: what a study would do, and all that can be known to be wrong before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from isocortex.errors import StudyError
from isocortex.features.model import Context
from isocortex.features.outline import Outline
from isocortex.features.sources import OUTLINES, function_of
from isocortex.planning import cost
from isocortex.study import Study, load_study
from isocortex.study.explain import unknown
from isocortex.study.jobs import Jobs


def check(path: str | Path) -> str:
    """Validate a study, its own files and its models' layers; returns what it will do, as text.

    Raises `StudyError` (and what the models raise) with one line.
    """
    study = load_study(path)
    try:
        _check_own_files(study)
        found = {
            model: CHECKS.get(entry["source"], lambda *_: None)(study, model, entry) for model, entry in study.models.items()
        }
        _check_readouts(study, found)
    except StudyError as error:
        text = str(error)
        raise StudyError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None
    ladders = {model: outline.layers for model, outline in found.items() if outline and not study.models[model]["layers"]}
    return _describe(study, ladders)


def _check_readouts(study: Study, found: dict[str, Outline | None]) -> None:
    """Layers that readouts read are among the model's own, where it has a ladder."""
    for model, layers in study.options.readout.layers.items():
        outline = found.get(model)
        for layer in layers if outline is not None else ():
            if outline is not None and layer not in outline.layers:
                raise unknown(f"readout.layers.{model}", layer, outline.layers, "layer")


def _places(study: Study) -> list[Path]:
    """Folders in which a data set's files may lie: fetched, in the mirror, or the user's own."""
    jobs, mirror, root = Jobs(study), os.environ.get("ISOCORTEX_MIRROR"), study.dataset.root
    name = study.dataset.name or study.name
    return [Path(jobs.at.resources), *([Path(mirror) / name] if mirror else []), *([Path(root)] if root else [])]


def _check_own_files(study: Study) -> None:
    places = _places(study)
    wanted = {
        file: entry for job in Jobs(study).by_stage["fetch"].values() for file, entry in job.options["entry"]["files"].items()
    }
    for file, entry in wanted.items():
        if not (entry or {}).get("url") and not any((place / file).exists() for place in places):
            manual = (entry or {}).get("manual") or study.dataset.manual
            looked = " and ".join(str(place / file) for place in places)
            told = f"must be fetched by hand: {' '.join(manual.split())}" if manual else "has no url"
            raise StudyError(
                f"dataset.files: {file!r} was not found (looked for {looked}) and {told}; "
                "set ISOCORTEX_MIRROR, or dataset.root to the folder of your files"
            )


def _check_path(study: Study, key: str, path: str) -> Path | None:
    """Where a model's file lies; None where it is one of the data set's and not fetched yet."""
    for place in (*_places(study), study.directory):
        if (place / path).exists():
            return place / path
    if path in study.dataset.files:
        return None
    raise StudyError(f"{key}: no file {path!r} beside the study ({study.directory}) or among the files of {study.dataset.name}")


def _check_precomputed(study: Study, model: str, entry: dict[str, Any]) -> None:
    places = entry["layers"] or {"": {"path": entry["path"]}}
    for layer, place in places.items():
        _check_path(study, f"models.{model}.layers.{layer}.path" if layer else f"models.{model}.path", place["path"])


def _check_network(study: Study, model: str, entry: dict[str, Any]) -> Outline | None:
    """Build the model without memory for its weights, and look for the layers; of its own, the ladder.

    None where it is made from a file of the data set that is not fetched yet.
    """
    if entry["source"] == "callable" and entry["weights"] not in (None, "random"):
        _check_path(study, f"models.{model}.weights", entry["weights"])
    _check_degrees(study, model, entry)
    if entry["source"] != "callable" and any(_is_to_fetch(study, entry.get(key)) for key in ("path", "weights")):
        return None
    root = next((place for place in _places(study) if _holds(place, entry)), Path(Jobs(study).at.resources))
    degrees = next((study.dataset.stimuli[name].degrees for name in study.stimulus_sets), None)
    return function_of(OUTLINES[entry["source"]])(entry, Context(root, study.directory, model=model, degrees=degrees))


def _is_to_fetch(study: Study, path: str | None) -> bool:
    return path in study.dataset.files and not any((place / str(path)).exists() for place in (*_places(study), study.directory))


def _holds(place: Path, entry: dict[str, Any]) -> bool:
    """Whether a folder holds one of the model's files."""
    named = [entry.get(key) for key in ("path", "name", "weights")]
    return any(name and (place / str(name)).exists() for name in named)


def _check_degrees(study: Study, model: str, entry: dict[str, Any]) -> None:
    for name in study.stimulus_sets:
        if entry.get("place") and study.dataset.stimuli[name].degrees is None:
            raise StudyError(
                f"models.{model}.place: how many degrees the images of {name!r} span is not known; "
                "give the stimulus set degrees:"
            )


CHECKS: dict[str, Any] = {"precomputed": _check_precomputed, **dict.fromkeys(OUTLINES, _check_network)}


def _describe(study: Study, ladders: dict[str, tuple[str, ...]]) -> str:
    jobs = list(Jobs(study))
    untrained = study.options.core and not study.cores()
    hours = sum(cost(study, job).seconds for job in jobs) / 3600
    models = ", ".join(f"{name} ({entry['source']})" for name, entry in study.models.items())
    lines = [
        f"{study.configfile}: fine",
        f"  data set   {study.dataset.name} ({study.dataset.label or 'no label'}), {study.level}",
        f"  subjects   {', '.join(study.subjects)}",
        f"  regions    {', '.join(study.regions)}",
        f"  models     {models}",
        *([f"  joint      {', '.join(study.joint())}"] if study.joint() else []),
        *([f"  cores      {', '.join(study.cores())}"] if study.cores() else []),
        *([f"  note       core: not trained, for {study.dataset.name} holds RDMs only"] if untrained else []),
        *(f"  layers     {model}: {', '.join(layers)}" for model, layers in ladders.items()),
        f"  primary    {study.primary}",
        f"  jobs       {len(jobs)}, about {hours:.1f} core hours (isocortex plan tells more)",
    ]
    for model in study.models:
        seen = study.contaminated(model)
        if seen:
            lines.append(
                f"  note       {model} was trained on data of {', '.join(seen)}: shown there, neither ranked nor tested"
            )
    return "\n".join(lines)
