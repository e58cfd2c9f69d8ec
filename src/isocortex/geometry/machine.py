"""A linear support vector machine in the space of stimuli: hundreds are fitted for one number."""

from __future__ import annotations

import numpy as np

_MOST_STEPS = 100
_HALVINGS = 30


def squared_hinge(gram: np.ndarray, sign: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights β (n,) and offset b of f = Gβ + b that minimise ½ βᵀGβ + Σ cᵢ max(0, 1 − yᵢfᵢ)², the offset free.

    `gram` (n, n) holds inner products, `sign` (n,) y of −1 and 1, both present, and `c` (n,) the penalties. By Newton's method
    (Keerthi & DeCoste 2005): where the set of stimuli within the margin is known, the rest is one linear system, and the set
    found stays after few steps. A step is halved until the objective falls, so that sets cannot take turns for ever.
    """
    beta, offset, values = np.zeros(len(sign)), 0.0, np.zeros(len(sign))
    inside = np.ones(len(sign), dtype=bool)
    cost = np.inf
    for _ in range(_MOST_STEPS):
        target, target_offset = _solved(gram, sign, c, np.flatnonzero(inside))
        target_values = gram @ target + target_offset
        if np.array_equal(sign * target_values < 1, inside):
            return target, target_offset
        share = 1.0
        for _ in range(_HALVINGS):
            moved = beta + share * (target - beta)
            f = values + share * (target_values - values)
            shifted = offset + share * (target_offset - offset)
            now = 0.5 * moved @ (f - shifted) + c @ np.square(np.maximum(0.0, 1 - sign * f))
            if now < cost:
                break
            share /= 2
        else:
            break
        beta, offset, values, cost = moved, shifted, f, now
        inside = sign * values < 1
    return beta, float(offset)


def _solved(gram: np.ndarray, sign: np.ndarray, c: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """The minimum if exactly `rows` are within the margin: (G + 1/2c) β + b = y there, Σβ = 0, and β = 0 elsewhere."""
    m = len(rows)
    system = np.ones((m + 1, m + 1))
    system[:m, :m] = gram[np.ix_(rows, rows)] + np.diag(0.5 / c[rows])
    system[m, m] = 0.0
    solution = np.linalg.solve(system, np.append(sign[rows], 0.0))
    beta = np.zeros(len(sign))
    beta[rows] = solution[:m]
    return beta, float(solution[m])
