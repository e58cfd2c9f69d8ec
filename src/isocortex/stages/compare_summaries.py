"""Metrics that compare systems by their summaries: curvature, shape, stochastic shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray

from isocortex.errors import DataError
from isocortex.inference.blocks import evaluate
from isocortex.inference.metric_rows import Cell, build
from isocortex.inference.summary_blocks import SummaryBlock
from isocortex.similarity.metrics import Metric, Shown
from isocortex.similarity.summaries import Summaries, fitted, sharing
from isocortex.stages.compare_inputs import Subject
from isocortex.stages.compare_subjects import chosen, same_stimuli
from isocortex.stages.compare_systems import NotComparableError, Reading, Systems, systems_of
from isocortex.stages.comparing import Comparing, context


@dataclass(frozen=True)
class _Set:
    """Subjects that saw the same stimuli, their systems, the method for them, and summaries: of layers by name, of subjects."""

    subjects: list[Subject]
    systems: Systems
    method: Summaries
    made: dict[str, Any]
    own: list[Any]

    @property
    def ids(self) -> tuple[str, ...]:
        return self.subjects[0].stimulus_ids

    def without(self, lost: Mapping[str, str]) -> _Set:
        """Without the layers that any set had to leave out."""
        kept = [k for k, name in enumerate(self.systems.names) if name not in lost]
        names, layers = tuple(self.systems.names[k] for k in kept), [self.systems.layers[k] for k in kept]
        return replace(self, systems=replace(self.systems, names=names, layers=layers, refused=dict(lost)))


def summary_cell(metric: Metric, settings: dict[str, Any], job: Comparing) -> tuple[Cell, xarray.Dataset]:
    """Rows and draws of a metric with summaries, and what a page shows of it."""
    found = chosen(metric, settings, job.subjects, job.plan.seed)
    job, settings = replace(job, subjects=found.subjects), found.settings
    read = [_read(metric, settings, job, subjects) for subjects in same_stimuli(job.subjects)]
    lost = {name: reason for one in read for name, reason in one.systems.refused.items()}
    sets = [one.without(lost) for one in read]
    names = sets[0].systems.names
    if not names:
        model = job.options["model"]
        raise NotComparableError(
            f"compare: model {model!r}: no layer can be compared: {next(iter(lost.values()), 'none in the store')}"
        )
    evaluated = [evaluate(_block(metric, one), job.plan) for one in sets]
    about = context(job, metric, settings, names, lost)
    cell = build(evaluated, replace(about, notes=(*about.notes, *found.notes)), job.plan)
    return cell, _picture(metric, settings, sets, cell, job)


def _read(metric: Metric, settings: dict[str, Any], job: Comparing, subjects: list[Subject]) -> _Set:
    """One set's systems; layers that have no summary on all stimuli are refused."""
    bounded_by_halves = len(subjects) == 1 or metric.normalised != "rdm"
    reading = Reading(
        options=job.options,
        settings=settings,
        kernels=job.kernels,
        features=job.features,
        seed=job.plan.seed,
        device=job.device,
        method=metric.name,
        level=metric.level,
        halves=bounded_by_halves,
        confounders=job.confounders.get(settings.get("confounder", ""), {}),
    )
    systems = systems_of(subjects, reading)
    method = fitted(sharing(metric.summarised(settings), job.shared), systems.brain)
    if not getattr(method, "splits", True):
        systems = replace(systems, repeats=[[] for _ in subjects])  # too few trials for halves
    every, made, refused = np.arange(len(subjects[0].stimulus_ids)), {}, dict(systems.refused)
    for name, layer in zip(systems.names, systems.layers, strict=True):
        try:
            made[name] = method.of(layer, every)
        except DataError as error:
            refused[name] = str(error)
    own = [_of_region(method, system, job, subject) for system, subject in zip(systems.brain, subjects, strict=True)]
    return _Set(subjects, replace(systems, refused=refused), method, made, own)


def _of_region(method: Summaries, system: Any, job: Comparing, subject: Subject) -> Any:
    """A subject's summary on all stimuli; a metric that has none of it is not compared, and others of the family are."""
    try:
        return method.of(system, np.arange(len(subject.stimulus_ids)))
    except DataError as error:
        region = job.options["region"]
        raise NotComparableError(f"compare: region {region!r}, subject {subject.name!r}: {error}") from error


def _block(metric: Metric, one: _Set) -> SummaryBlock:
    every = np.arange(len(one.ids)).tobytes()
    known = {("layers", k, every): one.made[name] for k, name in enumerate(one.systems.names)}
    known |= {("brain", k, every): summary for k, summary in enumerate(one.own)}
    return SummaryBlock(
        subjects=tuple(subject.name for subject in one.subjects),
        stimulus_ids=one.ids,
        brain=one.systems.brain,
        layers=one.systems.layers,
        method=one.method,
        kind=metric.normalised,
        null=metric.null,
        resample=metric.resample,
        cost=metric.cost,
        repeats=one.systems.repeats,
        known=known,
    )


def _picture(metric: Metric, settings: dict[str, Any], sets: list[_Set], cell: Cell, job: Comparing) -> xarray.Dataset:
    first = sets[0]
    about = {"set": first.subjects[0].set_name}
    if not metric.picture:
        return xarray.Dataset(attrs=about)
    first_of_all = job.shared.setdefault("pictured", metric.name) == metric.name
    shown = Shown(
        method=metric.name,
        options=settings,
        stimulus_ids=[one.ids for one in sets for _ in one.subjects],
        subjects=tuple(cell.subjects),
        brain=[system for one in sets for system in one.systems.brain],
        layers=[one.systems.layers for one in sets for _ in one.subjects],
        names=first.systems.names,
        chosen=np.asarray(cell.chosen),
        repeats=[pairs for one in sets for pairs in one.systems.repeats or [[] for _ in one.subjects]],
        seed=job.plan.seed,
        family=job.options["metrics"],
        first=first_of_all,
        shared=job.shared,
    )
    return metric.shown(shown).assign_attrs(about)
