"""Stage `compare`: a region's RDMs against those of every layer of a model."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.digests import digest_json
from isocortex.errors import DataError
from isocortex.inference.ceilings import repeat_halves
from isocortex.inference.rdm_blocks import N_SPLITS, Block, Settings, evaluate
from isocortex.inference.rdm_rows import Cell, Context, build
from isocortex.inference.rows import rows_to_json
from isocortex.similarity.comparators import comparator
from isocortex.similarity.metrics import METRICS, Metric
from isocortex.similarity.rdm import rdm, rdm_from_gram, to_vector
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree, write_netcdf


@dataclass(frozen=True)
class _Subject:
    name: str
    set_name: str
    stimulus_ids: tuple[str, ...]
    data: xarray.Dataset


@dataclass(frozen=True)
class _Layers:
    """RDMs (L, N) of the layers that have one, their names, and why others have none {name: reason}."""

    names: tuple[str, ...]
    rdms: torch.Tensor
    refused: dict[str, str]


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


def read_subjects(tree: xarray.DataTree, options: dict[str, Any], path: str) -> list[_Subject]:
    """The region's subjects that are in `brain.nc`, in the study's order; a subject without neuroids is absent there."""
    found = []
    for name, set_name in options["subjects"].items():
        if name in tree.children:
            data = tree[name].to_dataset()
            found.append(_Subject(name, set_name, tuple(str(i) for i in data["stimulus_id"].values), data))
    if not found:
        raise DataError(f"{path}: found none of the subjects {list(options['subjects'])}, expected at least one; redo region")
    return found


def _method(
    metric: Metric,
    settings: dict[str, Any],
    subjects: list[_Subject],
    stores: dict[str, Store],
    options: dict[str, Any],
    device: torch.device,
) -> tuple[Cell, xarray.Dataset]:
    inference = options["inference"]
    asked = inference.get("permutations", "auto")
    plan = Settings(
        compare=comparator(settings["compare"]).name,
        draws=int(inference.get("draws", 1000)),
        permutations=None if asked == "auto" else int(asked),
        seed=int(inference.get("seed", 0)),
        confidence=float(inference.get("confidence", 0.95)),
    )
    layers = _all_layers(subjects, stores, options, settings["rdm"], device)
    brain = [_brain_rdm(subject, settings["rdm"], device, options["region"]) for subject in subjects]
    shared = len(subjects) > 1 and len({subject.stimulus_ids for subject in subjects}) == 1
    if shared:
        names = tuple(subject.name for subject in subjects)
        blocks = [Block(names, subjects[0].stimulus_ids, torch.stack(brain), layers[subjects[0].name].rdms)]
    else:
        blocks = [
            Block((s.name,), s.stimulus_ids, b[None], layers[s.name].rdms, _halves(s, settings["rdm"], plan.seed, device))
            for s, b in zip(subjects, brain, strict=True)
        ]
    first = layers[subjects[0].name]
    cell = build([evaluate(block, plan) for block in blocks], _context(metric, settings, subjects, first, options), plan)
    same = [k for k, subject in enumerate(subjects) if subject.stimulus_ids == subjects[0].stimulus_ids]
    picture = xarray.Dataset(
        {
            "brain_rdm": ("pair", torch.stack([brain[k] for k in same]).mean(0).cpu().numpy().astype(np.float32)),
            "model_rdm": ("pair", first.rdms[int(cell.chosen[-1])].cpu().numpy().astype(np.float32)),
        },
        coords={"stimulus_id": ("stimulus", list(subjects[0].stimulus_ids))},
        attrs={"set": subjects[0].set_name, "rdm": settings["rdm"], "compare": settings["compare"]},
    )
    return cell, picture


def _all_layers(
    subjects: list[_Subject], stores: dict[str, Store], options: dict[str, Any], method: str, device: torch.device
) -> dict[str, _Layers]:
    """The layers' RDMs on each subject's stimuli; a layer that has none for one subject is left out for all."""
    read: dict[tuple[str, tuple[str, ...]], _Layers] = {}
    for subject in subjects:
        key = (subject.set_name, subject.stimulus_ids)
        if key not in read:
            read[key] = _read_layers(stores[subject.set_name], subject, options, method, device)
    refused = {name: reason for layers in read.values() for name, reason in layers.refused.items()}
    result = {}
    for subject in subjects:
        layers = read[subject.set_name, subject.stimulus_ids]
        keep = [k for k, name in enumerate(layers.names) if name not in refused]
        if not keep:
            reason = next(iter(refused.values()), "no layer in the store")
            raise DataError(f"compare: model {options['model']!r}: no layer has an RDM: {reason}")
        result[subject.name] = _Layers(tuple(layers.names[k] for k in keep), layers.rdms[keep], refused)
    return result


def _read_layers(store: Store, subject: _Subject, options: dict[str, Any], method: str, device: torch.device) -> _Layers:
    place = {str(name): row for row, name in enumerate(store.sidecar["stimulus_ids"])}
    missing = [name for name in subject.stimulus_ids if name not in place]
    if missing:
        raise DataError(
            f"compare: model {options['model']!r}, set {subject.set_name!r}: lacks {len(missing)} of "
            f"{len(subject.stimulus_ids)} stimuli of subject {subject.name!r} (first: {missing[0]!r}), expected all; "
            "redo features and kernels with these stimuli"
        )
    rows = np.array([place[name] for name in subject.stimulus_ids])
    names: list[str] = []
    found: list[torch.Tensor] = []
    refused: dict[str, str] = {}
    groups = {attributes["layer"]: (group, attributes) for group, attributes in sorted(store.groups.items())}
    # The study's order, not the store's: a layer added later lies behind the others there.
    for group, attributes in (groups[name] for name in options.get("layers") or groups if name in groups):
        gram = torch.as_tensor(np.asarray(store.read(group, "gram"))[np.ix_(rows, rows)], device=device)
        means = torch.as_tensor(np.asarray(store.read(group, "row_mean"))[rows], device=device)
        try:
            vector = rdm_from_gram(gram, means, int(attributes["n_features"]), method)
        except DataError as error:
            refused[attributes["layer"]] = str(error)
            continue
        names.append(attributes["layer"])
        found.append(vector)
    rdms = torch.stack(found) if found else torch.empty((0, 0), dtype=torch.float64, device=device)
    return _Layers(tuple(names), rdms, refused)


def _brain_rdm(subject: _Subject, method: str, device: torch.device, region: str) -> torch.Tensor:
    data = subject.data
    try:
        if "rdm" in data:
            vector = to_vector(torch.as_tensor(np.asarray(data["rdm"].values, dtype=np.float64), device=device))
            if len(subject.stimulus_ids) < 3 or not bool(torch.isfinite(vector).all()):
                raise DataError("RDM: found missing values or fewer than 3 stimuli, expected a whole RDM of 3 or more")
            return vector
        return rdm(torch.as_tensor(np.asarray(data["response"].values, dtype=np.float64), device=device), method)
    except DataError as error:
        raise DataError(f"compare: region {region!r}, subject {subject.name!r}: {error}") from None


def _halves(subject: _Subject, method: str, seed: int, device: torch.device) -> torch.Tensor | None:
    """RDMs (K, 2, N) from two halves of the repeats, where every stimulus has two and no half is without variance."""
    if "trials" not in subject.data:
        return None
    trials = np.asarray(subject.data["trials"].transpose("stimulus", "repeat", "neuroid").values)
    if np.isfinite(trials).all(axis=2).sum(axis=1).min() < 2:
        return None
    means = repeat_halves(trials, N_SPLITS, seed)
    try:
        return rdm(torch.as_tensor(means, device=device), method)
    except DataError:
        return None


def _context(
    metric: Metric, settings: dict[str, Any], subjects: list[_Subject], layers: _Layers, options: dict[str, Any]
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
    longest = max(cell.draws.shape[1] for cell in cells.values())

    def padded(values: np.ndarray) -> np.ndarray:
        missing = longest - values.shape[-1]
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)], constant_values=np.nan).astype(np.float32)

    # A layer without an RDM of one kind may have one of another: a method's missing layers are NaN.
    layers = list(dict.fromkeys(name for cell in cells.values() for name in cell.layers))
    profiles = np.full((len(cells), len(subjects) + 1, len(layers)), np.nan)
    chosen = np.empty((len(cells), len(subjects) + 1), dtype=np.int64)
    for k, cell in enumerate(cells.values()):
        places = np.array([layers.index(name) for name in cell.layers])
        profiles[k][:, places], chosen[k] = cell.layer_score, places[cell.chosen]
    variables: dict[str, Any] = {
        "draws": (("method", "subject", "draw"), np.stack([padded(cell.draws) for cell in cells.values()])),
        "layer_score": (("method", "subject", "layer"), profiles),
        "chosen": (("method", "subject"), chosen),
    }
    pooled = [cell.pooled for cell in cells.values()]
    if all(p.both is not None and p.subjects is not None for p in pooled):
        for part in ("stimuli", "subjects"):
            values = np.stack([padded(getattr(p, part)) for p in pooled])
            variables[f"draws_{part}"] = (("method", "draw"), values)
    rows = [row for cell in cells.values() for row in cell.rows]
    return xarray.Dataset(
        {**variables, **picture.data_vars},
        coords={"method": list(cells), "subject": [*subjects, "all"], "layer": layers, **picture.coords},
        attrs={**picture.attrs, "rows": rows_to_json(rows)},
    )
