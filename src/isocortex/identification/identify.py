"""Every method names the known model that a simulated region is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from isocortex.compute import batches, resolve_device
from isocortex.encoding import ENCODERS
from isocortex.errors import DataError
from isocortex.identification.identified import Identified, Outcome
from isocortex.identification.known import Kinds, Known, by_kind
from isocortex.identification.levels import LEVELS
from isocortex.identification.measurement import MEASUREMENTS
from isocortex.identification.noise import RegionNoise
from isocortex.identification.plan import Plan, Point, points, worlds_of
from isocortex.identification.ridge import Ridge
from isocortex.identification.scorers import Rdms, Scorer, Summarised
from isocortex.identification.worlds import Block, Simulator, drawn_truths, listed
from isocortex.similarity.metrics import METRICS

# What worlds of a step may take, with the pairs of their RDMs.
STEP_BYTES = 256 << 20
# What a network's layers were made into is kept up to about this size.
KEEP_BYTES = 1 << 30
Made = Callable[[Block], Scorer]


@dataclass(frozen=True)
class Method:
    """How a method is made for a block of stimuli, what it costs, and the most stimuli that it takes."""

    made: Made
    cost: str
    most: int | None = None


def identify_models(
    known: Sequence[Known],
    noise: RegionNoise,
    methods: Mapping[str, Mapping[str, Any]],
    plan: Plan = Plan(),  # noqa: B008
    device: str = "cpu",
) -> Identified:
    """Ask methods to name known models at a region's noise, its numbers of neuroids, stimuli and repeats.

    Parameters
    ----------
    known : models on the region's stimuli; where they have more than the region was shown, a random part is taken.
    noise : of the region, from `region_noise`.
    methods : name of a row of METRICS or of "ridge" → options, defaults left out. One whose name is followed by a colon and a
        word is another of the same name.
    plan : how many worlds, and what is varied.
    device : as in `compute.resolve_device`.

    All methods see the same worlds, dear ones the first of them only. A method that cannot be asked is in `skipped`.
    Raises `DataError` for models that cannot be told apart and for a plan that cannot be followed.
    """
    kinds = by_kind(known)
    if not plan.measurements or set(plan.measurements) - set(MEASUREMENTS):
        found = ", ".join(plan.measurements) or "none"
        raise DataError(f"identification: found measurements {found}, expected some of {', '.join(MEASUREMENTS)}; correct them")
    simulator = Simulator(kinds, noise, plan, drawn_truths(kinds, plan))
    every = tuple(points(plan, len(simulator.stimuli), noise.n_neuroids))
    outcomes: dict[str, tuple[Outcome, ...]] = {}
    skipped: dict[str, str] = {}
    for name, options in methods.items():
        try:
            outcomes[name] = _asked(method_of(name, options, resolve_device(device)), simulator, every)
        except DataError as error:
            skipped[name] = str(error)
    return Identified(kinds.names, kinds.truths, plan, every, listed(simulator.truths, kinds), outcomes, skipped)


# --- methods -------------------------------------------------------------------------------------------------------------


def method_of(key: str, options: Mapping[str, Any], device: torch.device) -> Method:
    """The method of that name; `DataError` says why it cannot be asked."""
    name = key.partition(":")[0]
    if name == "ridge":
        return Method(lambda block: Ridge(options, block, device), "moderate")
    if name in ENCODERS:
        raise DataError(f"identification: {key}: this encoder has no fast form for many worlds; ridge stands for encoders")
    if name not in METRICS:
        raise DataError(f"identification: found method {key!r}, expected a metric or ridge; correct it or leave it out")
    metric = METRICS[name]
    settings = {**metric.options, **options}
    if "confounder" in metric.options:
        raise DataError(f"identification: {key}: a confounder is not simulated")
    if settings.get("model", "selected") != "selected":
        raise DataError(f"identification: {key}: model: {settings['model']} mixes layers, and single layers are asked")
    most = settings.get("max_stimuli")
    if metric.comparing:
        return Method(lambda block: Rdms(metric, settings, block, device), metric.cost, most)
    if not metric.summaries or metric.level not in LEVELS:
        raise DataError(f"identification: {key}: what it compares ({metric.level}) is not simulated")
    level = LEVELS[metric.level]
    return Method(lambda block: Summarised(metric, settings, block, device, level), metric.cost, most)


# --- worlds --------------------------------------------------------------------------------------------------------------


@dataclass
class _Asking:
    """A method, and what was made of the networks on the block of stimuli that was used last."""

    method: Method
    simulator: Simulator
    scorer: Scorer | None = None
    block: Block | None = None
    kept: dict[tuple[int, int], Any] = field(default_factory=dict)

    def on(self, block: Block) -> Scorer:
        """The method on these stimuli."""
        if self.scorer is None or self.block is None or not np.array_equal(self.block.rows, block.rows):
            self.scorer, self.block, self.kept = self.method.made(block), block, {}
        return self.scorer

    def candidate(self, scorer: Scorer, block: Block, kind: int, instance: int) -> Any:
        """What the method keeps of a network."""
        if (kind, instance) in self.kept:
            return self.kept[kind, instance]
        model = self.simulator.kinds.members[kind][instance]
        made = scorer.candidate([x[block.rows] for x in model.layers.values()])
        size = sum(8 * len(block.rows) * max(x.shape[1], len(block.rows)) for x in model.layers.values())
        if (len(self.kept) + 1) * size <= KEEP_BYTES:
            self.kept[kind, instance] = made
        return made


def _asked(method: Method, simulator: Simulator, every: Sequence[Point]) -> tuple[Outcome, ...]:
    """What a method finds at all points; those that are as the measured one are not simulated again."""
    asking = _Asking(method, simulator)
    found: dict[tuple[int, float, int], Outcome] = {}
    # Points with all stimuli one after another: what was made of the networks then serves them all.
    for point in sorted(every, key=lambda p: -p.stimuli):
        if point.key not in found:
            found[point.key] = _at(asking, replace(point, worlds=worlds_of(method.cost, point.worlds)))
    if not np.isfinite(found[every[0].key].scores).any():
        raise DataError(
            "identification: no candidate has a score in any world; the region or the layers have too little in them"
        )
    return tuple(found[point.key] for point in every)


def _at(asking: _Asking, point: Point) -> Outcome:
    simulator = asking.simulator
    scores = np.full((point.worlds, len(simulator.kinds.names)), np.nan)
    itself = np.full(point.worlds, np.nan)
    blocks = simulator.blocks(point)
    for number, whole in enumerate(blocks):
        block = whole.thinned(asking.method.most)
        scorer = asking.on(block)
        for some in _steps(np.arange(number, point.worlds, len(blocks)), block, point):
            responses = scorer.responses([simulator.response(int(world), point, block.rows) for world in some])
            for kind, instance in _networks(simulator.kinds):
                truths = [simulator.truths[world] for world in some]
                stands = np.array([truth.stands[kind] == instance for truth in truths])
                own = np.array([(truth.kind, truth.instance) == (kind, instance) for truth in truths])
                which = np.flatnonzero(stands | own)
                if not len(which):
                    continue
                values = scorer.scored(asking.candidate(scorer, block, kind, instance), responses, which)
                scores[some[which[stands[which]]], kind] = values[stands[which]]
                itself[some[which[own[which]]]] = values[own[which]]
    return Outcome(scores, itself)


def _networks(kinds: Kinds) -> Iterator[tuple[int, int]]:
    for kind, members in enumerate(kinds.members):
        for instance in range(len(members)):
            yield kind, instance


def _steps(worlds: np.ndarray, block: Block, point: Point) -> Iterator[np.ndarray]:
    """Worlds that are held at once."""
    m = len(block.rows)
    for part in batches(len(worlds), 8.0 * m * (point.neuroids + m), STEP_BYTES):
        yield worlds[part]
