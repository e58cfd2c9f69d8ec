"""Which subjects and stimuli a metric is taken on: with neuroids, with repeats, with enough of them, and not too many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isocortex.inference.resampling import subsamples
from isocortex.similarity.metrics import Metric
from isocortex.stages.compare_inputs import Subject, subject_trials
from isocortex.stages.comparing import Comparing

# Neuroids without which an RDM says nothing: of one every cosine is 1 or -1, and so is of two every correlation.
LEAST_NEUROIDS = {"correlation": 3, "cosine": 2}
NUMBERS = {1: "one neuroid", 2: "two neuroids"}


def with_neuroids(job: Comparing, settings: Mapping[str, Any]) -> tuple[Comparing, dict[str, str]]:
    """The job with the subjects that have neuroids enough for the RDM of `settings`, and the others {name: reason}."""
    kind = str(settings.get("rdm", ""))
    lost = {
        subject.name: f"region {job.options['region']}, subject {subject.name}: "
        f"{NUMBERS[subject.data.sizes['neuroid']]}, and a {kind} RDM needs at least "
        f"{LEAST_NEUROIDS[kind]}; use encoders, or rdm: euclidean"
        for subject in job.subjects
        if "response" in subject.data and subject.data.sizes["neuroid"] < LEAST_NEUROIDS.get(kind, 0)
    }
    if not lost:
        return job, lost
    kept = [subject for subject in job.subjects if subject.name not in lost]
    notes = tuple(f"without {name}: too few neuroids, a {kind} RDM needs at least {LEAST_NEUROIDS[kind]}" for name in lost)
    return replace(job, subjects=kept, notes=(*job.notes, *notes), shared={}), lost


# Stimuli in common from which on subjects with different ones are compared on those.
LEAST_COMMON = 10


def on_common_stimuli(job: Comparing) -> Comparing:
    """The job on the stimuli that all of its subjects have, in the first's order; each on its own where those are too few.

    On the same stimuli subjects are each other's ceiling, and one mean is taken over them; a note says which it is.
    """
    first = job.subjects[0].seen
    if all(subject.seen == first for subject in job.subjects):
        return job
    common = set(first).intersection(*(subject.seen for subject in job.subjects))
    if len(common) < LEAST_COMMON:
        note = f"each subject on its own stimuli: all have only {len(common)} in common, fewer than {LEAST_COMMON}"
        return replace(job, notes=(*job.notes, note))
    order = [name for name in first if name in common]
    fewer = []
    for subject in job.subjects:
        place = {name: row for row, name in enumerate(subject.seen)}
        fewer.append(_some(subject, np.asarray([place[name] for name in order])))
    sizes = sorted(len(subject.stimulus_ids) for subject in job.subjects)
    note = f"on the {len(common)} stimuli that all subjects have, of {sizes[0]} to {sizes[-1]} of each"
    return replace(job, subjects=fewer, notes=(*job.notes, note) if sizes[-1] > len(common) else job.notes)


@dataclass(frozen=True)
class Chosen:
    """Subjects with the stimuli that are taken, the options as they are decided for all of them, and notes of what was left."""

    subjects: list[Subject]
    settings: dict[str, Any]
    notes: tuple[str, ...]


def chosen(metric: Metric, settings: Mapping[str, Any], subjects: list[Subject], seed: int) -> Chosen:
    """Subjects and stimuli without enough repeats are left out of metrics of trials; then at most `max_stimuli` are drawn.

    Where no subject has repeats, all are left as they are: what reads them says so.
    """
    found = Chosen(subjects, dict(settings), ())
    if metric.level == "trials":
        found = _with_enough_trials(metric, _with_repeats(found))
    return _thinned(found, seed)


def same_stimuli(subjects: list[Subject]) -> list[list[Subject]]:
    """All subjects where they have the same stimuli, else each by itself."""
    return [subjects] if len({subject.seen for subject in subjects}) == 1 else [[subject] for subject in subjects]


def repeated(subject: Subject) -> bool:
    """Whether some stimulus was shown to a subject twice."""
    return bool(trial_counts(subject).max() > 1)


def trial_counts(subject: Subject) -> np.ndarray:
    """How many trials each stimulus has, (n,)."""
    trials = subject_trials(subject)
    if trials is None:
        return np.ones(len(subject.stimulus_ids), dtype=np.int64)
    return np.asarray(np.isfinite(trials).all(axis=2).sum(axis=1))


def _with_repeats(found: Chosen) -> Chosen:
    kept = [subject for subject in found.subjects if repeated(subject)]
    if not kept or len(kept) == len(found.subjects):
        return found
    lost = ", ".join(subject.name for subject in found.subjects if not repeated(subject))
    return replace(found, subjects=kept, notes=(*found.notes, f"without {lost}: one trial of each stimulus"))


def _with_enough_trials(metric: Metric, found: Chosen) -> Chosen:
    """The distribution is decided for all subjects at once: distances of two kinds have no mean."""
    if not any(repeated(subject) for subject in found.subjects):
        return found
    groups = same_stimuli(found.subjects)
    counts = [np.stack([trial_counts(subject) for subject in group]).min(axis=0) for group in groups]
    method: Any = metric.summarised(found.settings)
    settings = {**found.settings, "distribution": method.kind_of(counts)}
    method = metric.summarised(settings)
    subjects, notes = [], list(found.notes)
    for group, numbers in zip(groups, counts, strict=True):
        rows = method.enough(numbers)
        subjects += [_some(subject, rows) for subject in group]
        if len(rows) < len(numbers):
            notes.append(f"{settings['distribution']}, on the {len(rows)} of {len(numbers)} stimuli with enough trials")
    order = [subject.name for subject in found.subjects]
    subjects.sort(key=lambda subject: order.index(subject.name))
    return Chosen(subjects, settings, tuple(dict.fromkeys(notes)))


def thinned(job: Comparing, settings: Mapping[str, Any]) -> Comparing:
    """The job on at most `max_stimuli` of each subject's stimuli, the same where subjects have the same; a note says so."""
    found = _thinned(Chosen(job.subjects, dict(settings), ()), job.plan.seed)
    return replace(job, subjects=found.subjects, notes=(*job.notes, *found.notes)) if found.notes else job


def _thinned(found: Chosen, seed: int) -> Chosen:
    most = found.settings.get("max_stimuli")
    largest = max(len(subject.stimulus_ids) for subject in found.subjects)
    if most is None or largest <= most:
        return found
    fewer = [
        subject if len(subject.stimulus_ids) <= most else _some(subject, subsamples(subject.stimulus_ids, 1, most, seed)[0])
        for subject in found.subjects
    ]
    note = f"on {most} of {largest} stimuli, drawn at random (max_stimuli)"
    return replace(found, subjects=fewer, notes=(*found.notes, note))


def _some(subject: Subject, rows: np.ndarray) -> Subject:
    both = {dim: rows for dim in ("stimulus", "stimulus_") if dim in subject.data.dims}
    return replace(subject, stimulus_ids=tuple(subject.stimulus_ids[k] for k in rows), data=subject.data.isel(both))
