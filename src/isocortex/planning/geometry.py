"""What descriptors of regions and of layers cost, row by row (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass

from isocortex.planning.sizes import BASE_MB, FLOPS, START, Cost, Shapes, mb
from isocortex.study.job import Job

# Values at most by the costs that rows of GEOMETRY declare, and the work that bounds them; tests hold these equal to those of
# `inference.descriptions` and `inference.nulls`.
DRAWS = {"costly": 400, "heavy": 50}
PERMUTED = {"costly": 200, "heavy": 99}
SPLITS = {"costly": 20, "heavy": 5}
WORK, FEWEST_NULL, FEWEST_DRAWS = 2e9, 99, 50
STIMULI, UNITS, REPEATS, PAIRS = 400, 200, 4, 35 * 4


@dataclass(frozen=True)
class Price:
    """Seconds of one value of 400 stimuli, and the power of their number that it grows by. `trials`: it reads all repeats."""

    seconds: float
    power: float
    cost: str = "costly"
    labels: bool = False
    trials: bool = False


# Of one slow core; loops of stimuli on a ring, which has more of them than noise.
PRICES: dict[str, Price] = {
    "participation_ratio": Price(2e-3, 2.0),
    "participation_ratio_corrected": Price(6e-3, 2.0),
    "participation_ratio_cv": Price(5e-2, 2.0, "heavy", trials=True),
    "effective_rank": Price(5e-3, 2.5),
    "von_neumann_entropy": Price(6e-3, 2.5),
    "two_nn": Price(6e-3, 2.0),
    "local_rank": Price(1e-2, 2.0),
    "diffusion_entropy": Price(2e-2, 2.6, "heavy"),
    "persistence_h0": Price(5e-2, 2.1),
    "persistence_h1": Price(0.4, 3.0, "heavy"),
    "diffusion_information": Price(3e-2, 2.6, "heavy", labels=True),
    "parallelism": Price(1e-2, 1.0, labels=True),
    "ccgp": Price(0.75, 2.0, "heavy", labels=True),
    "label_alignment": Price(4e-3, 2.0, labels=True),
}


def geometry(s: Shapes, job: Job) -> Cost:
    """Of a region: the trials of all subjects are held, and in double precision those of one that is read."""
    crossed = any(PRICES[name].trials for name in job.options["descriptors"])
    trials = mb(s.subjects, s.stimuli, s.repeats, s.neuroids, size=4)
    held = trials + (2 + 2 * crossed) * mb(s.stimuli, s.repeats, s.neuroids)
    return _cost(s, job, s.neuroids, s.subjects, held, decomposed=0.0)


def geometry_layers(s: Shapes, job: Job) -> Cost:
    """Of layers of a model, whose Gram matrices may have to be decomposed; a layer has no repeats."""
    units = min(s.stimuli, s.features)
    return _cost(s, job, units, s.layers, 0.0, decomposed=9 * s.layers * s.stimuli**3 / FLOPS)


def _cost(s: Shapes, job: Job, units: float, patterns: int, held: float, *, decomposed: float) -> Cost:
    seconds = patterns * sum(_seconds(s, job, name, units, regions=not decomposed) for name in job.options["descriptors"])
    memory = 6 * mb(s.stimuli, s.stimuli) + 4 * mb(s.stimuli, units) + held
    return Cost(START["torch"] + seconds + decomposed, BASE_MB["torch"] + memory, 1)


def _seconds(s: Shapes, job: Job, name: str, units: float, *, regions: bool) -> float:
    """Of a descriptor of one representation: its value, null, draws, and halves of the repeats."""
    price, options = PRICES[name], job.options["descriptors"][name] or {}
    if price.trials and not regions:
        return 0.0
    n = min(s.stimuli, options.get("max_stimuli", s.stimuli))
    one = price.seconds * (n / STIMULI) ** price.power * max(1.0, units / UNITS) ** (0.0 if price.power > 2 else 0.5)
    if price.trials:
        one *= max(1.0, units / UNITS) ** 0.5 * (0.5 + 0.5 * s.repeats / REPEATS) * options.get("splits", 20) / 20
    if "held_out" in options:
        one *= options["dichotomies"] * options["held_out"] / PAIRS
    asked = job.options.get("inference", {}).get("permutations", "auto")
    permuted = PERMUTED[price.cost] if asked == "auto" else int(asked)
    affordable = WORK / (n * n * max(1, min(n, units)))
    null = max(min(affordable, permuted), min(FEWEST_NULL, permuted))
    most = min(s.draws, DRAWS[price.cost])
    drawn = max(min(affordable, most), min(FEWEST_DRAWS, most))
    halves = 2 * SPLITS[price.cost] if regions and s.repeats > 1 and not price.labels else 0
    return one * (1 + null + drawn + halves)
