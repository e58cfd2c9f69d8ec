"""Stage `compare`: a region against every layer of a model, by the metrics of one family."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.digests import digest_json
from isocortex.errors import DataError
from isocortex.inference.blocks import Evaluated, evaluate
from isocortex.inference.flexible import evaluate_flexible
from isocortex.inference.metric_rows import Cell, Context, build
from isocortex.inference.pooling import Draws
from isocortex.inference.rdm_blocks import RdmBlock
from isocortex.inference.rows import rows_to_json
from isocortex.inference.table_draws import Settings
from isocortex.similarity.metrics import METRICS, Metric
from isocortex.stages.compare_inputs import Layers, Subject, all_layers, halves, read_subjects, subject_rdm
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree, write_netcdf


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write one cell, `<FAMILY>.nc`: rows, draws, layer profiles and the two RDMs a page shows."""
    options = spec["options"]
    where = resolve_device(device)
    tree = read_tree(spec["inputs"]["brain"])
    subjects = read_subjects(tree, options, spec["inputs"]["brain"])
    stores = {name: Store(path) for name, path in spec["inputs"]["kernels"].items()}
    cells: dict[str, Cell] = {}
    pictures: list[xarray.Dataset] = []
    for method, given in options["metrics"].items():
        metric = METRICS[method]
        if metric.family != options["family"]:
            raise DataError(f"compare: metric {method!r} is of family {metric.family!r}, expected {options['family']!r}")
        cell, picture = _method(metric, {**metric.options, **given}, subjects, stores, options, where)
        cells[method] = cell
        pictures.append(picture)
    write_netcdf(_dataset(cells, pictures[0]), spec["output"])


def _method(
    metric: Metric,
    settings: dict[str, Any],
    subjects: list[Subject],
    stores: dict[str, Store],
    options: dict[str, Any],
    device: torch.device,
) -> tuple[Cell, xarray.Dataset]:
    inference = options["inference"]
    asked = inference.get("permutations", "auto")
    plan = Settings(
        draws=int(inference.get("draws", 1000)),
        permutations=None if asked == "auto" else int(asked),
        seed=int(inference.get("seed", 0)),
        confidence=float(inference.get("confidence", 0.95)),
        generalise=str(inference.get("generalise", "auto")),
    )
    layers = all_layers(subjects, stores, options, settings["rdm"], device)
    brain = [subject_rdm(subject, settings, device, options["region"]) for subject in subjects]
    compared = metric.comparators(settings)
    if len(subjects) > 1 and len({subject.stimulus_ids for subject in subjects}) == 1:
        names = tuple(subject.name for subject in subjects)
        blocks = [RdmBlock(names, subjects[0].stimulus_ids, torch.stack(brain), layers[subjects[0].name].rdms, compared)]
    else:
        blocks = [
            RdmBlock((s.name,), s.stimulus_ids, b[None], layers[s.name].rdms, compared, halves(s, settings, plan.seed, device))
            for s, b in zip(subjects, brain, strict=True)
        ]
    first = layers[subjects[0].name]
    judge = _judge(settings)
    evaluated = [judge(block, plan) for block in blocks]
    cell = build(evaluated, _context(metric, settings, subjects, first, options), plan)
    same = [k for k, subject in enumerate(subjects) if subject.stimulus_ids == subjects[0].stimulus_ids]
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


def _context(
    metric: Metric, settings: dict[str, Any], subjects: list[Subject], layers: Layers, options: dict[str, Any]
) -> Context:
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
    notes = tuple(f"layer {name} left out ({reason})" for name, reason in layers.refused.items())
    return Context(common, counts, layers.names, frozenset(options.get("contaminated", ())), notes)


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


def _dataset(cells: dict[str, Cell], picture: xarray.Dataset) -> xarray.Dataset:
    subjects = next(iter(cells.values())).subjects
    # A layer without an RDM of one kind may have one of another: a method's missing layers are NaN.
    layers = list(dict.fromkeys(name for cell in cells.values() for name in cell.layers))
    profiles = np.full((len(cells), len(subjects) + 1, len(layers)), np.nan)
    chosen = np.empty((len(cells), len(subjects) + 1), dtype=np.int64)
    for k, cell in enumerate(cells.values()):
        places = np.array([layers.index(name) for name in cell.layers])
        profiles[k][:, places], chosen[k] = cell.layer_score, places[cell.chosen]
    variables: dict[str, Any] = {
        "layer_score": (("method", "subject", "layer"), profiles),
        "chosen": (("method", "subject"), chosen),
        **_drawn([cell.draws for cell in cells.values()]),
    }
    rows = [row for cell in cells.values() for row in cell.rows]
    return xarray.Dataset(
        {**variables, **picture.data_vars},
        coords={"method": list(cells), "subject": [*subjects, "all"], "layer": layers, **picture.coords},
        attrs={**picture.attrs, "rows": rows_to_json(rows)},
    )


def _drawn(draws: list[Draws]) -> dict[str, Any]:
    """Draws of every subject and of "all", and what the variance of their differences needs; NaN where a method has less."""
    found: dict[str, Any] = {}
    for name, part, axis in (
        ("draws", "values", "draw"),
        ("draws_fixed", "fixed", "draw"),
        ("draws_linear", "linear", "draw"),
        ("influence", "influence", "stimulus_left"),
        ("regrouped", "regrouped", "group"),
    ):
        given = [getattr(one, part) for one in draws]
        if all(values is None for values in given):
            continue
        longest = max(
            len(one.values) if axis == "draw" else len(values)
            for one, values in zip(draws, given, strict=True)
            if values is not None
        )
        table = np.full((len(draws), draws[0].values.shape[1] + 1, longest), np.nan, dtype=np.float32)
        for k, values in enumerate(given):
            if values is not None:
                table[k, :-1, : len(values)], table[k, -1, : len(values)] = values.T, values.mean(axis=1)
        found[name] = (("method", "subject", axis), table)
    return found
