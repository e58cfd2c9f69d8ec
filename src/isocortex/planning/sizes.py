"""Sizes that a job's cost depends on, and what is said of it (standard library only).

The rates are those of one slow core, so that a plan errs on the long side; memory is what the stages hold at once.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOPS = 2.0e10  # float64 operations per second of one core in large products
START = {"numpy": 2.0, "torch": 4.0}  # seconds until a command's first arithmetic
BASE_MB = {"numpy": 180, "torch": 330}  # what the imports take
DOUBLE = 8


@dataclass(frozen=True)
class Cost:
    """Of one job: seconds on one core, peak memory in MB, disk in MB."""

    seconds: float
    memory_mb: float
    disk_mb: float


@dataclass(frozen=True)
class Shapes:
    """Sizes that a job's cost depends on."""

    stimuli: int
    neuroids: int
    repeats: int
    layers: int
    features: int
    subjects: int
    outer: int
    folds: int
    draws: int
    test: float

    @property
    def train(self) -> int:
        """Training stimuli of an outer split."""
        return max(1, round(self.stimuli * (1 - (self.test or 1 / self.folds))))


def mb(*shape: float, size: int = DOUBLE) -> float:
    """Megabytes of an array."""
    product = float(size)
    for length in shape:
        product *= length
    return product / 1e6
