"""Every declared property of the metrics of family "rdm" holds, and every undeclared invariance fails."""

import numpy as np
import pytest

from isocortex.inference import nulls
from isocortex.similarity import METRICS
from isocortex.similarity.comparators import COMPARATORS, compare_rdms
from isocortex.similarity.metrics import INVARIANCES
from isocortex.similarity.rdm import rdm

ROWS = [metric for metric in METRICS.values() if metric.family == "rdm"]


def rotation(x, rng):
    return x @ np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0]


TRANSFORMS = {
    "rotation": rotation,
    "permutation": lambda x, rng: x[:, rng.permutation(x.shape[1])],
    "isotropic_scale": lambda x, rng: 3.7 * x,
    "translation": lambda x, rng: x + rng.normal(size=x.shape[1]),
    "pattern_offset": lambda x, rng: x + rng.normal(size=(len(x), 1)),
    "pattern_scale": lambda x, rng: x * rng.uniform(0.2, 5, size=(len(x), 1)),
    "affine": lambda x, rng: x @ rng.normal(size=(x.shape[1], x.shape[1])),
}


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(14, 9)) + rng.normal(size=9)
    return x, x @ rng.normal(size=(9, 12)) + rng.normal(size=(14, 12)), rng


def test_every_transform_of_the_table_is_tried():
    assert set(TRANSFORMS) | {"stimulus_order"} == INVARIANCES
    assert all(metric.invariances <= INVARIANCES for metric in METRICS.values())


@pytest.mark.parametrize("metric", ROWS, ids=lambda m: m.name)
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_declared_invariances_hold_and_undeclared_ones_fail(metric, name):
    x, y, rng = arrays()
    function = metric.bind()
    change = abs(function(TRANSFORMS[name](x, rng), y) - function(x, y))
    assert change < 1e-9 if name in metric.invariances else change > 1e-6


@pytest.mark.parametrize("metric", ROWS, ids=lambda m: m.name)
def test_a_common_order_of_stimuli_does_not_matter_and_a_different_one_does(metric):
    x, y, rng = arrays()
    order = rng.permutation(len(x))
    function = metric.bind()
    assert function(x[order], y[order]) == pytest.approx(function(x, y), abs=1e-12)
    assert abs(function(x[order], y) - function(x, y)) > 1e-3


@pytest.mark.parametrize("metric", ROWS, ids=lambda m: m.name)
@pytest.mark.parametrize("compare", sorted(COMPARATORS))
@pytest.mark.parametrize("kind", ["correlation", "euclidean", "cosine"])
def test_symmetry_bounds_and_identity(metric, compare, kind):
    x, y, _ = arrays()
    value = metric.bind()(x, y, rdm=kind, compare=compare)
    assert value == pytest.approx(metric.bind()(y, x, rdm=kind, compare=compare), abs=1e-12)
    assert metric.range[0] - 1e-12 <= value <= metric.range[1] + 1e-12
    assert metric.bind()(x, x, rdm=kind, compare=compare) == pytest.approx(1.0)


@pytest.mark.parametrize("compare", sorted(COMPARATORS))
def test_only_rank_comparators_ignore_monotone_transforms_of_the_rdm(compare):
    x, y, _ = arrays()
    a, b = rdm(x, "euclidean"), rdm(y, "euclidean")
    change = abs(compare_rdms(np.exp(a), b, compare) - compare_rdms(a, b, compare))
    assert change < 1e-12 if COMPARATORS[compare].ranks else change > 1e-6


@pytest.mark.parametrize("kind", ["euclidean", "correlation", "cosine"])
def test_which_rdms_ignore_rotations_and_translations(kind):
    x, _, rng = arrays()
    rotated = np.abs(rdm(rotation(x, rng), kind) - rdm(x, kind)).max()
    moved = np.abs(rdm(TRANSFORMS["translation"](x, rng), kind) - rdm(x, kind)).max()
    assert rotated > 1e-3 if kind == "correlation" else rotated < 1e-12
    assert moved < 1e-12 if kind == "euclidean" else moved > 1e-3


@pytest.mark.parametrize("metric", ROWS, ids=lambda m: m.name)
def test_the_null_varies_and_is_centred(metric):
    x, y, _ = arrays()
    values = [metric.bind()(x[order], y) for order in nulls.permutations(len(x), 200, 0)]
    assert np.std(values) > 0.02
    assert abs(np.mean(values)) < 0.05
