"""What changed between two results of a region: scores, verdicts, and the columns of rows that say why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from isocortex.inference.rows import COMPARISON_COLUMNS, SCORE_COLUMNS, to_frame, to_rows
from isocortex.inference.verdict import verdict

EQUAL = 1e-12
# What a row of one result is found by in another; layer and options may change, and are told as causes.
IDENTITY = ("session", "model", "family", "method", "target")
NEEDED = ("subject", "is_chosen", "model", "method", "score")
# Columns that say why a score changed: the kind of cause, and how it is called.
CAUSES = {
    "dataset": ("data", "data set"),
    "n_stimuli": ("data", "stimuli scored"),
    "n_neuroids": ("data", "neuroids"),
    "n_subjects": ("data", "subjects"),
    "n_repeats": ("data", "repeats"),
    "time_start": ("data", "start of the window (s)"),
    "time_end": ("data", "end of the window (s)"),
    "contaminated": ("data", "contaminated"),
    "params_id": ("options", "params_id"),
    "seed": ("options", "seed"),
    "version": ("code", "version of isocortex"),
}
NAMED = 4  # names that a line lists before it counts the rest

Row = dict[str, Any]
Pair = tuple[Row, Row]


class Tables(NamedTuple):
    """`scores` and `comparisons` of a region, as `summarise` writes them."""

    scores: pd.DataFrame
    comparisons: pd.DataFrame


@dataclass(frozen=True)
class Cause:
    """Why numbers may have changed; `kind` is data, options, code or layers. Not `known`: the files do not say."""

    kind: str
    text: str
    known: bool = True


@dataclass(frozen=True)
class Change:
    """A chosen score of subject "all" in both results; `outside`: is the new score outside the old interval (None: none)."""

    method: str
    model: str
    layers: tuple[str, str]
    before: float | None
    after: float | None
    low: float | None
    high: float | None

    @property
    def change(self) -> float | None:
        """After minus before; None where either is missing."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def outside(self) -> bool | None:
        """None where there is no old interval or no new score."""
        if self.after is None or self.low is None or self.high is None:
            return None
        return not self.low <= self.after <= self.high

    @property
    def size(self) -> float:
        """The change in widths of the old interval, so that methods of all scales can be sorted; infinite where one is
        missing, relative to the old score where there is no interval."""
        if self.change is None:
            return float("inf")
        width = self.high - self.low if self.low is not None and self.high is not None else abs(self.before or 0.0)
        return abs(self.change) / width if width > 0 else abs(self.change)


@dataclass(frozen=True)
class VerdictChange:
    """A method's best model in both results (None: nothing may be claimed), and what each verdict says."""

    method: str
    best: tuple[str | None, str | None]
    reasons: tuple[str, str]
    changed: bool


@dataclass(frozen=True)
class Difference:
    """Two results of a region: `models`, `methods` and `n_only` are what is in the first only, and in the second only.

    `changes` are sorted, largest first; `n_unchanged` scores are equal (or missing in both).
    """

    models: tuple[list[str], list[str]]
    methods: tuple[list[str], list[str]]
    n_only: tuple[int, int]
    verdicts: list[VerdictChange]
    changes: list[Change]
    n_unchanged: int
    causes: list[Cause]


def difference(first: Tables, second: Tables) -> Difference:
    """What changed from `first` to `second`. `scores` need NEEDED; other columns that a table lacks are
    missing values, and those of another version are left out."""
    tables = known_columns(first), known_columns(second)
    before, after = (dict(_keyed(to_rows(one.scores))) for one in tables)
    pairs = [(row, after[key]) for key, row in before.items() if key in after]
    changed = [change for change in map(_change, pairs) if not _same(change.before, change.after)]
    rows = list(before.values()), list(after.values())
    return Difference(
        models=only_in_one(*({row["model"] for row in one if row["model"]} for one in rows)),
        methods=only_in_one(*({row["method"] for row in one} for one in rows)),
        n_only=(len(before) - len(pairs), len(after) - len(pairs)),
        verdicts=_verdicts(*tables),
        changes=sorted(changed, key=lambda one: (-one.size, one.method, one.model)),
        n_unchanged=len(pairs) - len(changed),
        causes=[*_column_causes(pairs), *_layer_causes(pairs)],
    )


def known_columns(tables: Tables) -> Tables:
    """The chosen rows of subject "all", and all comparisons, with every column of this version and no other."""
    scores, comparisons = tables
    scores = scores.loc[(scores["subject"] == "all") & scores["is_chosen"].astype(bool)]
    return Tables(_known(scores, SCORE_COLUMNS), _known(comparisons, COMPARISON_COLUMNS))


def _known(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return to_frame(to_rows(frame.loc[:, [name for name in columns if name in frame.columns]]), columns)


def only_in_one(first: Iterable[str], second: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names that are in the first only, and in the second only, sorted."""
    one, other = set(first), set(second)
    return sorted(one - other), sorted(other - one)


def _keyed(rows: list[Row]) -> list[tuple[tuple[Any, ...], Row]]:
    """Rows with their identity; those that share it are told apart by their order."""
    seen: dict[tuple[str, ...], int] = defaultdict(int)
    found: list[tuple[tuple[Any, ...], Row]] = []
    for row in rows:
        key = tuple(row[name] for name in IDENTITY)
        found.append(((*key, seen[key]), row))
        seen[key] += 1
    return found


def _change(pair: Pair) -> Change:
    before, after = pair
    method = " ".join(part for part in (before["method"], before["target"], before["session"]) if part)
    layers = before["layer"], after["layer"]
    return Change(
        method, before["model"], layers, before["score"], after["score"], low=before["ci_low"], high=before["ci_high"]
    )


def _same(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs(before - after) <= EQUAL


def _verdicts(first: Tables, second: Tables) -> list[VerdictChange]:
    """Of the methods in both that rank models in either, sorted."""
    methods = sorted(set(first.scores["method"]) & set(second.scores["method"]))
    found: list[VerdictChange] = []
    for method in methods:
        before, after = (verdict(one.scores, one.comparisons, method) for one in (first, second))
        if not before.ranking and not after.ranking:
            continue
        # Who is tied with a model that may not be claimed to be best is no part of the verdict.
        said = [(one.best, sorted(one.tied_with_best) if one.best else [], one.signal) for one in (before, after)]
        found.append(VerdictChange(method, (before.best, after.best), (before.reason, after.reason), said[0] != said[1]))
    return found


def _column_causes(pairs: Sequence[Pair]) -> list[Cause]:
    """One cause for each column and pair of values that differ, with the methods whose rows they are in."""
    found: dict[tuple[str, Any, Any], list[str]] = defaultdict(list)
    for before, after in pairs:
        for name in CAUSES:
            if before[name] != after[name]:
                found[name, before[name], after[name]].append(before["method"])
    order = {name: place for place, name in enumerate(CAUSES)}
    causes: list[Cause] = []
    for (name, old, new), methods in sorted(found.items(), key=lambda item: order[item[0][0]]):
        kind, label = CAUSES[name]
        causes.append(Cause(kind, f"{label} {shown(old)} -> {shown(new)} ({some(sorted(set(methods)))})"))
    return causes


def _layer_causes(pairs: Sequence[Pair]) -> list[Cause]:
    moved = [(old, new) for old, new in pairs if old["layer"] != new["layer"]]
    texts = [f"{old['method']} {old['model']} {shown(old['layer'])} -> {shown(new['layer'])}" for old, new in moved]
    return [Cause("layers", some(texts))] if texts else []


def shown(value: Any) -> str:
    """A value of a row as it is printed; what is missing is "none"."""
    return "none" if value is None or value == "" else str(value)


def some(names: Sequence[str], at_most: int = NAMED) -> str:
    """The first names, and how many more."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more
