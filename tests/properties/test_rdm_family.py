"""Every declared property of the metrics of family "rdm" holds, every undeclared invariance fails, and every null varies."""

from typing import get_args

import numpy as np
import pytest
import torch

from isocortex.inference import nulls
from isocortex.inference.rdm_tables import RdmTable
from isocortex.similarity import METRICS
from isocortex.similarity.comparators import COMPARATORS, compare_rdms
from isocortex.similarity.metrics import INVARIANCES
from isocortex.similarity.rdm import rdm
from isocortex.study import options

ROWS = [metric for metric in METRICS.values() if metric.family == "rdm"]
KINDS = ["correlation", "euclidean", "cosine"]


def choices(metric, key):
    """What a study may say for an option of a row."""
    found = get_args(options.Compare.model_fields[metric.name].annotation)[0].model_fields[key].annotation
    return list(get_args(found))


COMPARED = [(metric, compare) for metric in ROWS for compare in choices(metric, "compare")]
NAMED = [f"{metric.name}-{compare}" for metric, compare in COMPARED]


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


def test_every_choice_of_a_study_has_a_comparator():
    assert set(choices(METRICS["rsa"], "compare")) == set(COMPARATORS)
    for metric, compare in COMPARED:
        assert metric.comparators({"compare": compare})


@pytest.mark.parametrize("metric", ROWS, ids=lambda m: m.name)
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_declared_invariances_hold_and_undeclared_ones_fail(metric, name):
    x, y, rng = arrays()
    function = metric.bind()
    change = abs(function(TRANSFORMS[name](x, rng), y) - function(x, y))
    assert change < 1e-9 if name in metric.invariances else change > 1e-6


@pytest.mark.parametrize(("metric", "compare"), COMPARED, ids=NAMED)
def test_a_common_order_of_stimuli_does_not_matter_and_a_different_one_does(metric, compare):
    x, y, rng = arrays()
    order = rng.permutation(len(x))
    function = metric.bind()
    value = function(x, y, compare=compare)
    assert function(x[order], y[order], compare=compare) == pytest.approx(value, abs=1e-10)
    assert abs(function(x[order], y, compare=compare) - value) > 1e-3


@pytest.mark.parametrize(("metric", "compare"), COMPARED, ids=NAMED)
@pytest.mark.parametrize("kind", KINDS)
def test_symmetry_bounds_and_identity(metric, compare, kind):
    x, y, _ = arrays()
    value = metric.bind()(x, y, rdm=kind, compare=compare)
    assert value == pytest.approx(metric.bind()(y, x, rdm=kind, compare=compare), abs=1e-10)
    assert metric.range[0] - 1e-12 <= value <= metric.range[1] + 1e-12
    assert metric.bind()(x, x, rdm=kind, compare=compare) == pytest.approx(1.0)


@pytest.mark.parametrize("compare", sorted(COMPARATORS))
def test_only_rank_comparators_ignore_monotone_transforms_of_the_rdm(compare):
    x, y, _ = arrays()
    a, b = rdm(x, "euclidean"), rdm(y, "euclidean")
    change = abs(compare_rdms(np.exp(a), b, compare) - compare_rdms(a, b, compare))
    assert change < 1e-12 if COMPARATORS[compare].ranks else change > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_which_rdms_ignore_rotations_and_translations(kind):
    x, _, rng = arrays()
    rotated = np.abs(rdm(rotation(x, rng), kind) - rdm(x, kind)).max()
    moved = np.abs(rdm(TRANSFORMS["translation"](x, rng), kind) - rdm(x, kind)).max()
    assert rotated > 1e-3 if kind == "correlation" else rotated < 1e-12
    assert moved < 1e-12 if kind == "euclidean" else moved > 1e-3


@pytest.mark.parametrize(("metric", "compare"), COMPARED, ids=NAMED)
def test_the_null_varies_and_is_the_functions(metric, compare):
    """The permuted scores that inference uses are those of the function on permuted stimuli."""
    x, y, _ = arrays()
    orders = nulls.permutations(len(x), 40, 0)
    table = RdmTable(torch.as_tensor(rdm(y))[None], torch.as_tensor(rdm(x))[None], metric.comparators({"compare": compare}))
    found = table.permuted((orders, np.arange(len(x))[None]))[:, 0, 0]
    assert found == pytest.approx([metric.bind()(x[order], y, compare=compare) for order in orders], abs=1e-9)
    assert np.std(found) > 0.003
    assert metric.null == "permute_stimuli"


@pytest.mark.parametrize(("metric", "compare"), COMPARED, ids=NAMED)
def test_draws_are_the_function_of_the_stimuli_that_were_drawn(metric, compare):
    """A draw in which every stimulus is there once at most is the function on those stimuli."""
    x, y, rng = arrays()
    kept = np.sort(rng.permutation(len(x))[:10])
    counts = np.zeros((1, len(x)), dtype=np.int64)
    counts[0, kept] = 1
    table = RdmTable(torch.as_tensor(rdm(y))[None], torch.as_tensor(rdm(x))[None], metric.comparators({"compare": compare}))
    assert table.drawn(counts)[0, 0, 0] == pytest.approx(metric.bind()(x[kept], y[kept], compare=compare), abs=1e-9)
    assert table.part(kept).scores()[0, 0] == pytest.approx(table.drawn(counts)[0, 0, 0], abs=1e-9)
    expected = metric.resample if all(c.weigh is not None for c in table.comparators) else "subsample"
    assert table.resample == expected
