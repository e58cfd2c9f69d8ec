"""Mahalanobis and Euclidean options, leading axes and exact zeros."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from isocortex.errors import DataError
from isocortex.similarity.rdm import noise_precision, rdm, rdm_from_gram, to_square


def patterns(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def precision(p, seed=0):
    root = patterns(p, p, seed=seed)
    return root @ root.T + np.eye(p)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("n", "p"), [(3, 5), (12, 4), (5, 1)])
def test_mahalanobis_is_scipys(n, p, offset):
    x, metric = patterns(n, p), precision(p)
    expected = pdist(x, "mahalanobis", VI=metric) ** 2 / p
    assert rdm(x + offset, "mahalanobis", metric) == pytest.approx(expected, rel=1e-8, abs=1e-9 if offset else 1e-12)


def test_mahalanobis_of_white_noise_is_euclidean():
    x = patterns(6, 4)
    assert rdm(x, "mahalanobis", np.eye(4)) == pytest.approx(rdm(x, "euclidean"), rel=1e-12)


def test_mahalanobis_does_not_change_with_the_coordinates_of_neuroids():
    x, noise, mix = patterns(6, 4), patterns(30, 4, seed=1), precision(4, seed=2)
    plain = rdm(x, "mahalanobis", noise_precision(noise, shrinkage="full"))
    mixed = rdm(x @ mix, "mahalanobis", noise_precision(noise @ mix, shrinkage="full"))
    assert mixed == pytest.approx(plain, rel=1e-8)


@pytest.mark.parametrize("method", ["euclidean", "mahalanobis"])
def test_the_mean_of_each_pattern_is_taken_out_on_request(method):
    x, metric = patterns(6, 4) + 3.0, None if method == "euclidean" else precision(4)
    centred = x - x.mean(1, keepdims=True)
    assert rdm(x, method, metric, remove_mean=True) == pytest.approx(rdm(centred, method, metric), rel=1e-10)
    assert not np.allclose(rdm(x, method, metric), rdm(centred, method, metric))


@pytest.mark.parametrize("method", ["correlation", "euclidean", "cosine", "mahalanobis"])
def test_leading_axes_are_separate_problems(method):
    x = patterns(4, 7, 5)  # (T, n, p)
    shared = precision(5) if method == "mahalanobis" else None
    found = rdm(x, method, shared)
    tensor = rdm(torch.as_tensor(x), method, shared)
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), found)
    for one, vector in zip(x, found, strict=True):
        assert vector == pytest.approx(rdm(one, method, shared), rel=1e-12, abs=1e-14)
    if method == "mahalanobis":
        own = np.stack([precision(5, seed) for seed in range(4)])
        for one, metric, vector in zip(x, own, rdm(x, method, own), strict=True):
            assert vector == pytest.approx(rdm(one, method, metric), rel=1e-12)


@pytest.mark.parametrize("method", ["correlation", "euclidean", "cosine", "mahalanobis"])
@pytest.mark.parametrize("p", [3, 1000])
def test_duplicated_stimuli_are_exactly_0_apart_and_others_are_not(method, p):
    x = patterns(40, p) * 7.3 + 11.0
    x[[5, 17, 39]] = x[2]
    metric = precision(p) if method == "mahalanobis" else None
    square = to_square(rdm(x, method, metric))
    same = np.ix_([2, 5, 17, 39], [2, 5, 17, 39])
    assert not square[same].any()
    assert np.count_nonzero(square) == 40 * 39 - 12
    if metric is None:
        assert not to_square(rdm_from_gram(x @ x.T, x.mean(1), p, method))[same].any()
    # A pattern that differs by little is not a duplicate.
    x[5, 0] += 1e-4
    assert to_square(rdm(x, method, metric))[2, 5] > 0


def test_float32_patterns_are_computed_in_float64():
    x = patterns(5, 4).astype(np.float32)
    found = rdm(x, "mahalanobis", precision(4).astype(np.float32))
    assert found.dtype == np.float64
    wide = rdm(x.astype(np.float64), "mahalanobis", precision(4))
    assert found == pytest.approx(wide, rel=1e-6)  # of the precision, which came in float32


def test_one_feature():
    x = patterns(4, 1)
    assert rdm(x, "euclidean") == pytest.approx(pdist(x, "sqeuclidean"), rel=1e-12)
    with pytest.raises(DataError, match="found 4 constant patterns of 4"):
        rdm(x, "correlation")


def test_precisions_that_are_none_are_refused():
    x = patterns(4, 3)
    with pytest.raises(ValueError, match="method 'mahalanobis' without a precision"):
        rdm(x, "mahalanobis")
    with pytest.raises(ValueError, match="method 'euclidean' with a precision"):
        rdm(x, "euclidean", np.eye(3))
    with pytest.raises(ValueError, match="remove_mean with method 'cosine'"):
        rdm(x, "cosine", remove_mean=True)
    with pytest.raises(DataError, match=r"found a precision of shape \(2, 2\), expected \(3, 3\) for 3 neuroids"):
        rdm(x, "mahalanobis", np.eye(2))
    with pytest.raises(DataError, match="not positive definite, expected one; make it with noise_precision"):
        rdm(x, "mahalanobis", -np.eye(3))
    with pytest.raises(DataError, match="not positive definite"):
        rdm(x, "mahalanobis", np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match="found method 'mahalanobis', expected one of"):
        rdm_from_gram(x @ x.T, x.mean(1), 3, "mahalanobis")
