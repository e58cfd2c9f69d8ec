"""Odd-one-out triplets: behaviour as one more region, by its dissimilarities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters.rdm import as_recording
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.behaviour.pairs import fill_unseen, split_half
from isocortex.recordings.behaviour.triplets import triplet_rdm
from isocortex.recordings.tables import SEPARATORS, check_columns, read_rows

NOTE = "made from odd-one-out triplets: 1 - share of triplets in which the third was odd"


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The dissimilarities that a subject's (or, pooled, all people's) odd-one-out choices give.

    Parameters
    ----------
    spec : {path, columns, odd, where} of a table: three columns of stimuli, the last the odd one, or `odd`, a column that
        names it (by its id; `where` takes the rows whose columns have the given values); or {path, key} of an array
        (n_trials, 3), the odd one last. `numbered_from` (0, 1) says that stimuli are numbers of rows of the set, not ids.
        `unseen`: refuse, or mean. `region` is what the RDM is called.
    root, stimuli_table : as every adapter's.

    Returns
    -------
    Dataset with `rdm` (region, stimulus, stimulus_) float64, coords region, stimulus_id, reliability (split halves of the
    triplets) and note.

    Raises
    ------
    DataError for unknown stimuli, a triplet with one twice or an odd one that is not in it, pairs that nobody saw.
    """
    where = f"triplets in {spec['path']}"
    ids = stimuli_table["stimulus_id"].to_numpy(dtype=str)
    found = indices(_cells(spec, root, where), ids, spec.get("numbered_from"), where)
    twice = np.flatnonzero((found[:, 0] == found[:, 1]) | (found[:, 0] == found[:, 2]) | (found[:, 1] == found[:, 2]))
    if len(twice):
        raise DataError(f"{where}: {len(twice)} triplets hold a stimulus twice (first: row {twice[0] + 1}); remove them")
    rdm, filled = fill_unseen(triplet_rdm(found, len(ids)), spec.get("unseen") or "refuse", where)
    reliable = split_half(lambda rows: triplet_rdm(found[rows], len(ids)), np.arange(len(found)))
    return as_recording([spec["region"]], [rdm], ids, [reliable], [NOTE + filled])


def _cells(spec: Mapping[str, Any], root: Path, where: str) -> np.ndarray:
    """Stimuli as text (n_trials, 3), the odd one last."""
    if Path(spec["path"]).suffix.lower() not in SEPARATORS:
        cells = as_text(read_array(root, spec["path"], spec.get("key"), where))
        if cells.ndim != 2 or cells.shape[1] != 3 or not len(cells):
            raise DataError(f"{where}: found shape {cells.shape}, expected (trials, 3), the odd one last; check 'key'")
        return cells
    table = read_rows(root, spec["path"], spec.get("where") or {}, where)
    columns, odd = list(spec["columns"]), spec.get("odd")
    check_columns(table, [*columns, *([odd] if odd else [])], where)
    if not len(table):
        raise DataError(f"{where}: found no rows, expected some; correct 'where'")
    cells = table[columns].to_numpy(dtype=str)
    return _odd_last(cells, table[odd].to_numpy(dtype=str), where) if odd else cells


def _odd_last(cells: np.ndarray, odd: np.ndarray, where: str) -> np.ndarray:
    chosen = cells == odd[:, None]
    wrong = np.flatnonzero(chosen.sum(axis=1) != 1)
    if len(wrong):
        row = wrong[0]
        raise DataError(
            f"{where}: row {row + 1} has {str(odd[row])!r} as the odd one of {', '.join(cells[row])}, expected one of the three"
        )
    return np.take_along_axis(cells, np.argsort(chosen, axis=1, kind="stable"), axis=1)


def indices(cells: np.ndarray, ids: np.ndarray, numbered_from: int | None, where: str) -> np.ndarray:
    """Rows of the stimulus set, int64, from ids as text, or from numbers that start at `numbered_from`.

    Raises `DataError` for a stimulus that the set lacks.
    """
    known = {name: row for row, name in enumerate(ids)}
    if numbered_from is not None:
        known = {str(row + numbered_from): row for row in range(len(ids))}
    names, inverse = np.unique(cells, return_inverse=True)
    unknown = [str(name) for name in names if str(name) not in known]
    if unknown:
        expected = f"numbers {numbered_from} to {len(ids) - 1 + numbered_from}" if numbered_from is not None else "its ids"
        raise DataError(
            f"{where}: {len(unknown)} stimuli are not in the set (first {unknown[0]!r}), expected {expected}; correct the "
            "file, the set or numbered_from"
        )
    return np.asarray([known[str(name)] for name in names], dtype=np.int64)[inverse].reshape(cells.shape)
