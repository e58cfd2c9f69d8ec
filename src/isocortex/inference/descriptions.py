"""What a descriptor says of one representation: value, null, draws of stimuli, and agreement of halves of the repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.digests import digest_json
from isocortex.errors import DataError
from isocortex.geometry.descriptor import Descriptor
from isocortex.geometry.nulls import sampler
from isocortex.inference.half_repeats import each_repeat_halves, half_trials
from isocortex.inference.nulls import PERMUTATIONS
from isocortex.inference.resampling import subsamples_within

SHARE = 0.8
LEAST_STIMULI = 3
SHARED_NULLS = frozenset({"permute_labels"})
# Halvings of the repeats, and subsamples of the stimuli at most, by the declared cost of a descriptor.
SPLITS = {"cheap": 20, "moderate": 20, "costly": 20, "heavy": 5}
DRAWS = {"cheap": 1000, "moderate": 1000, "costly": 400, "heavy": 50}
# Multiplications n²·min(n, p) that draws of one descriptor may take, and the fewest draws whatever they take.
WORK, FEWEST_NULL, FEWEST_DRAWS = 2e9, 99, 50


@dataclass(frozen=True)
class Representation:
    """Patterns (n, p) of stimuli with unique `ids`; trials (n, R, p) with NaN for missing repeats, and labels, "" for none."""

    ids: tuple[str, ...]
    patterns: torch.Tensor
    trials: np.ndarray | None = None
    labels: np.ndarray | None = None

    def labelled(self) -> Representation:
        """The stimuli that have a label; raises `DataError` where there are no labels."""
        if self.labels is None:
            raise DataError("geometry: found no labels, expected a label column; set target")
        return self.some(np.flatnonzero(self.labels != ""))

    def repeated(self) -> Representation:
        """The stimuli that have two whole repeats; raises `DataError` where there are no trials."""
        if self.trials is None:
            raise DataError("geometry: found no trials, expected two repeats of a stimulus")
        return self.some(np.flatnonzero(_whole(self.trials).sum(axis=1) >= 2))

    def some(self, rows: np.ndarray) -> Representation:
        """The stimuli at `rows`."""
        trials = None if self.trials is None else self.trials[rows]
        labels = None if self.labels is None else self.labels[rows]
        return Representation(tuple(self.ids[k] for k in rows), self.patterns[rows], trials, labels)


@dataclass(frozen=True)
class Plan:
    """Draws and permutations at most (None: as many as the cost allows), and the seed of all of them.

    `stream`: draws of a null are of each stream's own, but for labels. Permuted labels are the same for all who saw the same
    stimuli; noise of one subject's null is not that of another's, or the mean over subjects would not average it.
    `stimuli`: ids that any subject has seen (none: the representation's own), so that subsamples agree about what is shared.
    """

    draws: int
    permutations: int | None
    seed: int
    stream: str = ""
    stimuli: tuple[str, ...] = ()

    def subsamples(self, ids: tuple[str, ...], number: int, size: int) -> np.ndarray:
        """`size` of the stimuli `ids`, in `number` draws: the first of them in random orders of all stimuli."""
        return subsamples_within(self.stimuli or ids, ids, number, size, self.seed)


class NoValueError(DataError):
    """A descriptor that finds nothing to describe, although it was given all that it needs."""


@dataclass(frozen=True)
class Description:
    """Value, null (P,), draws (D,) around the value, agreement of halves (K,), and the number of stimuli that it is of."""

    value: float
    null: np.ndarray
    null_kind: str
    draws: np.ndarray
    agreement: np.ndarray
    n_stimuli: int


def describe(
    descriptor: Descriptor, options: Mapping[str, Any], of: Representation, plan: Plan, *, null: str, halves: bool
) -> Description:
    """A descriptor of a representation; `null` is a name of `geometry.nulls.NULLS` or "", `halves` whether to halve repeats.

    Of more stimuli than the option `max_stimuli` so many are drawn once, for value, null, draws and halves alike.
    Raises `DataError` where there are no labels or no repeats that the descriptor needs, or from the descriptor itself;
    `NoValueError` where it has no value.
    """
    given = TAKEN[descriptor.needs](of)
    most = {**descriptor.options, **options}.get("max_stimuli", len(given.ids))
    if len(given.ids) > most:
        given = given.some(plan.subsamples(given.ids, 1, most)[0])
    if len(given.ids) < LEAST_STIMULI:
        kind = f"stimuli{WITH[descriptor.needs]}"
        raise DataError(f"geometry: {descriptor.name}: found {len(given.ids)} {kind}, expected at least {LEAST_STIMULI}")
    value = descriptor.evaluate(_data(descriptor, given), given.labels, options, plan.seed)
    if not np.isfinite(value):
        found = descriptor.no_value or "found nothing that varies"
        raise NoValueError(f"geometry: {descriptor.name}: has no value: {found}, expected patterns that differ")
    return Description(
        value,
        null_values(descriptor, options, given, plan, null),
        null,
        drawn_values(descriptor, options, given, plan, value),
        agreement(descriptor, options, given, plan) if halves else np.empty(0),
        len(given.ids),
    )


# What a descriptor is given of a representation by what it needs, and what is said of stimuli that it is given.
TAKEN: dict[str, Callable[[Representation], Representation]] = {
    "patterns": lambda of: of,
    "labels": Representation.labelled,
    "trials": Representation.repeated,
}
WITH = {"patterns": "", "labels": " with a label", "trials": " with two repeats"}


def _data(descriptor: Descriptor, of: Representation) -> torch.Tensor:
    if descriptor.needs != "trials" or of.trials is None:
        return of.patterns
    return torch.as_tensor(of.trials, dtype=torch.float64, device=of.patterns.device)


def _whole(trials: np.ndarray) -> np.ndarray:
    """Which repeats (n, R) of trials (n, R, p) have a value in every unit."""
    return np.asarray(np.isfinite(trials).all(axis=2))


def affordable(of: torch.Tensor, most: int, fewest: int) -> int:
    """How many draws of a descriptor of patterns (n, p) are within `WORK`, from `fewest` to `most`."""
    n, p = of.shape
    return int(np.clip(WORK / (n * n * min(n, p)), min(fewest, most), most))


def null_values(descriptor: Descriptor, options: Mapping[str, Any], of: Representation, plan: Plan, null: str) -> np.ndarray:
    """Values (P,) under a null; none where it has no name. A heavy descriptor has few, however many are asked for."""
    if not null:
        return np.empty(0)
    most = PERMUTATIONS[descriptor.cost]
    if plan.permutations is not None:
        most = min(plan.permutations, most) if descriptor.cost == "heavy" else plan.permutations
    draw, generator = sampler(null, _data(descriptor, of), of.labels), _null_generator(plan, null)
    values = np.full(affordable(of.patterns, most, FEWEST_NULL), np.nan)
    for k in range(len(values)):
        data, labels = draw(generator)
        try:
            values[k] = descriptor.evaluate(data, labels, options, plan.seed)
        except DataError:  # a draw that has no value says nothing, and is not counted
            continue
    return values


def _null_generator(plan: Plan, null: str) -> np.random.Generator:
    own = [] if null in SHARED_NULLS or not plan.stream else [int(digest_json(plan.stream)[:8], 16)]
    return np.random.default_rng([plan.seed, 0x6E756C6C, *own])


def drawn_values(
    descriptor: Descriptor, options: Mapping[str, Any], of: Representation, plan: Plan, value: float
) -> np.ndarray:
    """Values (D,) with the spread of samples of n stimuli around `value`, from subsamples.

    A subsample of m varies with n/m − 1 of the variance (delete-d jackknife), and its level is that of m stimuli, not of n.
    """
    n = len(of.ids)
    number = affordable(of.patterns, min(plan.draws, DRAWS[descriptor.cost]), FEWEST_DRAWS)
    size = min(n - 1, max(2, round(SHARE * n)))
    kept = plan.subsamples(of.ids, number, size)
    masks = np.zeros((len(kept), n))
    np.put_along_axis(masks, kept, 1.0, axis=1)
    given = torch.as_tensor(masks, device=of.patterns.device)
    values = np.asarray(
        torch.as_tensor(descriptor.evaluate_subsets(_data(descriptor, of), given, of.labels, options, plan.seed)).cpu(),
        dtype=np.float64,
    )
    if not np.isfinite(values).any():
        return values
    return value + (values - np.nanmean(values)) * np.sqrt(size / (n - size))


def agreement(descriptor: Descriptor, options: Mapping[str, Any], of: Representation, plan: Plan) -> np.ndarray:
    """Smaller over larger value of two halves of the repeats, for several splits (K,).

    Empty without repeats enough, and of a value that may be negative: its ratio has no meaning.
    """
    splits = SPLITS[descriptor.cost]
    crossed = descriptor.needs == "trials"
    least = 4 if crossed else 2
    if of.trials is None or _whole(of.trials).sum(axis=1).min() < least or descriptor.range[0] < 0:
        return np.empty(0)
    pairs = (half_trials if crossed else each_repeat_halves)(of.trials, splits, plan.seed)
    found = np.full((splits, 2), np.nan)
    for k, pair in enumerate(pairs):
        for side, half in enumerate(pair):
            found[k, side] = _of_half(descriptor, options, of, half, plan.seed)
    with np.errstate(invalid="ignore"):
        ratio = found.min(axis=1) / found.max(axis=1)
    return ratio if np.isfinite(ratio).any() else np.empty(0)


def _of_half(descriptor: Descriptor, options: Mapping[str, Any], of: Representation, half: np.ndarray, seed: int) -> float:
    data = torch.as_tensor(half, dtype=torch.float64, device=of.patterns.device)
    try:
        return descriptor.evaluate(data, of.labels, options, seed)
    except DataError:  # repeats that two stimuli have in common may all lie in the other half
        return float("nan")


def mean_description(found: list[Description]) -> Description:
    """The mean over subjects: of values, of draws with the same stimuli, of nulls, and of agreement where all have one."""
    kinds = {item.null_kind for item in found}
    return Description(
        value=float(np.mean([item.value for item in found])),
        null=_mean([item.null for item in found]),
        null_kind=found[0].null_kind if len(kinds) == 1 else "",
        draws=_mean([item.draws for item in found]),
        agreement=_mean([item.agreement for item in found]) if all(len(item.agreement) for item in found) else np.empty(0),
        n_stimuli=min(item.n_stimuli for item in found),
    )


def no_mean(found: list[Description]) -> Description:
    """What is said over subjects where one of them has no value: the mean of the others would be of other subjects."""
    none = np.empty(0)
    return Description(np.nan, none, "", np.full(1, np.nan), none, min(item.n_stimuli for item in found))


def _mean(parts: list[np.ndarray]) -> np.ndarray:
    """The mean of arrays (K,), each cut to the shortest."""
    shortest = min(map(len, parts))
    return np.mean([part[:shortest] for part in parts], axis=0)
