"""Which rows of a time series follow one another, and its folds: whole runs, or contiguous blocks with a gap on either side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from isocortex.errors import DataError

Runs = Sequence[Any] | np.ndarray | None


def rows_by_run(runs: Runs, n: int) -> list[np.ndarray]:
    """Rows of each run, runs in the order of their first row; without labels all `n` rows are one run.

    Raises `DataError` for another number of labels than rows.
    """
    if runs is None:
        return [np.arange(n)]
    labels = np.asarray(runs)
    if labels.shape != (n,):
        raise DataError(f"runs: found labels of shape {labels.shape}, expected {n}, one per row; give each row its run")
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse, minlength=len(first)))[:-1])
    return [parts[number] for number in np.argsort(first)]


def leave_runs_out(runs: Runs, n_runs_out: int = 1, seed: int | None = None) -> np.ndarray:
    """Validation rows of as many splits as there are runs, each leaving `n_runs_out` whole runs out: bool (n_splits, n).

    Every run is left out `n_runs_out` times, never twice in one split. With a seed runs come in the order of
    `RandomState(seed).permutation`, as in the voxelwise tutorials of the Gallant lab, else in their own.

    Raises `DataError` unless 1 ≤ n_runs_out < number of runs.
    """
    n = 0 if runs is None else len(runs)
    parts = rows_by_run(runs, n)
    if not 1 <= n_runs_out < len(parts):
        raise DataError(
            f"runs: found {len(parts)} runs of which {n_runs_out} are to be left out, expected from 1 to all but one; "
            "leave fewer out or fold by blocks"
        )
    # The legacy generator, because its permutation is what published folds were made with.
    order = np.arange(len(parts)) if seed is None else np.random.RandomState(seed).permutation(len(parts))
    masks = np.zeros((len(parts), n), dtype=bool)
    for split in range(len(parts)):
        for step in range(n_runs_out):
            masks[split, parts[order[(split + step) % len(parts)]]] = True
    return masks


def blocked_folds(n_or_runs: int | Sequence[Any] | np.ndarray, folds: int, gap: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of `folds` contiguous blocks, as equal as they can be, run after run.

    n_or_runs : number of rows, or a run label per row. gap : rows of the same run on either side of a block that are in
    neither part, because neighbours in time are alike whatever was shown.

    Raises `DataError` for fewer rows than folds, fewer than two folds, or a fold without training rows.
    """
    if isinstance(n_or_runs, (int, np.integer)):
        runs, n = None, int(n_or_runs)
    else:
        runs, n = n_or_runs, len(n_or_runs)
    if not 2 <= folds <= n:
        raise DataError(f"blocks: found {folds} folds of {n} rows, expected from 2 to as many as rows; change the folds")
    sequence = np.concatenate(rows_by_run(runs, n))
    result = []
    for block in np.array_split(sequence, folds):
        train = beyond(np.setdiff1d(sequence, block), block, runs, n, gap)
        if len(train) == 0:
            raise DataError(f"blocks: a gap of {gap} rows leaves no training row of {n}, expected some; lower the gap")
        result.append((train, np.sort(block)))
    return result


def beyond(rows: np.ndarray, held: np.ndarray, runs: Runs, n: int, gap: int) -> np.ndarray:
    """Those of `rows` that lie more than `gap` places of their run away from every row in `held`, sorted."""
    taken, near = np.zeros((2, n), dtype=bool)
    taken[held] = True
    for members in rows_by_run(runs, n):
        places = np.flatnonzero(taken[members])
        # Places past an end are moved to it, which is nearer than they are.
        around = np.clip(places[:, None] + np.arange(-gap, gap + 1), 0, len(members) - 1)
        near[members[around]] = True
    return np.sort(rows[~near[rows]])


def block_labels(runs: Runs, n: int, length: int) -> np.ndarray:
    """A number per row (n,): consecutive blocks of `length` rows within each run, the last of a run as long as what is left.

    Raises `DataError` for a length below 1.
    """
    if length < 1:
        raise DataError(f"blocks: found a length of {length} rows, expected at least 1")
    labels, count = np.empty(n, dtype=np.int64), 0
    for rows in rows_by_run(runs, n):
        labels[rows] = count + np.arange(len(rows)) // length
        count += -(-len(rows) // length)
    return labels


def blocked_outer(n: int, runs: Runs, *, test: float, folds: int, seed: int, gap: int) -> list[dict[str, list[int]]]:
    """Outer splits {train, test, inner} over contiguous rows: one stretch of `test` · n rows, its place drawn from the seed, or
    with test 0 each of `folds` blocks in turn.

    Inner folds are blocks of the training rows; `gap` rows that part one from the next are in none of them, and not in train.

    Raises `DataError` where gaps leave an inner fold empty or fewer than 2 × folds training rows.
    """
    sequence = np.concatenate(rows_by_run(runs, n))
    if test > 0:
        size = max(1, round(test * n))
        start = _drawn(f"{seed}|test") % (n - size + 1)
        held = [sequence[start : start + size]]
    else:
        held = np.array_split(sequence, folds)
    return [_outer(sequence, block, runs, folds, gap) for block in held]


def _outer(sequence: np.ndarray, block: np.ndarray, runs: Runs, folds: int, gap: int) -> dict[str, list[int]]:
    n = len(sequence)
    left = sequence[np.isin(sequence, beyond(np.setdiff1d(sequence, block), block, runs, n, gap))]
    inner, taken = [], np.empty(0, dtype=np.int64)
    for part in np.array_split(left, folds):
        inner.append(beyond(part, taken, runs, n, gap))
        taken = np.concatenate([taken, inner[-1]])
    if len(taken) < 2 * folds or not all(len(part) for part in inner):
        raise DataError(
            f"splits: found {len(taken)} training stimuli of {n} beside blocks of {len(block)} and gaps of {gap}, expected at "
            f"least {2 * folds} (2 × folds), some in every fold; lower `splits: gap`, `splits: folds` or `splits: test`"
        )
    return {"train": np.sort(taken).tolist(), "test": np.sort(block).tolist(), "inner": [part.tolist() for part in inner]}


def blocked_halves(n: int, runs: Runs, *, folds: int, seed: int, gap: int, number: int) -> dict[str, list[list[int]]]:
    """`number` partitions {first, second} of the rows, each half made of contiguous blocks drawn from the seed.

    There are 2 × folds blocks, or fewer so that a block outlasts the gaps on its sides; second is without the rows within `gap`
    of first.
    """
    sequence = np.concatenate(rows_by_run(runs, n))
    blocks = np.array_split(sequence, max(2, min(2 * folds, n // (4 * gap + 1))))
    first, second = [], []
    for half in range(number):
        order = sorted(range(len(blocks)), key=lambda block, half=half: _drawn(f"{seed}|half{half}|{block}"))
        rows = np.sort(np.concatenate([blocks[block] for block in order[: len(blocks) // 2]]))
        first.append(rows.tolist())
        second.append(beyond(np.setdiff1d(sequence, rows), rows, runs, n, gap).tolist())
    return {"first": first, "second": second}


def _drawn(text: str) -> int:
    """A number that only the text decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
