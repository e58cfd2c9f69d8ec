"""The columns of the tables of results, and rows that have all of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

# The type of every column: "str" (missing is ""), "float" (missing is NaN), "int" (missing is <NA>) or "bool".
_KEY_TYPES = {
    "dataset": "str",
    "subject": "str",
    "session": "str",
    "region": "str",
    "model": "str",
    "layer": "str",
    "family": "str",
    "method": "str",
    "params_id": "str",
    "target": "str",
    "time_start": "float",
    "time_end": "float",
}
_VALUE_TYPES = {
    "score": "float",
    "calibrated": "float",
    "normalized": "float",
    "ceiling_low": "float",
    "ceiling_high": "float",
    "ceiling_ref": "float",
    "ceiling_kind": "str",
    "ceiling_p": "float",
    "null_mean": "float",
    "null_extreme95": "float",
    "null_kind": "str",
    "n_null": "int",
    "p": "float",
    "q_region": "float",
    "ci_low": "float",
    "ci_high": "float",
    "ci_kind": "str",
    "n_stimuli": "int",
    "n_neuroids": "int",
    "n_repeats": "int",
    "n_subjects": "int",
    "n_dropped": "int",
    "dropped_reason": "str",
    "is_chosen": "bool",
    "layer_votes": "str",
    "generalise": "str",
    "contaminated": "bool",
    "higher_is_closer": "bool",
    "seed": "int",
    "version": "str",
    "note": "str",
}
_COMPARISON_TYPES = {
    "region": "str",
    "method": "str",
    "model_a": "str",
    "model_b": "str",
    "difference": "float",
    "ci_low": "float",
    "ci_high": "float",
    "p": "float",
    "q_region": "float",
    "n_stimuli": "int",
    "n_subjects": "int",
}
_AGREEMENT_TYPES = {
    "region": "str",
    "kind": "str",
    "method_a": "str",
    "method_b": "str",
    "value": "float",
    "low": "float",
    "high": "float",
    "over_layers": "float",
    "n_models": "int",
    "n_layers": "int",
    "n_draws": "int",
    "note": "str",
}
_TYPES = {**_KEY_TYPES, **_VALUE_TYPES, **_COMPARISON_TYPES, **_AGREEMENT_TYPES, "q_study": "float"}

KEY_COLUMNS = tuple(_KEY_TYPES)
VALUE_COLUMNS = tuple(_VALUE_TYPES)
SCORE_COLUMNS = KEY_COLUMNS + VALUE_COLUMNS
COMPARISON_COLUMNS = tuple(_COMPARISON_TYPES)
AGREEMENT_COLUMNS = tuple(_AGREEMENT_TYPES)
INFERENCE_COLUMNS = (*SCORE_COLUMNS, "q_study")

# Families that compare no model with the region: they are shown, and neither rank models nor test their differences.
NOT_COMPARED = frozenset({"geometry", "decoding"})
# A core is trained on the region itself: it is compared with models in rows of its own (`comparisons.compare_cores`).
OWN_COMPARISONS = frozenset({"core"})
# Joint encoders are compared with each other, but hold the models that they would be ranked against.
NOT_RANKED = NOT_COMPARED | OWN_COMPARISONS | {"joint"}

_DTYPES = {"str": "string", "float": "float64", "int": "Int64", "bool": "bool"}
_MISSING: dict[str, Any] = {"str": "", "float": None, "int": None, "bool": False}
_DEFAULTS = {"higher_is_closer": True}


def _plain(name: str, value: Any) -> Any:
    """A value as JSON knows it: no NumPy scalars, None for what is missing or not finite."""
    kind = _TYPES[name]
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and not math.isfinite(value)):
        return _MISSING[kind]
    return {"str": str, "float": float, "int": int, "bool": bool}[kind](value)


def _row(columns: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(values) - set(columns))
    if unknown:
        raise ValueError(f"row: unknown columns {unknown}, expected some of {list(columns)}")
    return {name: _plain(name, values.get(name, _DEFAULTS.get(name))) for name in columns}


def new_row(**values: Any) -> dict[str, Any]:
    """A row of `scores.parquet` with every column, in order; what is not given is missing.

    Missing text is "", a missing or non-finite number is None. Raises ValueError for a name that is no column.
    """
    return _row(SCORE_COLUMNS, values)


def new_comparison(**values: Any) -> dict[str, Any]:
    """A row of `comparisons.parquet`; see `new_row`."""
    return _row(COMPARISON_COLUMNS, values)


def to_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = SCORE_COLUMNS) -> pd.DataFrame:
    """Rows as a table with fixed columns and types, the same for no row as for many."""
    rows = [_row(columns, row) for row in rows]
    return pd.DataFrame({name: pd.array([row[name] for row in rows], dtype=_DTYPES[_TYPES[name]]) for name in columns})


def to_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The inverse of `to_frame`, for a table with any of our column sets."""
    names = [str(name) for name in frame.columns]
    columns = [[_plain(name, value) for value in frame[name].tolist()] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def rows_to_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as JSON text (NaN becomes null), for the attribute `rows` of a cell."""
    return json.dumps([_row(SCORE_COLUMNS, row) for row in rows], ensure_ascii=False, allow_nan=False)


def rows_from_json(text: str) -> list[dict[str, Any]]:
    """Rows from the attribute `rows` of a cell."""
    return [_row(SCORE_COLUMNS, row) for row in json.loads(text)]
