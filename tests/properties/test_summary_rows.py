"""Rows of METRICS that summarise each system: declared properties hold, undeclared invariances fail, every null varies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from isocortex.inference import nulls
from isocortex.inference.summary_tables import SummaryTable
from isocortex.similarity import METRICS
from isocortex.similarity.metric import INVARIANCES
from isocortex.similarity.rdm import rdm, to_square
from isocortex.similarity.summaries import compare_systems, fitted
from isocortex.similarity.trials import Trials

ROWS = [metric for metric in METRICS.values() if metric.summaries]
NAMED = [metric.name for metric in ROWS]
# Few stimuli have few neighbours: two shares that differ.
OPTIONS = {"graph": {"shares": [0.2, 0.35]}, "shape": {}, "stochastic": {"distribution": "gaussian", "starts": 4}}
N, R = 24, 12
# A metric of noise has local optima, found within the tolerance of its search.
CLOSE = {"graph": 1e-8, "shape": 1e-7, "stochastic": 1e-4}
# Its polynomial weighs a covariance that is bootstrapped in float32.
MOMENTS_CLOSE = 1e-5


def close(metric):
    return MOMENTS_CLOSE if metric.name == "shape_moments" else CLOSE[metric.family]


def on_units(change):
    """A transformation of units, alike for all trials."""

    def transform(x, rng):
        return change(x.reshape(-1, x.shape[-1]), rng).reshape(*x.shape[:-1], -1)

    return transform


def per_stimulus(values, x):
    return values.reshape(len(x), *[1] * (x.ndim - 1))


TRANSFORMS = {
    "rotation": on_units(lambda x, rng: x @ np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0]),
    "permutation": on_units(lambda x, rng: x[:, rng.permutation(x.shape[1])]),
    "isotropic_scale": lambda x, rng: 3.7 * x,
    "translation": lambda x, rng: x + rng.normal(size=x.shape[-1]),
    "pattern_offset": lambda x, rng: x + per_stimulus(rng.normal(size=len(x)), x),
    "pattern_scale": lambda x, rng: x * per_stimulus(rng.uniform(0.2, 5, size=len(x)), x),
    "affine": on_units(lambda x, rng: x @ (np.eye(x.shape[1]) + 0.8 * rng.normal(size=(x.shape[1], x.shape[1])))),
}


def arrays(metric, seed=0):
    """Two related systems, as the function of the row takes them."""
    rng = np.random.default_rng(seed)
    x = 2.0 * rng.normal(size=(N, 5)) + rng.normal(size=5)
    y = x @ rng.normal(size=(5, 7)) / 2 + 0.5 * rng.normal(size=(N, 7))
    if metric.level == "trials":
        mix = [rng.normal(size=(p, p)) for p in (5, 7)]
        x, y = (v[:, None] + rng.normal(size=(N, R, v.shape[1])) @ m / 3 for v, m in zip((x, y), mix, strict=True))
    return x, y, rng


def value(metric, x, y, **more):
    return metric.bind()(x, y, **OPTIONS[metric.family], **more)


def systems(metric, *given):
    """What the inference gives a row's summaries."""
    makes = {
        "rdm": lambda x: to_square(torch.as_tensor(rdm(x, metric.options["rdm"]))),
        "patterns": lambda x: torch.as_tensor(x),
        "trials": lambda x: Trials(x, None, torch.device("cpu")),
    }
    return [makes[metric.level](x) for x in given]


def table(metric, x, y):
    layer, brain = systems(metric, x, y)
    method = fitted(metric.summarised(OPTIONS[metric.family]), [layer, brain])
    rewired = metric.null == "rewire_weights"
    return SummaryTable([brain], [layer], method, np.arange(N), metric.higher_is_closer, rewired=rewired)


def test_every_transform_of_the_table_is_tried():
    assert set(TRANSFORMS) | {"stimulus_order"} == INVARIANCES


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_declared_invariances_hold_and_undeclared_ones_fail(metric, name):
    x, y, rng = arrays(metric)
    change = abs(value(metric, TRANSFORMS[name](x, rng), y) - value(metric, x, y))
    assert change < close(metric) if name in metric.invariances else change > 1e-3


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_a_common_order_of_stimuli_does_not_matter_and_a_different_one_does(metric):
    x, y, rng = arrays(metric)
    order = rng.permutation(N)
    whole = value(metric, x, y)
    # Moments are means over chains of stimuli in their order: another order is another estimate of the same number.
    loose = 0.1 if metric.name == "shape_moments" else close(metric)
    assert value(metric, x[order], y[order]) == pytest.approx(whole, abs=loose)
    changed = abs(value(metric, x[order], y) - whole)
    assert changed < 1e-8 if metric.null == "rewire_weights" else changed > 1e-2


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_symmetry_bounds_and_identity(metric):
    x, y, _ = arrays(metric)
    found = value(metric, x, y)
    assert found == pytest.approx(value(metric, y, x), abs=close(metric))
    assert metric.range[0] <= found <= metric.range[1]
    best = value(metric, x, x)
    if metric.name == "shape_moments":
        assert best > found
    else:
        assert best == pytest.approx(1.0 if metric.higher_is_closer else 0.0, abs=1e-6)


@pytest.mark.parametrize("metric", [m for m in ROWS if m.is_metric], ids=[m.name for m in ROWS if m.is_metric])
@pytest.mark.parametrize("seed", range(4))
def test_the_triangle_inequality_holds_where_it_is_claimed(metric, seed):
    x, y, rng = arrays(metric, seed)
    z = 0.6 * x + rng.normal(size=x.shape)
    pairs = {frozenset(pair): value(metric, *pair_values) for pair, pair_values in named_pairs(x, y, z)}
    for a, b, c in itertools.permutations("xyz"):
        assert pairs[frozenset((a, b))] <= pairs[frozenset((a, c))] + pairs[frozenset((c, b))] + close(metric)


def named_pairs(x, y, z):
    named = {"x": x, "y": y, "z": z}
    return [((a, b), (named[a], named[b])) for a, b in itertools.combinations(named, 2)]


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_the_null_varies_and_is_the_functions(metric):
    """Values that inference permutes are those of the function on permuted stimuli; a rewired null is of other graphs."""
    x, y, _ = arrays(metric)
    orders = nulls.permutations(N, 8, 0)
    made = table(metric, x, y)
    found = made.permuted((orders, np.arange(N)[None]))[:, 0, 0]
    assert np.std(found) > 1e-4
    if metric.null == "rewire_weights":
        assert abs(found - made.scores()[0, 0]).min() > 0
        return
    assert metric.null == "permute_stimuli"
    if metric.name != "shape_moments":  # its polynomial is that of the stimuli as they are
        assert found == pytest.approx([value(metric, x[order], y) for order in orders], abs=10 * close(metric))


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_draws_are_the_function_of_the_stimuli_that_were_drawn(metric):
    x, y, rng = arrays(metric)
    kept = np.sort(rng.permutation(N)[:18])
    counts = np.zeros((1, N), dtype=np.int64)
    counts[0, kept] = 2  # copies are never shown
    made = table(metric, x, y)
    drawn = made.drawn(counts)[0, 0, 0]
    assert made.part(kept).scores()[0, 0] == pytest.approx(drawn, abs=1e-12)
    # A polynomial, and the axes of noisy systems, are made of all stimuli once.
    if metric.name not in ("shape_moments", "stochastic_shape"):
        assert drawn == pytest.approx(value(metric, x[kept], y[kept]), abs=10 * close(metric))


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_halves_are_scores_of_halves_and_their_permutations(metric):
    x, y, rng = arrays(metric)
    mask = np.zeros(N, dtype=bool)
    mask[rng.permutation(N)[: N // 2]] = True
    orders = np.vstack([np.arange(N)[None], nulls.permutations(N, 3, 0)])
    made = table(metric, x, y)
    found = made.halves(mask[None], orders)
    assert found.shape == (2, 4, 1, 1)
    for side, inside in enumerate((mask, ~mask)):
        assert found[side, 0, 0, 0] == pytest.approx(made.part(np.flatnonzero(inside)).scores()[0, 0], abs=1e-9)
    assert np.ptp(found, axis=1).min() > 1e-4


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_systems_and_functions_agree(metric):
    x, y, _ = arrays(metric)
    pair = systems(metric, x, y)
    made = compare_systems(fitted(metric.summarised(OPTIONS[metric.family]), pair), *pair)
    assert value(metric, x, y) == pytest.approx(made, abs=close(metric))
