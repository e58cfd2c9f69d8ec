"""What a plan promises of readouts: by the maps that are stored, method by method, within the stage's own bounds."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isocortex import planning
from isocortex.planning import readouts
from isocortex.storage.store import StoreWriter
from isocortex.study import Study
from isocortex.study.catalogue import read_yaml
from isocortex.study.jobs import Jobs
from isocortex.study.options import READOUTS

EVERY: dict[str, Any] = {name: {} for name in READOUTS}


def study_of(repository: Path, readout: dict[str, Any]) -> Study:
    mapping: dict[str, Any] = copy.deepcopy(read_yaml(repository / "config/config.yaml"))
    mapping["readout"] = {**readout, "layers": {"seeded-1": ["conv2", "conv3"]}}
    return Study.from_mapping(mapping)


@pytest.fixture
def jobs(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Study, Any]]:
    monkeypatch.chdir(tmp_path)
    found = {}
    for name in ("all", *EVERY):
        study = study_of(repository, EVERY if name == "all" else {name: {}})
        found[name] = study, Jobs(study).by_stage["readout"]["results/demo/middle/seeded-1/readout.nc"]
    return found


def test_every_readout_has_a_cost(jobs: dict[str, tuple[Study, Any]]) -> None:
    assert set(readouts.METHODS) == set(READOUTS)
    costs = {name: planning.cost(study, job) for name, (study, job) in jobs.items()}
    for cost in costs.values():
        assert 0 < cost.seconds < np.inf
        assert 330 < cost.memory_mb < 8000
    assert costs["all"].seconds > max(cost.seconds for name, cost in costs.items() if name != "all")
    assert costs["semantic"].seconds > 2 * costs["factorized"].seconds  # with its twins


@pytest.mark.parametrize("name", list(EVERY))
def test_cost_grows_with_what_it_is_made_of(jobs: dict[str, tuple[Study, Any]], name: str) -> None:
    study, job = jobs[name]
    small = planning.shapes_of(study, job)
    first = readouts.readout(small, job)
    for field in ("stimuli", "neuroids", "subjects"):
        assert readouts.readout(replace(small, **{field: getattr(small, field) * 4}), job).seconds > first.seconds
    assert readouts.readout(replace(small, stimuli=8 * small.stimuli), job).memory_mb > first.memory_mb


def test_stored_maps_are_what_is_planned_by(jobs: dict[str, tuple[Study, Any]]) -> None:
    _, job = jobs["all"]
    assert readouts.map_shapes(job) == readouts.MapShapes(256, 784, 256 * 784)
    path = next(iter(job.inputs["features"].values()))
    writer = StoreWriter(path, {"features": 1}, ["a", "b"])
    for group, (layer, shape) in enumerate({"conv2": (2, 8, 4, 4), "conv3": (2, 16, 2, 2)}.items()):
        writer.group(f"{group:03d}", layer=layer)
        writer.create(f"{group:03d}", "maps", shape, "f2", 2, ("stimulus", "channel", "y", "x"))
        writer.write(f"{group:03d}", "maps", 0, np.zeros(shape, "f2"))
    writer.finish(stimulus_ids=["a", "b"], layers=["conv2", "conv3"])
    assert readouts.map_shapes(job) == readouts.MapShapes(8, 16, 64)  # the localiser sees the last layer


def test_what_bounds_the_plan_is_what_bounds_the_stage() -> None:
    from isocortex.encoding.readouts import fwrf, maps
    from isocortex.inference import warp_gains
    from isocortex.stages import readout_fits
    from isocortex.stages.readout import variants_of

    assert pytest.approx(readout_fits.HELD_BYTES / 1e6, rel=1e-3) == readouts.HELD_MB
    assert pytest.approx(fwrf.BATCH_BYTES / 1e6, rel=1e-3) == readouts.POOLED_MB
    assert pytest.approx(maps.PIECE_BYTES / 1e6, rel=2e-3) == readouts.PIECE_MB
    assert (warp_gains.ORDERS, warp_gains.FEWEST, warp_gains.AFFORDED) == (
        readouts.ORDERS,
        readouts.FEWEST,
        readouts.AFFORDED,
    )
    assert len(variants_of({"semantic": {}})) == readouts.TWINS
