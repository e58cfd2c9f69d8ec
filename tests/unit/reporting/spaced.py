"""A `space.nc` whose numbers are known, for pages."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray

SYSTEMS = (("V1", "s1"), ("V1", "s2"), ("V1", "s3"), ("V4", "s1"), ("V4", "s3"))
MICE = {"s1": "Ada", "s2": "Ada", "s3": "Bo"}


def spaced(systems: Sequence[tuple[str, str]] = SYSTEMS, mice: bool = True) -> xarray.Dataset:
    """Regions are .9 apart and drawn, sessions of a region .5 and not; the last two systems were not compared."""
    n = len(systems)
    regions, subjects = (np.asarray([system[k] for system in systems]) for k in (0, 1))
    individuals = np.asarray([MICE[subject] if mice else "" for subject in subjects])
    same, off = regions[:, None] == regions[None], ~np.eye(n, dtype=bool)
    distance = np.where(off, np.where(same, 0.5, 0.9), np.nan)
    distance[n - 2, n - 1] = distance[n - 1, n - 2] = np.nan
    known = np.isfinite(distance)
    related = np.where(individuals[:, None] == individuals[None], "same individual", "other individuals")
    related = np.where(subjects[:, None] == subjects[None], "same trials", related if mice else "other individuals")
    pair = ("metric", "system", "system_")

    def both(values: np.ndarray) -> np.ndarray:
        return np.stack([values, 2 * values])

    return xarray.Dataset(
        {
            "distance": (pair, both(distance)),
            "full": (pair, np.stack([distance - 0.1, np.full_like(distance, np.nan)])),
            "p_labels": (pair, np.stack([np.where(known, np.where(same, 0.01, 0.4), np.nan)] * 2)),
            "p_trials": (pair, np.stack([np.full((n, n), np.nan), np.where(known, 0.2, np.nan)])),
            "drawn": (pair, np.stack([known & ~same] * 2)),
            "n_conditions": (pair, np.stack([np.where(known, 7, 0)] * 2)),
            "n_trials": (pair, np.stack([np.where(known, 4, 0)] * 2)),
            "n_units": (pair, np.stack([np.where(known, 21, 0)] * 2)),
            "self_blocked": (pair[:2], both(np.full(n, 0.45))),
            "self_random": (pair[:2], both(np.full(n, 0.4))),
            "self_blocked_pair": (pair, both(np.where(known, 0.45, np.nan))),
            "self_random_pair": (pair, both(np.where(known, 0.4, np.nan))),
            "coordinates": (("metric", "system", "axis"), np.random.default_rng(0).standard_normal((2, n, 2))),
            "shown": ("metric", [0.8, 0.7]),
            "relation": (("system", "system_"), np.where(off, related, "")),
            "n_neuroids": ("system", np.arange(20, 20 + n)),
        },
        coords={
            "metric": ["shape", "stochastic_shape"],
            "distribution": ("metric", ["", "energy"]),
            "kind": ("metric", ["angular", ""]),
            "system": [" ".join(system) for system in systems],
            "system_": [" ".join(system) for system in systems],
            "axis": ["x", "y"],
            "region": ("system", regions),
            "subject": ("system", subjects),
            "session": ("system", [f"day {subject}" for subject in subjects]),
            "individual": ("system", individuals),
        },
        attrs={
            "least_trials": 8, "blocks": 10, "splits": 20, "shuffles": 99, "least_units": 10, "left_out": json.dumps(["V4 s2"]),
            "scale": "one number", "seed": 0,
        },
    )  # fmt: skip
