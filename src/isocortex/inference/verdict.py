"""What a region's tables say in words: which model is closest, which cannot be told from it, and whether there is signal."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from isocortex.inference.rows import NOT_RANKED, to_rows

SIGNIFICANT = 0.05
# RDMs of people that correlate by less share under a hundredth of their variance: reliable perhaps, but little to explain.
WEAK = 0.1


@dataclass(frozen=True)
class Ranked:
    """A model in its region's ranking; missing numbers are None."""

    model: str
    layer: str
    score: float
    normalized: float | None
    q: float | None


@dataclass(frozen=True)
class Verdict:
    """`best` is None where nothing may be claimed, and `reason` says why.

    `ranking` holds the models that are not contaminated, closest first; `tied_with_best` those whose difference from the
    first is not significant. `signal`: is the lower ceiling above its own null; None where there is no ceiling. `weak`: that
    ceiling where it is above its null and so low that it must be said; else None.
    """

    best: str | None
    ranking: list[Ranked]
    tied_with_best: list[str]
    signal: bool | None
    reason: str
    weak: float | None = None


def _signal(rows: list[dict[str, Any]]) -> bool | None:
    """The ceiling is the region's: models differ in it only by the neuroids and layers they were scored on."""
    p = [row["ceiling_p"] for row in rows if row["ceiling_p"] is not None]
    return bool(median(p) < SIGNIFICANT) if p else None


def _weak(rows: list[dict[str, Any]], signal: bool | None) -> float | None:
    """The lower ceiling of comparisons of RDMs, where there is signal and it is low."""
    low = [row["ceiling_low"] for row in rows if row["ceiling_low"] is not None and row["family"] == "rdm"]
    return float(median(low)) if signal and low and median(low) < WEAK else None


def _tied(best: str, others: list[str], comparisons: list[dict[str, Any]]) -> list[str]:
    apart: set[str] = set()
    for row in comparisons:
        pair = {row["model_a"], row["model_b"]}
        if best in pair and row["q_region"] is not None and row["q_region"] < SIGNIFICANT:
            apart |= pair
    return [model for model in others if model not in apart]


def verdict(scores: pd.DataFrame, comparisons: pd.DataFrame, method: str) -> Verdict:
    """The verdict on one region by one method, from its `scores` and `comparisons` tables."""
    wanted = {"method": method, "subject": "all", "is_chosen": True, "contaminated": False}
    rows = to_rows(scores.loc[scores["method"] == method])
    rows = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    rows = [row for row in rows if row["score"] is not None and row["family"] not in NOT_RANKED]
    if not rows:
        return Verdict(None, [], [], None, f"no model was scored by {method}")
    sign = -1.0 if rows[0]["higher_is_closer"] else 1.0
    rows.sort(key=lambda row: (sign * row["score"], row["model"]))
    ranking = [Ranked(row["model"], row["layer"], row["score"], row["normalized"], row["q_region"]) for row in rows]
    signal = _signal(rows)
    first, others = ranking[0], [item.model for item in ranking[1:]]
    tied = _tied(first.model, others, to_rows(comparisons.loc[comparisons["method"] == method]))
    if signal is False:
        return Verdict(None, ranking, tied, signal, "no reliable signal: the lower ceiling is not above its own null")
    weak = _weak(rows, signal)
    said = "" if weak is None else f"; weak signal: the lower ceiling is {weak:.2f}"
    if first.q is None or first.q >= SIGNIFICANT:
        return Verdict(None, ranking, tied, signal, f"no model is closer than chance{said}", weak)
    reason = f"{first.model} is closest"
    if tied:
        reason += f", not to be told from {', '.join(tied)}"
    if signal is None:
        reason += "; no ceiling"
    return Verdict(first.model, ranking, tied, signal, reason + said, weak)
