"""A `region_identification.nc` whose numbers are known, for pages."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray

from isocortex.inference.region_identification import STATISTICS


def identification(
    regions: Sequence[str] = ("V1", "V4", "IT"), noise: Sequence[float] = (0.0,), sizes: Sequence[int] = (10, 40)
) -> xarray.Dataset:
    """Accuracy grows with stimuli; `trsa` is .1 above `rsa` at the last size, and the interval of `rsa_rank` is missing."""
    shape, n = (len(STATISTICS), len(sizes), len(noise)), len(regions)
    accuracy = np.full(shape, 0.5) + 0.3 * np.arange(len(sizes))[:, None] / max(1, len(sizes) - 1)
    accuracy[STATISTICS.index("trsa"), -1] += 0.1
    p = np.where(accuracy == accuracy[0], 0.5, 0.01)
    p[0] = np.nan
    low, high = accuracy - 0.1, accuracy + 0.1
    low[1], high[1] = np.nan, np.nan
    main = ("statistic", "size", "noise")
    votes = np.zeros((*shape, 2), dtype=np.int64)
    votes[STATISTICS.index("trsa") :] = [3, 9]
    between = 0.2 + 0.5 * np.eye(n)
    within = np.where(np.eye(n, dtype=bool), np.nan, 0.4)
    places = np.random.default_rng(0).standard_normal((n, 2))
    values = {"accuracy": accuracy, "low": low, "high": high, "p": p, "q": p, "difference": accuracy - accuracy[0]}
    values |= {"difference_low": values["difference"] - 0.05, "difference_high": values["difference"] + 0.05}
    for name in ("difference", "difference_low", "difference_high"):
        values[name][0] = np.nan
    return xarray.Dataset(
        {
            **{name: (main, value) for name, value in values.items()},
            "votes": ((*main, "pair"), votes),
            "between": (("region", "region_"), between),
            "within": (("region", "region_"), within),
            "coordinates": (("region", "axis"), places),
        },
        coords={
            "statistic": list(STATISTICS), "size": list(sizes), "noise": list(noise), "region": list(regions),
            "region_": list(regions), "lower": ("pair", [0.0, 0.2]), "upper": ("pair", [1.0, 0.8]),
        },
        attrs={
            "reference": "rsa", "chance": 1 / n, "comparator": "rho_a", "map_shown": 0.9, "n_stimuli": max(sizes),
            "noise_on": "RDMs", "absent": json.dumps(["S9"]), "confidence": 0.95,
        },
    )  # fmt: skip
