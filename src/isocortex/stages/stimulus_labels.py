"""Labels of stimuli: columns of a stimulus table, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas

from isocortex.errors import DataError
from isocortex.recordings.stimuli import COLUMNS


def known_rows(table: pandas.DataFrame, ids: Sequence[str], where: str) -> pandas.DataFrame:
    """Rows of a stimulus table, whose index is the stimulus id, in the order of `ids`."""
    lost = [name for name in ids if name not in table.index]
    if lost:
        raise DataError(
            f"{where}: found {len(lost)} stimuli that the stimulus table lacks (first {lost[0]!r}), expected all; redo stimuli"
        )
    return table.loc[list(ids)]


def label_column(table: pandas.DataFrame, name: str, key: str, where: str) -> Any:
    """A column of labels; raises `DataError` that names `key`, the option that asked for it, where there is none."""
    known = [str(column) for column in table.columns if column not in COLUMNS]
    if name not in known:
        raise DataError(
            f"{where}: {key}, found no column {name!r} in the stimulus table, expected one of {known}; name one of these"
        )
    return table[name]


def texts(column: Iterable[Any]) -> list[str]:
    """Labels as text, the same for 1 and 1.0; empty where missing."""
    return ["" if pandas.isna(v) else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in column]


def labels_of(table: pandas.DataFrame, ids: Sequence[str], target: str, where: str) -> np.ndarray:
    """The labels (n,) of stimuli as text, "" for none; raises `DataError` for a column or stimuli that the table lacks."""
    return np.array(texts(label_column(known_rows(table, ids, where), target, "target", where)), dtype=str)
