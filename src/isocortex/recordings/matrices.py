"""Matrices of stimuli: which rows, similarities made dissimilarities, and what makes a dissimilarity matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isocortex.errors import DataError

# Of the largest dissimilarity: rounding of files written in single precision.
TOLERANCE = 1e-5
# What is written of RDMs that were made from similarities, by what the similarity is.
FROM_SIMILARITIES: Mapping[str, str] = {
    "correlation": "made from similarities: 1 - r",
    "cosine": "made from similarities: 1 - cosine",
}


def check_square(values: np.ndarray, n: int | None, where: str) -> np.ndarray:
    """`values` as float64 (n, n), finite and exactly symmetric. Raises `DataError` for anything else (`n` None: any size)."""
    if values.dtype.kind not in "buif":
        raise DataError(f"{where}: found values of type {values.dtype}, expected real numbers; check 'key'")
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        size = "n, n" if n is None else f"{n}, {n}"
        hint = "; say which one with 'index'" if values.ndim == 3 else ""
        raise DataError(f"{where}: found shape {values.shape}, expected a square matrix ({size}){hint}")
    if n is not None and len(values) != n:
        raise DataError(f"{where}: found {len(values)} stimuli, expected {n} as in the stimulus set; check 'stimuli'")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(
            f"{where}: {int((~np.isfinite(values)).sum())} values that are not finite, expected 0; leave their stimuli out"
        )
    if np.abs(values - values.T).max(initial=0) > _scale(values):
        raise DataError(
            f"{where}: not symmetric (largest difference {np.abs(values - values.T).max():.3g}); average it with its transpose"
        )
    return (values + values.T) / 2


def check_rdm(values: np.ndarray, n: int, where: str) -> np.ndarray:
    """`values` as an exactly symmetric float64 (n, n) with zero diagonal; a `DataError` where it is no dissimilarity matrix."""
    values = check_square(values, n, where)
    diagonal = np.abs(np.diagonal(values)).max(initial=0)
    if diagonal > _scale(values):
        similar = np.allclose(np.diagonal(values), 1)
        hint = "it looks like similarities: say similarity: correlation" if similar else "correct the matrix"
        raise DataError(f"{where}: the diagonal is up to {diagonal:.3g}, expected 0; {hint}")
    np.fill_diagonal(values, 0.0)
    return values


def from_similarities(values: np.ndarray, n: int, where: str) -> np.ndarray:
    """The dissimilarities 1 - s of similarities between -1 and 1 whose diagonal is 1. Raises `DataError` for others."""
    values = check_square(values, n, where)
    off = np.abs(np.diagonal(values) - 1).max(initial=0)
    if off > TOLERANCE:
        raise DataError(
            f"{where}: the diagonal is up to {off:.3g} from 1, expected similarities with 1 on it; leave similarity out, "
            "or the row that is no stimulus (drop: […])"
        )
    if np.abs(values).max(initial=0) > 1 + TOLERANCE:
        raise DataError(
            f"{where}: found a similarity of {values.flat[np.abs(values).argmax()]:.3g}, expected -1 to 1; check 'key'"
        )
    values = 1 - values
    np.fill_diagonal(values, 0.0)
    return values


def _scale(values: np.ndarray) -> float:
    return TOLERANCE * max(float(np.abs(values).max(initial=0)), np.finfo(float).tiny)


def rows_kept(n: int, keep: Sequence[int] | None, drop: Sequence[int] | None, where: str) -> np.ndarray:
    """Rows of an n × n matrix that stay, numbered from 0: those of `keep` in its order, or all but those of `drop`."""
    named = list(keep if keep is not None else drop or [])
    name, done = ("keep", "kept") if keep is not None else ("drop", "dropped")
    wrong = [row for row in named if not 0 <= row < n]
    if wrong:
        raise DataError(f"{where}: row {wrong[0]} is to be {done} of {n} rows (0 to {n - 1})")
    if len(set(named)) < len(named):
        raise DataError(f"{where}: a row is named twice, expected each once; correct {name}")
    if keep is not None:
        return np.asarray(named, dtype=np.int64)
    return np.setdiff1d(np.arange(n), np.asarray(named, dtype=np.int64))


def rows_by_id(rows: Sequence[str], stimuli: Sequence[str], where: str) -> np.ndarray:
    """The row of each stimulus by the rows' ids; other rows are left out. Raises `DataError` where one has none, or two."""
    place = {name: row for row, name in enumerate(rows)}
    if len(place) < len(rows):
        twice = next(name for row, name in enumerate(rows) if place[name] != row)
        raise DataError(f"{where}, ids: {twice!r} names two rows, expected each id once; correct the ids")
    missing = [name for name in stimuli if name not in place]
    if missing:
        raise DataError(
            f"{where}, ids: no row for {len(missing)} stimuli of the set (first {missing[0]!r}), expected one for each; "
            "correct the ids or the set"
        )
    return np.asarray([place[name] for name in stimuli], dtype=np.int64)
