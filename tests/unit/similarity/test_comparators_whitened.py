"""Whitening with known noise covariances, against the covariance of RDM entries written out; and Bures distances."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from isocortex.errors import DataError
from isocortex.similarity.comparators import compare_rdms
from isocortex.similarity.comparators.bures import bures_metric
from isocortex.similarity.comparators.whitened import whitened_table
from isocortex.similarity.rdm import rdm, to_square

N = 9


def covariance(sigma):
    """V = (CΣCᵀ)∘(CΣCᵀ), entry by entry."""
    first, second = np.triu_indices(len(sigma), 1)
    pairs = list(zip(first, second, strict=True))
    v = np.empty((len(pairs), len(pairs)))
    for a, (i, j) in enumerate(pairs):
        for b, (k, m) in enumerate(pairs):
            v[a, b] = (sigma[i, k] - sigma[i, m] - sigma[j, k] + sigma[j, m]) ** 2
    return v


def naive(a, b, sigma, centre):
    if centre:
        a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    v = covariance(sigma)
    x, y = np.linalg.solve(v, a.T), np.linalg.solve(v, b.T)
    return (a @ y) / np.sqrt(np.outer((a * x.T).sum(1), (b * y.T).sum(1)))


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return rng.random((3, 36)), rng.normal(size=(2, 36))


SIGMAS = {
    "identity": np.eye(N),
    "scaled": 4.0 * np.eye(N),
    "variances": np.diag(np.linspace(0.1, 3, N)),
    "covariance": np.cov(np.random.default_rng(1).normal(size=(N, 30))),
    "common noise": np.eye(N) + 5.0,
}


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("name", sorted(SIGMAS))
def test_any_covariance_of_pattern_noise_is_exact(vectors, name, centre):
    sigma = SIGMAS[name]
    expected = naive(*vectors, sigma, centre)
    assert whitened_table(*vectors, sigma, centre=centre) == pytest.approx(expected, abs=1e-11)
    tensors = (torch.as_tensor(v) for v in (*vectors, sigma))
    assert whitened_table(*tensors, centre=centre).numpy() == pytest.approx(expected, abs=1e-11)
    single = (v.astype(np.float32) for v in vectors)
    assert whitened_table(*single, sigma, centre=centre) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("centre", [False, True])
def test_variances_may_be_a_vector(vectors, centre):
    variances = np.linspace(0.1, 3, N)
    exact = whitened_table(*vectors, variances, centre=centre)
    assert exact == pytest.approx(naive(*vectors, np.diag(variances), centre), abs=1e-12)
    shortcut = whitened_table(*vectors, variances, centre=centre, compat=True)
    assert np.abs(shortcut - exact).max() > 1e-3
    equal = np.full(N, 2.0)
    assert whitened_table(*vectors, equal, compat=True) == pytest.approx(whitened_table(*vectors, equal), abs=1e-12)


@pytest.mark.parametrize("compare", ["whitened_cosine", "whitened_pearson"])
def test_independent_noise_is_the_comparator(vectors, compare):
    table = whitened_table(*vectors, centre=compare == "whitened_pearson")
    assert compare_rdms(*vectors, compare) == pytest.approx(table, abs=1e-12)
    assert compare_rdms(*vectors, compare) == pytest.approx(
        naive(*vectors, np.eye(N), compare == "whitened_pearson"), abs=1e-12
    )


def test_the_whitened_cosine_is_linear_cka():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(12, 5)), rng.normal(size=(12, 40))
    grams = [v @ v.T for v in (x - x.mean(0), y - y.mean(0))]
    cka = (grams[0] * grams[1]).sum() / np.sqrt((grams[0] ** 2).sum() * (grams[1] ** 2).sum())
    assert compare_rdms(rdm(x, "euclidean"), rdm(y, "euclidean"), "whitened_cosine") == pytest.approx(cka, abs=1e-12)


def test_bad_covariances_are_refused(vectors):
    with pytest.raises(DataError, match=r"found sigma_k of shape \(4,\), expected \(9,\) or \(9, 9\)"):
        whitened_table(*vectors, np.ones(4))
    with pytest.raises(DataError, match="found variances in sigma_k that are not positive"):
        whitened_table(*vectors, np.arange(9.0))
    with pytest.raises(DataError, match="not positive definite, expected a covariance; shrink it"):
        whitened_table(*vectors, np.ones((9, 9)))
    with pytest.raises(DataError, match="found RDMs with missing pairs, expected none"):
        whitened_table(np.where(vectors[0] > 0.5, np.nan, 1.0), vectors[1])


def test_bures_distances_are_those_of_centred_gram_matrices():
    rng = np.random.default_rng(3)
    patterns = [rng.normal(size=(7, 20)) for _ in range(3)]
    vectors = np.stack([rdm(x, "euclidean") for x in patterns])
    grams = [(x - x.mean(0)) @ (x - x.mean(0)).T / 20 for x in patterns]
    expected = np.empty((3, 3))
    for i, a in enumerate(grams):
        for j, b in enumerate(grams):
            root = sqrtm(a + 1e-13 * np.eye(7))
            overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ b @ root), 0, None)).sum()
            expected[i, j] = np.trace(a) + np.trace(b) - 2 * overlap
    assert bures_metric(vectors, vectors) == pytest.approx(expected, abs=1e-5)
    assert bures_metric(torch.as_tensor(vectors), vectors).numpy() == pytest.approx(expected, abs=1e-5)
    roots = np.sqrt(np.clip(bures_metric(vectors, vectors), 0, None))
    assert roots[0, 1] <= roots[0, 2] + roots[2, 1]
    assert np.diag(bures_metric(vectors, vectors)) == pytest.approx(np.zeros(3), abs=1e-12)


def test_the_bures_similarity_of_rotations_and_of_orthogonal_geometries():
    x = np.random.default_rng(4).normal(size=(8, 6))
    turned = x @ np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    assert compare_rdms(rdm(x, "euclidean"), rdm(3 * turned, "euclidean"), "bures") == pytest.approx(1, abs=1e-10)
    # Two designs that vary along different contrasts share nothing.
    one, other = np.array([[1.0], [1], [-1], [-1]]), np.array([[1.0], [-1], [1], [-1]])
    assert compare_rdms(rdm(one, "euclidean"), rdm(other, "euclidean"), "bures") == pytest.approx(0, abs=1e-12)
    assert np.isnan(compare_rdms(-rdm(one, "euclidean"), rdm(other, "euclidean"), "bures"))
    assert to_square(rdm(one, "euclidean"))[0].tolist() == [0, 0, 4, 4]
