"""Labels as chance could have dealt them, with what ties neighbours and groups together left as it is."""

from __future__ import annotations

import numpy as np

from isocortex.encoding.label_folds import Labelled
from isocortex.inference.nulls import block_permutations, permutations

STIMULI = "permute_stimuli: labels dealt anew, refitted"
GROUPS = "permute_stimuli: labels of whole groups dealt anew, refitted"
WITHIN = "permute_within_block: labels dealt anew within groups, refitted"
STRETCHES = "permute_stimuli: labels of whole sessions and runs dealt anew, refitted"
SHIFT = "shift_session: labels shifted in a circle within sessions and runs, refitted"


def permuted_labels(kind: str, data: Labelled, n_null: int, seed: int) -> tuple[np.ndarray, str]:
    """Labellings (P, n) under the null, and what was done.

    "stimulus": labels are permuted, copies of one picture keeping one label. "grouped": where every group has one label the
    labels of whole groups are permuted, else those within groups. "blocked": labels are shifted in a circle within each stretch
    of time, which keeps their autocorrelation, as no permutation of trials does; where every stretch has one label, the labels
    of whole stretches are permuted. One stretch has n − 1 shifts, and P is not more than that.
    """
    constant = _one_label_per_unit(data)
    several = len(data.unit_names) > 1
    if kind == "blocked" and not (constant and several):
        rows = (
            block_permutations(len(data.labels), n_null, seed, data.units)
            if several
            else _turns(len(data.labels), n_null, seed)
        )
        return data.labels[rows], SHIFT
    if kind == "grouped" and not constant:
        return data.labels[permutations(len(data.labels), n_null, seed, data.units)], WITHIN
    if not constant:  # one picture under two labels: nothing to keep together
        return data.labels[permutations(len(data.labels), n_null, seed)], STIMULI
    of_unit = np.zeros(len(data.unit_names), dtype=np.int64)
    of_unit[data.units] = data.labels
    dealt = of_unit[permutations(len(of_unit), n_null, seed)][:, data.units]
    return dealt, {"blocked": STRETCHES, "grouped": GROUPS}.get(kind, STIMULI)


def _one_label_per_unit(data: Labelled) -> bool:
    pairs = np.unique(np.stack([data.units, data.labels]), axis=1)
    return pairs.shape[1] == len(data.unit_names)


def _turns(n: int, n_null: int, seed: int) -> np.ndarray:
    """Rows (P, n) turned in a circle, by another number of places in each: there are only n − 1, and none comes twice."""
    by = 1 + np.random.default_rng([int(seed), 0x7475726E, n]).permutation(n - 1)[:n_null]
    return (np.arange(n) + by[:, None]) % n
