"""What metrics of patterns cost: kernels, linear maps, neighbours and matchings, row by row (standard library only).

Seconds of one slow core for 500 stimuli, a layer of 1000 units and 100 neuroids, with the powers that they grow by, as
`make bench SUITES=metrics` measures them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from isocortex.planning.sizes import BASE_MB, START, Cost, Shapes, mb

# Draws and permutations by the costs that rows of METRICS declare; tests hold these equal to the tables'.
DRAWS = {"moderate": 300, "costly": 100, "heavy": 50}
PERMUTED = {"moderate": 1000, "costly": 200, "heavy": 99}
CEILING = {"moderate": 200, "costly": 99, "heavy": 99}  # null values of a ceiling
SPLITS = {"moderate": 8, "costly": 4, "heavy": 2}  # splits whose permutations are made, where a summary is light
HALVES = 20  # splits of the repeats, and of the stimuli of a lone subject
STIMULI, UNITS, NEUROIDS = 500, 1000, 100
# Of a lone subject: splits of the stimuli that each draw is made in, and permutations in halves of the stimuli.
DRAWN_SPLITS, HALVED = 2, 99


@dataclass(frozen=True)
class Price:
    """A summary: `of` seconds, by powers of stimuli and of width; a comparison of two: `pair` seconds, by powers of stimuli,
    of the wider and of the narrower system. `units`: a layer's own units are read. `brain`: seconds of a region's summary,
    where they are others. `light`: a permuted summary is made anew.
    """

    of: tuple[float, float, float]
    pair: tuple[float, float, float, float]
    cost: str = "moderate"
    permuting: str = "moderate"
    units: bool = False
    brain: float | None = None
    light: bool = False
    halves: bool = True

    def layer(self, n: float, features: float) -> float:
        """Seconds of a layer's summary."""
        return self._summary(n, min(features, UNITS) if self.units else min(n, features))

    def region(self, n: float, neuroids: float) -> float:
        """Seconds of a region's summary."""
        if self.brain is not None:
            return self.brain * (n / STIMULI) ** 2.5
        return self._summary(n, neuroids if self.units else min(n, neuroids))

    def _summary(self, n: float, width: float) -> float:
        seconds, of_stimuli, of_width = self.of
        return seconds * (n / STIMULI) ** of_stimuli * (width / (UNITS if self.units else STIMULI)) ** of_width

    def pairs(self, n: float, features: float, neuroids: float) -> float:
        """Seconds of a comparison."""
        seconds, of_stimuli, of_wide, of_narrow = self.pair
        wide = min(features, UNITS) / UNITS if self.units else min(n, features) / STIMULI
        return seconds * (n / STIMULI) ** of_stimuli * wide**of_wide * (neuroids / NEUROIDS) ** of_narrow


PRICES: dict[str, Price] = {
    "cka": Price((5e-3, 2.2, 0.0), (3.5e-4, 2.4, 0, 0), light=True),
    "deconfounded_cka": Price((8e-3, 1.9, 0.0), (3.5e-4, 2.2, 0, 0), light=True),
    "deconfounded_rsa": Price((7e-3, 1.8, 0.0), (3.5e-4, 2.3, 0, 0), light=True),
    "noise_corrected_rsa": Price((3.5e-3, 1.9, 0.0), (3.2e-4, 2.5, 0, 0), "costly", brain=0.2, halves=False),
    "gulp": Price((3.5e-2, 2.2, 0.0), (3.5e-4, 2.4, 0, 0)),
    "cca": Price((1.1e-2, 0.4, 1.0), (1.5e-3, 0.5, 1, 0), "costly"),
    "svcca": Price((6.5e-2, 0.6, 1.7), (7e-5, 2.2, 0, 0.2), "costly"),
    "pwcca": Price((6.5e-2, 0.6, 1.7), (4.4e-4, 2.0, 0, 0.7), "costly", "costly"),
    "procrustes": Price((8e-4, 1.0, 0.8), (6.5e-3, 0.2, 1.0, 0.5), "costly", "costly", light=True),
    "linear_predictivity": Price((0.14, 0.9, 1.0), (1.5e-2, 1.0, 0.7, 1.0), "costly", "costly", brain=1e-4),
    "reverse_predictivity": Price((1e-3, 1.0, 0.8), (4.7e-2, 0.6, 0.8, 0), "costly", "costly", units=True, brain=1e-2),
    "prediction_rsa": Price((0.14, 0.9, 1.0), (1.6e-2, 1.3, 0.2, 0.5), "costly", "costly", brain=1e-4),
    "mutual_knn": Price((1.7e-2, 1.7, 0.3), (1.4e-4, 0.8, 0, 0)),
    "cknna": Price((1.9e-2, 1.6, 0.3), (3.5e-4, 0.7, 0, 0)),
    "relative": Price((6.6e-3, 1.4, 0.0), (7.7e-4, 1.9, 0, 0)),
    "relative_product": Price((5e-2, 2.3, 0.0), (1.6e-2, 3.0, 0, 0), "costly", "costly", units=True),
    "one_to_one": Price((7e-3, 1.2, 1.1), (1.8e-2, 0.8, 0.85, 0.6), "costly", "costly", units=True, light=True),
    "soft_matching": Price((7e-3, 1.2, 1.1), (1.9e-2, 0.5, 0.9, 0.6), "costly", "costly", units=True, light=True),
    "one_to_many": Price((7e-3, 1.2, 1.1), (6e-2, 1.05, 0.8, 0.6), "heavy", "heavy", units=True, light=True),
    "many_to_many": Price((7e-3, 1.2, 1.1), (0.13, 0.1, 0.8, 1.0), "heavy", "heavy", units=True, light=True),
    "best_buddies": Price((7e-3, 1.2, 1.1), (1.2e-2, 0.6, 1.0, 0.6), "costly", "costly", units=True, light=True),
}


# Matrices of stimuli × stimuli in a summary, and metrics that read RDMs of halves of the repeats.
SQUARES = {
    "cka": 1, "deconfounded_cka": 1, "deconfounded_rsa": 1, "noise_corrected_rsa": 1, "gulp": 1, "mutual_knn": 1, "cknna": 2,
    "relative": 1, "relative_product": 4,
}  # fmt: skip
OF_RDMS = ("deconfounded_rsa", "noise_corrected_rsa")


def patterns(s: Shapes, metrics: dict[str, dict[str, Any]]) -> Cost:
    """Of the metrics of one of these families, in one cell."""
    sized = {name: _thinned(s, given) for name, given in metrics.items()}
    seconds = sum(_seconds(sized[name], PRICES[name]) for name in metrics)
    memory = max(_held(sized[name], name) for name in metrics)
    return Cost(START["torch"] + seconds, BASE_MB["torch"] + 200 + memory, mb(s.layers, s.subjects, 10))


def _held(s: Shapes, name: str) -> float:
    """MB of systems, of halves of the repeats, and of all summaries that are kept: of a lone subject those of halves, too."""
    n, systems = s.stimuli, s.layers + s.subjects
    matrix, squares = mb(n, n), SQUARES.get(name, 0)
    width = min(s.features, UNITS) if PRICES[name].units else min(n, s.features)
    halves = 2 * HALVES * s.subjects * (2 * matrix if name in OF_RDMS else mb(n, min(n, s.neuroids)))
    split = 2 * HALVES * (s.layers + 1) * squares * matrix / 4 if s.subjects == 1 else 0.0
    permuted = squares and min(2 * (16 * s.layers + 32 * s.subjects) * matrix, 1500)
    return s.layers * (mb(n, width) + matrix) + systems * squares * matrix + halves + split + permuted


def _thinned(s: Shapes, options: dict[str, Any]) -> Shapes:
    """With the stimuli, and the units, that a metric takes at most."""
    units = min(s.features, options.get("units", s.features))
    return replace(s, stimuli=min(s.stimuli, options.get("max_stimuli", s.stimuli)), features=units)


def _seconds(s: Shapes, price: Price) -> float:
    n, p, q, draws = s.stimuli, s.features, s.neuroids, min(s.draws, DRAWS[price.cost])
    ceiling = s.subjects * (2 * HALVES * price.region(n, q) + CEILING[price.permuting] * price.pairs(n, q, q)) * price.halves
    if s.subjects > 1:
        made = (draws + 1) * (s.layers * price.layer(0.8 * n, p) + s.subjects * price.region(0.8 * n, q))
        compared = s.layers * s.subjects * (draws + PERMUTED[price.permuting]) * price.pairs(n, p, q)
        return ceiling + made + compared
    half, kept = n / 2, 0.4 * n  # of a draw of 80 % of the stimuli
    one = s.layers * (price.layer(half, p) + price.pairs(half, p, q)) + price.region(half, q)
    drawn = s.layers * (price.layer(kept, p) + price.pairs(kept, p, q)) + price.region(kept, q)
    splits = SPLITS[price.permuting] if price.light else 1
    moved = price.layer(half, p) * price.light + price.pairs(half, p, q)
    permuted = 2 * splits * (HALVED + 1) * s.layers * moved
    if not price.light:  # the closest layer on all stimuli is tested
        permuted += s.layers * (price.layer(n, p) + PERMUTED[price.permuting] * price.pairs(n, p, q))
    # A ceiling of halves of the repeats is taken on both halves of the stimuli.
    return ceiling + 2 * HALVES * one + 2 * DRAWN_SPLITS * draws * drawn + permuted
