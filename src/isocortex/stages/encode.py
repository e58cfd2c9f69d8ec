"""Encoders of one region and model: every subject, every layer, in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, budget_bytes, resolve_device
from isocortex.encoding import ENCODERS, TOGETHER
from isocortex.encoding.delays import delayed_gram
from isocortex.encoding.nested import Fit, OuterFit, OuterKernel, fit_permuted, outer_kernel
from isocortex.encoding.precision import work_dtype
from isocortex.errors import DataError, StoreError
from isocortex.inference.encoder_cells import Context, build_cell
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import Predictions, SubjectResult, evaluate
from isocortex.inference.layer_fits import LayerFit, collect
from isocortex.stages.subjects import Subject, subjects_of
from isocortex.storage.atomic import digest_json
from isocortex.storage.store import Store
from isocortex.storage.tables import write_netcdf

# Kernels of a subject are kept between the fit and its permutations up to this size, and read again above it.
KEEP_BYTES = 1e9
# A Gram matrix above this size is read when it is needed, and not held beside its decomposition.
HELD_BYTES = 1e8
# Neuroids are fitted in blocks of about this size.
FIT_BYTES = 1 << 29


def run(spec: dict[str, Any], device: str) -> None:
    """Write encoding.nc of `spec["options"]` region × model."""
    options, inputs = spec["options"], spec["inputs"]
    where = resolve_device(device)
    stores = {name: Store(path) for name, path in inputs["kernels"].items()}
    layers = layer_groups(stores, options.get("layers"))
    members = subjects_of(inputs, options)
    settings = settings_of(options)
    results: dict[str, dict[str, SubjectResult]] = {}
    for method, method_options in options["encoders"].items():
        encoder = Encoder(bind(ENCODERS, method), method_options, method in TOGETHER)
        results[method] = {}
        for subject in members.values():
            store, raw = stores[subject.set_name], not method_options.get("standardize", True)
            kernels = SubjectKernels(store, subject, list(layers.values()), where, options.get("delays"), raw)
            results[method][subject.name] = _subject(kernels, encoder, settings)
    context = context_of(options, "encoding", options["encoders"], list(layers), settings)
    write_netcdf(build_cell(results, {name: subject.brain for name, subject in members.items()}, context), spec["output"])


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
    series = {key: options[key] for key in ("delays", "cleaning") if options.get(key)}
    return Context(
        key={name: options[name] for name in ("dataset", "region", "model")},
        family=family,
        layers=layers,
        settings=settings,
        contaminated=list(options.get("contaminated", ())),
        params_id={name: digest_json({**value, **series})[:8] for name, value in methods.items()},
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


@dataclass
class SubjectKernels:
    """What the layers of a model say to one subject's outer splits. raw : features as they came, not z-scored."""

    store: Store
    subject: Subject
    groups: list[str]
    device: torch.device
    delays: list[int] | None = None
    raw: bool = False
    kept: dict[tuple[int, int], OuterKernel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key = self.store.sidecar["splits"].get(self.subject.name)
        if key != self.subject.split["digest"][:8]:
            raise StoreError(
                f"{self.store.path}: made with another split of subject {self.subject.name} than the study's; "
                f"rebuild it with: snakemake -f -- {self.store.path} (with the --configfile of your study)"
            )

    def at(self, layer: int, fold: int) -> OuterKernel:
        """One layer on one outer split; kept, with all that it decomposes, while there is room."""
        if (layer, fold) in self.kept:
            return self.kept[layer, fold]
        outer, group = self.subject.split["outer"][fold], self.groups[layer]
        suffix = f"{self.subject.split['digest'][:8]}_{fold}"

        def gram() -> np.ndarray:
            made = self._raw(group) if self.raw else self.store.read(group, f"z_{suffix}")
            return delayed_gram(made, self.delays, self.subject.runs) if self.delays else made

        stored = None
        # The stored decompositions are those of z-scored features without delays.
        if self.store.sidecar["stored_decompositions"] and not self.raw and not self.delays:
            stored = StoredPairs(self.store, group, suffix, len(outer["inner"]))
        size = 8 * len(self.subject.ids) ** 2
        made = outer_kernel(gram() if size < HELD_BYTES else gram, outer, stored, self.device)
        if (len(self.kept) + 1) * size * (len(outer["inner"]) + 1) < KEEP_BYTES:
            self.kept[layer, fold] = made
        return made

    def _raw(self, group: str) -> np.ndarray:
        """The Gram matrix of the subject's stimuli, features as they came."""
        position = {name: row for row, name in enumerate(self.store.sidecar["stimulus_ids"])}
        rows = np.array([position[name] for name in self.subject.ids])
        return self.store.read(group, "gram")[np.ix_(rows, rows)]


@dataclass(frozen=True)
class StoredPairs(Mapping[str, tuple[np.ndarray, np.ndarray]]):
    """Decompositions of one layer and outer split in a store, read when they are asked for."""

    store: Store
    group: str
    suffix: str
    n_inner: int

    def __getitem__(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in list(self):
            raise KeyError(name)
        return self.store.read(self.group, f"s_{self.suffix}_{name}"), self.store.read(self.group, f"v_{self.suffix}_{name}")

    def __iter__(self) -> Iterator[str]:
        return iter([*(str(number) for number in range(self.n_inner)), "all"])

    def __len__(self) -> int:
        return self.n_inner + 1


@dataclass(frozen=True)
class Encoder:
    """A method with its options; together: all neuroids of a region are fitted at once."""

    fit: Fit
    options: Mapping[str, Any]
    together: bool

    def blocks(self, kernel: OuterKernel, y: torch.Tensor, dtype: torch.dtype) -> Iterator[OuterFit]:
        """Fits of `y` (n, v), in blocks of neuroids that bound the memory."""
        n, n_neuroids = y.shape
        budget = min(FIT_BYTES, budget_bytes(y.device))
        parts = [slice(0, n_neuroids)] if self.together else batches(n_neuroids, 12 * dtype.itemsize * n, budget)
        return (self.fit(kernel, y[:, part].to(dtype), self.options) for part in parts)


def _subject(kernels: SubjectKernels, encoder: Encoder, settings: Settings) -> SubjectResult:
    """Fit every layer and outer split of one subject, and judge the predictions."""
    subject = kernels.subject
    dtype = work_dtype(*subject.y.shape)
    y = torch.as_tensor(subject.y, device=kernels.device)
    outer = subject.split["outer"]

    def fitted(layer: int, fold: int) -> LayerFit:
        blocks = encoder.blocks(kernels.at(layer, fold), y, dtype)
        return collect(blocks, y, outer[fold], subject.ids, settings, choosing=len(kernels.groups) > 1)

    fits = [[fitted(layer, fold) for fold in range(len(outer))] for layer in range(len(kernels.groups))]
    predictions = Predictions(subject.ids, y, subject.trials, outer, fits, subject.runs)

    def refit(orders: np.ndarray) -> np.ndarray:
        return np.sum([_refitted(kernels, fold, encoder, y.to(dtype), orders) for fold in range(len(outer))], axis=0)

    return evaluate(predictions, settings, refit if len(outer) > 1 else None)


def _refitted(kernels: SubjectKernels, fold: int, encoder: Encoder, y: torch.Tensor, orders: np.ndarray) -> np.ndarray:
    """Moments (3, P, v) on the test rows of one outer split of permuted responses, in the layer chosen anew."""
    best = np.full(len(orders), -np.inf)
    moments = np.zeros((3, len(orders), y.shape[1]), dtype=np.float32)
    for layer in range(len(kernels.groups)):
        kernel = kernels.at(layer, fold)
        inner, tested = fit_permuted(encoder.fit, kernel, y, orders, encoder.options, together=encoder.together)
        better = np.nan_to_num(inner, nan=-np.inf) > best
        better |= layer == 0  # NaN never wins, but the first layer must stand for something
        best[better] = np.nan_to_num(inner, nan=-np.inf)[better]
        moments[:, better] = tested[:, better]
    return moments
