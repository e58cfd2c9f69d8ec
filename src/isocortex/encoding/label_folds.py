"""Which labelled stimuli are held out together: in hashed order, by groups, or in blocks of time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.errors import DataError

INNER_FOLDS = 5
LEAST = 2  # stimuli of each class in every training set
Labels = Sequence[Any] | np.ndarray


@dataclass(frozen=True)
class Labelled:
    """Stimuli with a label, in the order of their presentation.

    ids : (n,) names. labels : (n,) class numbers. classes : the K labels. units : (n,) numbers of what is never split: groups,
    copies of one picture, or, for folds in blocks, stretches of time (a session, a run). unit_names : by number.
    """

    ids: list[str]
    labels: np.ndarray
    classes: list[str]
    units: np.ndarray
    unit_names: list[str]

    @property
    def n_classes(self) -> int:
        return len(self.classes)


def labelled(ids: Sequence[str], values: Labels, keys: Labels | None = None) -> Labelled:
    """Labels as class numbers, in the order of their text; stimuli of one key are one unit, those with an empty key (or all,
    without keys) stand alone."""
    names = [str(name) for name in ids]
    classes, numbers = np.unique([str(value) for value in values], return_inverse=True)
    # A lone stimulus may be called as a group is: they are kept apart.
    keyed = names if keys is None else [str(key) or f"\0{name}" for key, name in zip(keys, names, strict=True)]
    order = {key: number for number, key in enumerate(dict.fromkeys(keyed))}
    units = np.array([order[key] for key in keyed], dtype=np.int64)
    return Labelled(names, numbers.astype(np.int64), classes.tolist(), units, list(order))


def make_folds(kind: str, data: Labelled, folds: int, seed: int = 0, where: str = "decoding") -> list[dict[str, Any]]:
    """Outer folds [{train, test, inner [[rows]]}] as rows of `data`; inner folds divide the training rows in the same way.

    kind : "stimulus", "grouped" and "random" deal whole units to `folds` folds, the classes spread evenly, in an order hashed
    from (seed, id); "blocked" cuts the order of presentation into contiguous parts, at the borders of units where there are
    several (then as many as there are units, at most). Neighbouring trials share drift, and often their label: folds that mix
    them measure drift.

    Raises `DataError` for one class, or a training set with fewer than two stimuli of a class.
    """
    if kind not in FOLDS:
        raise DataError(f"{where}: folds, found {kind!r}, expected one of {list(FOLDS)}")
    if data.n_classes < 2:
        raise DataError(
            f"{where}: found {data.n_classes} class among {len(data.ids)} stimuli with a label, expected at least 2; "
            "name another target"
        )
    everything = np.arange(len(data.ids))
    outer = []
    for held in FOLDS[kind](data, everything, folds, seed, "outer"):
        train = np.setdiff1d(everything, held)
        outer.append({"train": train.tolist(), "test": held.tolist()})
    _check(outer, data, kind, where)
    for number, split in enumerate(outer):
        train = np.asarray(split["train"])
        inner = FOLDS[kind](data, train, min(folds, INNER_FOLDS), seed, f"inner{number}")
        if len(inner) < 2:  # one group is left to train on: its stimuli are all there is to choose a penalty by
            inner = _dealt(data, train, min(folds, INNER_FOLDS), seed, f"inner{number}", whole=False)
        split["inner"] = [part.tolist() for part in inner]
    return outer


def _check(outer: list[dict[str, Any]], data: Labelled, kind: str, where: str) -> None:
    if len(outer) < 2:
        raise DataError(f"{where}: found {len(outer)} fold ({kind}), expected at least 2; take finer groups or other folds")
    for number, split in enumerate(outer):
        counts = np.bincount(data.labels[split["train"]], minlength=data.n_classes)
        if counts.min() < LEAST:
            short = int(counts.argmin())
            raise DataError(
                f"{where}: found {counts[short]} training stimuli of class {data.classes[short]!r} with fold {number + 1} of "
                f"{len(outer)} ({kind}) held out, expected at least {LEAST}; join classes, or take more or other folds"
            )


def _dealt(data: Labelled, rows: np.ndarray, folds: int, seed: int, purpose: str, *, whole: bool = True) -> list[np.ndarray]:
    """Units, the largest first, each to the fold that has the fewest stimuli of its classes, then the fewest at all."""
    units = data.units[rows] if whole else rows
    members = {int(unit): rows[units == unit] for unit in np.unique(units)}
    keys = {unit: min(data.ids[row] for row in own) for unit, own in members.items()}

    def hashed(unit: int) -> bytes:
        return hashlib.sha256(f"{seed}|{purpose}|{keys[unit]}".encode()).digest()

    table = np.zeros((min(folds, len(members)), data.n_classes))
    parts: list[list[int]] = [[] for _ in table]
    for unit in sorted(members, key=lambda unit: (-len(members[unit]), hashed(unit))):
        counts = np.bincount(data.labels[members[unit]], minlength=data.n_classes)
        lightest = int(np.lexsort((table.sum(1), table @ counts))[0])
        table[lightest] += counts
        parts[lightest] += members[unit].tolist()
    return [np.sort(part) for part in parts]


def _blocks(data: Labelled, rows: np.ndarray, folds: int, _seed: int, purpose: str) -> list[np.ndarray]:
    """Contiguous parts of nearly equal size; for outer folds at the borders of units, where there are several."""
    units = data.units[rows]
    names = list(dict.fromkeys(units.tolist()))
    parts = min(folds, len(rows))
    if purpose != "outer" or len(names) < 2:
        return [part for part in np.array_split(rows, parts) if len(part)]
    sizes = np.array([(units == name).sum() for name in names])
    owner = np.arange(len(names))
    if len(names) > parts:
        owner = ((sizes.cumsum() - sizes / 2) * parts // sizes.sum()).astype(np.int64)
    return [rows[np.isin(units, np.asarray(names)[owner == part])] for part in np.unique(owner)]


FOLDS: dict[str, Callable[[Labelled, np.ndarray, int, int, str], list[np.ndarray]]] = {
    "stimulus": _dealt,
    "grouped": _dealt,
    "blocked": _blocks,
    "random": _dealt,
}


def resampled_units(kind: str, data: Labelled) -> tuple[np.ndarray, list[str], str]:
    """What a bootstrap draws whole: its number per stimulus (n,), its names, and what it is called.

    Units, or, for folds in blocks, stretches of ⌈√n⌉ consecutive stimuli within a unit: long enough to hold most of a drift's
    correlation, short enough that there are several.
    """
    if kind == "random":
        return data.units, data.unit_names, "presentations"
    if kind != "blocked":
        return data.units, data.unit_names, "stimuli" if len(set(data.units)) == len(data.ids) else "groups of stimuli"
    length = int(np.ceil(np.sqrt(len(data.ids))))
    numbers = np.empty(len(data.ids), dtype=np.int64)
    names: list[str] = []
    for unit in dict.fromkeys(data.units.tolist()):
        rows = np.flatnonzero(data.units == unit)
        for part in np.array_split(rows, max(1, round(len(rows) / length))):
            numbers[part] = len(names)
            names.append(data.ids[part[0]])
    return numbers, names, "blocks of consecutive stimuli"
