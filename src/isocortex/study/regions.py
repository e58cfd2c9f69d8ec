"""Which neuroids a region takes from which subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isocortex.errors import StudyError
from isocortex.study import options as opt
from isocortex.study.datasets import Dataset
from isocortex.study.explain import unknown
from isocortex.study.identifiers import check_id, check_unique
from isocortex.study.places import Clause, atlas_folder, atlas_url, clauses

Where = dict[str, list[str]]


@dataclass(frozen=True)
class RegionPlan:
    """A region of a study: neuroids that fit any of `anywhere` (each a mapping coordinate → allowed values).

    `places`: for each of `anywhere` what a neuroid must fit besides; empty where no region is cut by place.
    """

    label: str
    anywhere: list[Where]
    sources: list[str]
    subjects: list[str]
    neuroids: dict[str, int]
    min_reliability: float | None
    encode: dict[str, Any] | None
    readout: dict[str, Any] | None
    compare: dict[str, Any] | None
    searchlight: dict[str, Any] | None
    places: list[list[Clause]] = field(default_factory=list)


def plan_regions(
    options: opt.StudyOptions, dataset: Dataset, subjects: dict[str, Any], directory: Path | None = None
) -> dict[str, RegionPlan]:
    """Regions by name; `all` takes every region that the data set has. Masks may lie in the study's `directory`."""
    asked = dict.fromkeys(dataset.regions) if options.regions == "all" else options.regions
    if not asked:
        raise StudyError("regions: found none, expected at least one; leave the key out to take all")
    for name in asked:
        try:
            check_id(name, "a region")
        except ValueError as error:
            raise StudyError(f"regions: {error}") from None
    try:
        check_unique(asked, "regions")
    except ValueError as error:
        raise StudyError(str(error)) from None
    if dataset.level != "rdm" and options.splits.test == 0:
        _check_threshold_sees_no_test(asked)
    return {name: _plan(name, entry or opt.Region(), dataset, subjects, directory) for name, entry in asked.items()}


def _check_threshold_sees_no_test(asked: dict[str, opt.Region | None]) -> None:
    """Neuroids are chosen by repeats of training stimuli; where all stimuli are tested in turn, there are none such."""
    for name, entry in asked.items():
        if entry is not None and entry.min_reliability is not None:
            raise StudyError(
                f"regions.{name}.min_reliability: found {entry.min_reliability:g} with splits.test: 0, which tests all "
                "stimuli, also those that would choose neuroids; hold a test set out (splits: {test: 0.2}), or cut by a "
                "coordinate that was measured on other data (at_least)"
            )


def _plan(name: str, entry: opt.Region, dataset: Dataset, subjects: dict[str, Any], directory: Path | None) -> RegionPlan:
    cut = entry.where is not None or entry.places
    # Bounds say which neuroids of the region of that name are good enough; a place or labels say where another region lies.
    elsewhere = any(way is not None for way in (entry.where, entry.mask, entry.atlas, entry.sphere, entry.spheres))
    if cut and not (entry.of or entry.any_of) and (elsewhere or name not in dataset.regions):
        sources: list[str] = []
        anywhere = [entry.where or {}]
        neuroids: dict[str, int] = {}
    else:
        sources = entry.any_of or [entry.of or name]
        key = "any_of" if entry.any_of else "of" if entry.of else ""
        for source in sources:
            if source not in dataset.regions:
                raise unknown(
                    f"regions.{name}.{key}" if key else "regions", source, dataset.regions, f"region of {dataset.name}"
                )
        anywhere = [_both(name, source, _of(dataset, source).where or {}, entry.where or {}) for source in sources]
        if dataset.level == "rdm":
            anywhere = [where or {"region": [source]} for where, source in zip(anywhere, sources, strict=True)]
        neuroids = {} if cut else _neuroids(dataset, sources, subjects)
    places = _places(entry, [_of(dataset, source) for source in sources], directory)
    if dataset.level == "rdm" and places:
        raise StudyError(f"regions.{name}: {dataset.name} holds RDMs only, so its regions have no neuroids to cut by place")
    if dataset.level == "rdm" and len(sources) != 1:
        raise StudyError(f"regions.{name}: {dataset.name} holds RDMs only, so its regions cannot be joined or cut")
    if dataset.level == "rdm" and entry.min_reliability is not None:
        _check_reliability_is_given(name, [value for where in anywhere for value in where.get("region", [])], subjects)
    declared = {s for source in sources for s in _of(dataset, source).neuroids}
    return RegionPlan(
        label=entry.label or (_of(dataset, sources[0]).label if len(sources) == 1 else None) or name,
        anywhere=anywhere,
        sources=sources,
        subjects=[s for s in subjects if not declared or s in declared],
        neuroids=neuroids,
        min_reliability=entry.min_reliability,
        encode=entry.encode,
        readout=entry.readout,
        compare=entry.compare,
        searchlight=entry.searchlight,
        places=places,
    )


def _both(name: str, source: str, of_region: Where, own: Where) -> Where:
    """Values that both allow of each coordinate."""
    joined = {**of_region, **own}
    for coordinate in of_region.keys() & own.keys():
        joined[coordinate] = [value for value in own[coordinate] if value in of_region[coordinate]]
        if not joined[coordinate]:
            raise StudyError(
                f"regions.{name}.where.{coordinate}: found {own[coordinate]}, expected some of {of_region[coordinate]}, which "
                f"is all that {source} has"
            )
    return joined


def atlas_files(options: opt.StudyOptions, dataset: Dataset) -> dict[str, dict[str, str]]:
    """Folders of the data set that atlases asked for by name are fetched into, with their addresses."""
    asked = {} if options.regions == "all" else options.regions
    entries = [entry for entry in (*asked.values(), *dataset.regions.values()) if entry is not None]
    named = [entry.atlas for entry in entries if entry.atlas is not None and entry.atlas.name is not None]
    return {atlas_folder(atlas): {"url": atlas_url(atlas)} for atlas in named}


def _places(entry: opt.Region, sources: list[Any], directory: Path | None) -> list[list[Clause]]:
    own = clauses(entry, directory)
    found = [[*clauses(source), *own] for source in sources] or [own]
    return found if any(found) else []


def _check_reliability_is_given(name: str, asked: list[str], subjects: dict[str, Any]) -> None:
    """RDMs have no repeats to take reliability from: whoever has the region must say it, or give judgements."""
    for subject, entry in subjects.items():
        for region in asked:
            place = (entry.get("rdms") or {}).get(region)
            if place is not None and place.get("reliability") is None:
                raise StudyError(
                    f"regions.{name}.min_reliability: subject {subject} says no reliability of the RDM {region!r}; give it "
                    "(reliability: 0.8, or {path: …, column: …}), or leave min_reliability out"
                )


def _of(dataset: Dataset, region: str) -> Any:
    from isocortex.study.datasets import DatasetRegion

    return dataset.regions[region] or DatasetRegion()


def _neuroids(dataset: Dataset, sources: list[str], subjects: dict[str, Any]) -> dict[str, int]:
    counts = {s: sum(_of(dataset, source).neuroids.get(s, 0) for source in sources) for s in subjects}
    return {s: count for s, count in counts.items() if count}
