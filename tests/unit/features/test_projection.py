"""Sparse random projections against their definition; principal components against NumPy's SVD and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import binom, chisquare
from sklearn.decomposition import PCA

from isocortex.errors import DataError
from isocortex.features import projection
from isocortex.features.principal import principal_components
from isocortex.features.projection import Projections, johnson_lindenstrauss_size, project, sparse_projection


def matrix(p=2500, k=200, seed=0, name="conv1"):
    made = sparse_projection(p, k, seed, name)
    assert made is not None
    return made


def test_entries_follow_their_definition():
    p, k = 2500, 200
    made = matrix(p, k)
    assert made.shape == (k, p)
    assert made.has_canonical_format
    size = math.sqrt(math.sqrt(p) / k)
    np.testing.assert_allclose(np.unique(made.data), [-size, size])
    # Every count within what its binomial distribution allows in all but one of 10⁶ runs.
    for count, total, share in ((made.nnz, p * k, 1 / math.sqrt(p)), ((made.data > 0).sum(), made.nnz, 0.5)):
        low, high = binom.ppf([5e-7, 1 - 5e-7], total, share)
        assert low <= count <= high
    for axis, length in ((0, p), (1, k)):
        counts = np.bincount(made.nonzero()[1 - axis], minlength=length)
        assert chisquare(counts).pvalue > 1e-6
    # Each entry by itself, over many matrices of few entries: the places of the first, the last and of neighbours are alike.
    drawn = np.stack([matrix(9, 4, 0, f"layer{number}").toarray() != 0 for number in range(3000)])
    assert chisquare(drawn.sum(0).ravel()).pvalue > 1e-6
    together = (drawn[:, :, 1:] & drawn[:, :, :-1]).mean()
    assert together == pytest.approx(1 / 9, abs=5 * math.sqrt(1 / 9 / 3000 / 32))


def test_distances_are_kept():
    n, p, eps = 60, 12_000, 0.2
    k = johnson_lindenstrauss_size(n, eps)
    assert k < p
    x = np.random.default_rng(1).gamma(0.3, size=(n, p))
    ratio = pdist(project(x, matrix(p, k)), "sqeuclidean") / pdist(x, "sqeuclidean")
    assert ((ratio > 1 - eps) & (ratio < 1 + eps)).mean() > 0.999
    assert ratio.std() == pytest.approx(math.sqrt(2 / k), rel=0.35)  # pairs share stimuli, and so their errors
    assert ratio.mean() == pytest.approx(1, abs=0.02)


def test_a_projection_is_a_function_of_its_size_seed_and_name():
    first = matrix().toarray()
    np.random.default_rng(0).normal(size=3)
    np.testing.assert_array_equal(matrix().toarray(), first)
    for other in (matrix(seed=1).toarray(), matrix(name="conv2").toarray()):
        taken = (first != 0) | (other != 0)
        assert (first != other).sum() > 0.9 * taken.sum()
    assert matrix(p=2501).shape == (200, 2501)


@pytest.mark.parametrize("p", [5, 10])
def test_features_that_are_few_stay(p):
    x = np.random.default_rng(0).normal(size=(4, p))
    assert sparse_projection(p, 10, 0, "fc") is None
    assert project(x, None) is x


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_projecting_is_a_product_in_any_form(dtype):
    made = matrix(300, 40)
    x = (10 * np.random.default_rng(0).normal(size=(7, 300))).astype(dtype)
    expected = x.astype(np.float64) @ made.toarray().T
    found = project(x, made)
    assert found.dtype == (np.float32 if dtype == np.float32 else np.float64)
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    tensor = project(torch.as_tensor(x), made)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), found)
    on_device = projection._on_device(torch.as_tensor(x), made)  # what a GPU would be given
    np.testing.assert_allclose(on_device.numpy(), expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    np.testing.assert_allclose(project(x[:1], made), found[:1], rtol=rtol)


@pytest.mark.parametrize("kept_bytes", [1 << 30, 0])
def test_projections_of_layers_keep_the_mean_of_each_stimulus(kept_bytes):
    rng, k = np.random.default_rng(2), 300
    x = rng.gamma(0.5, size=(20, 4000)) * rng.uniform(0.5, 2, size=(20, 1)) + rng.uniform(0, 1, size=(20, 1))
    layers = Projections(k, seed=5, kept_bytes=kept_bytes)
    found = layers("conv1", torch.as_tensor(x, dtype=torch.float32)).double().numpy()
    dense = matrix(4000, k, 5).toarray()
    mean = x.mean(1, keepdims=True)
    expected = (x - mean) @ dense.T + math.sqrt(4000 / k) * mean
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    # Means over the dimensions are those over units, but for what chance adds to them.
    chance = 5 * x.std(1) * math.sqrt(4000) / k
    assert (np.abs(found.mean(1) - math.sqrt(4000 / k) * mean[:, 0]) < chance).all()
    for metric in ("sqeuclidean", "correlation"):
        ratio = pdist(found, metric) / pdist(x, metric)
        assert ratio.mean() == pytest.approx(1, abs=0.03)
        assert ratio.std() < 1.5 * math.sqrt(2 / k)
    np.testing.assert_allclose(layers("conv1", torch.as_tensor(x[3:5], dtype=torch.float32)), found[3:5], rtol=1e-4, atol=1e-5)
    assert layers.units == {"conv1": 4000}
    narrow = torch.as_tensor(x[:, :k], dtype=torch.float32)
    assert layers("fc", narrow) is narrow
    assert "fc" not in layers.units


def test_projections_on_a_device_are_those_on_the_cpu(monkeypatch):
    x = torch.as_tensor(np.random.default_rng(0).gamma(0.5, size=(6, 900)), dtype=torch.float32)
    expected = Projections(40)("conv1", x)
    honest = projection._as_sparse_tensor
    layers = Projections(40)
    made = sparse_projection(900, 40, 0, "conv1")
    assert made is not None
    layers._kept["conv1"] = honest(made, torch.device("cpu"), torch.float32)  # what a GPU would keep
    np.testing.assert_allclose(layers("conv1", x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: johnson_lindenstrauss_size(1), "projection: found 1 stimuli, expected at least 2"),
        (lambda: johnson_lindenstrauss_size(100, 1.0), "projection: eps, found 1.0, expected between 0 and 1"),
        (lambda: sparse_projection(10, 0, 0, "a"), "projection: found 0 dimensions, expected at least 1"),
        (lambda: project(np.ones((3, 4)), matrix(9, 4)), r"projection: found features \(3, 4\), expected \(stimuli, 9\)"),
        (lambda: principal_components(np.ones((3, 4)), 0), "principal components: found 0 asked for, expected at least 1"),
        (lambda: principal_components(np.ones((3, 4)), 1, [2]), "found 1 training stimuli, expected at least 2"),
        (
            lambda: principal_components(spoilt(20, 4), 1, block_bytes=100),
            "found NaN or infinity at stimulus 7, feature 2, expected",
        ),
        (
            lambda: principal_components(spoilt(9, 40), 1, block_bytes=500),
            "found NaN or infinity at stimulus 7, feature 2, expected",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(DataError, match=message):
        call()


def spoilt(n, p):
    x = np.random.default_rng(0).normal(size=(n, p))
    x[7, 2] = np.nan
    return x


def spectrum(n, p, seed=0, offset=3.0):
    rng = np.random.default_rng(seed)
    rank = min(n, p)
    return rng.normal(size=(n, rank)) * 1.5 ** -np.arange(rank) @ np.linalg.qr(rng.normal(size=(p, rank)))[0].T + offset


FORMS = {"covariance": (90, 30, 20_000), "gram": (30, 90, 20_000), "random": (90, 70, 40), "random wide": (70, 90, 40)}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("block_bytes", [None, 8 * 90 * 7])
def test_against_the_singular_vectors_of_all_rows_at_once(name, block_bytes):
    n, p, largest = FORMS[name]
    x = spectrum(n, p)
    fit = principal_components(x, 6, largest=largest, block_bytes=block_bytes)
    assert fit.form == name.split()[0]
    centred = x - x.mean(0)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(fit.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(fit.singular_values, singular[:6], rtol=1e-8)
    np.testing.assert_allclose(fit.ratio, singular[:6] ** 2 / (singular**2).sum(), rtol=1e-8)
    np.testing.assert_allclose(np.abs(np.diag(fit.components @ right[:6].T)), 1, rtol=1e-8)
    np.testing.assert_allclose(fit.components @ fit.components.T, np.eye(6), atol=1e-8)
    other = spectrum(11, p, seed=1)
    np.testing.assert_allclose(fit.transform(other), (other - x.mean(0)) @ fit.components.T, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_signs_make_the_largest_loading_positive(name):
    n, p, largest = FORMS[name]
    x = spectrum(n, p)
    first, second = (principal_components(sign * x, 5, largest=largest).components for sign in (1, -1))
    at = np.abs(first).argmax(1)
    assert (first[np.arange(5), at] > 0).all()
    np.testing.assert_allclose(first, second, atol=1e-9)


@pytest.mark.parametrize("name", FORMS)
def test_only_training_rows_are_fitted(name):
    n, p, largest = FORMS[name]
    x = spectrum(n + 20, p)
    train = np.sort(np.random.default_rng(0).permutation(n + 20)[:n])
    mask = np.isin(np.arange(n + 20), train)
    changed = x.copy()
    changed[~mask] = 1e6
    expected = principal_components(x[train], 4, largest=largest)
    for rows in (train, mask, train[::-1], list(train)):
        found = principal_components(changed, 4, rows, largest=largest, block_bytes=5000)
        np.testing.assert_allclose(found.components, expected.components, atol=1e-9)
        np.testing.assert_allclose(found.ratio, expected.ratio, rtol=1e-9)


@pytest.mark.parametrize("name", FORMS)
def test_no_more_components_than_the_rows_span(name):
    n, p, largest = FORMS[name]
    x = spectrum(n, 4) @ np.random.default_rng(2).normal(size=(4, p))
    fit = principal_components(x, 10, largest=largest)
    assert fit.components.shape == (4, p)
    assert fit.ratio.sum() == pytest.approx(1, rel=1e-9)
    constant = principal_components(np.full((n, p), 2.5), 3, largest=largest)
    assert constant.components.shape == (0, p)
    assert constant.transform(x).shape == (n, 0)


def test_the_random_subspace_is_a_function_of_the_seed():
    x = spectrum(60, 50)
    first, again, other = (principal_components(x, 3, seed=seed, largest=20) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.components, again.components)
    assert (first.components != other.components).any()


class Stored:
    """An array on disk: slices only, and only float32."""

    def __init__(self, values):
        self.values, self.shape = values.astype(np.float32), values.shape

    def __getitem__(self, key):
        assert isinstance(key, slice) or all(isinstance(part, slice) for part in key)
        return self.values[key]


@pytest.mark.parametrize("shape", [(90, 30), (30, 90)])
def test_stored_arrays_tensors_and_float32(shape):
    x = spectrum(*shape)
    exact = principal_components(x, 4)
    stored = principal_components(Stored(x), 4, block_bytes=3000)
    np.testing.assert_allclose(stored.components, exact.components, atol=1e-4)
    tensor = principal_components(torch.as_tensor(x), 4)
    assert isinstance(tensor.components, torch.Tensor)
    assert isinstance(tensor.transform(torch.as_tensor(x)), torch.Tensor)
    np.testing.assert_allclose(tensor.components.numpy(), exact.components, atol=1e-10)
    scores = exact.transform(x.astype(np.float32))
    assert scores.dtype == np.float32
    reference = PCA(4).fit(x)
    np.testing.assert_allclose(np.abs(scores), np.abs(reference.transform(x)), atol=1e-4)
    assert exact.transform(np.round(x).astype(int)).dtype == np.float64
