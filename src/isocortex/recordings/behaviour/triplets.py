"""Odd-one-out judgements of three stimuli as dissimilarities of pairs."""

from __future__ import annotations

import numpy as np


def triplet_rdm(triplets: np.ndarray, n: int) -> np.ndarray:
    """Dissimilarities of n stimuli from odd-one-out choices.

    `triplets` is (n_trials, 3), the stimuli's indices, the odd one last. The similarity of a pair is the share of the
    triplets with both in which the third was the odd one (Hebart, Zheng, Pereira & Baker 2020, Nature Human Behaviour 4:1173);
    the dissimilarity is 1 less that. Returns float64 (n, n) with a diagonal of 0 and NaN for a pair that never came together.
    """
    together, shown = np.zeros((n, n)), np.zeros((n, n))
    for one, other, kept in ((0, 1, True), (0, 2, False), (1, 2, False)):
        a, b = triplets[:, one], triplets[:, other]
        np.add.at(shown, (a, b), 1)
        if kept:
            np.add.at(together, (a, b), 1)
    shown, together = shown + shown.T, together + together.T
    rdm = 1 - np.divide(together, shown, out=np.full((n, n), np.nan), where=shown > 0)
    np.fill_diagonal(rdm, 0.0)
    return rdm
