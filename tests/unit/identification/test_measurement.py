"""What neuroids see of units."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from isocortex.errors import DataError
from isocortex.identification import MEASUREMENTS
from isocortex.identification.measurement import standardised

_LAYER = np.random.default_rng(0).standard_normal((60, 20)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(MEASUREMENTS), ids=sorted(MEASUREMENTS))
@pytest.mark.parametrize("v", [1, 7, 45], ids=["one", "fewer", "more"])
def test_measurements_are_a_function_of_the_seed_and_see_no_constant_unit(name: str, v: int) -> None:
    layer = np.concatenate([_LAYER, np.full((60, 5), 3.0, dtype=np.float32)], axis=1)
    first, again = (MEASUREMENTS[name](layer, v, np.random.default_rng(1)) for _ in range(2))
    assert first.shape == (60, v)
    assert np.array_equal(first, again)
    assert (first.std(axis=0) > 0).all()
    assert not np.array_equal(first, MEASUREMENTS[name](layer, v, np.random.default_rng(2)))


def test_units_are_columns_each_as_often_as_another() -> None:
    seen = MEASUREMENTS["units"](_LAYER, 45, np.random.default_rng(0))
    place = [int(np.flatnonzero((column[:, None] == _LAYER).all(axis=0))[0]) for column in seen.T]
    counts = np.bincount(place, minlength=20)
    assert set(counts) == {2, 3}
    assert counts.sum() == 45


def test_voxels_are_sums_of_a_few_units_with_positive_weights() -> None:
    layer = np.random.default_rng(3).standard_normal((150, 100))
    for voxel in MEASUREMENTS["voxels"](layer, 4, np.random.default_rng(0)).T:
        weights, left = nnls(layer, voxel)
        assert left < 1e-9
        assert (weights > 1e-9).sum() == 10


def test_the_nonlinearity_leaves_nothing_below_its_threshold() -> None:
    seen = MEASUREMENTS["nonlinear"](_LAYER, 30, np.random.default_rng(0))
    assert (seen >= 0).all()
    silent = (seen == 0).mean(axis=0)
    assert silent.min() > 0.02
    assert silent.max() < 0.85


def test_standardised_columns_and_constants() -> None:
    x = np.stack([np.arange(10.0) + 1e4, np.full(10, 0.1)], axis=1)
    made = standardised(x)
    assert np.allclose(made[:, 0], (np.arange(10.0) - 4.5) / np.arange(10.0).std())
    assert np.array_equal(made[:, 1], np.zeros(10))


def test_a_layer_of_constants_is_refused() -> None:
    with pytest.raises(DataError, match="found a layer whose units are all constant, expected one that varies; leave it out"):
        MEASUREMENTS["units"](np.ones((5, 3)), 2, np.random.default_rng(0))
