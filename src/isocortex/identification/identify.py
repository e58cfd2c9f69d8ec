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
from isocortex.identification.plan import ALONE, ASKED_ALONE, Plan, Point, left_out, points, worlds_of
from isocortex.identification.ridge import Ridge, about_ridge
from isocortex.identification.scorers import Rdms, Scorer, Summarised
from isocortex.identification.worlds import Block, Simulator, drawn_truths, listed
from isocortex.similarity.metrics import METRICS

# What worlds of a step may take, with the pairs of their RDMs.
STEP_BYTES = 256 << 20
# What a network's layers were made into is kept up to about this size.
KEEP_BYTES = 1 << 30
# Worlds of a point that a method is fitted to which needs to know what is common to them.
FITTED_TO = 8
Made = Callable[[Block], Scorer]


@dataclass(frozen=True)
class Method:
    """How a method is made for a block of stimuli, what it costs, the most stimuli that it takes, and how it differs from the
    study's."""

    made: Made
    cost: str
    most: int | None = None
    note: str = ""


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
    notes: dict[str, str] = {}
    for name, options in methods.items():
        try:
            method = method_of(name, options, resolve_device(device))
            outcomes[name] = _asked(method, simulator, every)
        except DataError as error:
            skipped[name] = str(error)
        else:
            notes |= {name: method.note} if method.note else {}
    dropped = tuple(left_out(plan, len(simulator.stimuli)))
    worlds = listed(simulator.truths, kinds)
    return Identified(kinds.names, kinds.truths, plan, every, worlds, outcomes, skipped, dropped, notes)


# --- methods -------------------------------------------------------------------------------------------------------------


def method_of(key: str, options: Mapping[str, Any], device: torch.device) -> Method:
    """The method of that name; `DataError` says why it cannot be asked."""
    name = key.partition(":")[0]
    if name == "ridge":
        if options.get("delays"):
            raise DataError(f"identification: {key}: features with delays are not simulated")
        return Method(lambda block: Ridge(options, block, device), "moderate", note=about_ridge(options))
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
    held: int = 0

    def on(self, block: Block, point: Point, worlds: np.ndarray) -> Scorer:
        """The method on these stimuli; one that adapts is fitted to the first of the point's worlds, however many are held."""
        if self.scorer is None or self.block is None or not np.array_equal(self.block.rows, block.rows):
            self.scorer, self.block, self.kept, self.held = self.method.made(block), block, {}, 0
        if not self.scorer.adapts:
            return self.scorer
        # What was made of networks for another fit is of no use.
        self.kept, self.held = {}, 0
        return self.scorer.fitted([self.simulator.response(int(w), point, block.rows) for w in worlds[:FITTED_TO]])

    def candidate(self, scorer: Scorer, block: Block, kind: int, instance: int) -> Any:
        """What the method keeps of a network."""
        if (kind, instance) in self.kept:
            return self.kept[kind, instance]
        model = self.simulator.kinds.members[kind][instance]
        made = scorer.candidate([x[block.rows] for x in model.layers.values()])
        if self.held < KEEP_BYTES and (size := bytes_of(made)) + self.held <= KEEP_BYTES:
            self.kept[kind, instance] = made
            self.held += size
        return made


def bytes_of(made: Any) -> int:
    """What arrays take in memory, in whatever lists, mappings and dataclasses they are; one that comes twice counts once."""
    seen: set[int] = set()
    total, left = 0, [made]
    while left:
        item = left.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        total += int(getattr(item, "nbytes", 0)) if isinstance(item, np.ndarray | torch.Tensor) else 0
        left.extend(_inside(item))
    return total


def _inside(item: Any) -> list[Any]:
    if isinstance(item, Mapping):
        return list(item.values())
    if isinstance(item, list | tuple):
        return list(item)
    # Cached properties of an object lie beside its fields.
    return list(vars(item).values()) if hasattr(item, "__dict__") and not isinstance(item, np.ndarray | torch.Tensor) else []


def _asked(method: Method, simulator: Simulator, every: Sequence[Point]) -> tuple[Outcome, ...]:
    """What a method finds at all points; those that are as the measured one are not simulated again."""
    asking = _Asking(method, simulator)
    found: dict[tuple[tuple[int, float, int], int], Outcome] = {}
    names = [(point.key, _worlds_at(method, point)) for point in every]
    # Points with all stimuli one after another: what was made of the networks then serves them all.
    for point, name in sorted(zip(every, names, strict=True), key=lambda pair: -pair[0].stimuli):
        if name not in found:
            found[name] = _at(asking, replace(point, worlds=name[1]))
    if not np.isfinite(found[names[0]].scores).any():
        raise DataError(
            "identification: no candidate has a score in any world; the region or the layers have too little in them"
        )
    return tuple(found[name] for name in names)


def _worlds_at(method: Method, point: Point) -> int:
    """How many of a point's worlds a method is asked in; a dear one in none of noise alone."""
    return 0 if point.axis == ALONE and method.cost not in ASKED_ALONE else worlds_of(method.cost, point.worlds)


def _at(asking: _Asking, point: Point) -> Outcome:
    simulator = asking.simulator
    scores = np.full((point.worlds, len(simulator.kinds.names)), np.nan)
    itself = np.full(point.worlds, np.nan)
    blocks = simulator.blocks(point)
    for number, whole in enumerate(blocks):
        block, worlds = whole.thinned(asking.method.most), simulator.worlds_on(number, point)
        if not len(worlds):
            continue
        scorer = asking.on(block, point, worlds)
        for some in _steps(worlds, block, point):
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
