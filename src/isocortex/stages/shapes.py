"""Stage `shapes`: a region's subjects and all models' layers as points of one space, by every distance that spans one."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.similarity.metrics import METRICS
from isocortex.similarity.shape.factors import factor
from isocortex.similarity.shape.space import embed, frechet_mean
from isocortex.similarity.summaries import fitted
from isocortex.stages.compare_inputs import Subject, layer_patterns, read_subjects
from isocortex.stages.compare_subjects import chosen, repeated
from isocortex.stages.compare_systems import patterns_of, trials_of
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree, write_netcdf

LOG = logging.getLogger(__name__)
# Systems beyond these are too many for a map that is read.
MOST_SYSTEMS = 400


@dataclass(frozen=True)
class _Named:
    """A point of the space: a subject, or a layer of a model."""

    name: str
    kind: str
    subject: str
    model: str
    layer: str
    system: Any


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `shapes.nc`: distances of all pairs, coordinates on two axes, dispersion of the subjects, self-distances."""
    options, inputs = spec["options"], spec["inputs"]
    where = resolve_device(device)
    subjects = read_subjects(read_tree(inputs["brain"]), options, inputs["brain"])
    subjects = [s for s in subjects if s.seen == subjects[0].seen]
    parts = {}
    for name, given in options["metrics"].items():
        settings = {**METRICS[name].options, **given}
        if METRICS[name].level == "trials" and not any(repeated(s) for s in subjects):
            LOG.info("%s: no subject has repeats: it is left out", name)
            continue
        found = chosen(METRICS[name], settings, subjects, int(options["inference"].get("seed", 0)))
        settings = found.settings
        named = _systems(LEVELS[METRICS[name].level], found.subjects, options, inputs, settings, where)
        parts[name] = _space(name, settings, named)
    if not parts:
        raise DataError(
            f"shapes: region {options['region']!r}: found one trial of each stimulus, expected repeats; "
            "leave stochastic_shape out"
        )
    write_netcdf(_dataset(parts, subjects), spec["output"])


def _systems(
    read: Callable[..., tuple[Any, list[tuple[Any, Any]]]],
    subjects: list[Subject],
    options: dict[str, Any],
    inputs: dict[str, Any],
    settings: dict[str, Any],
    device: torch.device,
) -> tuple[list[_Named], list[list[tuple[Any, Any]]]]:
    found, halves = [], []
    for subject in subjects:
        system, pairs = read(subject, settings, int(options["inference"].get("seed", 0)), device, options["region"])
        found.append(_Named(subject.name, "subject", subject.name, "", "", system))
        halves.append(pairs)
    for model, layers in options["models"].items():
        store = Store(inputs["kernels"][model][subjects[0].set_name])
        for layer, x, _ in layer_patterns(store, subjects[0], {"model": model, "layers": layers}, device):
            found.append(_Named(f"{model} {layer}", "layer", "", model, layer, x))
    if len(found) > MOST_SYSTEMS:
        LOG.info("%d layers are left out of the space of shapes: it holds %d systems", len(found) - MOST_SYSTEMS, MOST_SYSTEMS)
    return found[:MOST_SYSTEMS], halves


# What a subject is at each level, with pairs of halves of its repeats.
LEVELS: dict[str, Callable[..., tuple[Any, list[tuple[Any, Any]]]]] = {"patterns": patterns_of, "trials": trials_of}


@dataclass(frozen=True)
class _Space:
    named: list[_Named]
    distances: np.ndarray
    self_distance: np.ndarray
    dispersion: float


def _space(name: str, settings: dict[str, Any], read: tuple[list[_Named], list[list[tuple[Any, Any]]]]) -> _Space:
    """Distances (T, T) of a metric, of subjects to themselves by halves (T,), and the mean square distance to their mean."""
    named, halves = read
    # Layers have no units here but coordinates: only what minds no rotation spans a space with them.
    method = METRICS[name].summarised({**settings, "group": "orthogonal"})
    every = np.arange(len(named[0].system))
    method = fitted(method, [one.system for one in named if one.kind == "subject"])
    summaries = [method.of(one.system, every) for one in named]
    distances = np.asarray(method.compare(summaries, summaries), dtype=np.float64)
    distances = 0.5 * (distances + distances.T)
    np.fill_diagonal(distances, 0.0)
    own = np.full(len(named), np.nan)
    for k, pairs in enumerate(halves if getattr(method, "splits", True) else ()):
        values = [float(method.compare([method.of(a, every)], [method.of(b, every)])[0, 0]) for a, b in pairs]
        own[k] = np.median(values) if values else np.nan
    return _Space(named, distances, own, _dispersion(named, settings) if METRICS[name].level == "patterns" else np.nan)


def _dispersion(named: list[_Named], settings: dict[str, Any]) -> float:
    brains = [factor(one.system, settings["alpha"]) for one in named if one.kind == "subject"]
    if len(brains) < 2:
        return float("nan")
    try:
        return frechet_mean(brains, settings["kind"]).dispersion
    except DataError:
        return float("nan")  # a subject whose patterns are constant has no shape


def _dataset(parts: dict[str, _Space], subjects: list[Subject]) -> xarray.Dataset:
    """All metrics' spaces; a system that one metric lacks is missing there."""
    systems = list({one.name: one for part in parts.values() for one in part.named}.values())
    names = [one.name for one in systems]
    spaces = [_one(part).reindex(system=names, system_=names) for part in parts.values()]
    described = {key: ("system", [getattr(one, key) for one in systems]) for key in ("kind", "subject", "model", "layer")}
    attrs = {
        "set": subjects[0].set_name,
        "n_stimuli": len(subjects[0].stimulus_ids),
        "version": importlib.metadata.version("isocortex"),
    }
    whole = xarray.concat(spaces, xarray.Variable("metric", list(parts)), join="exact")
    return whole.assign_coords(described).assign_attrs(attrs)


def _one(part: _Space) -> xarray.Dataset:
    names = [one.name for one in part.named]
    places, shown = _map(part.distances)
    return xarray.Dataset(
        {
            "distance": (("system", "system_"), part.distances),
            "coordinates": (("system", "axis"), places),
            "shown": shown,
            "dispersion": part.dispersion,
            "self_distance": ("system", part.self_distance),
        },
        coords={"system": names, "system_": names, "axis": ["x", "y"]},
    )


def _map(distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Two coordinates of each system, and the share of what distances vary that these show; NaN of fewer than three."""
    known = np.isfinite(distances).all()
    if len(distances) < 3 or not known:
        return np.full((len(distances), 2), np.nan), float("nan")
    found = embed(distances, 2)
    return np.asarray(found.coordinates), float(np.sum(found.shares))
