"""Every job of a study: what it reads, what it writes, and all options that change its numbers.

A job's `spec` reaches it through Snakemake's `params`, so that a job reruns when, and only when, something in its spec or the
code it declares has changed. Paths are relative to the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from isocortex.digests import canonical_json
from isocortex.study.layout import Layout
from isocortex.study.model import Entry, Study
from isocortex.study.pages import command, index_options, page_options
from isocortex.study.recipes import RECIPES


@dataclass(frozen=True)
class Job:
    """One job of the workflow: `stage` is its rule and its command."""

    stage: str
    inputs: dict[str, Any]
    output: str | dict[str, str]
    options: dict[str, Any]
    watched: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The output that names the job (the first, where there are several)."""
        return self.output if isinstance(self.output, str) else next(iter(self.output.values()))

    @property
    def files(self) -> list[str]:
        """All files that the job reads and Snakemake must wait for."""
        return [*_leaves(self.inputs), *self.watched]

    @property
    def spec(self) -> str:
        """The job in full, as canonical JSON."""
        return canonical_json({"stage": self.stage, "inputs": self.inputs, "output": self.output, "options": self.options})


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    else:
        yield value


@dataclass(frozen=True)
class Jobs:
    """The jobs of one study, by stage and by target."""

    study: Study

    @property
    def at(self) -> Layout:
        """Where things lie."""
        return Layout(self.study)

    @cached_property
    def by_stage(self) -> dict[str, dict[str, Job]]:
        """stage → target → job, in the order of the graph."""
        stages = {
            "fetch": self._fetch(),
            "stimuli": self._stimuli(),
            "record": self._record(),
            "features": self._features(),
            "splits": self._splits(),
            "kernels": self._kernels(),
            "region": self._region(),
            "encode": self._cell_jobs["encode"],
            "readout": self._cell_jobs["readout"],
            "decode": self._cell_jobs["decode"],
            "joint": self._cell_jobs["joint"],
            "compare": self._cell_jobs["compare"],
            "geometry": self._cell_jobs["geometry"],
            "summarise": self._summarise(),
            "report": self._report(),
            "across": self._across(),
            "index": self._index(),
        }
        return {stage: {job.target: job for job in jobs} for stage, jobs in stages.items()}

    def __iter__(self) -> Iterator[Job]:
        return (job for jobs in self.by_stage.values() for job in jobs.values())

    # --- the stages ---

    def _fetch(self) -> Iterator[Job]:
        entry = self.study.dataset_entry
        kept = {key: entry[key] for key in ("files", "terms", "root", "version", "licence", "citation")}
        # Of the stimuli only what must be made, not fetched: another label makes no download.
        made = {name: value for name, value in entry["stimuli"].items() if value.get("simulated")}
        kept["stimuli"] = {name: {"n": value["n"], "simulated": value["simulated"]} for name, value in made.items()}
        options = {"name": self.at.dataset, "entry": kept, "accept_terms": self.study.options.accept_terms}
        yield Job("fetch", {}, self.at.manifest(), options)

    def _stimuli(self) -> Iterator[Job]:
        for name in self.study.stimulus_sets:
            entry = self.study.dataset_entry["stimuli"][name]
            options = {"name": self.at.dataset, "set": name, "entry": entry, "root": self.at.resources}
            yield Job("stimuli", {"manifest": self.at.manifest()}, self.at.stimuli(name), options)

    def _record(self) -> Iterator[Job]:
        for subject, entry in self.study.subjects.items():
            inputs = {"manifest": self.at.manifest(), "stimuli": self.at.stimuli(entry["stimuli"])}
            options = {
                "name": self.at.dataset,
                "subject": subject,
                "level": self.study.level,
                "entry": {**entry, "subject": subject},
                "root": self.at.resources,
            }
            yield Job("record", inputs, self.at.recording(subject), options)

    def _features(self) -> Iterator[Job]:
        for model, entry in self.study.models.items():
            kept = {key: value for key, value in entry.items() if key not in ("label", "trained_on")}
            maps = self.study.options.readout.layers.get(model, []) if self._reads_out() else []
            for name in self.study.stimulus_sets:
                options = {
                    "name": self.at.dataset,
                    "model": model,
                    "set": name,
                    "entry": kept,
                    "root": self.at.resources,
                    "study_dir": self.study.directory.as_posix(),
                    "maps": maps,
                }
                yield Job(
                    "features", {"stimuli": self.at.stimuli(name)}, self.at.features(model, name), options, self._watched(entry)
                )

    def _watched(self, entry: Entry) -> tuple[str, ...]:
        """Files of the user's own that a model is made from: an edit of one makes the features anew."""
        named = [str(entry.get("weights") or ""), str(entry.get("call") or "").partition(":")[0], str(entry.get("path") or "")]
        named += (
            [str(place["path"]) for place in (entry.get("layers") or {}).values()] if entry["source"] == "precomputed" else []
        )
        found = []
        for name in named:
            path = self.study.directory / name
            if name.endswith((".py", ".pt", ".pth", ".h5", ".npz", ".npy", ".nc")) and path.is_file():
                found.append(os.path.relpath(path))
        return tuple(found)

    def _reads_out(self) -> bool:
        return any(self.study.readouts(region) for region in self.study.regions)

    def _splits(self) -> Iterator[Job]:
        if self.study.level == "rdm":
            return
        for subject, entry in self.study.subjects.items():
            inputs = {"recording": self.at.recording(subject), "stimuli": self.at.stimuli(entry["stimuli"])}
            options = {**self.study.options.splits.model_dump(), "subject": subject}
            if any(self.study.delays(region) for region in self.study.regions):
                options["in_time"] = True
            yield Job("splits", inputs, self.at.splits(subject), options)

    def _kernels(self) -> Iterator[Job]:
        encoded = any(self.study.encoders(region) for region in self.study.regions)
        joined = {item["model"] for joint in self.study.joint().values() for item in joint["of"]}
        for model in self.study.models:
            encode = encoded or model in joined
            for name, subjects in self.study.stimulus_sets.items():
                inputs: dict[str, Any] = {"features": self.at.features(model, name)}
                if encode:
                    inputs["splits"] = {s: self.at.splits(s) for s in subjects}
                options = {
                    "model": model,
                    "set": name,
                    "encode": encode,
                    "kernels_budget_gb": self.study.options.kernels_budget_gb,
                    "layers": self._layers(model),
                    "recipe": RECIPES["kernels"],
                }
                yield Job("kernels", inputs, self.at.kernels(model, name), options)

    def _layers(self, model: str) -> list[str] | None:
        """Layers that the study asks of a model; None where the source has its own."""
        layers = self.study.models[model].get("layers")
        return list(layers) if layers is not None else None

    def _region(self) -> Iterator[Job]:
        for region, plan in self.study.regions.items():
            sets = {self.study.subjects[s]["stimuli"] for s in plan.subjects}
            inputs: dict[str, Any] = {
                "recordings": {s: self.at.recording(s) for s in plan.subjects},
                "stimuli": {name: self.at.stimuli(name) for name in sorted(sets)},
            }
            if self.study.level != "rdm":
                inputs["splits"] = {s: self.at.splits(s) for s in plan.subjects}
            options = {
                "region": region,
                "study": self.study.name,
                "level": self.study.level,
                "subjects": {s: {"set": self.study.subjects[s]["stimuli"], "anywhere": plan.anywhere} for s in plan.subjects},
                "min_reliability": plan.min_reliability,
                "seed": self.study.options.inference.seed,
            }
            yield Job("region", inputs, self.at.brain(region), options)

    def _common(self, region: str, model: str) -> dict[str, Any]:
        plan, inference = self.study.regions[region], self.study.options.inference.model_dump()
        inference.pop("primary")
        seen = self.study.contaminated(model) if model else []
        return {
            "study": self.study.name,
            "dataset": self.at.dataset,
            "region": region,
            "model": model,
            "subjects": {s: self.study.subjects[s]["stimuli"] for s in plan.subjects},
            "contaminated": [s for s in plan.subjects if s in seen],
            "inference": inference,
            "layers": self._layers(model) if model else None,
        }

    def _in_time(self, region: str) -> dict[str, Any]:
        """What is done to features (`delays`) and to responses (`cleaning`) that are samples in time; {} where nothing is."""
        found = {"delays": self.study.delays(region), "cleaning": self.study.cleaning(region)}
        return {key: value for key, value in found.items() if value}

    def _cells(self) -> Iterator[tuple[str, str, list[str]]]:
        for region, plan in self.study.regions.items():
            sets = list(dict.fromkeys(self.study.subjects[s]["stimuli"] for s in plan.subjects))
            for model in self.study.models:
                yield region, model, sets

    def _encode(self) -> Iterator[Job]:
        for region, model, sets in self._cells():
            encoders = self.study.encoders(region)
            if not encoders:
                continue
            inputs = {
                "brain": self.at.brain(region),
                "kernels": {name: self.at.kernels(model, name) for name in sets},
                "splits": {s: self.at.splits(s) for s in self.study.regions[region].subjects},
            }
            options = {**self._common(region, model), **self._in_time(region), "encoders": encoders}
            yield Job("encode", inputs, self.at.cell(region, model, "encoding"), options)

    def _readout(self) -> Iterator[Job]:
        for region, model, sets in self._cells():
            readouts, layers = self.study.readouts(region), self.study.options.readout.layers.get(model)
            if not readouts or not layers:
                continue
            inputs = {
                "brain": self.at.brain(region),
                "features": {name: self.at.features(model, name) for name in sets},
                "splits": {s: self.at.splits(s) for s in self.study.regions[region].subjects},
            }
            cleaning = {key: value for key, value in self._in_time(region).items() if key == "cleaning"}
            options = {**self._common(region, model), **cleaning, "readouts": readouts, "layers": layers}
            yield Job("readout", inputs, self.at.cell(region, model, "readout"), options)

    def _decode(self) -> Iterator[Job]:
        """One job for a region by itself, and one for each model on the stimuli of its subjects."""
        decoders = self.study.decoders()
        if not decoders:
            return
        splits = self.study.options.splits
        own = {"decoders": decoders, "folds": splits.folds, "fold_seed": splits.seed}
        for region, plan in self.study.regions.items():
            sets = sorted({self.study.subjects[s]["stimuli"] for s in plan.subjects})
            inputs = {"brain": self.at.brain(region), "stimuli": {name: self.at.stimuli(name) for name in sets}}
            yield Job("decode", inputs, self.at.decoding(region), {**self._common(region, ""), **own})
            for model in self.study.models:
                kernels = {name: self.at.kernels(model, name) for name in sets}
                options = {**self._common(region, model), **own}
                yield Job("decode", {**inputs, "kernels": kernels}, self.at.cell(region, model, "decoding"), options)

    def _joint(self) -> Iterator[Job]:
        for region, plan in self.study.regions.items():
            sets = list(dict.fromkeys(self.study.subjects[s]["stimuli"] for s in plan.subjects))
            for name, joint in self.study.joint().items():
                models = list(dict.fromkeys(item["model"] for item in joint["of"]))
                seen = {s for model in models for s in self.study.contaminated(model)}
                inputs = {
                    "brain": self.at.brain(region),
                    "kernels": {model: {key: self.at.kernels(model, key) for key in sets} for model in models},
                    "splits": {s: self.at.splits(s) for s in plan.subjects},
                }
                options = {
                    **self._common(region, ""),
                    **self._in_time(region),
                    "model": name,
                    "contaminated": [s for s in plan.subjects if s in seen],
                    "of": joint["of"],
                    "methods": joint["methods"],
                }
                yield Job("joint", inputs, self.at.cell(region, name, "joint"), options)

    def _compare(self) -> Iterator[Job]:
        for region, model, sets in self._cells():
            for family in self.study.families(region):
                inputs = {"brain": self.at.brain(region), "kernels": {name: self.at.kernels(model, name) for name in sets}}
                options = {**self._common(region, model), "family": family, "metrics": self.study.metrics(region, family)}
                yield Job("compare", inputs, self.at.cell(region, model, family), options)

    def _geometry(self) -> Iterator[Job]:
        descriptors = self.study.descriptors()
        for region in self.study.regions if descriptors else ():
            options = {**self._common(region, ""), "descriptors": descriptors}
            yield Job("geometry", {"brain": self.at.brain(region)}, self.at.geometry(region), options)

    def _cells_of(self, region: str) -> dict[str, str]:
        """Every file of results of a region, by `<model>/<file>` (or `<file>`, where it is of the region by itself)."""
        cells: dict[str, str] = {}
        for jobs in self._cell_jobs.values():
            for job in jobs:
                if job.options["region"] == region:
                    cells["/".join(part for part in (job.options["model"], Path(job.target).stem) if part)] = job.target
        return cells

    @cached_property
    def _cell_jobs(self) -> dict[str, list[Job]]:
        return {
            "encode": list(self._encode()),
            "readout": list(self._readout()),
            "decode": list(self._decode()),
            "joint": list(self._joint()),
            "compare": list(self._compare()),
            "geometry": list(self._geometry()),
        }

    def _summarise(self) -> Iterator[Job]:
        for region in self.study.regions:
            options = {
                "study": self.study.name,
                "region": region,
                "primary": self.study.primary,
                "confidence": self.study.options.inference.confidence,
            }
            inputs = {"brain": self.at.brain(region), "cells": self._cells_of(region)}
            yield Job("summarise", inputs, self.at.tables(region), options)

    def _report(self) -> Iterator[Job]:
        for region, plan in self.study.regions.items():
            sets = dict.fromkeys(self.study.subjects[s]["stimuli"] for s in plan.subjects)
            inputs = {
                "brain": self.at.brain(region),
                "cells": self._cells_of(region),
                **self.at.tables(region),
                "stimuli": {name: self.at.stimuli(name) for name in sets},
            }
            yield Job(
                "report", inputs, self.at.report(region), {**page_options(self.study, region), "command": self.command(region)}
            )

    def command(self, region: str) -> str:
        """The line that redoes a region's cells and page."""
        return command(
            self.study,
            region,
            [stage for stage in ("encode", "readout", "decode", "joint", "compare") if self._cell_jobs[stage]],
        )

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
        yield Job("index", inputs, f"{self.at.home}/index.html", index_options(self.study))
