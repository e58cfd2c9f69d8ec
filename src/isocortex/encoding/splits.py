"""Which stimuli are fitted, which are tested: a function of stimulus ids, groups and `study.splits` alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from isocortex.errors import DataError
from isocortex.storage.atomic import digest_json

N_HALVES = 20


def make_splits(
    stimulus_ids: Sequence[str],
    *,
    test: float = 0.2,
    folds: int = 5,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    digests: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Split the stimuli of one subject, with indices into `stimulus_ids`.

    `test` > 0 gives one outer split with `folds` inner folds of its training stimuli; `test` == 0 gives `folds` outer splits,
    each with `folds` inner folds. Stimuli of one group, or with the same non-empty digest (the same picture under two ids), are
    never divided. The assignment orders stimuli by a hash of (seed, id): it does not depend on the order of the rows.

    Returns `stimulus_ids`, `outer` [{train, test, inner [[validation indices]]}], `halves` {first: [indices per partition]}
    (two-fold partitions for choosing layers of metrics), `groups` (unit number per stimulus), `n_groups_shared` (units of more
    than one stimulus), `seed` and `digest` (of all that changes a number).

    Raises `DataError` for less than two stimuli, repeated ids, folds < 2, fewer groups than folds, or fewer than 2 × folds
    training stimuli.
    """
    ids = [str(name) for name in stimulus_ids]
    _check(ids, test, folds)
    units = _units(ids, groups, digests)
    members: dict[int, list[int]] = {}
    for index, unit in enumerate(units):
        members.setdefault(unit, []).append(index)
    keys = {unit: min(ids[index] for index in indices) for unit, indices in members.items()}
    maker = _Maker(members, keys, seed)
    if test > 0:
        held = [maker.share(list(members), round(test * len(ids)))]
    else:
        held = maker.parts(list(members), folds, "outer")
    outer = [_outer(maker, units_out, folds, len(ids), number) for number, units_out in enumerate(held)]
    halves = [_indices(members, maker.parts(list(members), 2, f"half{number}", least=1)[0]) for number in range(N_HALVES)]
    result: dict[str, Any] = {"stimulus_ids": ids, "outer": outer, "halves": {"first": halves}, "groups": units, "seed": seed}
    result["n_groups_shared"] = sum(len(indices) > 1 for indices in members.values())
    result["digest"] = digest_json({"stimulus_ids": ids, "outer": outer})
    return result


def _check(ids: list[str], test: float, folds: int) -> None:
    if folds < 2:
        raise DataError(f"splits: folds, found {folds}, expected at least 2; raise `splits: folds`")
    if not 0 <= test < 1:
        raise DataError(f"splits: test, found {test}, expected a share from 0 (cross-validation) to below 1")
    if len(ids) < 2:
        raise DataError(
            f"splits: found {len(ids)} stimulus with responses, expected at least {2 * folds}; an encoder cannot be tested"
        )
    if len(set(ids)) < len(ids):
        repeated = next(name for name in ids if ids.count(name) > 1)
        raise DataError(f"splits: stimulus id {repeated!r} occurs more than once, expected unique ids; make the ids unique")


def _units(ids: list[str], groups: Sequence[str] | None, digests: Sequence[str] | None) -> list[int]:
    """A number per stimulus, equal where stimuli are joined by a group or by a digest (transitively), in order of sorted
    ids."""
    parent = list(range(len(ids)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for name, labels in (("groups", groups), ("digests", digests)):
        if labels is None:
            continue
        if len(labels) != len(ids):
            raise DataError(f"splits: {name}, found {len(labels)} labels, expected {len(ids)}, one per stimulus")
        first: dict[str, int] = {}
        for index, label in enumerate(labels):
            # An empty label joins nothing: a stimulus without image, or outside every group, stands alone.
            if str(label) != "":
                parent[root(index)] = root(first.setdefault(str(label), index))
    numbers: dict[int, int] = {}
    for index in sorted(range(len(ids)), key=ids.__getitem__):
        numbers.setdefault(root(index), len(numbers))
    return [numbers[root(index)] for index in range(len(ids))]


class _Maker:
    """Divides whole units, in an order hashed from the seed."""

    def __init__(self, members: dict[int, list[int]], keys: dict[int, str], seed: int) -> None:
        self.members, self.keys, self.seed = members, keys, seed

    def shuffled(self, units: list[int], purpose: str) -> list[int]:
        return sorted(units, key=lambda unit: hashlib.sha256(f"{self.seed}|{purpose}|{self.keys[unit]}".encode()).digest())

    def share(self, units: list[int], size: int) -> list[int]:
        """Units of at most `size` stimuli together, one at least."""
        taken: list[int] = []
        left = max(size, 1)
        order = self.shuffled(units, "test")
        for unit in order:
            if len(self.members[unit]) <= left:
                taken.append(unit)
                left -= len(self.members[unit])
        return taken or [min(order, key=lambda unit: len(self.members[unit]))]

    def parts(self, units: list[int], n_parts: int, purpose: str, least: int | None = None) -> list[list[int]]:
        """`n_parts` lists of units: the largest unit first, always to the part that has the fewest stimuli."""
        least = n_parts if least is None else least
        if len(units) < least:
            raise DataError(
                f"splits: found {len(units)} groups of stimuli, expected at least {n_parts}, one per fold; "
                "lower `splits: folds` or use finer groups"
            )
        parts: list[list[int]] = [[] for _ in range(n_parts)]
        sizes = [0] * n_parts
        for unit in sorted(self.shuffled(units, purpose), key=lambda unit: -len(self.members[unit])):
            smallest = int(np.argmin(sizes))
            parts[smallest].append(unit)
            sizes[smallest] += len(self.members[unit])
        return parts


def _indices(members: dict[int, list[int]], units: list[int]) -> list[int]:
    return sorted(index for unit in units for index in members[unit])


def _outer(maker: _Maker, held: list[int], folds: int, n: int, number: int) -> dict[str, Any]:
    kept = [unit for unit in maker.members if unit not in set(held)]
    train, tested = _indices(maker.members, kept), _indices(maker.members, held)
    if len(train) < 2 * folds:
        raise DataError(
            f"splits: found {len(train)} training stimuli of {n}, expected at least {2 * folds} (2 × folds); "
            "lower `splits: folds` or `splits: test`"
        )
    inner = [_indices(maker.members, units) for units in maker.parts(kept, folds, f"inner{number}")]
    return {"train": train, "test": tested, "inner": inner}
