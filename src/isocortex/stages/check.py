"""The command `check`: what a study would do, and all that can be known to be wrong before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from isocortex.errors import StudyError
from isocortex.features.model import Context
from isocortex.planning import cost
from isocortex.study import Study, load_study
from isocortex.study.jobs import Jobs


def check(path: str | Path) -> str:
    """Validate a study, its own files and its models' layers; returns what it will do, as text.

    Raises `StudyError` (and what the models raise) with one line.
    """
    study = load_study(path)
    try:
        _check_own_files(study)
        for model, entry in study.models.items():
            CHECKS.get(entry["source"], lambda *_: None)(study, model, entry)
    except StudyError as error:
        text = str(error)
        raise StudyError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None
    return _describe(study)


def _places(study: Study) -> list[Path]:
    """Folders in which a data set's files may lie: fetched, in the mirror, or the user's own."""
    jobs, mirror, root = Jobs(study), os.environ.get("ISOCORTEX_MIRROR"), study.dataset.root
    name = study.dataset.name or study.name
    return [Path(jobs.at.resources), *([Path(mirror) / name] if mirror else []), *([Path(root)] if root else [])]


def _check_own_files(study: Study) -> None:
    places = _places(study)
    for file, entry in study.dataset.files.items():
        if (entry is None or entry.url is None) and not any((place / file).exists() for place in places):
            looked = " and ".join(str(place / file) for place in places)
            raise StudyError(
                f"dataset.files: {file!r} has no url and was not found (looked for {looked}); "
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


def _check_callable(study: Study, model: str, entry: dict[str, Any]) -> None:
    """Build the model without memory for its weights, and look for the layers."""
    import torch

    from isocortex.features.callable import build_module
    from isocortex.features.network import check_layers

    if entry["weights"] not in (None, "random"):
        _check_path(study, f"models.{model}.weights", entry["weights"])
    context = Context(model=model, root=Path(Jobs(study).at.resources), study_dir=study.directory, device=torch.device("cpu"))
    with torch.device("meta"):
        module, _ = build_module({**entry, "weights": None}, context)
    check_layers(module, entry["layers"], model)


CHECKS = {"precomputed": _check_precomputed, "callable": _check_callable}


def _describe(study: Study) -> str:
    jobs = list(Jobs(study))
    hours = sum(cost(study, job).seconds for job in jobs) / 3600
    models = ", ".join(f"{name} ({entry['source']})" for name, entry in study.models.items())
    lines = [
        f"{study.configfile}: fine",
        f"  data set   {study.dataset.name} ({study.dataset.label or 'no label'}), {study.level}",
        f"  subjects   {', '.join(study.subjects)}",
        f"  regions    {', '.join(study.regions)}",
        f"  models     {models}",
        *([f"  joint      {', '.join(study.joint())}"] if study.joint() else []),
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
