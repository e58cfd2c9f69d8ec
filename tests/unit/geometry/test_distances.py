"""Distances from inner products have the digits of those from differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from isocortex.errors import DataError
from isocortex.geometry.distances import euclidean


@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["centred", "far from zero"])
@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-7], ids=["apart", "near", "very near"])
def test_pairs_that_are_near_keep_their_digits(offset: float, gap: float) -> None:
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=(60, 12)), np.zeros((2, 12))] + offset
    x[60:] = x[:2] + gap * rng.normal(size=(2, 12))
    found = euclidean(x).numpy()
    assert found == pytest.approx(cdist(x, x), rel=1e-10, abs=1e-300)
    assert (found == found.T).all()


def test_equal_patterns_are_at_exactly_zero() -> None:
    x = np.random.default_rng(1).normal(size=(40, 7)) + 3.0
    x[5], x[9] = x[0], x[0]
    found = euclidean(torch.as_tensor(x)).numpy()
    assert found[0, 5] == found[9, 5] == 0.0
    assert (found.diagonal() == 0).all()
    assert np.count_nonzero(found == 0.0) == 40 + 6


def test_many_near_pairs_are_all_made_from_differences() -> None:
    rng = np.random.default_rng(2)
    x = np.repeat(rng.normal(size=(4, 5)), 10, axis=0) + 1e-6 * rng.normal(size=(40, 5))
    assert euclidean(x).numpy() == pytest.approx(cdist(x, x), rel=1e-12)


def test_one_stimulus_has_no_distance() -> None:
    with pytest.raises(DataError, match="expected at least 2 stimuli"):
        euclidean(np.ones((1, 3)))
