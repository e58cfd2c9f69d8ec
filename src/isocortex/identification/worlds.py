"""Simulated regions: which known model each is, and what is recorded of it at a region's noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from isocortex.identification.known import Kinds
from isocortex.identification.measurement import MEASUREMENTS, standardised
from isocortex.identification.noise import RegionNoise
from isocortex.identification.plan import Plan, Point

# Sets of stimuli that worlds take turns with where only some are used.
SUBSETS = 2
# Signals and noise of worlds are kept for the next method up to this size.
KEEP_BYTES = 1 << 30
# Streams of random numbers of a world.
_TRUTH, _SIGNAL, _NOISE, _TRIALS, _STIMULI, _HALVES = range(6)


def stream(seed: int, *key: int) -> np.random.Generator:
    """Random numbers that are a function of the seed and the key alone."""
    return np.random.default_rng([seed, *key])


@dataclass(frozen=True)
class Truth:
    """A world: the kind (a row), the instance (a row of its members) and layer that is the truth, how it is measured, and
    `stands` (K,), the instance of each kind that is its candidate. `subset`: which set of stimuli it sees where only some are
    used."""

    kind: int
    instance: int
    layer: str
    measurement: str
    stands: tuple[int, ...]
    subset: int = 0


@dataclass(frozen=True)
class Worlds:
    """Which model is the truth of each of W worlds: rows of the kinds (W,), instance names, layer names, and measurement."""

    truth: np.ndarray
    instance: tuple[str, ...]
    layer: tuple[str, ...]
    measurement: tuple[str, ...]


def drawn_truths(kinds: Kinds, plan: Plan) -> list[Truth]:
    """The worlds of a plan. Any first few of them have truths and measurements in turn, so that fewer are a fair part."""
    rng = stream(plan.seed, _TRUTH)
    order = rng.permutation(np.array(kinds.truths))
    found = []
    for number in range(plan.worlds):
        kind = int(order[number % len(order)])
        measurement, subset = in_turn(number, len(order), len(plan.measurements))
        instance = int(rng.integers(len(kinds.members[kind])))
        layer = str(rng.choice(sorted(kinds.members[kind][instance].layers)))
        stands = [int(rng.integers(len(some))) for some in kinds.members]
        others = [k for k in range(len(kinds.members[kind])) if k != instance]
        stands[kind] = int(rng.choice(others))
        found.append(Truth(kind, instance, layer, plan.measurements[measurement], tuple(stands), subset))
    return found


def in_turn(number: int, truths: int, measurements: int) -> tuple[int, int]:
    """The measurement and the set of stimuli of a world, such that every kind meets each of both, and each pair, as often."""
    round_, place = divmod(number, truths)
    # An even number of measurements would go with the sets of stimuli, which are two, were these not moved on in each turn.
    moved = round_ // measurements if measurements % SUBSETS == 0 else 0
    return (round_ + place) % measurements, (round_ + place + moved) % SUBSETS


def listed(truths: Sequence[Truth], kinds: Kinds) -> Worlds:
    """The worlds by name."""
    return Worlds(
        np.array([truth.kind for truth in truths]),
        tuple(kinds.members[truth.kind][truth.instance].instance for truth in truths),
        tuple(truth.layer for truth in truths),
        tuple(truth.measurement for truth in truths),
    )


@dataclass(frozen=True)
class Block:
    """Stimuli that some worlds have in common: `rows` (m,) of the known models' stimuli, ascending."""

    rows: np.ndarray
    seed: int

    @cached_property
    def order(self) -> np.ndarray:
        """A random order of the places 0 … m − 1."""
        return stream(self.seed, _HALVES, len(self.rows)).permutation(len(self.rows))

    @property
    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        """Places (⌈m/2⌉,) and (⌊m/2⌋,) of two halves, ascending."""
        return np.sort(self.order[::2]), np.sort(self.order[1::2])

    def folds(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Places of training and test stimuli of each fold."""
        parts = [np.sort(self.order[k::number]) for k in range(number)]
        every = np.arange(len(self.rows))
        return [(np.setdiff1d(every, part), part) for part in parts]

    def thinned(self, most: int | None) -> Block:
        """At most so many of the stimuli."""
        if most is None or len(self.rows) <= most:
            return self
        return Block(self.rows[np.sort(self.order[:most])], self.seed)


@dataclass(frozen=True)
class Response:
    """Mean responses (m, v) to a block's stimuli, which neuroids the region has signal in (v,), and single trials."""

    patterns: np.ndarray
    kept: np.ndarray
    simulator: Simulator
    world: int
    point: Point
    rows: np.ndarray

    @cached_property
    def trials(self) -> np.ndarray:
        """Single trials (m, R, v) with independent noise; R the region's repeats, rounded, at least 2.

        Their mean over repeats is `patterns` where the region's repeats are a whole number; else it is `mean_of_trials`, which
        whatever sees trials takes, for no whole number of independent trials has the noise of `patterns`.
        """
        return self.simulator.trials(self)

    @property
    def mean_of_trials(self) -> np.ndarray:
        """Mean responses (m, v) to go with `trials`."""
        return self.trials.mean(axis=1)


@dataclass
class Simulator:
    """Responses of worlds, the same signal and noise at all points: a point has a part of them, or more of the noise.

    Noise is independent between stimuli; between neuroids it has the region's covariance.
    """

    kinds: Kinds
    noise: RegionNoise
    plan: Plan
    truths: Sequence[Truth]
    made: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def stimuli(self) -> np.ndarray:
        """Rows of the known models' stimuli of a region that was shown as many, or of all."""
        n = self.kinds.n_stimuli
        return np.sort(stream(self.plan.seed, _STIMULI).permutation(n)[: min(n, self.noise.n_stimuli)])

    def blocks(self, point: Point) -> list[Block]:
        """The sets of stimuli of a point; `worlds_on` says which worlds have which."""
        seed = self.plan.seed
        if point.stimuli == len(self.stimuli):
            return [Block(self.stimuli, seed)]
        orders = [stream(seed, _STIMULI, 1 + k).permutation(len(self.stimuli)) for k in range(SUBSETS)]
        return [Block(self.stimuli[np.sort(order[: point.stimuli])], seed) for order in orders]

    def worlds_on(self, number: int, point: Point) -> np.ndarray:
        """Worlds of a point that see its set of stimuli of that number, ascending."""
        if point.stimuli == len(self.stimuli):
            return np.arange(point.worlds)
        return np.flatnonzero([truth.subset == number for truth in self.truths[: point.worlds]])

    def response(self, world: int, point: Point, rows: np.ndarray) -> Response:
        """What is recorded of a world at a point, of the stimuli `rows` of the known models."""
        signal, noise, columns = (x[..., : point.neuroids] for x in self._whole(world))
        places = np.searchsorted(self.stimuli, rows)
        offset, kept = self.noise.offset[columns], self.noise.signal_sd[columns] > 0
        if np.isinf(point.noise):
            patterns = offset + noise[places]
        else:
            patterns = offset + signal[places] + point.noise * noise[places]
        return Response(patterns, kept if kept.any() else ~kept, self, world, point, rows)

    def _whole(self, world: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Signal and noise of the mean (n, v) and the region's neuroids (v,) of a world, on all stimuli."""
        if world in self.made:
            return self.made[world]
        truth, n, v = self.truths[world], len(self.stimuli), self.noise.n_neuroids
        rng = stream(self.plan.seed, _SIGNAL, world)
        # Neuroids in random order, so that fewer of them are the first ones.
        columns = rng.permutation(v)
        layer = self.kinds.members[truth.kind][truth.instance].layers[truth.layer][self.stimuli]
        signal = standardised(MEASUREMENTS[truth.measurement](layer, v, rng)) * self.noise.signal_sd[columns]
        noise = self.noise.draw(n, columns, stream(self.plan.seed, _NOISE, world)) / np.sqrt(self.noise.n_repeats)
        if (len(self.made) + 1) * 2 * signal.nbytes <= KEEP_BYTES:
            self.made[world] = (signal, noise, columns)
        return signal, noise, columns

    def trials(self, response: Response) -> np.ndarray:
        """Single trials: noise about its mean is independent of the mean, which is that of the response, to the scale of R.

        The response's noise has 1 / n_repeats of a trial's variance, the mean of R independent trials 1 / R.
        """
        point = response.point
        _, mean, columns = (x[..., : point.neuroids] for x in self._whole(response.world))
        repeats = max(2, round(self.noise.n_repeats))
        rng = stream(self.plan.seed, _TRIALS, response.world)
        level = 1.0 if np.isinf(point.noise) else point.noise
        drawn = level * self.noise.draw(len(self.stimuli) * repeats, columns, rng).reshape(len(self.stimuli), repeats, -1)
        places = np.searchsorted(self.stimuli, response.rows)
        rescaled = level * (np.sqrt(self.noise.n_repeats / repeats) - 1.0) * mean[places]
        drawn = drawn[places]
        return (response.patterns + rescaled)[:, None] + drawn - drawn.mean(axis=1, keepdims=True)
