"""Every declared property of the descriptors holds, and their nulls vary."""

import numpy as np
import pytest

from isocortex.geometry import GEOMETRY

ROWS = list(GEOMETRY.values())
TRANSFORMS = {
    "rotation": lambda x, rng: x @ np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0],
    "permutation": lambda x, rng: x[:, rng.permutation(x.shape[1])],
    "isotropic_scale": lambda x, rng: 3.7 * x,
    "translation": lambda x, rng: x + rng.normal(size=x.shape[1]),
    "stimulus_order": lambda x, rng: x[rng.permutation(len(x))],
    "pattern_scale": lambda x, rng: x * rng.uniform(0.2, 5, size=(len(x), 1)),
    "affine": lambda x, rng: x @ rng.normal(size=(x.shape[1], x.shape[1])),
}


def patterns(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(20, 3)) @ rng.normal(size=(3, 10)) + 0.3 * rng.normal(size=(20, 10)), rng


@pytest.mark.parametrize("descriptor", ROWS, ids=lambda d: d.name)
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_declared_invariances_hold_and_undeclared_ones_fail(descriptor, name):
    x, rng = patterns()
    change = abs(descriptor.bind()(TRANSFORMS[name](x, rng)) - descriptor.bind()(x))
    assert change < 1e-9 if name in descriptor.invariances else change > 1e-3


@pytest.mark.parametrize("descriptor", ROWS, ids=lambda d: d.name)
def test_bounds_and_subsets(descriptor):
    x, _ = patterns()
    assert descriptor.range[0] <= descriptor.bind()(x) <= descriptor.range[1]
    assert descriptor.bind_subsets()(x, np.ones((1, 20)))[0] == pytest.approx(descriptor.bind()(x))


@pytest.mark.parametrize("descriptor", ROWS, ids=lambda d: d.name)
def test_shuffling_units_varies_the_null_and_departs_as_declared(descriptor):
    x, rng = patterns()
    null = np.array([descriptor.bind()(rng.permuted(x, axis=0)) for _ in range(50)])
    assert null.std() > 0
    assert (descriptor.bind()(x) < null.min()) == descriptor.lower_means_structure
