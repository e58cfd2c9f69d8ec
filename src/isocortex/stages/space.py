"""Stage `space`: distances between all regions of all subjects, and a map of them."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
import xarray as xr

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.inference.space import LEAST_COMPONENTS, LEAST_STIMULI, Plan, Spread, check_systems, relation, spread
from isocortex.inference.space_distances import METRICS, full_distances
from isocortex.inference.systems import System, match
from isocortex.similarity.shape.space import embed
from isocortex.similarity.trials import HALVES
from isocortex.storage.tables import open_tree, write_netcdf

INDIVIDUALS = ("individual", "animal", "mouse", "monkey")  # neuroid coordinates that name whose brain it is
# The fewest trials of a pair are this many times the components that units are pooled to: for a covariance of half of the
# trials half as many as a half has, for the energy distance half as many as all.
POOL = {"gaussian": 4, "energy": 2}
MOST_TRIALS = 16  # of a condition in a half, of which every pair with another system's is a distance


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `space.nc` from `brain.nc` of every region."""
    options = spec["options"]
    everyone = read_systems(spec["inputs"]["brains"], options["systems"])
    systems = [system for system in everyone if system.n_units >= options["least_units"]]
    check_systems(systems)
    found = {}
    for name in (name for name in METRICS if name in options["methods"]):
        asked = resolved(systems, name, options["methods"][name], options["halves"]["least_trials"])
        found[name] = measure(systems, name, asked, options, resolve_device(device))
    write_netcdf(to_dataset(systems, found, options), spec["output"])


def read_systems(brains: Mapping[str, str], wanted: Sequence[Sequence[str]]) -> list[System]:
    """Regions of subjects in the order asked for; those that a recording turned out to lack are left out.

    Units that failed in some trial are left out, too, so that every trial is a whole pattern.
    """
    systems = []
    for region in dict.fromkeys(region for region, _ in wanted):
        with open_tree(brains[region]) as tree:
            there = [subject for name, subject in wanted if name == region and subject in tree.children]
            systems += [_system(region, subject, tree[subject].to_dataset()) for subject in there]
    return systems


def _system(region: str, subject: str, data: xr.Dataset) -> System:
    trials = np.asarray(data["trials"].transpose("stimulus", "repeat", "neuroid").values, dtype=np.float64)
    shown = np.asarray(data["shown"].transpose("stimulus", "repeat").values, dtype=np.int64)
    whole = np.isfinite(trials[shown >= 0]).all(axis=0)
    if not whole.any():
        raise DataError(
            f"space: region {region}, subject {subject}: no neuroid has a response in every trial; leave the region out"
        )
    individual = next((name for name in INDIVIDUALS if name in data.coords and data[name].dims == ("neuroid",)), None)
    return System(
        region,
        subject,
        data["stimulus_id"].to_numpy().astype(str).tolist(),
        trials[:, :, whole],
        shown,
        _one(data["session"].to_numpy()) if "session" in data.coords else "",
        _one(data[individual].to_numpy()) if individual else "",
    )


def _one(labels: np.ndarray) -> str:
    """The label that all share; "" where they differ."""
    names = np.unique(labels.astype(str))
    return str(names[0]) if len(names) == 1 else ""


def resolved(systems: Sequence[System], name: str, asked: Mapping[str, Any], least_trials: int) -> dict[str, Any]:
    """Options of a metric where `auto` is decided: Gaussians where every pair can have them, else the energy distance for all.

    One map holds one distance. A covariance takes `least_trials` in each half, of three stimuli, and two components.
    """
    if name != "stochastic_shape" or asked["distribution"] != "auto":
        return dict(asked)
    pairs = [match(first, second, 2 * least_trials) for first, second in combinations(systems, 2)]
    enough = all(both.n >= LEAST_STIMULI and min(both.units, int(both.half.min()) // 2) >= LEAST_COMPONENTS for both in pairs)
    return {**asked, "distribution": "gaussian" if enough else "energy"}


def measure(
    systems: Sequence[System], name: str, asked: Mapping[str, Any], options: Mapping[str, Any], device: torch.device
) -> tuple[Spread, np.ndarray, dict[str, Any]]:
    """Distances by one metric, those of all trials and units where they are computed, and its options."""
    gaussian = asked.get("distribution") == "gaussian"
    halves = options["halves"]
    plan = Plan(
        least_trials=halves["least_trials"] * (2 if gaussian else 1),
        blocks=halves["blocks"],
        splits=halves["splits"],
        shuffles=halves["shuffles"],
        seed=options["seed"],
        shuffle_trials=name == "stochastic_shape",
        pool=POOL.get(asked.get("distribution", ""), 0),
        most_trials=MOST_TRIALS if asked.get("distribution") == "energy" else 0,
    )
    found = spread(systems, plan, METRICS[name](asked, device))
    return (
        found,
        full_distances(systems, asked, device) if name == "shape" else np.full_like(found.distance, np.nan),
        dict(asked),
    )


def to_dataset(
    systems: Sequence[System], found: Mapping[str, tuple[Spread, np.ndarray, dict[str, Any]]], options: Mapping[str, Any]
) -> xr.Dataset:
    """What is kept of every metric, and what is known of every system."""
    names = [f"{system.region} {system.subject}" for system in systems]
    pair, spreads = ("metric", "system", "system_"), [one for one, _, _ in found.values()]
    maps = [chart(one.distance) for one in spreads]
    own = {name: np.stack([one.own[kind] for one in spreads]) for kind, name in enumerate(HALVES)}
    coords = {
        name: ("system", [str(getattr(system, name)) for system in systems])
        for name in ("region", "subject", "session", "individual")
    }
    return xr.Dataset(
        {
            **{
                name: (pair, np.stack([getattr(one, name) for one in spreads]))
                for name in ("distance", "p_labels", "p_trials", "n_trials", "n_units", "drawn")
            },
            "n_conditions": (pair, np.stack([one.n_stimuli for one in spreads])),
            "full": (pair, np.stack([full for _, full, _ in found.values()])),
            **{f"self_{name}_pair": (pair, values) for name, values in own.items()},
            **{f"self_{name}": (pair[:2], _over_pairs(values)) for name, values in own.items()},
            "coordinates": (("metric", "system", "axis"), np.stack([places for places, _ in maps])),
            "shown": ("metric", np.asarray([shown for _, shown in maps])),
            "relation": (pair[1:], [[relation(a, b) if a is not b else "" for b in systems] for a in systems]),
            "n_neuroids": ("system", [system.n_units for system in systems]),
        },
        coords={
            "metric": list(found),
            "system": names,
            "system_": names,
            "axis": ["x", "y"],
            **coords,
            "distribution": ("metric", [asked.get("distribution", "") for _, _, asked in found.values()]),
            "kind": ("metric", [asked.get("kind", "") for _, _, asked in found.values()]),
        },
        attrs={
            **{name: options["halves"][name] for name in ("least_trials", "blocks", "splits", "shuffles")},
            "scale": "each system's trials are divided by the square root of the total variance of its condition means",
            "least_units": options["least_units"],
            "left_out": json.dumps(left_out(systems, options["systems"])),
            "seed": options["seed"],
            "version": importlib.metadata.version("isocortex"),
        },
    )


def left_out(systems: Sequence[System], wanted: Sequence[Sequence[str]]) -> list[str]:
    """Regions of subjects that were asked for and are not there: absent, or with too few units."""
    there = {(system.region, system.subject) for system in systems}
    return [f"{region} {subject}" for region, subject in wanted if (region, subject) not in there]


def _over_pairs(values: np.ndarray) -> np.ndarray:
    """Median over the second system of (metric, T, T); NaN where a system has no pair."""
    known = np.asarray(np.isfinite(values).any(axis=2))
    return np.where(known, np.nanmedian(np.where(known[..., None], values, 0.0), axis=2), np.nan)


def chart(distance: np.ndarray) -> tuple[np.ndarray, float]:
    """Coordinates (T, 2) of classical scaling, and the share of variance that they show; estimates below 0 count as 0.

    Systems are left out (NaN) until every distance between the others is known.
    """
    places, kept = np.full((len(distance), 2), np.nan), np.arange(len(distance))
    missing = np.isnan(distance) & ~np.eye(len(distance), dtype=bool)
    while missing[np.ix_(kept, kept)].any():
        kept = np.delete(kept, missing[np.ix_(kept, kept)].sum(axis=1).argmax())
    if len(kept) < 3:
        return places, float("nan")
    square = np.maximum(distance[np.ix_(kept, kept)], 0.0)
    np.fill_diagonal(square, 0.0)
    found = embed(square, 2)
    places[kept] = found.coordinates
    return places, float(np.sum(found.shares))
