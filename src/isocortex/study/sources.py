"""Jobs that make what regions are computed from: downloads, stimuli, recordings, features, splits, kernels, a region's data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocortex.study.job import Job
from isocortex.study.layout import Layout
from isocortex.study.model import Entry
from isocortex.study.options import NEEDS_PATTERNS
from isocortex.study.parts import ATLASES, COMMON, atlas_part, named_paths, part_name
from isocortex.study.places import own_files
from isocortex.study.readouts import stored_maps
from isocortex.study.recipes import RECIPES


def fetch(at: Layout) -> Iterator[Job]:
    """What the data set downloads, or makes, for the study's subjects and their stimuli."""
    entry = at.study.dataset_entry
    kept = {key: entry[key] for key in ("terms", "manual", "root", "version", "licence", "citation")}
    # Of the stimuli only what must be made, not fetched: another label makes no download.
    made = {
        name: {"n": value["n"], kind: value[kind]}
        for name, value in entry["stimuli"].items()
        for kind in ("simulated", "digits")
        if value.get(kind)
    }
    wanted = _wanted(at)
    for part, files in at.parts.items():
        if part in wanted:
            mine = {**kept, "files": files, "stimuli": made if part == COMMON else {}}
            options = {"name": at.dataset, "part": part, "entry": mine, "accept_terms": at.study.options.accept_terms}
            yield Job("fetch", {}, at.manifest(part), options)


def _wanted(at: Layout) -> set[str]:
    """Parts of the data set that the study needs."""
    subjects = {part_name("subject", name) for name in at.study.subjects}
    atlases = {part for plan in at.study.regions.values() for part in _atlases(plan.places)}
    return {COMMON, *subjects, *atlases, *(part_name("stimuli", name) for name in at.study.stimulus_sets)}


def _atlases(places: Any) -> list[str]:
    """Parts of the atlases that a region is cut by."""
    return [atlas_part(path) for path in dict.fromkeys(named_paths(places)) if path.startswith(ATLASES)]


def _manifests(at: Layout, *wanted: str) -> dict[str, str]:
    """Manifests of the parts that there are, by part; a data set without files of one subject has no such part."""
    return {part: at.manifest(part) for part in (COMMON, *wanted) if part in at.parts}


def stimuli(at: Layout) -> Iterator[Job]:
    """The table of each stimulus set."""
    for name in at.study.stimulus_sets:
        entry = at.study.dataset_entry["stimuli"][name]
        options = {"name": at.dataset, "set": name, "entry": entry, "root": at.resources}
        yield Job("stimuli", {"manifests": _manifests(at, part_name("stimuli", name))}, at.stimuli(name), options)


def record(at: Layout) -> Iterator[Job]:
    """The recording of each subject."""
    for subject, entry in at.study.subjects.items():
        wanted = part_name("subject", subject), part_name("stimuli", entry["stimuli"])
        inputs = {"manifests": _manifests(at, *wanted), "stimuli": at.stimuli(entry["stimuli"])}
        options = {
            "name": at.dataset,
            "subject": subject,
            "level": at.study.level,
            "entry": {**entry, "subject": subject},
            "root": at.resources,
        }
        yield Job("record", inputs, at.recording(subject), options)


def features(at: Layout) -> Iterator[Job]:
    """What each model says of each stimulus set."""
    for model, entry in at.study.models.items():
        kept = {key: value for key, value in entry.items() if key not in ("label", "trained_on")}
        maps = stored_maps(at.study, model)
        for name in at.study.stimulus_sets:
            options = {
                "name": at.dataset,
                "model": model,
                "set": name,
                "entry": kept,
                "root": at.resources,
                "study_dir": at.study.directory.as_posix(),
                "maps": maps,
            }
            if entry.get("place"):
                options["degrees"] = at.study.dataset.stimuli[name].degrees
            yield Job("features", {"stimuli": at.stimuli(name)}, at.features(model, name), options, watched(at, entry))


def watched(at: Layout, entry: Entry) -> tuple[str, ...]:
    """Files of the user's own that a model is made from: an edit of one makes the features anew."""
    named = [str(entry.get("weights") or ""), str(entry.get("call") or "").partition(":")[0], str(entry.get("path") or "")]
    named += [str(entry["name"])] if entry["source"] == "open_clip" else []
    named += [str(place["path"]) for place in (entry.get("layers") or {}).values()] if entry["source"] == "precomputed" else []
    paths = [path for name in named if name for path in _files(at.study.directory / name)]
    return tuple(dict.fromkeys(os.path.relpath(path) for path in paths))


def _files(path: Path) -> list[Path]:
    """A file, with those that carry on its name where it is an ONNX graph, which may have its weights beside it.

    Of a folder its files: configuration, weights, preparation; not of a Zarr folder, which has as many as it has chunks.
    """
    if path.is_file():
        return [path, *sorted(other for other in path.parent.glob(f"{path.name}?*") if path.suffix == ".onnx")]
    inside = path.is_dir() and path.suffix != ".zarr"
    return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")) if inside else []


def splits(at: Layout) -> Iterator[Job]:
    """The folds of each subject; none where only RDMs were published."""
    if at.study.level == "rdm":
        return
    for subject, entry in at.study.subjects.items():
        inputs = {"recording": at.recording(subject), "stimuli": at.stimuli(entry["stimuli"])}
        options = {**at.study.options.splits.model_dump(), "subject": subject}
        if any(at.study.delays(region) for region in at.study.regions):
            options["in_time"] = True
        yield Job("splits", inputs, at.splits(subject), options)


def kernels(at: Layout) -> Iterator[Job]:
    """Grams of each model on each stimulus set, decomposed where encoders and metrics of patterns ask for it."""
    compared = any(NEEDS_PATTERNS & set(at.study.metrics(region)) for region in at.study.regions)
    encoded = any(at.study.encoders(region) for region in at.study.regions)
    joined = {item["model"] for joint in at.study.joint().values() for item in joint["of"]}
    for model in at.study.models:
        encode = encoded or model in joined
        for name, subjects in at.study.stimulus_sets.items():
            inputs: dict[str, Any] = {"features": at.features(model, name)}
            if encode:
                inputs["splits"] = {s: at.splits(s) for s in subjects}
            options = {
                "model": model,
                "set": name,
                "encode": encode,
                "kernels_budget_gb": at.study.options.kernels_budget_gb,
                "layers": asked_layers(at, model),
                "recipe": RECIPES["kernels"],
            }
            if compared:
                options["coordinates"] = True
            yield Job("kernels", inputs, at.kernels(model, name), options)


def asked_layers(at: Layout, model: str) -> list[str] | None:
    """Layers that the study asks of a model; None where the source has its own."""
    layers = at.study.models[model].get("layers")
    return list(layers) if layers is not None else None


def region(at: Layout) -> Iterator[Job]:
    """All that only one region reads."""
    for region, plan in at.study.regions.items():
        sets = {at.study.subjects[s]["stimuli"] for s in plan.subjects}
        inputs: dict[str, Any] = {
            "recordings": {s: at.recording(s) for s in plan.subjects},
            "stimuli": {name: at.stimuli(name) for name in sorted(sets)},
        }
        if at.study.level != "rdm":
            inputs["splits"] = {s: at.splits(s) for s in plan.subjects}
        options = {
            "region": region,
            "study": at.study.name,
            "level": at.study.level,
            "subjects": {s: {"set": at.study.subjects[s]["stimuli"], "anywhere": plan.anywhere} for s in plan.subjects},
            "min_reliability": plan.min_reliability,
            "seed": at.study.options.inference.seed,
        }
        if at.study.options.time is not None and at.study.options.time.window is not None:
            options["window"] = at.study.options.time.window
        if plan.places:
            options |= {"places": plan.places, "root": at.resources}
            wanted = [part_name("subject", s) for s in plan.subjects] + _atlases(plan.places)
            inputs["manifests"] = _manifests(at, *wanted)
        yield Job("region", inputs, at.brain(region), options, tuple(own_files(plan.places)))
