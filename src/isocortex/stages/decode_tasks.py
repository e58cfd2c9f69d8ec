"""What a decoder is given of one subject: stimuli or presentations with labels, in an order, and what is never divided."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas
import xarray

from isocortex.encoding.label_folds import Labelled, labelled
from isocortex.errors import DataError
from isocortex.stages.stimulus_labels import known_rows, label_column, texts

# Columns, or what the recording says, that part stretches of time where a decoder names none.
STRETCHES = ("session", "run")


@dataclass(frozen=True)
class Subject:
    """A subject's part of the region, and the table of its stimulus set by stimulus."""

    name: str
    set_name: str
    data: xarray.Dataset
    table: pandas.DataFrame


@dataclass(frozen=True)
class Task:
    """One subject's stimuli for one decoder: labels in the order of presentation, where they stand in `brain.nc`, how many have
    no label. `repeats` (n,) says which repeat of the stimulus a row is, where rows are presentations,
    and `partial` how many of these lack a value in some neuroid."""

    data: Labelled
    rows: np.ndarray
    unlabelled: int
    repeats: np.ndarray | None = None
    partial: int = 0

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for subjects to whom a model says the same."""
        return tuple(self.data.ids), self.data.labels.tobytes(), self.data.units.tobytes()


def _task(subject: Subject, given: dict[str, Any], where: str) -> Task:
    """Stimuli with a label in the order of their first presentation (without it, in that of the table), stretches of time one
    after the other."""
    ids = [str(name) for name in subject.data["stimulus_id"].to_numpy()]
    table = known_rows(subject.table, ids, where)
    labels = _labels(table, given, where)
    keys = _keys(subject, table, given, where)
    rows = np.arange(len(ids))
    if given["folds"] == "blocked":
        if "first_shown" in subject.data:
            rows = np.argsort(subject.data["first_shown"].to_numpy(), kind="stable")
        rows = rows[_together(keys[row] for row in rows)]
    rows = np.array([row for row in rows if labels[row]], dtype=np.int64)
    data = labelled([ids[row] for row in rows], [labels[row] for row in rows], [keys[row] for row in rows])
    return Task(data, rows, len(ids) - len(rows))


def _presentations(subject: Subject, given: dict[str, Any], where: str) -> Task:
    """Presentations with a label and a response in every neuroid, in their order, stretches of time one after the other."""
    if not {"trials", "shown"} <= set(subject.data):
        raise DataError(f"{where}: found no single presentations in brain.nc, expected trials; use unit: stimulus")
    ids = [str(name) for name in subject.data["stimulus_id"].to_numpy()]
    table = known_rows(subject.table, ids, where)
    labels, keys = _labels(table, given, where), _keys(subject, table, given, where)
    trials = subject.data["trials"].transpose("stimulus", "repeat", "neuroid").to_numpy()
    shown = subject.data["shown"].transpose("stimulus", "repeat").to_numpy()
    whole = np.isfinite(trials).all(axis=2)
    stimuli, repeats = np.nonzero((shown >= 0) & whole)
    order = np.argsort(shown[stimuli, repeats], kind="stable")
    stimuli, repeats = stimuli[order], repeats[order]
    names = [f"{ids[row]}/{shown[row, repeat]}" for row, repeat in zip(stimuli, repeats, strict=True)]
    own = _presented_in(subject, keys, given, stimuli, repeats)
    if given["folds"] == "blocked":
        order = _together(own)
        stimuli, repeats, names, own = stimuli[order], repeats[order], [names[k] for k in order], [own[k] for k in order]
    kept = [k for k, row in enumerate(stimuli) if labels[row]]
    _check_units([own[k] for k in kept], [labels[stimuli[k]] for k in kept], given, where)
    data = labelled([names[k] for k in kept], [labels[stimuli[k]] for k in kept], [own[k] for k in kept])
    return Task(data, stimuli[kept], len(names) - len(kept), repeats[kept], int(((shown >= 0) & ~whole).sum()))


def _check_units(units: list[str], labels: list[str], given: dict[str, Any], where: str) -> None:
    """Repeats of a stimulus go together under the null, too: a unit of held-out stimuli must have one label."""
    first: dict[str, str] = {}
    for unit, label in zip(units, labels, strict=True):
        if given["folds"] in ("stimulus", "grouped") and first.setdefault(unit, label) != label:
            raise DataError(
                f"{where}: folds, found {given['folds']!r} with the labels {first[unit]!r} and {label!r} in one group of "
                "presentations, whose repeats no permutation would keep together; use folds: blocked, or unit: stimulus"
            )


def _presented_in(
    subject: Subject, keys: list[str], given: dict[str, Any], stimuli: np.ndarray, repeats: np.ndarray
) -> list[str]:
    """What is never divided, of each presentation: nothing, the stimulus, its group, or session and run."""
    if given["folds"] == "random":
        return [""] * len(stimuli)
    if given["folds"] == "stimulus":
        return [keys[row] or f"stimulus/{row}" for row in stimuli]
    parts = [f"trial_{name}" for name in STRETCHES if f"trial_{name}" in subject.data]
    if given["folds"] == "grouped" or given.get("groups") or not parts:
        return [keys[row] for row in stimuli]
    named = [subject.data[part].transpose("stimulus", "repeat").to_numpy().astype(str)[stimuli, repeats] for part in parts]
    return ["/".join(("time", *one)) for one in zip(*named, strict=True)]


def _together(keys: Iterable[str]) -> np.ndarray:
    """An order in which equal keys stand together, those that come first first, and nothing else is moved."""
    named = list(keys)
    place = {key: number for number, key in enumerate(dict.fromkeys(named))}
    return np.argsort([place[key] for key in named], kind="stable")


def _labels(table: pandas.DataFrame, given: dict[str, Any], where: str) -> list[str]:
    """The target as text, or on which side of `above` it is; empty where it is missing."""
    target, above = given["target"], given.get("above")
    values = texts(label_column(table, target, "target", where))
    if above is None:
        return values
    try:
        numbers = [float(value) if value else float("nan") for value in values]
    except ValueError:
        odd = next(value for value in values if value and not _is_number(value))
        raise DataError(
            f"{where}: above is {above:g}, but column {target!r} holds {odd!r}, expected numbers; leave above out"
        ) from None
    return [
        "" if np.isnan(number) else f"{target} > {above:g}" if number > above else f"{target} \u2264 {above:g}"
        for number in numbers
    ]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _keys(subject: Subject, table: pandas.DataFrame, given: dict[str, Any], where: str) -> list[str]:
    """What is never divided: copies of one picture, near or exact, the values of `groups`, or stretches of time."""
    if given.get("groups"):
        named = texts(label_column(table, given["groups"], "groups", where))
        return [f"time/{key}" for key in named] if given["folds"] == "blocked" else named
    if given["folds"] != "blocked":
        pictures = [texts(table[name]) if name in table else [""] * len(table) for name in ("near", "digest")]
        return [near or digest for near, digest in zip(*pictures, strict=True)]
    named = [texts(table[name]) for name in STRETCHES if name in table]
    named = named or [subject.data[name].to_numpy().astype(str).tolist() for name in STRETCHES if name in subject.data]
    return ["/".join(("time", *parts)) for parts in zip(*named, strict=True)] if named else ["time"] * len(table)


TASKS: dict[str, Callable[[Subject, dict[str, Any], str], Task]] = {"stimulus": _task, "presentation": _presentations}
