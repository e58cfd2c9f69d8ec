"""Jobs that make the cells: what one region says of one model, by encoders, readouts, decoders and metrics, and of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isocortex.study.job import Job
from isocortex.study.layout import Layout
from isocortex.study.options import SPANNING, reads_units
from isocortex.study.readouts import guide_of
from isocortex.study.searchlight import for_model
from isocortex.study.sources import asked_layers


def _common(at: Layout, region: str, model: str) -> dict[str, Any]:
    plan, inference = at.study.regions[region], at.study.options.inference.model_dump()
    inference.pop("primary")
    seen = at.study.contaminated(model) if model else []
    return {
        "study": at.study.name,
        "dataset": at.dataset,
        "region": region,
        "model": model,
        "subjects": {s: at.study.subjects[s]["stimuli"] for s in plan.subjects},
        "contaminated": [s for s in plan.subjects if s in seen],
        "inference": inference,
        "layers": asked_layers(at, model) if model else None,
    }


def _in_time(at: Layout, region: str) -> dict[str, Any]:
    """What is done to features (`delays`) and to responses (`cleaning`) that are samples in time; {} where nothing is."""
    found = {"delays": at.study.delays(region), "cleaning": at.study.cleaning(region)}
    return {key: value for key, value in found.items() if value}


def _cells(at: Layout) -> Iterator[tuple[str, str, list[str]]]:
    for region, plan in at.study.regions.items():
        sets = list(dict.fromkeys(at.study.subjects[s]["stimuli"] for s in plan.subjects))
        for model in at.study.models:
            yield region, model, sets


def encode(at: Layout) -> Iterator[Job]:
    """Encoders of each model, by region."""
    for region, model, sets in _cells(at):
        encoders = at.study.encoders(region)
        if not encoders:
            continue
        inputs = {
            "brain": at.brain(region),
            "kernels": {name: at.kernels(model, name) for name in sets},
            "splits": {s: at.splits(s) for s in at.study.regions[region].subjects},
        }
        options = {**_common(at, region, model), **_in_time(at, region), "encoders": encoders}
        yield Job("encode", inputs, at.cell(region, model, "encoding"), options)


def readout(at: Layout) -> Iterator[Job]:
    """Trained readouts of the layers that the study names."""
    for region, model, sets in _cells(at):
        readouts, layers = at.study.readouts(region), at.study.options.readout.layers.get(model)
        if not readouts or not layers:
            continue
        inputs = {
            "brain": at.brain(region),
            "features": {name: at.features(model, name) for name in sets},
            "splits": {s: at.splits(s) for s in at.study.regions[region].subjects},
        }
        cleaning = {key: value for key, value in _in_time(at, region).items() if key == "cleaning"}
        degrees = {name: at.study.dataset.stimuli[name].degrees for name in sets}
        options = {**_common(at, region, model), **cleaning, "readouts": _own(readouts), "layers": layers, "degrees": degrees}
        if guide := guide_of(at.study, region, model):
            inputs["guide"] = {name: at.features(guide["model"], name) for name in sets}
            seen = at.study.contaminated(guide["model"])
            options["guide"] = {**guide, "contaminated": [s for s in at.study.regions[region].subjects if s in seen]}
        yield Job("readout", inputs, at.cell(region, model, "readout"), options)


def _own(readouts: dict[str, Any]) -> dict[str, Any]:
    """Options of the methods; the localiser's layer is an option of the job, which says it in full."""
    return {name: {key: value for key, value in options.items() if key != "guide"} for name, options in readouts.items()}


def decode(at: Layout) -> Iterator[Job]:
    """One job for a region by itself, and one for each model on the stimuli of its subjects; no model has presentations."""
    decoders = at.study.decoders()
    if not decoders:
        return
    splits = at.study.options.splits
    own = {"decoders": decoders, "folds": splits.folds, "fold_seed": splits.seed}
    for region, plan in at.study.regions.items():
        sets = sorted({at.study.subjects[s]["stimuli"] for s in plan.subjects})
        inputs = {"brain": at.brain(region), "stimuli": {name: at.stimuli(name) for name in sets}}
        yield Job("decode", inputs, at.decoding(region), {**_common(at, region, ""), **own})
        for model in at.study.models if of_models(decoders) else ():
            kernels = {name: at.kernels(model, name) for name in sets}
            options = {**_common(at, region, model), **own, "decoders": of_models(decoders)}
            yield Job("decode", {**inputs, "kernels": kernels}, at.cell(region, model, "decoding"), options)


def of_models(decoders: dict[str, Any]) -> dict[str, Any]:
    """Decoders that models are given: those of stimuli."""
    return {name: given for name, given in decoders.items() if given.get("unit", "stimulus") == "stimulus"}


def joint(at: Layout) -> Iterator[Job]:
    """Encoders that join several models."""
    for region, plan in at.study.regions.items():
        sets = list(dict.fromkeys(at.study.subjects[s]["stimuli"] for s in plan.subjects))
        for name, joint in at.study.joint().items():
            models = list(dict.fromkeys(item["model"] for item in joint["of"]))
            seen = {s for model in models for s in at.study.contaminated(model)}
            inputs = {
                "brain": at.brain(region),
                "kernels": {model: {key: at.kernels(model, key) for key in sets} for model in models},
                "splits": {s: at.splits(s) for s in plan.subjects},
            }
            options = {
                **_common(at, region, ""),
                **_in_time(at, region),
                "model": name,
                "contaminated": [s for s in plan.subjects if s in seen],
                "of": joint["of"],
                "methods": joint["methods"],
            }
            yield Job("joint", inputs, at.cell(region, name, "joint"), options)


def core(at: Layout) -> Iterator[Job]:
    """Networks that are trained on a region's own responses."""
    for region, plan in at.study.regions.items():
        sets = list(dict.fromkeys(at.study.subjects[s]["stimuli"] for s in plan.subjects))
        for name, planned in at.study.cores().items():
            inputs = {
                "brain": at.brain(region),
                "splits": {s: at.splits(s) for s in plan.subjects},
                "stimuli": {key: at.stimuli(key) for key in sets},
            }
            cleaning = {key: value for key, value in _in_time(at, region).items() if key == "cleaning"}
            options = {
                **_common(at, region, ""),
                **cleaning,
                "model": name,
                "readouts": planned["readouts"],
                "core": planned["core"],
                "root": at.resources,
                "degrees": {key: at.study.dataset.stimuli[key].degrees for key in sets},
            }
            yield Job("core", inputs, at.core(region, name), options)


def compare(at: Layout) -> Iterator[Job]:
    """Families of metrics, by region and model."""
    for region, model, sets in _cells(at):
        for family in at.study.families(region):
            inputs = {"brain": at.brain(region), "kernels": {name: at.kernels(model, name) for name in sets}}
            metrics = at.study.metrics(region, family)
            if any(reads_units(name, options) for name, options in metrics.items()):
                inputs["features"] = {name: at.features(model, name) for name in sets}
            if taken_out := sorted({options["confounder"] for options in metrics.values() if "confounder" in options}):
                inputs["confounders"] = {other: {name: at.kernels(other, name) for name in sets} for other in taken_out}
            options = {**_common(at, region, model), "family": family, "metrics": metrics}
            yield Job("compare", inputs, at.cell(region, model, family), options)


def shapes(at: Layout) -> Iterator[Job]:
    """Distances among a region's subjects and all models' layers, where shapes are compared."""
    for region, plan in at.study.regions.items():
        metrics = {name: options for name, options in at.study.metrics(region).items() if name in SPANNING}
        if not metrics:
            continue
        sets = list(dict.fromkeys(at.study.subjects[s]["stimuli"] for s in plan.subjects))
        kernels = {model: {name: at.kernels(model, name) for name in sets} for model in at.study.models}
        options = {**_common(at, region, ""), "metrics": metrics}
        options["models"] = {model: asked_layers(at, model) for model in at.study.models}
        yield Job("shapes", {"brain": at.brain(region), "kernels": kernels}, at.shapes(region), options)


def searchlight(at: Layout) -> Iterator[Job]:
    """Maps of every neuroid's neighbourhood, by region and model."""
    for region, model, sets in _cells(at):
        found = at.study.searchlights(region)
        if not found:
            continue
        inputs = {"brain": at.brain(region), "kernels": {name: at.kernels(model, name) for name in sets}}
        methods = {name: for_model(options, model) for name, options in found.items()}
        common = _common(at, region, model)
        # Its maps have permutations of their own number, and no bootstrap.
        common["inference"] = {"seed": common["inference"]["seed"]}
        yield Job("searchlight", inputs, at.cell(region, model, "searchlight"), {**common, "methods": methods})


def geometry(at: Layout) -> Iterator[Job]:
    """Descriptors of each region by itself."""
    descriptors = at.study.descriptors()
    for region, plan in at.study.regions.items() if descriptors else ():
        sets = list(dict.fromkeys(at.study.subjects[s]["stimuli"] for s in plan.subjects))
        inputs = {"brain": at.brain(region), **_labels(at, descriptors, sets)}
        yield Job("geometry", inputs, at.geometry(region), {**_common(at, region, ""), "descriptors": descriptors})


def geometry_layers(at: Layout) -> Iterator[Job]:
    """Descriptors of each model's layers on each stimulus set, once for all regions."""
    descriptors = at.study.descriptors()
    if not descriptors:
        return
    inference = at.study.options.inference.model_dump()
    inference.pop("primary")
    for model in at.study.models:
        for name in at.study.stimulus_sets:
            inputs = {"kernels": at.kernels(model, name), **_labels(at, descriptors, [name])}
            options = {
                "study": at.study.name,
                "dataset": at.dataset,
                "model": model,
                "set": name,
                "inference": inference,
                "layers": asked_layers(at, model),
                "descriptors": descriptors,
            }
            yield Job("geometry_layers", inputs, at.layers_geometry(model, name), options)


def _labels(at: Layout, descriptors: dict[str, Any], sets: list[str]) -> dict[str, Any]:
    """The tables that descriptors take labels from; none where no descriptor has a target."""
    asked = any("target" in options for options in descriptors.values())
    return {"stimuli": {name: at.stimuli(name) for name in sets}} if asked else {}
