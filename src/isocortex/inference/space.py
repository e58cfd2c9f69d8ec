"""How far apart regions of subjects are: equal trials and units, split-half distances of each with itself, and two nulls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from isocortex.errors import DataError
from isocortex.inference.systems import Match, System, match
from isocortex.similarity.trials import HALVES, chosen, ranks, shuffled_within, stretches

LEAST_STIMULI = 3  # of two stimuli there is one distance, which a scale removes
LEAST_COMPONENTS = 2  # one direction has no shape
HIGH = 0.975  # quantile of split-half distances that a distance must exceed
SAME_TRIALS, SAME_INDIVIDUAL, APART = "same trials", "same individual", "other individuals"
# Distances (K,) of K pairs of systems, each (stimuli, trials, units) with NaN where there are fewer trials. An estimate that
# noise may bring below 0 is a root with the sign of its square.
Distances = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Plan:
    """How pairs are compared: trials that a stimulus must have, stretches of time, halves, and shuffles of each null.

    `shuffle_trials`: whether the second null is made. `pool`: units are pooled to as many components as the pair's fewest
    trials of a stimulus divided by it (0: units as they are). `most_trials`: of a stimulus in a half (0: as many as there are).
    """

    least_trials: int
    blocks: int
    splits: int
    shuffles: int
    seed: int
    shuffle_trials: bool = True
    pool: int = 0
    most_trials: int = 0


@dataclass(frozen=True)
class Compared:
    """A pair: its distance at half the trials, split-half distances of both, p, and the numbers that all of them are at.

    `own` and `own_high` are (halves, 2): median and upper quantile over splits, for each kind of halves and either system.
    """

    distance: float
    own: np.ndarray
    own_high: np.ndarray
    p_labels: float
    p_trials: float
    n_stimuli: int
    n_trials: int
    n_units: int


@dataclass(frozen=True)
class Spread:
    """Distances between all systems and what they are judged by; arrays are (T, T), of `own` (halves, T, T).

    `own[k, i, j]` is the split-half distance of system i at the numbers of the pair i, j; `drawn` says which pairs are farther
    apart than either is from itself. NaN where two systems share too few stimuli, and on diagonals.
    """

    distance: np.ndarray
    own: np.ndarray
    p_labels: np.ndarray
    p_trials: np.ndarray
    n_stimuli: np.ndarray
    n_trials: np.ndarray
    n_units: np.ndarray
    drawn: np.ndarray


def relation(first: System, second: System) -> str:
    """Whether two systems share their trials, their individual, or nothing."""
    if first.subject == second.subject:
        return SAME_TRIALS
    return SAME_INDIVIDUAL if first.individual and first.individual == second.individual else APART


def check_systems(systems: Sequence[System]) -> None:
    """Raises `DataError` for fewer than two systems."""
    if len(systems) < 2:
        found = ", ".join(system.name for system in systems) or "none"
        raise DataError(f"space: found {len(systems)} regions of subjects ({found}), expected at least 2; add a region")


def spread(systems: Sequence[System], plan: Plan, distances: Distances) -> Spread:
    """All pairs of systems.

    Trials and units are matched per pair: stimuli that both saw `least_trials` times, of each the smaller number of trials,
    and as many units, drawn anew for every split. Raises `DataError` where no pair can be compared.
    """
    check_systems(systems)
    n, missing = len(systems), np.nan
    tables = {name: np.full((n, n), missing) for name in ("distance", "p_labels", "p_trials")}
    counts = {name: np.zeros((n, n), dtype=np.int64) for name in ("n_stimuli", "n_trials", "n_units")}
    own, drawn = np.full((len(HALVES), n, n), missing), np.zeros((n, n), dtype=bool)
    halves = [all_halves(system, plan) for system in systems]
    for i, j in combinations(range(n), 2):
        found = compare((systems[i], systems[j]), (halves[i], halves[j]), plan, distances, (i, j))
        if found is None:
            continue
        for name, table in (*tables.items(), *counts.items()):
            table[i, j] = table[j, i] = getattr(found, name)
        own[:, i, j], own[:, j, i] = found.own.T
        drawn[i, j] = drawn[j, i] = found.distance > found.own_high.max()
    if np.isnan(tables["distance"]).all():
        raise DataError(
            f"space: no two systems share {LEAST_STIMULI} stimuli with {plan.least_trials} trials each; "
            "lower least_trials, or leave it out"
        )
    return Spread(**tables, **counts, own=own, drawn=drawn)


Halved = list[list[tuple[np.ndarray, np.ndarray]]]  # kind → split → half → mask of trials (n, R)


def all_halves(system: System, plan: Plan) -> Halved:
    """Halves of every split, by places in time: the same for all regions of a subject, whose trials are the same."""
    place = ranks(system.valid, system.shown)
    there = np.arange(max(1, int(system.counts.max()))) < system.counts[:, None]
    found: Halved = []
    for kind, half in enumerate(HALVES.values()):
        found.append([])
        for split in range(plan.splits):
            rng = np.random.default_rng([plan.seed, kind, split, *system.subject.encode()])
            dealt = np.take_along_axis(half(there, rng, None, plan.blocks), np.minimum(place, there.shape[1] - 1), axis=1)
            found[-1].append((dealt & system.valid, ~dealt & system.valid))
    return found


def scaled(system: System, rows: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Trials of some stimuli and units (n, repeats, units), divided by one number: √ of the variance of the stimuli's means.

    It is the sum over units, so that neither their number nor their rates decide how far a system is from others.
    """
    trials = system.trials[rows][:, :, units]
    variance = float(np.nanmean(trials, axis=1).var(axis=0).sum())
    return trials / np.sqrt(variance) if variance > 0 else trials


def compare(
    pair: tuple[System, System], halves: tuple[Halved, Halved], plan: Plan, distances: Distances, place: tuple[int, int]
) -> Compared | None:
    """Two systems; None where they share too few stimuli. No trial is on both sides, even where they share their trials."""
    both = match(*pair, plan.least_trials)
    if both.n < LEAST_STIMULI:
        return None
    numbers = np.minimum(both.half, plan.most_trials) if plan.most_trials else both.half
    firsts, seconds = [], []
    for split in range(plan.splits):
        rng = np.random.default_rng([plan.seed, 7, split, *place])
        bases = _bases(pair, both, plan, rng)
        for kind in range(len(HALVES)):
            (a, a_), (b, b_) = (
                [chosen(base, dealt[rows], numbers, rng) for dealt in half[kind][split]]
                for base, half, rows in zip(bases, halves, (both.first, both.second), strict=True)
            )
            firsts += [a, b]
            seconds += [a_, b_]
            if kind == 0:
                firsts += [a, a_]
                seconds += [b_, b]
    found = distances(firsts, seconds).reshape(plan.splits, 2 * len(HALVES) + 2)
    own = np.delete(found, (2, 3), axis=1).reshape(plan.splits, len(HALVES), 2)
    labels, trials = _p_values(pair, both, halves, plan, distances, place)
    return Compared(
        float(np.median(found[:, 2:4])),
        np.median(own, axis=0),
        np.quantile(own, HIGH, axis=0),
        labels,
        trials,
        both.n,
        int(numbers.min()),
        bases_units(both, plan),
    )


def bases_units(both: Match, plan: Plan) -> int:
    """Units, or components, that either system of a pair is compared with."""
    return min(both.units, max(LEAST_COMPONENTS, int(both.trials.min()) // plan.pool)) if plan.pool else both.units


def _bases(pair: tuple[System, System], both: Match, plan: Plan, rng: np.random.Generator) -> list[np.ndarray]:
    """Scaled trials of as many units of either, drawn at random; or their components."""
    from isocortex.similarity.stochastic_shape.estimation import on_axes

    found = []
    for system, rows in zip(pair, (both.first, both.second), strict=True):
        trials = scaled(system, rows, np.sort(rng.permutation(system.n_units)[: both.units]))
        found.append(on_axes(trials, bases_units(both, plan)) if plan.pool else trials)
    return found


def _p_values(
    pair: tuple[System, System],
    both: Match,
    halves: tuple[Halved, Halved],
    plan: Plan,
    distances: Distances,
    place: tuple[int, int],
) -> tuple[float, float]:
    """p of being this near, with stimuli permuted in one system, and with trials shuffled per unit in both.

    Systems that share their trials are compared on opposite halves, others on all matched trials.
    """
    rng = np.random.default_rng([plan.seed, 8, *place])
    bases, rows = _bases(pair, both, plan, rng), (both.first, both.second)
    dealt, numbers = [system.valid[kept] for system, kept in zip(pair, rows, strict=True)], both.trials
    if relation(*pair) == SAME_TRIALS:
        dealt = [half[0][0][k][kept] for k, (half, kept) in enumerate(zip(halves, rows, strict=True))]
        numbers = both.half
    if plan.most_trials:
        numbers = np.minimum(numbers, plan.most_trials)
    seed = rng.integers(2**32)

    def sides(made: Sequence[np.ndarray]) -> list[np.ndarray]:
        same = np.random.default_rng(seed)  # the trials that are picked are the same in every shuffle
        return [chosen(trials, kept, numbers, same) for trials, kept in zip(made, dealt, strict=True)]

    first, second = sides(bases)
    permuted = [second[rng.permutation(both.n)] for _ in range(plan.shuffles)]
    observed, *null = distances([first] * (plan.shuffles + 1), [second, *permuted])
    labels = p_near(observed, np.asarray(null))
    if not plan.shuffle_trials:
        return labels, float("nan")
    parts = [stretches(system.valid[kept], system.shown[kept], plan.blocks) for system, kept in zip(pair, rows, strict=True)]
    made = [
        sides([shuffled_within(base, part, rng) for base, part in zip(bases, parts, strict=True)]) for _ in range(plan.shuffles)
    ]
    return labels, p_near(observed, distances([one[0] for one in made], [one[1] for one in made]))


def p_near(observed: float, null: np.ndarray) -> float:
    """(1 + number as near or nearer) / (1 + number); NaN where the null does not vary."""
    size = max(abs(observed), float(np.abs(null).max(initial=0.0)))
    if not np.isfinite(null).all() or np.ptp(null) <= 1e-12 * size:
        return float("nan")
    return float((1 + (null <= observed + 1e-12 * size).sum()) / (1 + len(null)))
