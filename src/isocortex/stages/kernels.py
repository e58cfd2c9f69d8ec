"""Gram matrices, their coordinates and fold decompositions of one model on one stimulus set, shared by all regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import budget_bytes, resolve_device
from isocortex.encoding.kernels import GramSum, column_blocks, decomposition_bytes, decompositions, passes, z_scored
from isocortex.errors import DataError
from isocortex.similarity.coordinates import coordinates
from isocortex.storage.atomic import read_json
from isocortex.storage.store import Store, StoreWriter
from isocortex.study.recipes import RECIPES

CHUNK_BYTES = 32 << 20
BLOCK_BYTES = 1 << 30
# Gram matrices that one pass over the features adds up.
GRAM_BYTES = 2 << 30


@dataclass(frozen=True)
class Plan:
    """Distinct splits by the first eight digits of their digest, where their stimuli lie in the set, and what is decomposed.

    `coordinates`: the Gram matrix of all stimuli, for metrics that compare patterns.
    """

    splits: dict[str, Mapping[str, Any]]
    rows: dict[str, np.ndarray]
    subjects: dict[str, str]
    store_decompositions: bool
    coordinates: bool


def run(spec: dict[str, Any], device: str) -> None:
    """Write the kernels store of `spec["options"]` model × set."""
    options, features = spec["options"], Store(spec["inputs"]["features"])
    where = resolve_device(device)
    ids = list(features.sidecar["stimulus_ids"])
    groups = _wanted(features, options.get("layers"))
    wanted = [attributes["layer"] for attributes in groups.values()]
    plan = _plan(spec, ids, len(groups))
    recipe = {
        "recipe": RECIPES["kernels"],
        "layers": wanted,
        "features": features.sidecar["digest"],
        "splits": {key: split["digest"] for key, split in plan.splits.items()},
        "decompositions": plan.store_decompositions,
        **({"coordinates": True} if plan.coordinates else {}),
    }
    writer = StoreWriter(spec["output"], recipe, ids)
    for group, attributes in groups.items():
        writer.group(group, **{name: value for name, value in attributes.items() if name != "dtype"})  # that of the features
        if not writer.has(group, "row_mean", 0, len(ids)):
            _layer(features, writer, group, plan, where)
    writer.finish(
        model=options["model"],
        set=options["set"],
        layers=wanted,
        stimulus_ids=ids,
        splits=plan.subjects,
        stored_decompositions=plan.store_decompositions,
    )


def _wanted(features: Store, layers: list[str] | None) -> dict[str, dict[str, Any]]:
    """Groups of the layers that the study asks for, in the model's order."""
    known = [attributes["layer"] for attributes in features.groups.values()]
    missing = [name for name in layers or () if name not in known]
    if missing:
        raise DataError(
            f"{features.path}: found no layer {missing[0]!r}, expected one of {known}; correct `layers` of the model"
        )
    return {
        group: attributes for group, attributes in features.groups.items() if layers is None or attributes["layer"] in layers
    }


def _plan(spec: dict[str, Any], ids: list[str], n_layers: int) -> Plan:
    position = {name: index for index, name in enumerate(ids)}
    splits: dict[str, Mapping[str, Any]] = {}
    rows: dict[str, np.ndarray] = {}
    subjects: dict[str, str] = {}
    paths = spec["inputs"].get("splits", {}) if spec["options"].get("encode", True) else {}
    for subject, path in sorted(paths.items()):
        split = read_json(path)
        key = split["digest"][:8]
        lost = [name for name in split["stimulus_ids"] if name not in position]
        if lost:
            raise DataError(
                f"{spec['inputs']['features']}: found no features for {len(lost)} stimuli of subject {subject} "
                f"(first {lost[0]!r}), expected all; run the features stage for the whole stimulus set"
            )
        subjects[subject] = key
        splits[key] = split
        rows[key] = np.array([position[name] for name in split["stimulus_ids"]])
    needed = n_layers * decomposition_bytes(splits.values())
    fits = needed <= float(spec["options"].get("kernels_budget_gb", 50)) * 1e9
    return Plan(splits, rows, subjects, fits, bool(spec["options"].get("coordinates", False)))


def _layer(features: Store, writer: StoreWriter, group: str, plan: Plan, device: torch.device) -> None:
    """Grams, decompositions, coordinates of one layer; the row means last, as the mark of a layer that is whole."""
    source = features.array(group, "activation")
    n = source.shape[0]
    names = [(key, number) for key, split in plan.splits.items() for number in range(len(split["outer"]))]
    selections = [(plan.rows[key], np.asarray(plan.splits[key]["outer"][number]["train"])) for key, number in names]
    label = features.groups[group].get("layer", group)
    constant: dict[int, int] = {}
    row_mean = None
    for strips in passes(n, selections, min(GRAM_BYTES, budget_bytes(device)), CHUNK_BYTES):
        total = GramSum(n, selections, strips, device)
        _read(features, label, source, total, device)
        constant |= total.n_constant
        row_mean = total.row_mean.cpu().numpy()
        _put_strips(writer, group, total, names)
        del total  # as large as all that follows
    if plan.store_decompositions:
        for number, (key, fold) in enumerate(names):
            _decompose(features, writer, group, (key, fold), selections[number], plan, device)
    if plan.coordinates:
        gram = torch.as_tensor(writer.read(group, "gram"), device=device)  # it may have been made in strips
        _put(writer, group, "coordinates", coordinates(gram).cpu().numpy(), ("stimulus", "coordinate"))
    writer.group(group, n_constant={f"{key}_{fold}": constant[number] for number, (key, fold) in enumerate(names)})
    assert row_mean is not None
    _put(writer, group, "row_mean", row_mean, ("stimulus",))


def _put_strips(writer: StoreWriter, group: str, total: GramSum, names: list[tuple[str, int]]) -> None:
    for strip, gram in zip(total.strips, total.made, strict=True):
        name = "gram" if strip.selection is None else "z_{}_{}".format(*names[strip.selection])
        _put(writer, group, name, gram.cpu().numpy(), ("stimulus", "stimulus_"), strip.rows.start)


def _read(features: Store, label: str, source: Any, total: GramSum, device: torch.device) -> None:
    """Pass all features of a layer through `total`, block by block of columns."""
    n, n_features = source.shape
    for part in column_blocks(n_features, n, min(BLOCK_BYTES, budget_bytes(device))):
        try:
            total.add(np.asarray(source[:, part]))
        except DataError as error:
            raise DataError(f"{features.path}: layer {label!r}: {error}") from error


def _decompose(
    features: Store,
    writer: StoreWriter,
    group: str,
    name: tuple[str, int],
    selection: tuple[np.ndarray, np.ndarray],
    plan: Plan,
    device: torch.device,
) -> None:
    """Write the eigenpairs of one outer split, by the smaller of the two Gram matrices."""
    key, fold = name
    outer = plan.splits[key]["outer"][fold]
    source = _narrow(features.array(group, "activation"), selection, outer, device)
    primal = source is not None
    if source is None:
        source = torch.as_tensor(writer.read(group, f"z_{key}_{fold}"), device=device)
    for part, (values, vectors) in decompositions(source, outer, primal=primal):
        _put(writer, group, f"s_{key}_{fold}_{part}", values, ("component",))
        _put(writer, group, f"v_{key}_{fold}_{part}", vectors, ("stimulus", "component"))


def _narrow(
    array: Any, selection: tuple[np.ndarray, np.ndarray], outer: Mapping[str, Any], device: torch.device
) -> torch.Tensor | None:
    """Z-scored features (n, p) where they are fewer than the training stimuli of every fold, else None."""
    rows, train = selection
    if array.shape[1] >= len(train) - max(len(part) for part in outer["inner"]):
        return None
    values = torch.as_tensor(np.asarray(array[:])[rows], device=device).to(torch.float64)
    scored, _ = z_scored(values, torch.as_tensor(train, device=device))
    return scored if scored.shape[1] else None


def _put(writer: StoreWriter, group: str, name: str, values: np.ndarray, dims: tuple[str, ...], first: int = 0) -> None:
    """Write an array; or rows `first` … of a Gram matrix, which is as high as it is wide."""
    rows = max(1, CHUNK_BYTES // max(1, values[:1].nbytes))
    # Dimensions of one name must agree in length for xarray, so those of subsets carry their own.
    own = [f"{dim}_{name}" if name not in ("gram", "coordinates", "row_mean") else dim for dim in dims]
    whole = values.shape[1] if dims[-1] == "stimulus_" else len(values)
    writer.create(group, name, (whole, *values.shape[1:]), "float64", rows, own)
    for start in range(0, len(values), rows):
        writer.write(group, name, first + start, values[start : start + rows])
