"""What the stages `compare` and `shapes` cost, by family of metrics (standard library only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isocortex.planning.patterns import patterns
from isocortex.planning.sizes import BASE_MB, FLOPS, START, Cost, Shapes, mb
from isocortex.study.job import Job

# Draws and permutations by the costs that rows of METRICS declare; a test holds these equal to the tables'.
DRAWS = {"costly": 100, "heavy": 50}
PERMUTED = {"costly": 200, "heavy": 99}
HALVES = 20  # halves of the repeats of a ceiling; halves of the stimuli of a lone subject's score
EDGE_SECONDS, EDGE_POWER = 1.5e-7, 1.7  # of the curvature of an edge, by the neighbours of its ends
FLOW = ("ricci_communities",)
SMALL_FLOPS = 3e9  # per second in decompositions of small matrices
HALF = 0.25  # cost of a summary of half the stimuli, at most
TOGETHER = 16  # permuted layers that are held at once
STARTS = 80  # steps of a search for the best rotation of noisy systems


def _variants(options: dict[str, Any]) -> float:
    """How many comparisons of one RDM a metric makes: pairs of thresholds, or fits of a mixture."""
    if options.get("model", "selected") != "selected":
        return 20.0
    if not isinstance(options.get("thresholds"), str):
        return 1.0
    levels = 1 + 1 / options["step"]
    return levels * (levels - 1) / 2 if options["thresholds"] == "nested" else 3.0


def _pairs(n: int) -> float:
    return n * (n - 1) / 2


def _rdms(s: Shapes, metrics: dict[str, dict[str, Any]]) -> Cost:
    of = {name: _pairs(min(s.stimuli, m["max_stimuli"])) for name, m in metrics.items()}
    pairs = max(of.values())
    flops = sum(_variants(m) * of[name] for name, m in metrics.items()) * s.subjects * (20 * s.draws * s.layers + 40_000)
    return Cost(START["numpy"] + flops / (FLOPS / 10), BASE_MB["numpy"] + mb(pairs, 200), mb(pairs, 2))


def curvature_seconds(n: int, shares: list[float]) -> float:
    """Of the graphs of one sweep over n stimuli."""
    neighbours = [min(1.2 * max(5, share * n), n - 1) for share in shares]
    return sum(0.5 * n * k * EDGE_SECONDS * k**EDGE_POWER for k in neighbours)


def _made(s: Shapes, draws: int) -> float:
    """Summaries of each system: of draws; of a lone subject also of halves of the stimuli, and of draws within these, which
    cost a small part of a whole."""
    return draws + 1 if s.subjects > 1 else draws + 1 + HALF * (2 * HALVES + 2 * 2 * draws)


def _graphs(s: Shapes, metrics: dict[str, dict[str, Any]]) -> Cost:
    systems, seconds, remembered = s.layers + s.subjects, 0.0, 0.0
    for name, m in metrics.items():
        n = min(s.stimuli, m["max_stimuli"])
        one = curvature_seconds(n, m["shares"])
        made = systems * _made(s, DRAWS["heavy"]) + s.subjects * 2 * HALVES
        if name in FLOW:
            seconds += one * made * m["iterations"]
        else:
            # Metrics of one sweep share its curvature.
            remembered = max(remembered, one * made)
            seconds += one * s.layers * PERMUTED["heavy"] * (m.get("distance") is not None)
    n = min(s.stimuli, max(m["max_stimuli"] for m in metrics.values()))
    return Cost(START["torch"] + seconds + remembered, BASE_MB["torch"] + 300 + 12 * mb(n, n), mb(n, 200))


def _shapes(s: Shapes, metrics: dict[str, dict[str, Any]]) -> Cost:
    n, seconds = s.stimuli, 0.0
    comparisons = s.subjects * s.layers
    if "shape" in metrics:
        a, b = min(n, s.neuroids), min(n, s.features)
        one = 2 * n * a * b + 20 * min(a, b) ** 2 * max(a, b)
        # Without whitening nothing is decomposed.
        wide = min(n, max(s.neuroids, s.features)) * (metrics["shape"]["alpha"] < 1)
        factors = (s.layers + s.subjects) * _made(s, DRAWS["costly"]) * 12 * n * wide**2
        seconds += (comparisons * (PERMUTED["costly"] + _made(s, DRAWS["costly"])) * one + factors) / SMALL_FLOPS
    if "shape_moments" in metrics:
        m = metrics["shape_moments"]
        few = min(n, m["max_stimuli"])
        one = 8 * (m["moments"] / 2 + 2) * 2 * few**3 / 3
        seconds += comparisons * (PERMUTED["costly"] + _made(s, DRAWS["heavy"]) + 2 * m["bootstraps"] / 8) * one / FLOPS
        seconds += s.subjects * 2 * HALVES * m["bootstraps"] / 8 * one / FLOPS
    # Of each layer the whole, the halves of all splits, and permuted ones; of each subject halves of its repeats.
    held = (1 + HALVES + TOGETHER) * s.layers * mb(n, min(n, s.features)) + 2 * s.subjects * HALVES * mb(n, min(n, s.neuroids))
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + 200 + held, mb(s.layers, s.subjects, 10))


def noisy_seconds(s: Shapes, m: dict[str, Any]) -> float:
    """Of one distance of two noisy systems."""
    n = min(s.stimuli, m["max_stimuli"])
    d = min(s.neuroids, max(2, s.repeats // 2)) if m["components"] == "auto" else m["components"]
    if m["distribution"] == "energy":
        return m["starts"] * STARTS * n * s.repeats**2 * min(s.neuroids, 50) * 8 / SMALL_FLOPS
    return m["starts"] * STARTS * n * 30 * d**3 / SMALL_FLOPS + 2e-4


def _noisy(s: Shapes, metrics: dict[str, dict[str, Any]]) -> Cost:
    seconds = 0.0
    for m in metrics.values():
        values = s.layers * (PERMUTED["heavy"] + _made(s, DRAWS["heavy"])) + 2 * HALVES + PERMUTED["heavy"]
        seconds += s.subjects * values * noisy_seconds(s, m)
    trials = mb(s.stimuli, s.repeats, s.neuroids)
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + 200 + s.subjects * (2 * HALVES + 3) * trials, 2)


FAMILIES: dict[str, Callable[[Shapes, dict[str, dict[str, Any]]], Cost]] = {
    "rdm": _rdms,
    "graph": _graphs,
    "shape": _shapes,
    "stochastic": _noisy,
    **dict.fromkeys(("kernel", "linear", "neighbours", "matching"), patterns),
}


def compare(s: Shapes, job: Job) -> Cost:
    """Of one family."""
    return FAMILIES[job.options["family"]](s, job.options["metrics"])


def shapes(s: Shapes, job: Job) -> Cost:
    """Of all distances among a region's subjects and the layers of all models."""
    systems = s.subjects + s.layers
    rank, seconds = min(s.stimuli, max(s.neuroids, s.features)), 0.0
    if "shape" in job.options["metrics"]:
        seconds += systems**2 * 4 * rank**3 / SMALL_FLOPS
    if noisy := job.options["metrics"].get("stochastic_shape"):
        seconds += (systems**2 + HALVES * s.subjects) * noisy_seconds(s, noisy)
    held = systems * mb(s.stimuli, rank) + s.subjects * 2 * HALVES * mb(s.stimuli, s.repeats, s.neuroids)
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + 200 + held, mb(systems, systems, 4))
