"""Which neuroids a region takes from which subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isocortex.errors import StudyError
from isocortex.study import options as opt
from isocortex.study.datasets import Dataset
from isocortex.study.explain import unknown
from isocortex.study.identifiers import check_id, check_unique

Where = dict[str, list[str]]


@dataclass(frozen=True)
class RegionPlan:
    """A region of a study: neuroids that fit any of `anywhere` (each a mapping coordinate → allowed values)."""

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


def plan_regions(options: opt.StudyOptions, dataset: Dataset, subjects: dict[str, Any]) -> dict[str, RegionPlan]:
    """Regions by name; `all` takes every region that the data set has."""
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
    return {name: _plan(name, entry or opt.Region(), dataset, subjects) for name, entry in asked.items()}


def _plan(name: str, entry: opt.Region, dataset: Dataset, subjects: dict[str, Any]) -> RegionPlan:
    if entry.where is not None:
        sources: list[str] = []
        anywhere = [entry.where]
        neuroids: dict[str, int] = {}
    else:
        sources = entry.any_of or [entry.of or name]
        key = "any_of" if entry.any_of else "of" if entry.of else ""
        for source in sources:
            if source not in dataset.regions:
                raise unknown(
                    f"regions.{name}.{key}" if key else "regions", source, dataset.regions, f"region of {dataset.name}"
                )
        anywhere = [_of(dataset, source).where for source in sources]
        if dataset.level == "rdm":
            anywhere = [where or {"region": [source]} for where, source in zip(anywhere, sources, strict=True)]
        neuroids = _neuroids(dataset, sources, subjects)
    if dataset.level == "rdm" and (len(sources) != 1 or entry.min_reliability is not None):
        raise StudyError(f"regions.{name}: {dataset.name} holds RDMs only, so its regions cannot be joined, cut or thresholded")
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
    )


def _of(dataset: Dataset, region: str) -> Any:
    from isocortex.study.datasets import DatasetRegion

    return dataset.regions[region] or DatasetRegion()


def _neuroids(dataset: Dataset, sources: list[str], subjects: dict[str, Any]) -> dict[str, int]:
    counts = {s: sum(_of(dataset, source).neuroids.get(s, 0) for source in sources) for s in subjects}
    return {s: count for s, count in counts.items() if count}
