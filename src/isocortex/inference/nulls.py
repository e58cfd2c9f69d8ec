"""Permutations, p values and how many permutations are enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from isocortex.encoding.blocks import rows_by_run
from isocortex.errors import DataError

# Permutations by the declared cost of a metric (its number of null values; the sequential rule may stop before).
PERMUTATIONS = {"cheap": 10_000, "moderate": 1_000, "costly": 200, "heavy": 99}

# With this many null values at least as close as the observed one, the error of p is below a tenth of p, and p ≥ .01
# at 10 000 permutations: more would not change what is concluded.
ENOUGH_EXCEEDANCES = 100
FIRST_STAGE = 1_000
# Cost → exceedances that are enough, and null values of the first stage. Ten of at most 200 say p > .05: no more is concluded.
SEQUENTIAL = {"cheap": (ENOUGH_EXCEEDANCES, FIRST_STAGE), "moderate": (50, 200), "costly": (20, 50), "heavy": (10, 50)}


def permutations(n: int, n_perm: int, seed: int, blocks: Sequence[Any] | np.ndarray | None = None) -> np.ndarray:
    """Random permutations of range(n), within `blocks` (n labels) if given: int (n_perm, n).

    Permutation k is the same however many are asked for. The identity is not excluded: p counts the observed order as one
    more permutation.
    """
    return np.concatenate([np.empty((0, n), dtype=np.int64), *permutation_stages(n, [n_perm], seed, blocks)])


def permutation_stages(
    n: int, sizes: Sequence[int], seed: int, blocks: Sequence[Any] | np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """The rows of `permutations` in consecutive pieces of the given sizes."""
    generator = np.random.default_rng([int(seed), 0x7065726D, n])
    labels = np.zeros(n) if blocks is None else np.unique(np.asarray(blocks), return_inverse=True)[1].astype(np.float64)
    if labels.shape != (n,):
        raise ValueError(f"permutations: {labels.shape[0]} block labels, expected {n}")
    home = np.argsort(labels, kind="stable")
    for size in sizes:
        shuffled = np.argsort(labels + generator.random((size, n)), axis=1, kind="stable")
        result = np.empty((size, n), dtype=np.int64)
        result[:, home] = shuffled
        yield result


def stages(limit: int, first: int = FIRST_STAGE) -> list[int]:
    """Sizes of the stages of a sequential test: `first`, then pieces that end at ten times as many, up to `limit`."""
    ends, end = [], first
    while end < limit:
        ends.append(end)
        end *= 10
    ends.append(limit)
    return [int(size) for size in np.diff([0, *ends])]


def exceedances(observed: Any, null: Any, *, higher_is_closer: bool = True) -> np.ndarray:
    """How many null values (axis 0) are as close or closer than `observed`; rounding does not part equal values."""
    observed = np.asarray(observed, dtype=np.float64)
    null = np.asarray(null, dtype=np.float64)
    sign = 1.0 if higher_is_closer else -1.0
    slack = 1e-12 * np.maximum(1.0, np.abs(observed))
    with np.errstate(invalid="ignore"):
        return np.sum(sign * null >= sign * observed - slack, axis=0)


def first_stage(cost: str) -> tuple[int, int]:
    """The exceedances that stop a sequential test of a row of this cost, and the number of null values to look at first."""
    return SEQUENTIAL[cost]


def enough(counts: Any) -> bool:
    """Whether a sequential test may stop: every test has `ENOUGH_EXCEEDANCES` null values as close or closer."""
    return bool(np.all(np.asarray(counts) >= ENOUGH_EXCEEDANCES))


def p_value(observed: Any, null: Any, *, higher_is_closer: bool = True) -> Any:
    """One-sided p in the closer direction, (1 + number as close or closer) / (1 + n_null), over axis 0 of `null`.

    NaN where `observed` is NaN or there is no finite null value; null values that are NaN are not counted.
    """
    observed = np.asarray(observed, dtype=np.float64)
    null = np.asarray(null, dtype=np.float64)
    valid = np.sum(np.isfinite(null), axis=0)
    p = (1.0 + exceedances(observed, null, higher_is_closer=higher_is_closer)) / (1.0 + valid)
    p = np.where(np.isfinite(observed) & (valid > 0), p, np.nan)
    return float(p) if p.ndim == 0 else p


def extreme95(null: Any, *, higher_is_closer: bool = True) -> Any:
    """The 95 % quantile of the null (axis 0) in the closer direction: the 5 % quantile for distances. NaN is left out."""
    null = np.asarray(null, dtype=np.float64)
    empty = ~np.isfinite(null).any(axis=0)
    filled = np.where(empty, 0.0, null)
    value = np.where(empty, np.nan, np.nanquantile(filled, 0.95 if higher_is_closer else 0.05, axis=0))
    return float(value) if value.ndim == 0 else value


def monte_carlo_error(p: Any, n_null: Any) -> Any:
    """Standard error of a permutation p that comes from drawing only `n_null` permutations: √(p(1 − p)/(n_null + 1))."""
    p = np.asarray(p, dtype=np.float64)
    error = np.sqrt(p * (1.0 - p) / (np.asarray(n_null, dtype=np.float64) + 1.0))
    return float(error) if error.ndim == 0 else error


def block_permutations(
    n: int, n_null: int, seed: int, labels: Sequence[Any] | np.ndarray | None = None, kind: str = "shift"
) -> np.ndarray:
    """Permutations of range(n) that keep neighbours in time together: int (n_null, n), row k the same however many are asked.

    kind "shift" : the rows of each run (a label per row; none: all rows are one run) turn in a circle by a random number of
    places, of its own for each run. "permute_blocks" : whole blocks (a label per row) come in a random order, each with its
    rows as they were; blocks of unequal length then start elsewhere than blocks did.

    Samples of a slow drift are not exchangeable: permuted one by one they have lost what made the real ones agree by chance,
    and the null is too narrow. Two unrelated AR(1) series (.9, four runs of 100) correlate with p ≤ .05 in 28 % of samples if
    permuted freely, in 5.7 % if shifted, in 7 % with blocks of 50 and 8 % with blocks of 20 (8000 samples): blocks must by far
    outlast the drift. A run of T rows has only T shifts, so few short runs leave few different values. The identity is not
    excluded.

    Raises `DataError` for an unknown kind, or labels that leave nothing to permute.
    """
    parts = rows_by_run(labels, n)
    if kind not in MOVES:
        raise DataError(f"null: found kind {kind!r}, expected one of {', '.join(MOVES)}")
    movable = max(map(len, parts), default=0) if kind == "shift" else len(parts)
    if movable < 2:
        what = "a run of at least 2 rows" if kind == "shift" else "at least 2 blocks"
        raise DataError(f"null: found nothing to permute in {n} rows, expected {what}; the null would have no variance")
    return MOVES[kind](parts, n, np.random.default_rng([int(seed), 0x626C6F63, n]).random((n_null, len(parts))))


def _shifted(parts: list[np.ndarray], n: int, keys: np.ndarray) -> np.ndarray:
    result = np.empty((len(keys), n), dtype=np.int64)
    for number, rows in enumerate(parts):
        steps = np.floor(keys[:, number] * len(rows)).astype(np.int64)
        result[:, rows] = rows[(np.arange(len(rows)) - steps[:, None]) % len(rows)]
    return result


def _reordered(parts: list[np.ndarray], n: int, keys: np.ndarray) -> np.ndarray:
    sequence = np.concatenate(parts)
    result = np.empty((len(keys), n), dtype=np.int64)
    # A stable sort of the blocks' keys leaves the rows of a block in their order.
    order = np.argsort(np.repeat(keys, [len(rows) for rows in parts], axis=1), axis=1, kind="stable")
    result[:, sequence] = sequence[order]
    return result


MOVES = {"shift": _shifted, "permute_blocks": _reordered}
