"""Which penalties need solving: predictions at the others are combinations of theirs, to rounding."""

from __future__ import annotations

import numpy as np

# Eigenvalues at which combinations are fitted and judged, over so many decades below the largest.
N_VALUES = 300
DECADES = 12


def spanning(alphas: np.ndarray, largest: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Penalties to solve, ascending indices (r,), and the weights (A, r) that combine their predictions into those of all.

    A prediction depends on the penalty by s/(s + α) for every eigenvalue s of the kernel. Where those functions are linearly
    dependent on [0, `largest`] to `tolerance`, so are the predictions, in units of the responses' size: a grid that runs far
    beyond the largest eigenvalue holds a few penalties more than it has independent ones. Solved ones have unit weights.
    """
    values = largest * np.logspace(-DECADES, 0, N_VALUES)[:, None]
    shrink = values / (values + alphas)
    solved: list[int] = []
    rest, weights = shrink, np.zeros((0, len(alphas)))
    while len(solved) < len(alphas):
        left = np.abs(rest).max(0)
        left[solved] = 0
        if solved and left.max() <= tolerance:
            break
        solved = sorted([*solved, int(left.argmax())])
        weights = np.linalg.lstsq(shrink[:, solved], shrink, rcond=None)[0]
        rest = shrink - shrink[:, solved] @ weights
    weights[:, solved] = np.eye(len(solved))
    return np.array(solved, dtype=np.int64), weights.T
