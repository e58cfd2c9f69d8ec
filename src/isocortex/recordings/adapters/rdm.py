"""Dissimilarity matrices instead of responses: one per region, or similarities that say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import as_text, read_array
from isocortex.recordings.matrices import FROM_SIMILARITIES, check_rdm, from_similarities, rows_by_id, rows_kept
from isocortex.recordings.tables import number_in, read_rows


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The RDMs of one subject.

    Parameters
    ----------
    spec : {rdms: {region: {path, key, index, similarity, keep, drop, ids, reliability}}}. `index` picks a matrix from an array
        of (n_subjects, n, n); `similarity` (correlation, cosine) says that it holds similarities s, which become 1 - s. Of its
        rows, numbered from 0, those of `keep` or all but those of `drop` are the stimuli in the set's order; or `ids` names
        them, and they are matched. `reliability` is a number, or {path, column, where} of a table.
    root : the data set's folder.
    stimuli_table : the subject's stimulus set; its `stimulus_id` column is used.

    Returns
    -------
    Dataset with `rdm` (region, stimulus, stimulus_) float64 and coords region, stimulus_id, `reliability` (region; NaN where
    it is not known) and `note` (region; "" or how the RDM was made).

    Raises
    ------
    DataError for a matrix that is not square, symmetric, finite, zero on its diagonal (one of similarities: 1), or not as
    large as the stimulus set.
    """
    ids = stimuli_table["stimulus_id"].to_numpy(dtype=str)
    matrices = [_matrix(place, root, ids, f"RDM of {region} in {place['path']}") for region, place in spec["rdms"].items()]
    reliable = [_reliability(place, root, f"reliability of {region}") for region, place in spec["rdms"].items()]
    notes = [FROM_SIMILARITIES.get(place.get("similarity") or "none", "") for place in spec["rdms"].values()]
    return as_recording(list(spec["rdms"]), matrices, ids, reliable, notes)


def as_recording(
    regions: list[str], matrices: list[np.ndarray], ids: np.ndarray, reliability: list[float], notes: list[str]
) -> xr.Dataset:
    """RDMs (each (n, n) float64) of named regions as a recording of level rdm."""
    return xr.Dataset(
        {"rdm": (("region", "stimulus", "stimulus_"), np.stack(matrices))},
        coords={
            "region": np.asarray(regions, dtype=str),
            "stimulus_id": ("stimulus", ids),
            "reliability": ("region", np.asarray(reliability, dtype=np.float64)),
            "note": ("region", np.asarray(notes, dtype=str)),
        },
    )


def _matrix(place: Mapping[str, Any], root: Path, ids: np.ndarray, where: str) -> np.ndarray:
    array = _pick(read_array(root, place["path"], place.get("key"), where), place.get("index"), where)
    rows = _rows(place, root, array, ids, where)
    if rows is not None:
        array = array[np.ix_(rows, rows)]
    make = from_similarities if place.get("similarity") in FROM_SIMILARITIES else check_rdm
    return make(array, len(ids), where)


def _pick(array: np.ndarray, index: int | None, where: str) -> np.ndarray:
    if index is None:
        return array
    if array.ndim != 3 or index >= len(array):
        raise DataError(
            f"{where}: index is {index} and the array has shape {array.shape}, expected (n_subjects, n, n) with more matrices"
        )
    return array[index]


def _rows(place: Mapping[str, Any], root: Path, array: np.ndarray, ids: np.ndarray, where: str) -> np.ndarray | None:
    """Which rows of a matrix are the stimuli; None for all."""
    if not any(place.get(name) is not None for name in ("keep", "drop", "ids")):
        return None
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise DataError(f"{where}: found shape {array.shape}, expected a square matrix; check 'key' and 'index'")
    if place.get("ids") is None:
        return rows_kept(len(array), place.get("keep"), place.get("drop"), where)
    named = place["ids"]
    path = named.get("path") or place["path"]
    names = as_text(read_array(root, path, named.get("key") or named.get("column"), f"{where}, ids"))
    if names.shape != (len(array),):
        raise DataError(f"{where}, ids: found shape {names.shape}, expected ({len(array)},), one per row of the matrix")
    return rows_by_id(names.tolist(), ids.tolist(), where)


def _reliability(place: Mapping[str, Any], root: Path, where: str) -> float:
    given = place.get("reliability")
    if given is None or isinstance(given, int | float):
        return float("nan") if given is None else float(given)
    where = f"{where} in {given['path']}"
    found = read_rows(root, given["path"], given.get("where") or {}, where)
    if len(found) != 1:
        raise DataError(f"{where}: found {len(found)} rows, expected one; correct 'where'")
    value = float(number_in(found, given["column"], where)[0])
    if value > 1:
        raise DataError(f"{where}: found {value:g}, expected at most 1; check 'column'")
    return value
