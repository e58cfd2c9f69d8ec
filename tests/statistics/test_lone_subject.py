"""One subject's p by metrics that compare summaries: at level where there is nothing, whatever a summary costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from isocortex.inference.blocks import evaluate
from isocortex.inference.metric_rows import Context, build
from isocortex.inference.summary_blocks import SummaryBlock
from isocortex.inference.table_draws import Settings
from isocortex.similarity.shape.rows import Rotated

N, LAYERS = 24, 2
ROTATED = {"alpha": 1.0, "kind": "angular", "group": "orthogonal"}


@dataclass(frozen=True)
class Ranks:
    """Correlation of single numbers, as cheap to permute as curvature is; `light` says how its null is made."""

    light: bool
    permuting: str = "heavy"

    def of(self, system, rows):
        x = system[rows] - system[rows].mean()
        return x / np.linalg.norm(x)

    def permuted(self, summary, order):
        return summary[order]

    def compare(self, first, second):
        return np.stack(first) @ np.stack(second).T


def numbers(rng, signal):
    """A subject and layers as single numbers per stimulus."""
    layers = [rng.normal(size=N) for _ in range(LAYERS)]
    return signal * layers[0] + rng.normal(size=N), layers


def patterns(rng, signal):
    layers = [torch.as_tensor(rng.normal(size=(N, 4))) for _ in range(LAYERS)]
    return signal * layers[0] + torch.as_tensor(rng.normal(size=(N, 4))), layers


CASES = {
    "dear": (Ranks(light=False), numbers, "rdm"),
    "light": (Ranks(light=True), numbers, "rdm"),
    "shape": (Rotated(ROTATED), patterns, "distance"),
}


def rates(name, studies, signal=0.0, seed=0):
    """Shares of studies with p of at most .05, and of reliable ceilings where nothing repeats."""
    method, make, kind = CASES[name]
    rng, found, ceilings = np.random.default_rng(seed), [], []
    counts = {"n_stimuli": N, "n_neuroids": 4, "n_repeats": 2, "n_dropped": 0, "dropped_reason": "", "n_subjects": 1}
    common = {"region": "R", "model": "m", "family": "f", "method": "x", "higher_is_closer": kind != "distance"}
    context = Context(common, dict.fromkeys(("S", "all"), counts), ("a", "b"), frozenset())
    for study in range(studies):
        brain, layers = make(rng, signal)
        halves = [tuple(make(rng, 0.0)[0] for _ in range(2)) for _ in range(20)]
        ids = tuple(f"i{k:02d}" for k in range(N))
        settings = Settings(draws=2, permutations=99, seed=study)
        block = SummaryBlock(("S",), ids, [brain], layers, method, kind, repeats=[halves])
        row = next(r for r in build([evaluate(block, settings)], context, settings).rows if r["is_chosen"])
        found.append(row["p"] <= 0.05)
        ceilings.append(row["ceiling_p"] <= 0.05)
    return float(np.mean(found)), float(np.mean(ceilings))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_false_positives_and_power(name):
    studies = 600
    level, ceiling = rates(name, studies)
    power, _ = rates(name, 100, signal=1.0, seed=1)
    print(f"{name}: p <= .05 in {level:.3f} of {studies} studies without signal, ceilings in {ceiling:.3f}; power {power:.2f}")
    error = 3 * np.sqrt(0.05 * 0.95 / studies)
    assert abs(level - 0.05) < error
    assert abs(ceiling - 0.05) < error
    assert power > 0.3


@pytest.mark.parametrize("name", CASES)
def test_false_positives_of_few_studies(name):
    level, ceiling = rates(name, 80, seed=2)
    assert level < 0.15
    assert ceiling < 0.15
