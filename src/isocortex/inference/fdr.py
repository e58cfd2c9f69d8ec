"""False discovery rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def benjamini_hochberg(p: Any) -> np.ndarray:
    """Benjamini–Hochberg q values of a family of p values (any shape); NaN is not a test and stays NaN.

    Benjamini & Hochberg 1995: q_(k) = min over j ≥ k of p_(j) · m / j.
    """
    p = np.asarray(p, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    tested = np.isfinite(p)
    values = p[tested]
    m = values.size
    if m == 0:
        return q
    order = np.argsort(values, kind="stable")
    scaled = values[order] * m / np.arange(1, m + 1)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    q[tested] = adjusted
    return q


def q_of_rows(rows: Sequence[Mapping[str, Any]], family: Sequence[str]) -> np.ndarray:
    """q values of rows of scores, each family being the rows that agree in the columns `family`; NaN where not tested.

    Tested are the rows of chosen layers; not contaminated models, which are shown only, and not descriptors of the region.
    """
    q = np.full(len(rows), np.nan)
    members: dict[tuple[Any, ...], list[int]] = {}
    for k, row in enumerate(rows):
        if row["is_chosen"] and not row["contaminated"] and row["family"] != "geometry":
            members.setdefault(tuple(row[name] for name in family), []).append(k)
    for found in members.values():
        q[found] = benjamini_hochberg([np.nan if rows[k]["p"] is None else rows[k]["p"] for k in found])
    return q
