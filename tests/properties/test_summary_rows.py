"""Rows of METRICS that summarise each system: declared properties hold, undeclared invariances fail, every null varies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from isocortex.inference import nulls
from isocortex.inference.summary_tables import SummaryTable
from isocortex.similarity import METRICS
from isocortex.similarity.deconfounded import Confounded
from isocortex.similarity.metric import INVARIANCES
from isocortex.similarity.noise_corrected import halved as halved_rdms
from isocortex.similarity.rdm import rdm, to_square
from isocortex.similarity.summaries import compare_systems, fitted
from isocortex.similarity.trials import Trials

ROWS = [metric for metric in METRICS.values() if metric.summaries]
NAMED = [metric.name for metric in ROWS]
# Few stimuli have few neighbours: two shares that differ.
OPTIONS = {
    **{m.name: {"shares": [0.2, 0.35]} for m in ROWS if m.family == "graph"},
    "stochastic_shape": {"distribution": "gaussian", "starts": 4},
    "mutual_knn": {"neighbours": 4},
    "cknna": {"neighbours": 4},
    "many_to_many": {"groups": 3},
    "best_buddies": {"top": 2},
    "one_to_many": {"active": 2},
    "cca": {"summary": "mean"},
}
N, R = 24, 12
# Canonical correlations take five stimuli for each dimension of both sides.
MANY = {"cca": 130}
# A metric of noise has local optima, found within the tolerance of its search; a polynomial weighs a covariance that is
# bootstrapped in float32.
CLOSE = {"stochastic_shape": 1e-4, "shape_moments": 1e-5, **{m.name: 1e-8 for m in ROWS if m.family == "graph"}}
# Held-out predictions of a system from itself fall short of 1 by what is shrunk and what folds leave out.
NEARLY = {"linear_predictivity": 0.02, "reverse_predictivity": 0.02, "prediction_rsa": 0.1}
# What is best for a system and itself is not 1: estimates without the bias that makes it so.
UNBIASED = ("shape_moments", "noise_corrected_rsa")
# Estimates of which a part is made of all stimuli once, and kept in draws.
OF_THE_WHOLE = ("shape_moments", "stochastic_shape", "noise_corrected_rsa")
# Means over chains of stimuli in their order, and over random halves of repeats: in another order they are another estimate of
# the same number.
IN_ORDER = {"shape_moments": 0.1, "noise_corrected_rsa": 0.02}


def close(metric):
    return CLOSE.get(metric.name, 1e-7)


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
    n = MANY.get(metric.name, N)
    x = 2.0 * rng.normal(size=(n, 5)) + rng.normal(size=5)
    y = x @ rng.normal(size=(5, 7)) / 2 + 0.5 * rng.normal(size=(n, 7))
    if metric.level == "trials":
        mix = [rng.normal(size=(p, p)) for p in (5, 7)]
        x, y = (v[:, None] + rng.normal(size=(n, R, v.shape[1])) @ m / 3 for v, m in zip((x, y), mix, strict=True))
    if metric.level == "halves":
        y = y[:, None] + rng.normal(size=(n, R, 7)) / 2
    return x, y, rng


def confounder(rows=slice(None)):
    return np.random.default_rng(77).normal(size=(N, 4))[rows]


def value(metric, x, y, rows=slice(None), **more):
    """The row's function; `rows` are the stimuli, where a confounder stands beside them."""
    if "confounder" in metric.options:
        more = {"confounder": confounder(rows), **more}
    return metric.bind()(x, y, **OPTIONS.get(metric.name, {}), **more)


def squared(metric, x):
    return to_square(torch.as_tensor(rdm(x, metric.options["rdm"])))


def halved(metric, x):
    """A layer's RDM, or that of trials with those of their halves."""
    return squared(metric, x) if x.ndim == 2 else halved_rdms(x, metric.options["rdm"], int(metric.options["splits"]))


def systems(metric, *given):
    """What the inference gives a row's summaries."""
    makes = {
        "rdm": lambda x: squared(metric, x),
        "trials": lambda x: Trials(x, None, torch.device("cpu")),
        "halves": lambda x: halved(metric, x),
    }
    make = makes.get(metric.level, torch.as_tensor)
    made = [make(x) for x in given]
    if "confounder" not in metric.options:
        return made
    taken = (make(confounder()),)
    return [Confounded(x, taken) for x in made]


def table(metric, x, y):
    layer, brain = systems(metric, x, y)
    method = fitted(metric.summarised({**metric.options, **OPTIONS.get(metric.name, {})}), [layer, brain])
    rewired = metric.null == "rewire_weights"
    return SummaryTable([brain], [layer], method, np.arange(len(x)), metric.higher_is_closer, rewired=rewired)


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
    order = rng.permutation(len(x))
    whole, again = value(metric, x, y), value(metric, x[order], y[order], order)
    if "stimulus_order" in metric.invariances:
        assert again == pytest.approx(whole, abs=IN_ORDER.get(metric.name, close(metric)))
    else:
        assert abs(again - whole) > 1e-6
    changed = abs(value(metric, x[order], y) - whole)
    assert changed < 1e-8 if metric.null == "rewire_weights" else changed > 1e-2


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_bounds_and_identity(metric):
    x, y, _ = arrays(metric)
    found = value(metric, x, y)
    assert metric.range[0] <= found <= metric.range[1]
    best = value(metric, x, x) if metric.level != "halves" else value(metric, y.mean(1), y)
    if metric.name in UNBIASED:
        assert best > found
    else:
        assert best == pytest.approx(1.0 if metric.higher_is_closer else 0.0, abs=NEARLY.get(metric.name, 1e-6))


@pytest.mark.parametrize("metric", [m for m in ROWS if m.level != "halves"], ids=[m.name for m in ROWS if m.level != "halves"])
def test_symmetry_holds_where_it_is_declared_and_fails_where_it_is_not(metric):
    x, y, _ = arrays(metric)
    change = abs(value(metric, x, y) - value(metric, y, x))
    assert change < close(metric) if metric.symmetric else change > 1e-4


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


def permuted_value(metric, x, y, order):
    """The row's function with the first system's stimuli in another order; a confounder moves with them."""
    if "confounder" not in metric.options:
        return value(metric, x[order], y)
    layer, brain = systems(metric, x, y)
    method, every = metric.summarised(metric.options), np.arange(len(x))
    rows = torch.as_tensor(order)
    moved = Confounded(*(_moved(metric, part, rows) for part in (layer.system, layer.confounders)))
    return method.compare([method.of(moved, every)], [method.of(brain, every)])[0, 0]


def _moved(metric, part, rows):
    if isinstance(part, tuple):
        return tuple(_moved(metric, one, rows) for one in part)
    return part[rows][:, rows] if metric.level == "rdm" else part[rows]


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_the_null_varies_and_is_the_functions(metric):
    """Values that inference permutes are those of the function on permuted stimuli; a rewired null is of other graphs."""
    x, y, _ = arrays(metric)
    orders = nulls.permutations(len(x), 8, 0)
    made = table(metric, x, y)
    found = made.permuted((orders, np.arange(len(x))[None]))[:, 0, 0]
    assert np.std(found) > 1e-4
    if metric.null == "rewire_weights":
        assert abs(found - made.scores()[0, 0]).min() > 0
        return
    assert metric.null == "permute_stimuli"
    if metric.name != "shape_moments":  # its polynomial is that of the stimuli as they are
        expected = [permuted_value(metric, x, y, order) for order in orders]
        assert found == pytest.approx(expected, abs=10 * close(metric))


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_draws_are_the_function_of_the_stimuli_that_were_drawn(metric):
    x, y, rng = arrays(metric)
    n = len(x)
    kept = np.sort(rng.permutation(n)[: n - n // 4])
    counts = np.zeros((1, n), dtype=np.int64)
    counts[0, kept] = 2  # copies are never shown
    made = table(metric, x, y)
    drawn = made.drawn(counts)[0, 0, 0]
    assert made.part(kept).scores()[0, 0] == pytest.approx(drawn, abs=1e-12)
    if metric.name not in OF_THE_WHOLE:
        assert drawn == pytest.approx(value(metric, x[kept], y[kept], kept), abs=10 * close(metric))


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_halves_are_scores_of_halves_and_their_permutations(metric):
    x, y, rng = arrays(metric)
    n = len(x)
    mask = np.zeros(n, dtype=bool)
    mask[rng.permutation(n)[: n // 2]] = True
    orders = np.vstack([np.arange(n)[None], nulls.permutations(n, 3, 0)])
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
    method = fitted(metric.summarised({**metric.options, **OPTIONS.get(metric.name, {})}), pair)
    assert value(metric, x, y) == pytest.approx(compare_systems(method, *pair), abs=close(metric))
