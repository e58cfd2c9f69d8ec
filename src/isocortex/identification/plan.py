"""What is simulated: worlds at a region's own point, and along one axis at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isocortex.errors import DataError

# Of the worlds of a plan, the share that a metric is asked in, by its cost; 200, 200, 100 and 24 of 200.
SHARES = {"cheap": 1.0, "moderate": 1.0, "costly": 0.5, "heavy": 0.12}
# A point of a sweep has this part of the worlds.
SWEEP = 4
AXES = ("stimuli", "noise", "neuroids")
MEASURED = "measured"
LEAST_STIMULI = 12  # halves of six
# Worlds of nothing but noise, where a method must be right by chance alone; dear methods are not asked.
ALONE, MOST_ALONE = "alone", 50
ASKED_ALONE = ("cheap", "moderate")


@dataclass(frozen=True)
class Plan:
    """How many worlds there are and what is varied.

    `worlds` at the region's own point, a quarter of them at every other level. `stimuli` and `neuroids`: fractions up to 1 of
    the region's, or counts above 1; `noise`: multiples of its standard deviation, 0 for none, 1 as measured, inf for nothing
    but noise. `measurements`: names of MEASUREMENTS, of which worlds take turns.
    """

    worlds: int = 200
    stimuli: Sequence[float] = (0.25, 0.5, 1.0)
    noise: Sequence[float] = (0.0, 1.0, 2.0)
    neuroids: Sequence[float] = (0.5, 1.0)
    measurements: Sequence[str] = ("units", "voxels", "nonlinear")
    seed: int = 0


@dataclass(frozen=True)
class Point:
    """One cell of the simulation: which `axis` is varied to which `level`, and how many of what there then are."""

    axis: str
    level: float
    stimuli: int
    noise: float
    neuroids: int
    worlds: int

    @property
    def key(self) -> tuple[int, float, int]:
        """What is equal for points that are the same."""
        return self.stimuli, self.noise, self.neuroids


def points(plan: Plan, n_stimuli: int, n_neuroids: int) -> list[Point]:
    """The measured point, then every level of every axis, then noise alone; one that is as measured has all of its worlds.

    Levels with fewer stimuli than `LEAST_STIMULI` are left out, as `left_out` says. Raises `DataError` for no worlds, more
    stimuli or neuroids than there are, and a region with too few stimuli to be halved.
    """
    if plan.worlds < 1:
        raise DataError(f"identification: found {plan.worlds} worlds, expected at least 1; set worlds")
    if n_stimuli < LEAST_STIMULI:
        raise DataError(f"identification: {too_few(n_stimuli)}")
    own = Point(MEASURED, 1.0, n_stimuli, 1.0, n_neuroids, plan.worlds)
    found = [own]
    fewer = math.ceil(plan.worlds / SWEEP)
    for axis in AXES:
        for level in getattr(plan, axis):
            at = {"stimuli": n_stimuli, "noise": 1.0, "neuroids": n_neuroids, axis: _amount(axis, level, own)}
            point = Point(axis, float(level), int(at["stimuli"]), float(at["noise"]), int(at["neuroids"]), fewer)
            found.append(point if point.key != own.key else Point(axis, float(level), *own.key, plan.worlds))
    found.append(Point(ALONE, math.inf, n_stimuli, math.inf, n_neuroids, min(fewer, MOST_ALONE)))
    return [point for point in found if point.stimuli >= LEAST_STIMULI]


def left_out(plan: Plan, n_stimuli: int) -> list[str]:
    """Levels of a plan that a region with so many stimuli cannot have, and why."""
    own = Point(MEASURED, 1.0, n_stimuli, 1.0, 1, 1)
    numbers = {level: int(_amount("stimuli", level, own)) for level in plan.stimuli}
    return [f"stimuli: {level:g}: {too_few(n)}" for level, n in numbers.items() if n < LEAST_STIMULI]


def too_few(stimuli: int) -> str:
    """What is said of fewer stimuli than two halves need."""
    return f"found {stimuli} stimuli, expected at least {LEAST_STIMULI}, of which two halves are made"


def _amount(axis: str, level: float, own: Point) -> float:
    """The number that a level stands for; a multiple of the noise stands for itself."""
    if axis == "noise":
        if not level >= 0:
            raise DataError(
                f"identification: found noise {level}, expected a multiple of the measured noise from 0; correct it"
            )
        return float(level)
    most = getattr(own, axis)
    number = math.ceil(level * most - 1e-9) if level <= 1 else level
    if not 1 <= number <= most or number != int(number):
        raise DataError(
            f"identification: found {axis} {level:g}, expected a part up to 1 or a number up to the region's {most}; correct it"
        )
    return number


def worlds_of(cost: str, worlds: int) -> int:
    """How many of so many worlds a metric of this cost is asked in."""
    return max(1, int(np.ceil(SHARES[cost] * worlds - 1e-9)))
