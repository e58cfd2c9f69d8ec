"""What every comparison of the stage `compare` needs, and the columns that its rows share."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass, field
from typing import Any

import torch
import xarray

from isocortex.digests import digest_json
from isocortex.inference.metric_rows import Context
from isocortex.inference.table_draws import Settings
from isocortex.similarity.metrics import Metric
from isocortex.stages.compare_inputs import Subject
from isocortex.storage.store import Store


@dataclass(frozen=True)
class Comparing:
    """A job's subjects, stores of kernels and features by stimulus set, options, settings of the inference, and device.

    `confounders`: kernels, by stimulus set, of each model that is one.
    `shared`: what metrics of the family make for each other. `notes`: of subjects that a metric had to leave out.
    """

    subjects: list[Subject]
    kernels: dict[str, Store]
    features: dict[str, Store]
    options: dict[str, Any]
    plan: Settings
    device: torch.device
    confounders: dict[str, dict[str, Store]] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def context(
    job: Comparing, metric: Metric, settings: dict[str, Any], layers: tuple[str, ...], refused: dict[str, str]
) -> Context:
    """The columns of a metric's rows that are no numbers of it; `refused` says why layers were left out."""
    options, subjects = job.options, job.subjects
    common = {
        "dataset": options["dataset"],
        "region": options["region"],
        "model": options["model"],
        "family": metric.family,
        "method": metric.name,
        "params_id": digest_json(settings)[:8],
        "n_subjects": 1,
        "higher_is_closer": metric.higher_is_closer,
        "version": importlib.metadata.version("isocortex"),
    }
    counts = {subject.name: subject_counts_columns(subject.data) for subject in subjects}
    every = list(counts.values())
    counts["all"] = {
        "n_stimuli": min(c["n_stimuli"] for c in every),
        "n_neuroids": sum(c["n_neuroids"] for c in every) if all(c["n_neuroids"] is not None for c in every) else None,
        "n_repeats": max((c["n_repeats"] for c in every if c["n_repeats"] is not None), default=None),
        "n_dropped": sum(c["n_dropped"] for c in every),
        "dropped_reason": "; ".join(sorted({c["dropped_reason"] for c in every if c["dropped_reason"]})),
        "n_subjects": len(subjects),
    }
    remarks = (metric.remark,) if metric.remark else ()
    notes = tuple(f"layer {name} left out ({reason})" for name, reason in refused.items())
    return Context(common, counts, layers, frozenset(options.get("contaminated", ())), (*job.notes, *remarks, *notes))


def subject_counts_columns(data: xarray.Dataset) -> dict[str, Any]:
    """n_stimuli, n_neuroids, n_repeats, n_dropped and dropped_reason of a subject in `brain.nc`."""
    reasons = {reason: n for reason, n in json.loads(data.attrs.get("dropped", "{}")).items() if n}
    patterns = "response" in data
    return {
        "n_stimuli": data.sizes["stimulus"],
        "n_neuroids": data.sizes["neuroid"] if patterns else None,
        "n_repeats": int(data["n_repeats"].max()) if "n_repeats" in data else None,
        "n_dropped": int(data.attrs.get("n_dropped", 0)),
        "dropped_reason": ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())),
    }
