"""Which of a system's units are read where a metric takes at most so many: the same for all metrics."""

from __future__ import annotations

import numpy as np


def unit_order(p: int) -> np.ndarray:
    """The order (p,) that `p` units are taken in: drawn once for each p, so that metrics of one cell read the same units."""
    return np.random.default_rng([0x756E6974, p]).permutation(p)


def drawn_units(p: int, most: int) -> np.ndarray:
    """The places of at most `most` of `p` units, ascending."""
    return np.arange(p) if p <= most else np.sort(unit_order(p)[:most])
