"""Stage `identify_regions`: regions told from each other across subjects, and the map of all regions."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import numpy as np
import torch
import xarray as xr

from isocortex.compute import resolve_device
from isocortex.errors import DataError
from isocortex.inference.region_identification import (
    NOT_DONE,
    STATISTICS,
    Identified,
    Measured,
    Plan,
    check_plan,
    identify_regions,
)
from isocortex.inference.region_identification_rates import rates
from isocortex.inference.region_map import region_map
from isocortex.similarity.rdm import rdm, to_vector
from isocortex.storage.tables import open_tree, write_netcdf

COMPARATOR = "rho_a"  # of the map
Part = tuple[list[str], np.ndarray]  # stimulus ids of a subject's region, and its patterns or square RDM


def run(spec: dict[str, Any], device: str = "auto") -> None:
    """Write `region_identification.nc` from `brain.nc` of every region."""
    options = spec["options"]
    measured = measure(read_parts(spec["inputs"]["brains"], options), options, resolve_device(device))
    sizes = [len(measured.stimulus_ids)] if options["stimuli"] == "all" else options["stimuli"]
    statistics = {name: options["statistics"][name] for name in STATISTICS if name in options["statistics"]}
    plan = Plan(sizes, options["noise"], options["subsets"], statistics, options["seed"])
    write_netcdf(to_dataset(measured, plan, identify_regions(measured, plan), options), spec["output"])


def read_parts(brains: dict[str, str], options: dict[str, Any]) -> dict[str, dict[str, Part]]:
    """subject → region → what was measured there, subjects in the study's order."""
    found: dict[str, dict[str, Part]] = {subject: {} for subject in options["subjects"]}
    for region in options["regions"]:
        with open_tree(brains[region]) as tree:
            for subject in (name for name in options["subjects"] if name in tree.children):
                data = tree[subject].to_dataset()
                key, dims = ("rdm", ("stimulus", "stimulus_")) if options["level"] == "rdm" else ("response", ("stimulus", ...))
                values = np.asarray(data[key].transpose(*dims).values, dtype=np.float64)
                found[subject][region] = ([str(name) for name in data["stimulus_id"].to_numpy()], values)
    return found


def measure(parts: dict[str, dict[str, Part]], options: dict[str, Any], device: torch.device) -> Measured:
    """RDMs of the subjects that have every region; `DataError` for too few of them, and where stimuli differ."""
    regions, square = list(options["regions"]), options["level"] == "rdm"
    subjects = [subject for subject, found in parts.items() if all(region in found for region in regions)]
    ids = parts[subjects[0]][regions[0]][0] if subjects else []
    check_plan(Measured(subjects, regions, ids, torch.empty(0)), Plan((), (), 1, {}))
    values, vectors = [], []
    for subject in subjects:
        values.append([])
        for region in regions:
            where = f"identification of regions: region {region}, subject {subject}"
            first = f"region {regions[0]}, subject {subjects[0]}"
            values[-1].append(_in_order(parts[subject][region], ids, (where, first), square))
            found = torch.as_tensor(values[-1][-1], device=device)
            try:
                vectors.append(to_vector(found) if square else rdm(found, options["rdm"]))
            except DataError as error:
                raise DataError(f"{where}: {error}") from None
    rdms = torch.stack(vectors).reshape(len(subjects), len(regions), -1)
    return Measured(subjects, regions, ids, rdms, None if square else values, options["rdm"])


def _in_order(part: Part, ids: list[str], place: tuple[str, str], square: bool) -> np.ndarray:
    """Rows (and columns, of an RDM) in the order of `ids`; `place` says whose rows these are, and whose the ids."""
    (found, values), (where, first) = part, place
    if found == ids:
        return values
    row_of = {name: row for row, name in enumerate(found)}
    missing = [name for name in ids if name not in row_of]
    if missing or len(found) != len(ids):
        raise DataError(
            f"{where}: found {len(found)} stimuli, {len(ids) - len(missing)} of the {len(ids)} of {first}, expected the same; "
            "name subjects and regions that were shown the same stimuli"
        )
    rows = [row_of[name] for name in ids]
    return values[np.ix_(rows, rows)] if square else values[rows]


def to_dataset(measured: Measured, plan: Plan, found: Identified, options: dict[str, Any]) -> xr.Dataset:
    """What is kept: accuracy per subset and subject, its summary, thresholds chosen, and the map of the regions."""
    done = np.where(found.correct == NOT_DONE, np.nan, found.correct)
    accuracy = done.mean(axis=-1)  # a subset that was not done was done for no region
    confidence = options["confidence"]
    summary = rates(accuracy, found.without, confidence=confidence)
    chart = region_map(measured.rdms, COMPARATOR)
    main, pair = ("statistic", "size", "noise"), ("region", "region_")
    per_region = np.nanmean(done, axis=(3, 4))
    return xr.Dataset(
        {
            "correct": ((*main, "subset", "subject"), accuracy.astype(np.float32)),
            "without": ((*main, "subset", "subject"), found.without.astype(np.float32)),
            "correct_region": ((*main, "region"), per_region),
            **{name: (main, getattr(summary, name)) for name in summary.__dataclass_fields__},
            "votes": ((*main, "pair"), votes(found)),
            "between": (pair, chart.between),
            "within": (pair, chart.within),
            "coordinates": (("region", "axis"), chart.coordinates),
        },
        coords={
            "statistic": list(plan.statistics),
            "size": np.asarray(plan.sizes, dtype=np.int64),
            "noise": np.asarray(plan.noise, dtype=np.float64),
            "subject": list(measured.subjects),
            "region": list(measured.regions),
            "region_": list(measured.regions),
            "axis": ["x", "y"],
            "lower": ("pair", found.pairs[:, 0]),
            "upper": ("pair", found.pairs[:, 1]),
        },
        attrs={
            "reference": next(iter(plan.statistics)),
            "chance": 1.0 / len(measured.regions),
            "comparator": COMPARATOR,
            "map_shown": chart.shown,
            "n_stimuli": len(measured.stimulus_ids),
            "rdm": "" if measured.patterns is None else measured.method,
            "noise_on": "RDMs" if measured.patterns is None else "patterns",
            "absent": json.dumps([name for name in options["subjects"] if name not in measured.subjects]),
            "confidence": confidence,
            "seed": plan.seed,
            "version": importlib.metadata.version("isocortex"),
        },
    )


def votes(found: Identified) -> np.ndarray:
    """How many held-out subjects × subsets chose each pair of thresholds: int64 (statistic, size, noise, pair)."""
    counted = np.zeros((*found.chosen.shape[:3], len(found.pairs)), dtype=np.int64)
    for pair in range(len(found.pairs)):
        counted[..., pair] = (found.chosen == pair).sum(axis=(3, 4))
    return counted
