"""Candidate weights of feature spaces for banded ridge: Dirichlet samples on the simplex."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isocortex.errors import DataError

# Half the samples put nearly all weight on few spaces, half are uniform on the simplex.
CONCENTRATION = (0.1, 1.0)


def dirichlet_candidates(
    n: int, n_spaces: int, concentration: float | Sequence[float] = CONCENTRATION, seed: int = 0
) -> np.ndarray:
    """`n` weights of `n_spaces` spaces, rows on the simplex: (n, n_spaces) float64.

    Sample i has concentration i mod len(concentration). The stream is that of himalaya's random search (Dupré la Tour et al.
    2022), so that one seed gives the same candidates there and here. Raises `DataError` for counts below one or concentrations
    that are not positive.
    """
    levels = np.atleast_1d(np.asarray(concentration, dtype=np.float64))
    if n < 1 or n_spaces < 1:
        raise DataError(f"banded: found {n} candidates of {n_spaces} spaces, expected one or more of each")
    if levels.ndim != 1 or not len(levels) or not np.isfinite(levels).all() or levels.min() <= 0:
        raise DataError(f"banded: concentration, found {levels.tolist()}, expected positive numbers")
    rng = np.random.RandomState(seed)  # a Generator has another stream than the published searches
    each = -(-n // len(levels))
    blocks = np.stack([rng.dirichlet(np.full(n_spaces, level), each) for level in levels], axis=1)
    return blocks.reshape(-1, n_spaces)[:n]


def candidates(n: int, n_spaces: int, seed: int = 0) -> np.ndarray:
    """As `dirichlet_candidates`, the first sample replaced by equal weights: ordinary ridge is always tried, and wins ties."""
    gammas = dirichlet_candidates(n, n_spaces, seed=seed)
    gammas[0] = 1 / n_spaces
    return gammas
