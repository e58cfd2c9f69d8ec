"""Which exact cross-validation of a ridge regression takes the fewest operations.

folds : a decomposition per fold, shared by all that is fitted on them; cheap where neuroids are fewer than stimuli.
leave_out : one decomposition of all training rows, and the block leave-out identity; one small inverse per fold and penalty.
pruned : the same identity, for the penalties that generalised cross-validation leaves in.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache

logger = logging.getLogger(__name__)

ALGORITHMS = ("folds", "leave_out", "pruned")
# Multiplications and additions of a symmetric eigendecomposition, in units of n³, as it runs beside a matrix product.
EIGH = 9.0
# Penalties per neuroid that pruning leaves in, and neuroids scored at all of them (`pruning`).
LEFT_IN, SAMPLED = 3.5, 128


@dataclass(frozen=True)
class Problem:
    """n training rows, rank of the centred features, sizes of the folds, neuroids, penalties; stored: fold decompositions are
    at hand; shared: how many fits (regions, permutations) the work without neuroids is for."""

    n: int
    rank: int
    sizes: tuple[int, ...]
    neuroids: int
    alphas: int
    stored: bool = False
    shared: int = 1


def operations(problem: Problem) -> dict[str, float]:
    """Floating-point operations of choosing the penalties, per algorithm, beyond what all of them do.

    All decompose the training rows once and take their scores Vᵀy for the predictions of the test rows.
    """
    n, v, a, sizes = float(problem.n), float(problem.neuroids), problem.alphas, problem.sizes
    rank = float(problem.rank)
    squares = float(sum(size**2 for size in sizes))
    folds = 0.0
    for size in sizes:
        inside = n - size
        own = min(inside, rank)
        made = 0.0 if problem.stored else min(EIGH * inside**3, EIGH * own**3 + 2 * inside * own**2) + 2 * size * inside * own
        folds += made / problem.shared + 2 * inside * own * v + 2 * size * own * v * (a + 1)
    single = len(sizes) == problem.n
    blocks = 2 * n * rank if single else 2 * sum(size**2 * rank for size in sizes) + sum(size**3 for size in sizes)
    by_basis = 0.0 if single else min(2 * squares * rank, 2 * squares * v)
    solved = 0.0 if single else 2 * squares * v
    once = a * blocks / problem.shared
    leave_out = once + a * (by_basis + 2 * n * rank * v) + 2 * n * rank * v + solved
    sampled = min(SAMPLED, v)
    pruned = once + (LEFT_IN + 1) * (2 * n * rank * v + solved) + a * sampled * (2 * n * rank + 2 * squares)
    return {"folds": folds, "leave_out": leave_out, "pruned": pruned}


@cache
def fastest(problem: Problem, wanted: str = "auto") -> str:
    """The algorithm with the fewest operations, or the one that is asked for; what was chosen, and why, is logged, once
    for equal problems."""
    counted = operations(problem)
    best = min(counted, key=counted.__getitem__) if wanted == "auto" else wanted
    listed = ", ".join(f"{name} {count:.1e}" for name, count in counted.items())
    logger.info(
        "ridge: %s for %d stimuli, rank %d, %d neuroids, %d penalties, %d folds (operations: %s)",
        best, problem.n, problem.rank, problem.neuroids, problem.alphas, len(problem.sizes), listed,
    )  # fmt: skip
    return best
