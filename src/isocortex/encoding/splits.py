"""Which stimuli are fitted, which are tested: a function of stimulus ids, groups, runs and `study.splits` alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocortex.encoding.blocks import blocked_halves, blocked_outer
from isocortex.errors import DataError
from isocortex.storage.atomic import digest_json

N_HALVES = 20
Labels = Sequence[str] | None


@dataclass(frozen=True)
class _Wanted:
    """What a split is made from."""

    ids: list[str]
    test: float
    folds: int
    seed: int
    groups: Labels
    digests: Labels
    runs: Labels
    gap: int
    near: Labels = None


def make_splits(
    stimulus_ids: Sequence[str],
    *,
    test: float = 0.2,
    folds: int = 5,
    seed: int = 0,
    groups: Labels = None,
    digests: Labels = None,
    kind: str = "stimulus",
    runs: Labels = None,
    gap: int = 0,
    near: Labels = None,
) -> dict[str, Any]:
    """Split the stimuli of one subject, with indices into `stimulus_ids`.

    `test` > 0 gives one outer split with `folds` inner folds of its training stimuli; `test` == 0 gives `folds` outer splits,
    each with `folds` inner folds. By `kind`, what is never divided:

    stimulus : stimuli of one group, with the same non-empty digest (the same picture under two ids), or with the same non-empty
        label in `near` (pictures that are nearly the same). The assignment orders
        stimuli by a hash of (seed, id): it does not depend on the order of the rows.
    run : whole runs, and runs that share a group. There are at most as many inner folds as training runs. Equal pictures do not
        join runs: the blank between two films would join them all.
    blocked : contiguous stretches of the rows, run after run. Training rows within `gap` places of a test row, in its run, are
        in neither part; and so are those that part an inner fold from the next, so that it holds for the penalty, too.

    Returns `stimulus_ids`, `outer` [{train, test, inner [[validation indices]]}] (train is the inner folds together), `halves`
    {first: [indices per partition]} (two-fold partitions for choosing layers of metrics; blocked with `second`, for the gap's
    rows are in neither), `groups` (unit number per stimulus), `n_groups_shared` (units of more than one stimulus), `n_near`
    (stimuli that share a unit because of `near`), `kind`,
    `gap`, `runs` (label per stimulus, or None), `seed` and `digest` (of ids and `outer`, which are all that a kernel or a fit
    without delays depends on).

    Raises `DataError` for less than two stimuli, repeated ids, folds < 2, fewer groups or runs than folds, fewer than 2 × folds
    training stimuli, an unknown kind, or options that do not go with it.
    """
    wanted = _Wanted([str(name) for name in stimulus_ids], test, folds, seed, groups, digests, runs, gap, near)
    _check(wanted.ids, test, folds)
    _check_kind(kind, wanted)
    outer, halves, units = KINDS[kind](wanted)
    return {
        "stimulus_ids": wanted.ids,
        "outer": outer,
        "halves": halves,
        "groups": units,
        "seed": seed,
        "kind": kind,
        "gap": gap,
        "runs": None if runs is None else [str(run) for run in runs],
        "n_groups_shared": sum(count > 1 for count in Counter(units).values()),
        "n_near": _shared(near) if kind == "stimulus" else 0,
        "digest": digest_json({"stimulus_ids": wanted.ids, "outer": outer}),
    }


def joined(ids: Sequence[str], joining: Mapping[str, Labels]) -> list[str]:
    """A label per stimulus, the same where any of the labels in `joining` (or a chain of them) joins two stimuli."""
    return [str(unit) for unit in _units([str(name) for name in ids], joining)]


def _shared(labels: Labels) -> int:
    """How many have a label that another has, too."""
    return sum(count for label, count in Counter(map(str, labels or ())).items() if label and count > 1)


def _check_kind(kind: str, wanted: _Wanted) -> None:
    if kind not in KINDS:
        raise DataError(f"splits: kind, found {kind!r}, expected one of {', '.join(KINDS)}")
    if kind == "run" and wanted.runs is None:
        raise DataError("splits: kind run, found no runs, expected a run for every stimulus; give them, or use kind: blocked")
    labels = wanted.ids if wanted.runs is None else [str(run) for run in wanted.runs]
    if len(labels) != len(wanted.ids):
        raise DataError(f"splits: runs, found {len(labels)} labels, expected {len(wanted.ids)}, one per stimulus")
    if kind != "stimulus" and "" in labels:
        lost = wanted.ids[labels.index("")]
        raise DataError(f"splits: kind {kind}, found no run for stimulus {lost!r}, expected one for every stimulus; fill it in")
    if kind == "blocked" and wanted.groups is not None:
        raise DataError("splits: groups, found with kind blocked, which would divide them; expected kind stimulus or run")
    if wanted.gap < 0 or (wanted.gap and kind != "blocked"):
        raise DataError(
            f"splits: gap, found {wanted.gap} with kind {kind}, expected 0, or from 0 with kind blocked: "
            "only blocks have neighbours in their run"
        )


def _of_stimuli(wanted: _Wanted) -> tuple[list[dict[str, Any]], dict[str, Any], list[int]]:
    units = _units(wanted.ids, {"groups": wanted.groups, "digests": wanted.digests, "near": wanted.near})
    return (*_of_units(wanted, _Maker(wanted, units, "groups of stimuli", "use finer groups")), units)


def _of_runs(wanted: _Wanted) -> tuple[list[dict[str, Any]], dict[str, Any], list[int]]:
    units = _units(wanted.ids, {"groups": wanted.groups, "runs": wanted.runs})
    n_runs = len(set(units))
    if n_runs < 3:
        raise DataError(
            f"splits: found {n_runs} runs (those that share a stimulus or a group count as one), expected at least 3, one to "
            "test and two to choose penalties by; use kind: blocked"
        )
    return (*_of_units(wanted, _Maker(wanted, units, "runs", "use kind: blocked", fewer_inside=True)), units)


def _of_units(wanted: _Wanted, maker: _Maker) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    every = list(maker.members)
    if wanted.test > 0:
        held = [maker.share(every, round(wanted.test * len(wanted.ids)))]
    else:
        held = maker.parts(every, wanted.folds, "outer")
    outer = [_outer(maker, units, wanted.folds, len(wanted.ids), number) for number, units in enumerate(held)]
    halves = [_indices(maker.members, maker.parts(every, 2, f"half{number}", least=1)[0]) for number in range(N_HALVES)]
    return outer, {"first": halves}


def _of_blocks(wanted: _Wanted) -> tuple[list[dict[str, Any]], dict[str, Any], list[int]]:
    n = len(wanted.ids)
    outer = blocked_outer(n, wanted.runs, test=wanted.test, folds=wanted.folds, seed=wanted.seed, gap=wanted.gap)
    halves = blocked_halves(n, wanted.runs, folds=wanted.folds, seed=wanted.seed, gap=wanted.gap, number=N_HALVES)
    return outer, halves, list(range(n))


# What is never divided, by the study's word for it.
KINDS: Mapping[str, Callable[[_Wanted], tuple[list[dict[str, Any]], dict[str, Any], list[int]]]] = {
    "stimulus": _of_stimuli,
    "blocked": _of_blocks,
    "run": _of_runs,
}


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


def _units(ids: list[str], joining: Mapping[str, Labels]) -> list[int]:
    """A number per stimulus, equal where stimuli are joined by a label of any kind (transitively), in order of sorted ids."""
    parent = list(range(len(ids)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for name, labels in joining.items():
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
    """Divides whole units, in an order hashed from the seed.

    noun, advice : what the units are called in messages, and what to do where they are too few. fewer_inside : whether there
    may be fewer inner than outer folds.
    """

    def __init__(self, wanted: _Wanted, units: list[int], noun: str, advice: str, fewer_inside: bool = False) -> None:
        self.members: dict[int, list[int]] = {}
        for index, unit in enumerate(units):
            self.members.setdefault(unit, []).append(index)
        self.keys = {unit: min(wanted.ids[index] for index in indices) for unit, indices in self.members.items()}
        self.seed, self.noun, self.advice, self.fewer_inside = wanted.seed, noun, advice, fewer_inside

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
                f"splits: found {len(units)} {self.noun}, expected at least {n_parts}, one per fold; "
                f"lower `splits: folds` or {self.advice}"
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
    if maker.fewer_inside and len(kept) < 2:
        raise DataError(
            f"splits: found {len(kept)} training {maker.noun} beside {len(held)} tested, expected at least 2 to choose "
            f"penalties by; raise `splits: folds`, lower `splits: test` or {maker.advice}"
        )
    n_inner = min(folds, len(kept)) if maker.fewer_inside else folds
    inner = [_indices(maker.members, units) for units in maker.parts(kept, n_inner, f"inner{number}")]
    return {"train": train, "test": tested, "inner": inner}
