"""Every job of a study, by stage and by target: sources, cells, and the tables and pages made of them."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from isocortex.study import cells, identifying, sources
from isocortex.study.identify_regions import identified_regions
from isocortex.study.job import Job
from isocortex.study.layout import Layout
from isocortex.study.model import Study
from isocortex.study.pages import command, index_options, page_options
from isocortex.study.space import planned_systems
from isocortex.study.windows import windows

# Stages whose cells are looked at, and have no rows of a table.
WITHOUT_ROWS = ("shapes",)
# Stages whose cells the line on a page makes anew.
REDONE = ("encode", "readout", "decode", "joint", "core", "compare", "shapes", "searchlight")


@dataclass(frozen=True)
class Jobs:
    """The jobs of one study, by stage and by target."""

    study: Study

    @cached_property
    def at(self) -> Layout:
        """Where things lie."""
        return Layout(self.study)

    @cached_property
    def by_stage(self) -> dict[str, dict[str, Job]]:
        """stage → target → job, in the order of the graph."""
        stages = {
            "fetch": sources.fetch(self.at),
            "stimuli": sources.stimuli(self.at),
            "record": sources.record(self.at),
            "features": sources.features(self.at),
            "splits": sources.splits(self.at),
            "kernels": sources.kernels(self.at),
            "region": sources.region(self.at),
            **self._cell_jobs,
            "geometry_layers": list(self._geometry_layers.values()),
            "window": self._windows.values(),
            "known": identifying.known(self.at),
            "identify_models": self._identified.values(),
            "summarise": self._summarise(),
            "report": self._report(),
            "identify_regions": self._identify(),
            "space": self._space(),
            "across": self._across(),
            "index": self._index(),
        }
        return {stage: {job.target: job for job in jobs} for stage, jobs in stages.items()}

    def __iter__(self) -> Iterator[Job]:
        return (job for jobs in self.by_stage.values() for job in jobs.values())

    # --- the stages ---

    def _cells_of(self, region: str, leave_out: Container[str] = ()) -> dict[str, str]:
        """Every file of results of a region, by `<model>/<file>`, of a core by `<core>/core` (or `<file>`, where it is of the
        region by itself)."""
        found: dict[str, str] = {}
        for stage, jobs in self._cell_jobs.items():
            for job in jobs if stage not in leave_out else ():
                if job.options["region"] == region:
                    file = "core" if stage == "core" else Path(job.target).stem
                    found["/".join(part for part in (job.options["model"], file) if part)] = job.target
        return found

    @cached_property
    def _cell_jobs(self) -> dict[str, list[Job]]:
        return {
            "encode": list(cells.encode(self.at)),
            "readout": list(cells.readout(self.at)),
            "decode": list(cells.decode(self.at)),
            "joint": list(cells.joint(self.at)),
            "core": list(cells.core(self.at)),
            "compare": list(cells.compare(self.at)),
            "shapes": list(cells.shapes(self.at)),
            "searchlight": list(cells.searchlight(self.at)),
            "geometry": list(cells.geometry(self.at)),
        }

    @cached_property
    def _geometry_layers(self) -> dict[str, Job]:
        return {job.target: job for job in cells.geometry_layers(self.at)}

    @cached_property
    def _windows(self) -> dict[str, Job]:
        tables = {region: self._tables(region) for region in self.study.regions}
        return {job.target: job for job in windows(self.at, tables)}

    @cached_property
    def _identified(self) -> dict[str, Job]:
        return {job.options["region"]: job for job in identifying.identify_models(self.at)}

    def _tables(self, region: str) -> dict[str, Any]:
        """Options of a region's tables."""
        return {
            "study": self.study.name,
            "region": region,
            "primary": self.study.primary,
            "confidence": self.study.options.inference.confidence,
            "generalise": self.study.options.inference.generalise,
        }

    def _summarise(self) -> Iterator[Job]:
        for region in self.study.regions:
            inputs = {"brain": self.at.brain(region), "cells": self._cells_of(region, WITHOUT_ROWS)}
            yield Job("summarise", inputs, self.at.tables(region), self._tables(region))

    def _report(self) -> Iterator[Job]:
        for region, plan in self.study.regions.items():
            sets = dict.fromkeys(self.study.subjects[s]["stimuli"] for s in plan.subjects)
            inputs = {
                "brain": self.at.brain(region),
                "cells": self._cells_of(region),
                **self.at.tables(region),
                "stimuli": {name: self.at.stimuli(name) for name in sets},
            }
            if course := [target for target, job in self._windows.items() if job.options["region"] == region]:
                inputs["windows"] = {Path(target).stem: target for target in course}
            if layers := {
                f"{job.options['model']}/{job.options['set']}": target
                for target, job in self._geometry_layers.items()
                if job.options["set"] in sets
            }:
                inputs["geometry_layers"] = layers
            if region in self._identified:
                inputs["identification"] = self._identified[region].target
            yield Job(
                "report", inputs, self.at.report(region), {**page_options(self.study, region), "command": self.command(region)}
            )

    def command(self, region: str) -> str:
        """The line that redoes a region's cells and page."""
        return command(self.study, region, self._redone())

    def _redone(self) -> list[str]:
        return [
            *(stage for stage in REDONE if self._cell_jobs[stage]),
            *(["window"] if self._windows else []),
            *(["identify_models"] if self._identified else []),
        ]

    def _identify(self) -> Iterator[Job]:
        asked = self.study.options.identify_regions
        if asked is None:
            return
        regions = identified_regions(self.study)
        inference = self.study.options.inference
        options = {
            "study": self.study.name,
            "level": self.study.level,
            "regions": regions,
            "subjects": list(self.study.subjects),
            "stimuli": asked.stimuli,
            "noise": [float(level) for level in asked.noise],
            "subsets": asked.subsets,
            "rdm": asked.rdm,
            "statistics": asked.statistics.model_dump(exclude_none=True),
            "seed": inference.seed,
            "confidence": inference.confidence,
        }
        brains = {region: self.at.brain(region) for region in regions}
        yield Job("identify_regions", {"brains": brains}, self.at.region_identification, options)

    def _space(self) -> Iterator[Job]:
        asked = self.study.options.space
        if asked is None:
            return
        systems = planned_systems(self.study)
        regions = list(dict.fromkeys(region for region, _ in systems))
        options = {
            "study": self.study.name,
            "regions": regions,
            "systems": [list(system) for system in systems],
            **asked.job(),
            "seed": self.study.options.inference.seed,
        }
        yield Job("space", {"brains": {region: self.at.brain(region) for region in regions}}, self.at.space, options)

    def _across(self) -> Iterator[Job]:
        scores = {region: self.at.tables(region)["scores"] for region in self.study.regions}
        comparisons = {region: self.at.tables(region)["comparisons"] for region in self.study.regions}
        yield Job(
            "across",
            {"scores": scores, "comparisons": comparisons},
            f"{self.at.home}/inference.parquet",
            {"study": self.study.name},
        )

    def _index(self) -> Iterator[Job]:
        regions = self.study.regions
        inputs = {
            "inference": f"{self.at.home}/inference.parquet",
            "scores": {region: self.at.tables(region)["scores"] for region in regions},
            "comparisons": {region: self.at.tables(region)["comparisons"] for region in regions},
            "reports": {region: self.at.report(region) for region in regions},
        }
        if self.study.options.identify_regions is not None:
            inputs["region_identification"] = self.at.region_identification
        if self.study.options.space is not None:
            inputs["space"] = self.at.space
        yield Job("index", inputs, f"{self.at.home}/index.html", index_options(self.study))
