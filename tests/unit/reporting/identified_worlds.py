"""An `identification.nc` of a region whose rates are known, for pages."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import xarray

from isocortex.identification import Identified, Outcome, Plan, Worlds
from isocortex.identification.plan import points

KINDS = ("deep", "shallow", "wide", "pixels")
WORLDS = 120


def outcome(rate: float, seed: int, worlds: int = WORLDS) -> Outcome:
    """Scores of which the truth's is the highest in `rate` of the worlds, in turn with kinds; kind w modulo 3 is the truth."""
    rng, truth = np.random.default_rng(seed), np.arange(worlds) % 3
    scores = rng.uniform(0, 0.4, (worlds, len(KINDS)))
    right = (np.arange(worlds) // 3) % 20 < round(20 * rate)
    scores[np.arange(worlds), truth] = np.where(right, 0.5 + 0.1 * rng.random(worlds), -0.1)
    return Outcome(scores, np.full(worlds, 0.7))


def identification(rates: Mapping[str, float] | None = None, refused: Mapping[str, str] | None = None) -> xarray.Dataset:
    """Methods with these rates, at every level of the sweeps but without noise, where all are right."""
    rates = {"ridge": 0.8, "rsa": 0.6, "ricci": 0.2} if rates is None else rates
    plan = Plan(WORLDS, (0.5, 1.0), (0.0, 1.0), (1.0,), ("units", "voxels"), 0)
    every = points(plan, 40, 12)
    worlds = Worlds(
        np.arange(WORLDS) % 3,
        tuple(f"{KINDS[w % 3]}-{w // 3 % 2}" for w in range(WORLDS)),
        ("conv1",) * WORLDS,
        tuple(("units", "voxels")[w // 3 % 2] for w in range(WORLDS)),
    )
    outcomes = {
        name: tuple(outcome(_rate(point.noise, rate), k, point.worlds) for k, point in enumerate(every))
        for name, rate in rates.items()
    }
    found = Identified(KINDS, (0, 1, 2), plan, tuple(every), worlds, outcomes, {"pls": "identification: pls: too slow"})
    made = found.to_dataset().assign(rate_subject=(("method", "subject"), np.full((len(rates), 2), 0.5)))
    kinds = {name: [f"{name}-0", f"{name}-1"] if name != "pixels" else ["pixels"] for name in KINDS}
    about = {"kinds": json.dumps(kinds), "refused": json.dumps(refused or {}), "n_repeats": 4.0, "reliability": 0.61}
    return made.assign_coords(subject=["S1", "S2"]).assign_attrs(about)


def _rate(noise: float, rate: float) -> float:
    return 1.0 if noise == 0 else 0.35 if noise > 2 else rate


def nothing(reason: str = "no repeats: its noise is not known") -> xarray.Dataset:
    """That of a region whose subjects have no repeats."""
    return xarray.Dataset(attrs={"refused": json.dumps({"S1": reason, "S2": reason}), "kinds": "{}"})
