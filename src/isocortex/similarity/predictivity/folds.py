"""Folds of stimuli that belong to a system, whatever the order of its stimuli."""

from __future__ import annotations

import numpy as np
import torch

from isocortex.errors import DataError

# Fewer stimuli in a fold have no correlation to speak of.
FEWEST = 4
# Lengths that differ by less of the longest are the same: rotations of units change them by rounding.
_SAME = 1e-9


def check_stimuli(n: int, metric: str) -> None:
    """Raise `DataError` where there are not two folds of four stimuli."""
    if n < 2 * FEWEST:
        raise DataError(f"{metric}: found {n} stimuli, expected at least {2 * FEWEST}, for two folds of {FEWEST}")


def stimulus_folds(x: torch.Tensor, folds: int) -> list[np.ndarray]:
    """Rows of the stimuli of each fold of a system `x` (n, p): at most `folds`, of at least four stimuli each.

    Stimuli are ranked by the length of their patterns about the mean, and ranks are dealt out at random, for as many stimuli
    always alike. The folds do not depend on the order of the rows, nor on a rotation, a shift or the scale of the units: in
    another order stimuli are in the same folds. They know nothing of what is predicted, which leaves every test independent of
    its fit. Stimuli with patterns of the same length are ranked by their row.
    """
    n = len(x)
    lengths = torch.linalg.vector_norm(x - x.mean(0), dim=1)
    steps = (lengths / (_SAME * lengths.amax().clamp(min=torch.finfo(x.dtype).tiny))).round().cpu().numpy()
    count = max(1, min(int(folds), n // FEWEST))
    labels = np.empty(n, dtype=np.int64)
    labels[np.argsort(steps, kind="stable")] = np.random.default_rng([0x666F6C64, n]).permutation(n) % count
    return [np.flatnonzero(labels == label) for label in range(count)]
