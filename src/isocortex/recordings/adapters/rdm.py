"""Dissimilarity matrices instead of responses: one per region."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.arrays import read_array

# Of the largest dissimilarity: rounding of files written in single precision.
TOLERANCE = 1e-5


def load(spec: Mapping[str, Any], root: Path, stimuli_table: pd.DataFrame) -> xr.Dataset:
    """The RDMs of one subject.

    `spec` holds {rdms: {region: {path, key, index}}}; `index` picks a matrix from an array of (n_subjects, n, n). Returns
    a Dataset with `rdm` (region, stimulus, stimulus_) float64 and coords region, stimulus_id. Raises `DataError` for a matrix
    that is not square, symmetric, finite, zero on its diagonal, or not as large as the stimulus set.
    """
    ids = stimuli_table["stimulus_id"].to_numpy(dtype=str)
    matrices = []
    for region, place in spec["rdms"].items():
        where = f"RDM of {region} in {place['path']}"
        array = read_array(root, place["path"], place.get("key"), where)
        matrices.append(check_rdm(_pick(array, place.get("index"), where), len(ids), where))
    return xr.Dataset(
        {"rdm": (("region", "stimulus", "stimulus_"), np.stack(matrices))},
        coords={"region": np.asarray(list(spec["rdms"]), dtype=str), "stimulus_id": ("stimulus", ids)},
    )


def _pick(array: np.ndarray, index: int | None, where: str) -> np.ndarray:
    if index is None:
        return array
    if array.ndim != 3 or index >= len(array):
        raise DataError(
            f"{where}: index is {index} and the array has shape {array.shape}, expected (n_subjects, n, n) with more matrices"
        )
    return array[index]


def check_rdm(values: np.ndarray, n: int, where: str) -> np.ndarray:
    """`values` as an exactly symmetric float64 (n, n) with zero diagonal; a `DataError` where it is no dissimilarity matrix."""
    if values.dtype.kind not in "buif":
        raise DataError(f"{where}: found values of type {values.dtype}, expected real numbers; check 'key'")
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        hint = "; say which one with 'index'" if values.ndim == 3 else ""
        raise DataError(f"{where}: found shape {values.shape}, expected a square matrix ({n}, {n}){hint}")
    if len(values) != n:
        raise DataError(f"{where}: found {len(values)} stimuli, expected {n} as in the stimulus set; check 'stimuli'")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(
            f"{where}: {int((~np.isfinite(values)).sum())} values that are not finite, expected 0; leave their stimuli out"
        )
    scale = TOLERANCE * max(float(np.abs(values).max()), np.finfo(float).tiny)
    if np.abs(values - values.T).max(initial=0) > scale:
        raise DataError(
            f"{where}: not symmetric (largest difference {np.abs(values - values.T).max():.3g}); average it with its transpose"
        )
    diagonal = np.abs(np.diagonal(values)).max(initial=0)
    if diagonal > scale:
        hint = (
            "it looks like similarities: store 1 - similarity" if np.allclose(np.diagonal(values), 1) else "correct the matrix"
        )
        raise DataError(f"{where}: the diagonal is up to {diagonal:.3g}, expected 0; {hint}")
    values = (values + values.T) / 2
    np.fill_diagonal(values, 0.0)
    return values
