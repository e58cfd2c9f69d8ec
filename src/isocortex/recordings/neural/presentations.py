"""What was shown when: presentations in order of time, and the stimulus of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text
from isocortex.recordings.repeats import repeat_numbers, run_numbers

WHOLE, DECIMAL = re.compile(r"-?[0-9]+"), re.compile(r"-?[0-9]+\.[0-9]*(e-?[0-9]+)?")


@dataclass(frozen=True)
class Presentations:
    """Onsets (n,) in seconds, rising, and what is known of each: stimulus, session, run."""

    onset: np.ndarray
    stimulus_id: np.ndarray
    session: np.ndarray
    run: np.ndarray

    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        """The coordinates of a recording's presentations."""
        columns = {
            "stimulus_id": self.stimulus_id,
            "repeat": repeat_numbers(self.stimulus_id),
            "session": self.session,
            "run": self.run,
        }
        return {name: ("presentation", column) for name, column in columns.items()}


def in_order(onset: np.ndarray, ids: np.ndarray, session: np.ndarray, run: np.ndarray, where: str) -> Presentations:
    """Presentations in order of their onsets (n,), seconds.

    Raises `DataError` for none at all, or one without onset.
    """
    if not len(onset):
        raise DataError(f"{where}: found no presentation, expected at least one; check the table and what is left out")
    missing = np.flatnonzero(~np.isfinite(onset))
    if len(missing):
        raise DataError(
            f"{where}: {len(missing)} presentations have no onset (first: number {int(missing[0])}), expected a time of each; "
            "leave them out of the table, or correct the column of onsets"
        )
    order = np.argsort(onset, kind="stable")
    return Presentations(onset[order], ids[order], session[order], run_numbers(run)[order])


def identify(columns: Mapping[str, np.ndarray], named: str | Sequence[str], table: pd.DataFrame, where: str) -> np.ndarray:
    """The stimulus id of each presentation.

    `named` is the column that holds ids, or a list of columns that are labels of the stimulus set and together tell a stimulus.
    A whole number is also the id that is written with leading zeros: 7 is 007. Raises `DataError` for a value that no stimulus
    has, and a label that the stimulus set lacks.
    """
    names = [named] if isinstance(named, str) else list(named)
    known = _ids(table) if isinstance(named, str) else _labels(names, table, where)
    # Ids that differ by their leading zeros alone are text, not numbers.
    spelt = _keys if len(known) == len(table) else as_text
    known = known if len(known) == len(table) else {(name,): name for name in table["stimulus_id"].astype(str)}
    values = list(zip(*(spelt(columns[name]) for name in names), strict=True))
    strange = [value for value in values if value not in known]
    if strange:
        found = ", ".join(f"{name} {value}" for name, value in zip(names, strange[0], strict=True))
        raise DataError(
            f"{where}: {len(strange)} presentations are of stimuli that the stimulus set lacks (first: {found}); "
            "add them to it, or leave the trials out with 'drop' or 'where'"
        )
    return np.asarray([known[value] for value in values], dtype=str)


def _keys(values: np.ndarray) -> list[str]:
    """Values as text that two spellings of a number share."""
    return [_number(text) for text in as_text(np.asarray(values)).tolist()]


def _number(text: str) -> str:
    """A number without what two spellings of it may differ in; other text as it is."""
    if WHOLE.fullmatch(text):
        return str(int(text))
    return f"{float(text):.12g}" if DECIMAL.fullmatch(text) else text


def _ids(table: pd.DataFrame) -> dict[tuple[str, ...], str]:
    return {(_number(name),): name for name in table["stimulus_id"].astype(str).tolist()}


def _labels(names: list[str], table: pd.DataFrame, where: str) -> dict[tuple[str, ...], str]:
    missing = [name for name in names if name not in table]
    if missing:
        raise DataError(
            f"{where}: the stimulus set has no label {missing[0]!r}, which trials are known by; found "
            f"{', '.join(map(str, table.columns))}; add it, or give crossed levels"
        )
    rows = list(zip(*(_keys(table[name].to_numpy()) for name in names), strict=True))
    found = dict(zip(rows, table["stimulus_id"].astype(str).tolist(), strict=True))
    if len(found) < len(rows):
        raise DataError(f"{where}: two stimuli have the same {' and '.join(names)}, expected one; name more columns")
    return found


def select(
    columns: Mapping[str, np.ndarray], where: Mapping[str, Sequence[Any]], drop: Mapping[str, Sequence[Any]]
) -> np.ndarray:
    """Which rows have one of the values that `where` allows in each of its columns, and none that `drop` names: bool (n,)."""
    n = len(next(iter(columns.values())))
    kept = np.ones(n, dtype=bool)
    for name, allowed in where.items():
        kept &= np.isin(_keys(columns[name]), [_number(str(value)) for value in allowed])
    for name, left_out in drop.items():
        kept &= ~np.isin(_keys(columns[name]), [_number(str(value)) for value in left_out])
    return kept
