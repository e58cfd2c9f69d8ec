"""Points of the simulation, and how many worlds a metric is asked in."""

from __future__ import annotations

import re

import pytest

from isocortex.errors import DataError
from isocortex.identification import Plan
from isocortex.identification.plan import left_out, points, worlds_of


def test_one_axis_is_varied_at_a_time_with_a_quarter_of_the_worlds() -> None:
    plan = Plan(worlds=10, stimuli=(0.5, 1.0), noise=(0.0, 1.0, float("inf")), neuroids=(0.25, 30))
    found = [(p.axis, p.level, p.stimuli, p.noise, p.neuroids, p.worlds) for p in points(plan, 101, 40)]
    inf = float("inf")
    assert found == [
        ("measured", 1.0, 101, 1.0, 40, 10),
        ("stimuli", 0.5, 51, 1.0, 40, 3), ("stimuli", 1.0, 101, 1.0, 40, 10),
        ("noise", 0.0, 101, 0.0, 40, 3), ("noise", 1.0, 101, 1.0, 40, 10), ("noise", inf, 101, inf, 40, 3),
        ("neuroids", 0.25, 101, 1.0, 10, 3), ("neuroids", 30.0, 101, 1.0, 30, 3), ("alone", inf, 101, inf, 40, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(worlds=0), "identification: found 0 worlds, expected at least 1; set worlds"),
        (Plan(stimuli=(101,)), "found stimuli 101, expected a part up to 1 or a number up to the region's 100; correct it"),
        (Plan(neuroids=(0,)), "found neuroids 0, expected a part up to 1 or a number up to the region's 40; correct it"),
        (Plan(neuroids=(2.5,)), "found neuroids 2.5, expected a part up to 1 or a number"),
        (Plan(noise=(-1.0,)), "found noise -1.0, expected a multiple of the measured noise from 0; correct it"),
    ],
    ids=["no worlds", "more stimuli", "no neuroids", "half a neuroid", "less than no noise"],
)
def test_plans_that_cannot_be_followed_are_refused(plan: Plan, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        points(plan, 100, 40)


def test_dear_metrics_get_fewer_worlds() -> None:
    assert [worlds_of(cost, 200) for cost in ("cheap", "moderate", "costly", "heavy")] == [200, 200, 100, 24]
    assert worlds_of("heavy", 3) == 1


def test_levels_with_too_few_stimuli_are_left_out_and_a_region_with_too_few_is_refused() -> None:
    plan = Plan(stimuli=(0.1, 0.5, 1.0))
    assert [p.level for p in points(plan, 100, 40) if p.axis == "stimuli"] == [0.5, 1.0]
    assert left_out(plan, 100) == ["stimuli: 0.1: found 10 stimuli, expected at least 12, of which two halves are made"]
    assert left_out(plan, 120) == []
    with pytest.raises(DataError, match="identification: found 11 stimuli, expected at least 12, of which two halves are made"):
        points(Plan(), 11, 40)


def test_noise_alone_has_fifty_worlds_at_most() -> None:
    assert [points(Plan(worlds=n), 100, 40)[-1].worlds for n in (8, 100, 200, 1000)] == [2, 25, 50, 50]
