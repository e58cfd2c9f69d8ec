"""Dissimilarities of pairs from sums over judgements, what to do with pairs that nobody saw, and how reliable they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from isocortex.errors import DataError

SPLITS = 50
Unseen = Literal["refuse", "mean"]
Measure = Callable[[np.ndarray], np.ndarray]


def fill_unseen(rdm: np.ndarray, unseen: Unseen, where: str) -> tuple[np.ndarray, str]:
    """`rdm` (n, n), NaN for a pair that was never judged, without NaN and with a diagonal of 0; and what a note says of it.

    `unseen` is refuse, or mean: such a pair gets the mean of all judged pairs, and the note counts them. Raises `DataError` for
    what is refused, or where no pair was judged.
    """
    n = len(rdm)
    upper = rdm[np.triu_indices(n, 1)]
    missing = int(np.isnan(upper).sum())
    if missing == len(upper):
        raise DataError(f"{where}: found no judged pair of {n} stimuli, expected some; check the columns and ids")
    if missing and unseen == "refuse":
        raise DataError(
            f"{where}: {missing} of {len(upper)} pairs were never judged; take fewer stimuli, or say unseen: mean "
            "(they get the mean of the others)"
        )
    filled = np.where(np.isnan(rdm), np.nanmean(upper), rdm)
    np.fill_diagonal(filled, 0.0)
    return filled, f"; {missing} of {len(upper)} pairs were never judged and have the mean of the others" if missing else ""


def split_half(measure: Measure, units: np.ndarray, seed: int = 0) -> float:
    """Reliability of an RDM from random halves of what was judged.

    Parameters
    ----------
    measure : (n_rows,) bool, which judgements count, to an RDM (n, n) with NaN for a pair without any.
    units : (n_rows,) what goes into a half as a whole: the judge, or the judgement.

    Returns
    -------
    The mean over 50 splits of Pearson's r of the pairs judged in both halves, corrected for length (Spearman 1910; Brown
    1910: 2 r / (1 + r)); NaN with fewer than two units or three such pairs.
    """
    names, index = np.unique(units, return_inverse=True)
    if len(names) < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(SPLITS):
        half = np.zeros(len(names), dtype=bool)
        half[rng.permutation(len(names))[: len(names) // 2]] = True
        found.append(_agreement(measure(half[index]), measure(~half[index])))
    known = [value for value in found if np.isfinite(value)]
    r = float(np.mean(known)) if known else float("nan")
    return 2 * r / (1 + r) if r > 0 else r  # of the mean: a single split of noise may be near -1, where the formula has a pole


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    upper = np.triu_indices(len(one), 1)
    pairs = np.stack([one[upper], other[upper]])
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < 3 or (pairs.max(axis=1) == pairs.min(axis=1)).any():
        return float("nan")
    return float(np.corrcoef(pairs)[0, 1])
