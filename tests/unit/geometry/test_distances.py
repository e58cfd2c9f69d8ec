"""Distances from inner products have the digits of those from differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from isocortex.errors import DataError
from isocortex.geometry.descriptors import GEOMETRY
from isocortex.geometry.distances import euclidean
from isocortex.similarity.coordinates import coordinates


@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["centred", "far from zero"])
@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-6], ids=["apart", "near", "very near"])
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


def test_patterns_of_a_gram_matrix_are_equal_where_those_before_were() -> None:
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(15, 6)) * 10.0 ** -np.arange(6), 3, axis=0)
    hot = np.repeat(np.eye(4), 6, axis=0)
    for patterns in (x, hot):
        turned = coordinates(torch.as_tensor(patterns @ patterns.T))
        equal = cdist(patterns, patterns) == 0
        assert 0 < cdist(turned, turned)[equal].max() < 1e-6
        assert np.array_equal(euclidean(turned).numpy() == 0, equal)


@pytest.mark.parametrize("descriptor", ["two_nn", "local_rank", "diffusion_entropy", "persistence_h0"])
def test_repeated_stimuli_of_a_layer_have_the_value_of_its_features(descriptor: str) -> None:
    x = np.random.default_rng(4).normal(size=(24, 8))
    x = np.r_[x, x[:12]]
    turned = coordinates(torch.as_tensor(x @ x.T))
    assert GEOMETRY[descriptor].evaluate(turned) == pytest.approx(GEOMETRY[descriptor].evaluate(x), rel=1e-8)


def test_a_layer_that_only_knows_classes_says_so_as_its_features_do() -> None:
    hot = np.repeat(np.eye(3), 12, axis=0)
    for x in (hot, coordinates(torch.as_tensor(hot @ hot.T))):
        assert np.isnan(GEOMETRY["local_rank"].evaluate(x))
        with pytest.raises(DataError, match="found 3 different stimuli"):
            GEOMETRY["two_nn"].evaluate(x)
        with pytest.raises(DataError, match="found a width of 0 of the diffusion"):
            GEOMETRY["diffusion_entropy"].evaluate(x)


def test_many_near_pairs_are_all_made_from_differences() -> None:
    rng = np.random.default_rng(2)
    x = np.repeat(rng.normal(size=(4, 5)), 10, axis=0) + 1e-6 * rng.normal(size=(40, 5))
    assert euclidean(x).numpy() == pytest.approx(cdist(x, x), rel=1e-12)


def test_one_stimulus_has_no_distance() -> None:
    with pytest.raises(DataError, match="expected at least 2 stimuli"):
        euclidean(np.ones((1, 3)))
