"""Encoders of one region and model: every subject, every layer, in one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import torch

from isocortex.compute import resolve_device
from isocortex.encoding import ENCODERS
from isocortex.encoding.nested import OuterKernel, fit_permuted, outer_kernel
from isocortex.errors import DataError, StoreError
from isocortex.inference.encoder_cells import Brain, Context, build_cell
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import Predictions, SubjectResult, evaluate
from isocortex.storage.atomic import digest_json, read_json
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree, write_netcdf

# Bases of a subject are kept between the fit and its permutations up to this size, and made again above it.
KEEP_BYTES = 1e9


def run(spec: dict[str, Any], device: str) -> None:
    """Write encoding.nc of `spec["options"]` region × model."""
    options, inputs = spec["options"], spec["inputs"]
    where = resolve_device(device)
    stores = {name: Store(path) for name, path in inputs["kernels"].items()}
    layers = layer_groups(stores, options.get("layers"))
    members = subjects_of(inputs["brain"], inputs["splits"], options["subjects"])
    settings = settings_of(options)
    results: dict[str, dict[str, SubjectResult]] = {}
    for method, method_options in options["encoders"].items():
        fit = bind(ENCODERS, method)
        results[method] = {}
        for subject in members.values():
            kernels = SubjectKernels(stores[subject.set_name], subject, list(layers.values()), where)
            results[method][subject.name] = _subject(kernels, fit, method_options, settings)
    context = context_of(options, "encoding", options["encoders"], list(layers), settings)
    write_netcdf(build_cell(results, {name: subject.brain for name, subject in members.items()}, context), spec["output"])


@dataclass(frozen=True)
class Subject:
    """One subject's part of the region, its rows in the order of its splits."""

    name: str
    set_name: str
    ids: list[str]
    y: np.ndarray
    trials: np.ndarray
    split: dict[str, Any]
    brain: Brain


def bind(table: Mapping[str, str], name: str) -> Callable[..., Any]:
    """The function that a table binds to a name, imported when it is needed."""
    if name not in table:
        raise DataError(f"found method {name!r}, expected one of {sorted(table)}")
    module, _, function = table[name].partition(":")
    return getattr(import_module(module), function)


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Confidence, seed, draws and permutations of a study's `inference`."""
    chosen = options["inference"]
    return Settings(
        float(chosen.get("confidence", 0.95)),
        int(chosen.get("seed", 0)),
        int(chosen.get("draws", 1000)),
        chosen.get("permutations", "auto"),
    )


def context_of(
    options: Mapping[str, Any], family: str, methods: Mapping[str, Any], layers: list[str], settings: Settings, *notes: str
) -> Context:
    """What the rows of a cell share."""
    return Context(
        key={name: options[name] for name in ("dataset", "region", "model")},
        family=family,
        layers=layers,
        settings=settings,
        contaminated=list(options.get("contaminated", ())),
        generalise=options["inference"].get("generalise", "stimulus"),
        params_id={name: digest_json(value)[:8] for name, value in methods.items()},
        notes=notes,
    )


def layer_groups(stores: Mapping[str, Store], wanted: list[str] | None) -> dict[str, str]:
    """Layer name → group, the same in every stimulus set; those that are wanted, in the study's order."""
    found = [{attrs["layer"]: group for group, attrs in store.groups.items()} for store in stores.values()]
    names = list(found[0])
    for store, groups in zip(stores.values(), found, strict=True):
        if groups != found[0]:
            raise StoreError(f"{store.path}: holds layers {list(groups)}, expected {names}; run the features of all sets again")
    missing = [name for name in wanted or () if name not in names]
    if missing:
        raise DataError(f"{next(iter(stores.values())).path}: found no layer {missing[0]!r}, expected one of {names}")
    return {name: found[0][name] for name in wanted or names}


def subjects_of(brain: str, splits: Mapping[str, str], sets: Mapping[str, str]) -> dict[str, Subject]:
    """The subjects that have this region."""
    tree = read_tree(brain)
    if tree.attrs.get("level", "patterns") != "patterns":
        raise DataError(
            f"{brain}: found level {tree.attrs['level']!r}, expected patterns; an encoder needs responses, not RDMs"
        )
    members = {
        name: _member(name, tree.children[name].to_dataset(), read_json(splits[name]), set_name, brain)
        for name, set_name in sets.items()
        if name in tree.children
    }
    if not members:
        raise DataError(
            f"{brain}: found no subject with this region, expected some of {list(sets)}; see its attribute `absent`"
        )
    return members


def _member(name: str, part: Any, split: dict[str, Any], set_name: str, path: str) -> Subject:
    position = {str(key): row for row, key in enumerate(part["stimulus_id"].values)}
    ids = split["stimulus_ids"]
    lost = [key for key in ids if key not in position]
    if lost:
        raise DataError(
            f"{path}: subject {name}: found no responses to {len(lost)} stimuli of its split (first {lost[0]!r}), "
            "expected all; run the region again"
        )
    rows = np.array([position[key] for key in ids])
    tested = np.concatenate([np.asarray(outer["test"]) for outer in split["outer"]])
    dropped = json.loads(part.attrs.get("dropped", "{}"))
    brain = Brain(
        neuroid_id=part["neuroid_id"].values.astype(str),
        xyz=np.stack([part[axis].values if axis in part else np.full(part.sizes["neuroid"], np.nan) for axis in "xyz"]),
        reliability=part["reliability"].values,
        n_repeats=int(np.median(part["n_repeats"].values[rows][tested])),
        n_dropped=int(part.attrs.get("n_dropped", sum(dropped.values()))),
        dropped_reason=", ".join(f"{count} {reason}" for reason, count in dropped.items() if count),
    )
    response = part["response"].transpose("stimulus", "neuroid").values[rows].astype(np.float64)
    trials = part["trials"].transpose("stimulus", "repeat", "neuroid").values[rows]
    return Subject(name, set_name, ids, response, trials, split, brain)


@dataclass
class SubjectKernels:
    """The bases of one subject, per layer and outer split."""

    store: Store
    subject: Subject
    groups: list[str]
    device: torch.device
    kept: dict[tuple[int, int], OuterKernel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key = self.store.sidecar["splits"].get(self.subject.name)
        if key != self.subject.split["digest"][:8]:
            raise StoreError(
                f"{self.store.path}: made with another split of subject {self.subject.name} than the study's; "
                f"rebuild it with: snakemake -f -- {self.store.path} (with the --configfile of your study)"
            )

    def each(self) -> Iterator[tuple[int, int, OuterKernel]]:
        """(layer, outer split, bases), layer by layer."""
        for layer in range(len(self.groups)):
            for fold in range(len(self.subject.split["outer"])):
                yield layer, fold, self._made(layer, fold)

    def _made(self, layer: int, fold: int) -> OuterKernel:
        if (layer, fold) in self.kept:
            return self.kept[layer, fold]
        outer, group = self.subject.split["outer"][fold], self.groups[layer]
        suffix = f"{self.subject.split['digest'][:8]}_{fold}"
        stored = None
        if self.store.sidecar["stored_decompositions"]:
            names = [*(str(number) for number in range(len(outer["inner"]))), "all"]
            stored = {
                name: (self.store.read(group, f"s_{suffix}_{name}"), self.store.read(group, f"v_{suffix}_{name}"))
                for name in names
            }
        made = outer_kernel(self.store.read(group, f"z_{suffix}"), outer, stored, self.device)
        cost = 8 * len(self.subject.ids) ** 2 * (len(outer["inner"]) + 1)
        if (len(self.kept) + 1) * cost < KEEP_BYTES:
            self.kept[layer, fold] = made
        return made


def _subject(kernels: SubjectKernels, fit: Callable[..., Any], options: Mapping[str, Any], settings: Settings) -> SubjectResult:
    """Fit every layer and outer split of one subject, and judge the predictions."""
    subject = kernels.subject
    y = torch.as_tensor(subject.y, device=kernels.device)
    n_layers, n_outer = len(kernels.groups), len(subject.split["outer"])
    fits: list[list[Any]] = [[None] * n_outer for _ in range(n_layers)]
    for layer, fold, kernel in kernels.each():
        fits[layer][fold] = fit(kernel, y, options)
    predictions = Predictions(
        ids=subject.ids,
        y=y,
        trials=subject.trials,
        outer=subject.split["outer"],
        test=[[one.test for one in row] for row in fits],
        oof=[[one.oof for one in row] for row in fits],
        penalty=np.stack([np.stack([one.alphas.cpu().numpy() for one in row]) for row in fits]),
        alpha_at_edge=np.array([[one.alpha_at_edge for one in row] for row in fits]),
    )

    def refit(orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inner = np.empty((n_layers, n_outer, len(orders)))
        tested = np.empty((n_layers, n_outer, 3, len(orders), y.shape[1]), dtype=np.float32)
        for layer, fold, kernel in kernels.each():
            inner[layer, fold], tested[layer, fold] = fit_permuted(fit, kernel, y, orders, options)
        return inner, tested

    return evaluate(predictions, settings, refit if n_outer > 1 else None)
