"""What each job costs, from shapes: time, memory and disk, before anything runs (standard library only).

Shapes come from the study (stimuli, neuroids, repeats) and, once they exist, from the sidecars of features.
"""

from __future__ import annotations

from pathlib import Path

from isocortex.errors import StudyError
from isocortex.planning.costs import COSTS, ROOM_MB, UNKNOWN_NEUROIDS
from isocortex.planning.features import FORWARD, KNOWN, UNKNOWN_FEATURES, planned, stored
from isocortex.planning.sizes import Cost, Shapes
from isocortex.study import Study, load_study
from isocortex.study.job import Job
from isocortex.study.jobs import Jobs


def shapes_of(study: Study, job: Job) -> Shapes:
    """Sizes for one job; the largest where subjects differ."""
    options = job.options
    region, model = options.get("region"), options.get("model")
    subjects = list(options.get("subjects") or ([options["subject"]] if "subject" in options else study.subjects))
    sets = [options["set"]] if "set" in options else sorted({study.subjects[s]["stimuli"] for s in subjects})
    entries = [study.subjects[s] for s in subjects]
    if region:
        counts = [study.regions[region].neuroids.get(s, UNKNOWN_NEUROIDS) for s in subjects]
    else:
        known = [sum(plan.neuroids.get(s, 0) for plan in study.regions.values()) for s in subjects]
        counts = [count or UNKNOWN_NEUROIDS for count in known]
    of = dict.fromkeys(item["model"] for item in options.get("of", ()))
    members = of or dict.fromkeys(options.get("models", ())) or {model if model in study.models else None: None}
    found = [_layers_and_features(study, member, sets[0]) for member in members]
    layers, features = sum(count for count, _ in found), max(width for _, width in found)
    splits = study.options.splits
    return Shapes(
        stimuli=max(study.dataset_entry["stimuli"][name]["n"] for name in sets),
        neuroids=max(counts, default=UNKNOWN_NEUROIDS),
        repeats=max((entry["repeats"] for entry in entries), default=1),
        layers=layers,
        features=features,
        subjects=len(subjects),
        outer=1 if splits.test else splits.folds,
        folds=splits.folds,
        draws=study.options.inference.draws,
        test=splits.test,
    )


def _layers_and_features(study: Study, model: str | None, stimulus_set: str) -> tuple[int, int]:
    """Layers of a model and features of the widest: from its sidecar if it ran, else from its options."""
    if not model:
        return 1, UNKNOWN_FEATURES
    found = stored(Path(Jobs(study).at.features(model, stimulus_set))) or planned(study.models[model])
    return found.layers, found.widest


def cost(study: Study, job: Job) -> Cost:
    """What one job costs."""
    return COSTS[job.stage](shapes_of(study, job), job)


def memory_mb(study: Study, job: Job, attempt: int = 1) -> int:
    """Memory to ask for: half as much again as planned and some room, twice that at each further attempt."""
    return int((cost(study, job).memory_mb * 1.5 + ROOM_MB) * 2 ** (attempt - 1)) + 1


def threads(study: Study, job: Job) -> int:
    """Cores to ask for: one for a job of minutes, so that many run side by side, more for one that would take long alone."""
    return next(n for n, limit in ((1, 120), (2, 600), (4, float("inf"))) if cost(study, job).seconds <= limit)


def runtime_minutes(study: Study, job: Job, attempt: int = 1) -> int:
    """Minutes to ask for: five times the plan, at least ten."""
    return int(max(10, cost(study, job).seconds / 60 * 5) * attempt)


def plan_study(path: str | Path) -> str:
    """Jobs, CPU time, peak memory and disk per stage, as text; raises `StudyError` where a job cannot fit on this machine."""
    study = load_study(path)
    jobs = Jobs(study)
    lines = [
        f"{study.label}: {len(study.regions)} regions × {len(study.models)} models, {len(study.subjects)} subjects",
        "",
        f"{'stage':<16} {'jobs':>6} {'CPU time':>10} {'longest':>10} {'memory':>10} {'disk':>10}",
    ]
    total = Cost(0, 0, 0)
    count = 0
    for stage, by_target in jobs.by_stage.items():
        costs = [cost(study, job) for job in by_target.values()]
        if not costs:
            continue
        seconds, disk = sum(c.seconds for c in costs), sum(c.disk_mb for c in costs)
        longest, memory = max(c.seconds for c in costs), max(c.memory_mb for c in costs)
        lines.append(_row(stage, len(costs), seconds, longest, memory, disk))
        total = Cost(total.seconds + seconds, max(total.memory_mb, memory), total.disk_mb + disk)
        count += len(costs)
    lines.append(_row("all", count, total.seconds, total.seconds, total.memory_mb, total.disk_mb, last=True))
    guessed = [m for m in study.models if _is_guessed(study, m)]
    if guessed:
        lines += [
            "",
            f"features per layer not known yet for {', '.join(guessed)}: {UNKNOWN_FEATURES} assumed until they ran once, "
            f"and for networks {FORWARD} s per stimulus on one core",
        ]
    _refuse_what_cannot_fit(study, jobs)
    return "\n".join(lines)


def _row(stage: str, n: int, seconds: float, longest: float, memory: float, disk: float, last: bool = False) -> str:
    return f"{stage:<16} {n:>6} {_time(seconds):>10} {'' if last else _time(longest):>10} {_size(memory):>10} {_size(disk):>10}"


def _is_guessed(study: Study, model: str) -> bool:
    stimulus_set = next(iter(study.stimulus_sets))
    ran = Path(Jobs(study).at.features(model, stimulus_set)).exists()
    return not ran and study.models[model]["source"] not in KNOWN


def _refuse_what_cannot_fit(study: Study, jobs: Jobs) -> None:
    import os

    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
    worst = max(jobs, key=lambda job: cost(study, job).memory_mb)
    needed = cost(study, worst).memory_mb
    if needed > installed:
        raise StudyError(
            f"{worst.target}: rule {worst.stage} needs about {_size(needed)} of memory, found {_size(installed)} here; "
            "take fewer stimuli or neuroids, or a larger machine"
        )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 2000 else f"{megabytes / 1000:.1f} GB"


__all__ = ["COSTS", "Cost", "Shapes", "cost", "memory_mb", "plan_study", "runtime_minutes", "shapes_of", "threads"]
