"""What came of asking methods to name known models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from isocortex.identification.plan import Plan, Point
from isocortex.identification.tables import dataset
from isocortex.identification.worlds import Worlds


@dataclass(frozen=True)
class Outcome:
    """What a method found at one point: scores (w, K) of the candidates in the first w worlds, higher is closer, and of the
    very network that is the truth, `itself` (w,), which is no candidate."""

    scores: np.ndarray
    itself: np.ndarray


@dataclass(frozen=True)
class Identified:
    """What came of `identify_models`.

    `outcomes`: method → one `Outcome` for each of `points`, the first of which is the region's own. `skipped`: method → why it
    was not asked. `dropped`: levels of the plan with too few stimuli. `notes`: method → in what it is not the study's.
    """

    kinds: tuple[str, ...]
    truths: tuple[int, ...]
    plan: Plan
    points: tuple[Point, ...]
    worlds: Worlds
    outcomes: Mapping[str, tuple[Outcome, ...]]
    skipped: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_dataset(self) -> xr.Dataset:
        """Rates, intervals, confusions, sweeps and calibration, as `identification.tables.dataset` says."""
        return dataset(self)
