"""Rows of a CSV or TSV table: all, or those with given values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from isocortex.errors import DataError
from isocortex.recordings.paths import inside

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def read_table(file: Path, where: str, separator: str | None = None, **options: Any) -> pd.DataFrame:
    """A table, separated by commas (`.csv`), tabs (any other suffix), or as `separator` says; `options` are pandas' own.

    Raises `DataError` for a file that is no table.
    """
    try:
        return pd.read_csv(file, sep=separator or SEPARATORS.get(file.suffix.lower(), "\t"), **options)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise DataError(f"{where}: {file.name} is not a readable table ({text}); replace it") from error


def read_rows(root: Path, path: str, where: Mapping[str, Sequence[str]], what: str) -> pd.DataFrame:
    """The rows of a table, as text, whose columns have one of the values that `where` gives each.

    Raises `DataError` for another suffix, a table that cannot be read, or a column that it lacks.
    """
    file = inside(root, path, what)
    if file.suffix.lower() not in SEPARATORS:
        raise DataError(f"{what}: found {path}, expected a table ({' or '.join(SEPARATORS)}); save it as one")
    table = read_table(file, what, keep_default_na=False, dtype=str)
    for column, values in where.items():
        check_columns(table, [column], what)
        table = table.loc[np.isin(table[column].to_numpy(dtype=str), [str(value) for value in values])]
    return table


def check_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """A `DataError` for a column that the table lacks."""
    for column in columns:
        if column not in table.columns:
            raise DataError(f"{what}: no column {column!r}, found {', '.join(map(str, table.columns))}; correct the name")


def number_in(table: pd.DataFrame, column: str, what: str) -> np.ndarray:
    """A column as float64. Raises `DataError` where it is not there, or a cell is no finite number."""
    check_columns(table, [column], what)
    values = np.asarray(pd.to_numeric(table[column], errors="coerce"), dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        cell = table[column].iloc[wrong[0]]
        raise DataError(f"{what}: column {column!r} has {len(wrong)} cells that are no numbers (first {cell!r}); correct them")
    return values
