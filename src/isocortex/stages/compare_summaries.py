"""Metrics that compare systems by their summaries: curvature, shape, stochastic shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray

from isocortex.errors import DataError
from isocortex.inference.blocks import evaluate
from isocortex.inference.metric_rows import Cell, build
from isocortex.inference.resampling import subsamples
from isocortex.inference.summary_blocks import SummaryBlock
from isocortex.similarity.metrics import Metric, Shown
from isocortex.similarity.summaries import Summaries, fitted
from isocortex.stages.compare_inputs import Subject
from isocortex.stages.compare_systems import LEVELS, Reading, Systems, repeated
from isocortex.stages.comparing import Comparing, context


@dataclass(frozen=True)
class _Set:
    """Subjects that saw the same stimuli, their systems, and the block that is judged."""

    subjects: list[Subject]
    systems: Systems
    block: SummaryBlock


def summary_cell(metric: Metric, settings: dict[str, Any], job: Comparing) -> tuple[Cell, xarray.Dataset]:
    """Rows and draws of a metric with summaries, and what a page shows of it."""
    job, alone = _with_repeats(metric, job)
    job, thinned = _thinned(job, settings)
    method = metric.summarised(settings)
    sets = [_set(metric, settings, job, subjects, method) for subjects in _same_stimuli(job.subjects)]
    evaluated = [evaluate(one.block, job.plan) for one in sets]
    names, refused = sets[0].systems.names, {k: v for one in sets for k, v in one.systems.refused.items()}
    about = context(job, metric, settings, names, refused)
    cell = build(evaluated, replace(about, notes=(*about.notes, *alone, *thinned)), job.plan)
    return cell, _picture(metric, settings, sets, cell, job)


def _same_stimuli(subjects: list[Subject]) -> list[list[Subject]]:
    """All subjects where they have the same stimuli, else each by itself."""
    return [subjects] if len({subject.stimulus_ids for subject in subjects}) == 1 else [[subject] for subject in subjects]


def _set(metric: Metric, settings: dict[str, Any], job: Comparing, subjects: list[Subject], method: Any) -> _Set:
    reading = Reading(job.options, settings, job.kernels, job.features, job.plan.seed, job.device)
    systems = LEVELS[metric.level](subjects, reading)
    method = fitted(method, systems.brain)
    systems, known = _summarised(systems, method, len(subjects[0].stimulus_ids), job.options["model"])
    block = SummaryBlock(
        subjects=tuple(subject.name for subject in subjects),
        stimulus_ids=subjects[0].stimulus_ids,
        brain=systems.brain,
        layers=systems.layers,
        method=method,
        kind=metric.normalised,
        null=metric.null,
        resample=metric.resample,
        cost=metric.cost,
        repeats=systems.repeats,
        known=known,
    )
    return _Set(subjects, systems, block)


def _summarised(systems: Systems, method: Summaries, n: int, model: str) -> tuple[Systems, dict[tuple[str, int, bytes], Any]]:
    """Without the layers that have no summary, and why; the others' summaries on all stimuli."""
    every, kept, refused = np.arange(n), [], dict(systems.refused)
    known: dict[tuple[str, int, bytes], Any] = {}
    for name, layer in zip(systems.names, systems.layers, strict=True):
        try:
            known["layers", len(kept), every.tobytes()] = method.of(layer, every)
        except DataError as error:
            refused[name] = str(error)
            continue
        kept.append((name, layer))
    if not kept:
        raise DataError(
            f"compare: model {model!r}: no layer can be compared: {next(iter(refused.values()), 'no layer in the store')}"
        )
    names, layers = zip(*kept, strict=True)
    return replace(systems, names=names, layers=list(layers), refused=refused), known


def _with_repeats(metric: Metric, job: Comparing) -> tuple[Comparing, tuple[str, ...]]:
    """Subjects that a metric of trials can be taken of, and a note of the others; all, where none has repeats: they say so."""
    if metric.level != "trials":
        return job, ()
    kept = [subject for subject in job.subjects if repeated(subject)]
    if not kept or len(kept) == len(job.subjects):
        return job, ()
    lost = ", ".join(subject.name for subject in job.subjects if not repeated(subject))
    return replace(job, subjects=kept), (f"without {lost}: one trial of each stimulus",)


def _thinned(job: Comparing, settings: dict[str, Any]) -> tuple[Comparing, tuple[str, ...]]:
    """Subjects with at most `max_stimuli` of their stimuli, drawn once by the seed, and a note of it."""
    most = settings.get("max_stimuli")
    largest = max(len(subject.stimulus_ids) for subject in job.subjects)
    if most is None or largest <= most:
        return job, ()
    fewer = [_fewer(subject, most, job.plan.seed) for subject in job.subjects]
    return replace(job, subjects=fewer), (f"on {most} of {largest} stimuli, drawn at random (max_stimuli)",)


def _fewer(subject: Subject, most: int, seed: int) -> Subject:
    if len(subject.stimulus_ids) <= most:
        return subject
    rows = subsamples(subject.stimulus_ids, 1, most, seed)[0]
    both = {dim: rows for dim in ("stimulus", "stimulus_") if dim in subject.data.dims}
    return replace(subject, stimulus_ids=tuple(subject.stimulus_ids[k] for k in rows), data=subject.data.isel(both))


def _picture(metric: Metric, settings: dict[str, Any], sets: list[_Set], cell: Cell, job: Comparing) -> xarray.Dataset:
    first = sets[0]
    about = {"set": first.subjects[0].set_name}
    if not metric.picture:
        return xarray.Dataset(attrs=about)
    shown = Shown(
        method=metric.name,
        options=settings,
        stimulus_ids=first.block.stimulus_ids,
        subjects=tuple(cell.subjects),
        brain=[system for one in sets for system in one.systems.brain],
        layers=[one.systems.layers for one in sets for _ in one.subjects],
        names=first.systems.names,
        chosen=np.asarray(cell.chosen),
        repeats=[pairs for one in sets for pairs in one.systems.repeats],
        seed=job.plan.seed,
    )
    return metric.shown(shown).assign_attrs(about)
