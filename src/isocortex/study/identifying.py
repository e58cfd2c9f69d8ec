"""Jobs that ask whether a region's methods would know the right model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isocortex.study.identify_models import asked_methods, asked_regions, planned_kinds
from isocortex.study.job import Job
from isocortex.study.layout import Layout
from isocortex.study.recipes import RECIPES
from isocortex.study.sources import asked_layers, watched


def _built(at: Layout) -> list[dict[str, Any]]:
    """Instances of kinds that are no models of the study: kind, instance, entry."""
    return [
        {"kind": kind, "instance": instance, "entry": entry}
        for kind, instances in planned_kinds(at.study).items()
        for instance, entry in instances.items()
        if entry is not None
    ]


def known(at: Layout) -> Iterator[Job]:
    """What the models say that stand in for regions and are not the study's: one job for each stimulus set."""
    asked, built = at.study.options.identify_models, _built(at)
    if asked is None or not built:
        return
    files = tuple(dict.fromkeys(path for item in built for path in watched(at, item["entry"])))
    for name in at.study.stimulus_sets:
        options = {
            "name": at.dataset,
            "set": name,
            "root": at.resources,
            "study_dir": at.study.directory.as_posix(),
            "degrees": at.study.dataset.stimuli[name].degrees,
            "instances": built,
            "max_units": asked.max_units,
            "seed": at.study.options.inference.seed,
            "recipe": RECIPES["features"],
        }
        yield Job("known", {"stimuli": at.stimuli(name)}, at.known(name), options, files)


def identify_models(at: Layout) -> Iterator[Job]:
    """Known models in a region's place, and every method asked to name them."""
    asked = at.study.options.identify_models
    if asked is None:
        return
    kinds, seed = planned_kinds(at.study), at.study.options.inference.seed
    built = bool(_built(at))
    models = list(dict.fromkeys(name for some in kinds.values() for name, entry in some.items() if entry is None))
    for region in asked_regions(at.study):
        plan = at.study.regions[region]
        methods = asked_methods(at.study, region)
        if not methods:
            continue
        sets = list(dict.fromkeys(at.study.subjects[s]["stimuli"] for s in plan.subjects))
        inputs: dict[str, Any] = {"brain": at.brain(region)}
        if built:
            inputs["known"] = {name: at.known(name) for name in sets}
        if models:
            inputs["features"] = {model: {name: at.features(model, name) for name in sets} for model in models}
        options = {
            "study": at.study.name,
            "region": region,
            "subjects": {s: at.study.subjects[s]["stimuli"] for s in plan.subjects},
            # A list, for a mapping comes sorted by name.
            "kinds": [
                {"kind": kind, "instances": [{"instance": name, "of_study": entry is None} for name, entry in some.items()]}
                for kind, some in kinds.items()
            ],
            "layers": {model: asked_layers(at, model) for model in models},
            "methods": methods,
            "plan": {key: getattr(asked, key) for key in ("worlds", "stimuli", "noise", "neuroids", "measurements")},
            "max_units": asked.max_units,
            "max_neuroids": asked.max_neuroids,
            "seed": seed,
        }
        yield Job("identify_models", inputs, at.identification(region), options)
