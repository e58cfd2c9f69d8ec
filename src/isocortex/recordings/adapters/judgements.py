"""Ratings of pairs of stimuli: behaviour as one more region, by its dissimilarities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters.rdm import as_recording
from isocortex.recordings.adapters.triplets import indices
from isocortex.recordings.behaviour.judgements import as_distance, judgement_rdm
from isocortex.recordings.behaviour.pairs import fill_unseen, split_half
from isocortex.recordings.tables import check_columns, number_in, read_rows


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The dissimilarities that ratings of pairs give, as distances from 0 to 1.

    Parameters
    ----------
    spec : {path, columns: [i, j], value, direction, range: [low, high], judge, where, numbered_from, unseen, region}. Rows of
        the table `path` (those whose columns have the values of `where`) rate the stimuli in two columns: `value`, between
        `low` and `high`, is their `direction` (similarity or distance). `judge` is the column that says who rated.
        `numbered_from` (0, 1) says that stimuli are numbers of rows of the set, not ids. `unseen`: refuse, or mean.
    root, stimuli_table : as every adapter's.

    Returns
    -------
    Dataset with `rdm` (region, stimulus, stimulus_) float64, coords region, stimulus_id, reliability (split halves of judges
    where there are some, else of the ratings) and note.

    Raises
    ------
    DataError for unknown stimuli, a stimulus rated with itself, values beyond the range, pairs that nobody rated.
    """
    where = f"judgements in {spec['path']}"
    ids = stimuli_table["stimulus_id"].to_numpy(dtype=str)
    table = read_rows(root, spec["path"], spec.get("where") or {}, where)
    judge = spec.get("judge")
    check_columns(table, [*spec["columns"], *([judge] if judge else [])], where)
    if not len(table):
        raise DataError(f"{where}: found no rows, expected some; correct 'where'")
    pairs = indices(table[list(spec["columns"])].to_numpy(dtype=str), ids, spec.get("numbered_from"), where)
    same = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    if len(same):
        raise DataError(f"{where}: {len(same)} rows rate a stimulus with itself (first: row {same[0] + 1}); remove them")
    values = as_distance(_within(table, spec, where), spec["direction"], *spec["range"])
    judges = table[judge].to_numpy(dtype=str) if judge else np.full(len(table), "")
    rdm, filled = fill_unseen(judgement_rdm(pairs, values, judges, len(ids)), spec.get("unseen") or "refuse", where)
    units = judges if judge and len(np.unique(judges)) > 1 else np.arange(len(table))
    reliable = split_half(lambda rows: judgement_rdm(pairs[rows], values[rows], judges[rows], len(ids)), units)
    n_judges = f", mean of {len(np.unique(judges))} judges" if judge else ""
    note = f"made from ratings of {spec['direction']}{n_judges}{filled}"
    return as_recording([spec["region"]], [rdm], ids, [reliable], [note])


def _within(table: pd.DataFrame, spec: Mapping[str, Any], where: str) -> np.ndarray:
    values, (low, high) = number_in(table, spec["value"], where), spec["range"]
    beyond = values[(values < low) | (values > high)]
    if len(beyond):
        raise DataError(
            f"{where}: {len(beyond)} ratings are beyond range {low:g} to {high:g} (first {beyond[0]:g}); correct range, or them"
        )
    return values
