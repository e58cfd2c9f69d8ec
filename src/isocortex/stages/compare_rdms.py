"""Metrics of RDMs that a comparator tells in full: whole, permuted, weighted and in part."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.inference.blocks import Evaluated, evaluate
from isocortex.inference.flexible import evaluate_flexible
from isocortex.inference.metric_rows import Cell, build
from isocortex.inference.rdm_blocks import RdmBlock
from isocortex.inference.table_draws import Settings
from isocortex.similarity.metrics import Metric
from isocortex.stages.compare_inputs import all_layers, halves, subject_rdm
from isocortex.stages.compare_subjects import thinned
from isocortex.stages.comparing import Comparing, context


def rdm_cell(metric: Metric, settings: dict[str, Any], job: Comparing) -> tuple[Cell, xarray.Dataset]:
    """Rows and draws of a metric of RDMs, and the two RDMs that a page shows."""
    job = thinned(job, settings)
    subjects, options, plan = job.subjects, job.options, job.plan
    layers = all_layers(subjects, job.kernels, options, settings["rdm"], job.device)
    brain = [subject_rdm(subject, settings, job.device, options["region"]) for subject in subjects]
    compared = metric.comparators(settings)
    if len(subjects) > 1 and len({subject.seen for subject in subjects}) == 1:
        names = tuple(subject.name for subject in subjects)
        blocks = [RdmBlock(names, subjects[0].stimulus_ids, torch.stack(brain), layers[subjects[0].name].rdms, compared)]
    else:
        blocks = [
            RdmBlock(
                (s.name,), s.stimulus_ids, b[None], layers[s.name].rdms, compared, halves(s, settings, plan.seed, job.device)
            )
            for s, b in zip(subjects, brain, strict=True)
        ]
    first = layers[subjects[0].name]
    judge = _judge(settings)
    evaluated = [judge(block, plan) for block in blocks]
    cell = build(evaluated, context(job, metric, settings, first.names, first.refused), plan)
    same = [k for k, subject in enumerate(subjects) if subject.seen == subjects[0].seen]
    picture = xarray.Dataset(
        {
            "brain_rdm": ("pair", torch.stack([brain[k] for k in same]).mean(0).cpu().numpy().astype(np.float32)),
            "model_rdm": ("pair", _shown(first.rdms, cell, evaluated).cpu().numpy().astype(np.float32)),
        },
        coords={"stimulus_id": ("stimulus", list(subjects[0].stimulus_ids))},
        attrs={"set": subjects[0].set_name, "rdm": settings["rdm"], "compare": settings["compare"]},
    )
    return cell, picture


def _judge(settings: dict[str, Any]) -> Callable[[RdmBlock, Settings], Evaluated]:
    """The inference for the model that the options make of the layers."""
    kind = settings.get("model", "selected")
    return evaluate if kind == "selected" else partial(evaluate_flexible, kind=kind)


def _shown(rdms: torch.Tensor, cell: Cell, evaluated: list[Evaluated]) -> torch.Tensor:
    """The RDM that a page shows: the chosen layer's, or the mixture of all, whose shares are in units of their spread."""
    if not evaluated[0].mixture:
        return rdms[int(cell.chosen[-1])]
    shares = torch.as_tensor(np.concatenate([item.votes for item in evaluated]).mean(axis=0), device=rdms.device)
    return ((shares / rdms.std(dim=1).clamp_min(1e-300))[:, None] * rdms).sum(0)
