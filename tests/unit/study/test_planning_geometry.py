"""What a plan says that descriptors cost."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from isocortex import planning
from isocortex.geometry import GEOMETRY
from isocortex.inference import descriptions
from isocortex.inference.nulls import PERMUTATIONS
from isocortex.planning import geometry
from isocortex.planning.sizes import Cost
from isocortex.study import Study
from isocortex.study.jobs import Jobs


def cost_of(mapping: dict[str, Any], name: str, stage: str = "geometry", **sizes: int) -> Cost:
    mapping = copy.deepcopy(mapping)
    mapping["dataset"]["stimuli"]["all"] = {"n": 20, "table": {"path": "a.csv", "id": "id", "labels": ["kind"]}}
    mapping["geometry"] = {name: {"target": "kind"} if GEOMETRY[name].needs == "labels" else {}}
    study = Study.from_mapping(mapping)
    job = next(iter(Jobs(study).by_stage[stage].values()))
    shapes = replace(planning.shapes_of(study, job), stimuli=400, neuroids=200, repeats=4, draws=1000, **sizes)
    return getattr(geometry, stage)(shapes, job)


def test_every_descriptor_has_a_price_and_the_numbers_of_its_draws() -> None:
    assert {name: price.cost for name, price in geometry.PRICES.items()} == {name: d.cost for name, d in GEOMETRY.items()}
    assert {n for n, p in geometry.PRICES.items() if p.labels} == {n for n, d in GEOMETRY.items() if d.needs == "labels"}
    assert {n for n, p in geometry.PRICES.items() if p.trials} == {n for n, d in GEOMETRY.items() if d.needs == "trials"}
    for ours, theirs in (
        (geometry.DRAWS, descriptions.DRAWS),
        (geometry.PERMUTED, PERMUTATIONS),
        (geometry.SPLITS, descriptions.SPLITS),
    ):
        assert ours == {name: theirs[name] for name in ours}
    assert (geometry.WORK, geometry.FEWEST_NULL, geometry.FEWEST_DRAWS) == (
        descriptions.WORK, descriptions.FEWEST_NULL, descriptions.FEWEST_DRAWS,
    )  # fmt: skip


def test_what_is_dear_costs_more_and_a_spectrum_little(mapping: dict[str, Any]) -> None:
    cheap, loops, conditions = (cost_of(mapping, name).seconds for name in ("participation_ratio", "persistence_h1", "ccgp"))
    assert 5 * cheap < loops
    assert 10 * cheap < conditions


def test_trials_are_counted_where_repeats_are_read(mapping: dict[str, Any]) -> None:
    few, many = (cost_of(mapping, "participation_ratio_cv", subjects=k) for k in (1, 3))
    assert few.memory_mb > cost_of(mapping, "participation_ratio", subjects=1).memory_mb
    assert many.memory_mb - few.memory_mb == pytest.approx(2 * 400 * 4 * 200 * 4 / 1e6)
    assert cost_of(mapping, "participation_ratio_cv", "geometry_layers", subjects=1).seconds < few.seconds
