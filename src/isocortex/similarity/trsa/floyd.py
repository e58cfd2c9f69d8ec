"""Floyd–Warshall of one symmetric graph, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def floyd_warshall(paths: np.ndarray) -> None:
    """Shortest paths in place of symmetric edge lengths `paths` (n, n), infinite where there is no edge.

    Only the lower triangle is worked on, with the row of the current node copied so that it is read in order.
    """
    n = paths.shape[0]
    through = np.empty(n)
    for k in range(n):
        through[:k] = paths[k, :k]
        for j in range(k, n):
            through[j] = paths[j, k]
        for i in range(n):
            there = through[i]
            if there == np.inf:
                continue
            for j in range(i):
                around = there + through[j]
                paths[i, j] = min(paths[i, j], around)
    for i in range(n):
        for j in range(i):
            paths[j, i] = paths[i, j]
