"""PLS against a naive loop of singular vectors, scikit-learn and closed forms; Gram and eigenbasis forms; degenerate input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import PLSRegression

from isocortex.encoding import lanczos
from isocortex.encoding.decomposition import basis_of_kernel
from isocortex.encoding.lanczos import leading_pair
from isocortex.encoding.pls import basis_pls, kernel_pls, pls, shuffle_split_score
from isocortex.encoding.scores import pearson
from isocortex.errors import DataError

# (n, p, v, components)
SHAPES = {
    "few neuroids": (60, 12, 7, 10),
    "many neuroids": (60, 12, 40, 10),
    "one neuroid": (60, 30, 1, 12),
    "wide, few neuroids": (40, 130, 7, 25),
    "wide, many neuroids": (40, 130, 90, 25),
    "square": (30, 30, 30, 20),
}


def data(n, p, v, seed=0, held=9):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + held, p)) * np.arange(1, p + 1) ** -0.5 + 2
    y = x @ rng.normal(size=(p, v)) + np.logspace(-1, 0, v) * rng.normal(size=(n + held, v)) + 3
    return x, y


def naive(x, y, components):
    """Weights (p, v) after each component: features and responses deflated, a full SVD each time, in float64."""
    left, rest = x - x.mean(0), y - y.mean(0)
    weights, loadings, shares, coefs = [], [], [], []
    for _ in range(components):
        weight = np.linalg.svd(left.T @ rest, full_matrices=False)[0][:, 0]
        score = left @ weight
        loading, share = left.T @ score / (score @ score), rest.T @ score / (score @ score)
        left, rest = left - np.outer(score, loading), rest - np.outer(score, share)
        for store, part in ((weights, weight), (loadings, loading), (shares, share)):
            store.append(part)
        w, p, q = (np.stack(store, 1) for store in (weights, loadings, shares))
        coefs.append(w @ np.linalg.inv(p.T @ w) @ q.T)
    return coefs


def close(found, expected, rtol=1e-8):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("name", SHAPES)
def test_against_the_naive_loop(name):
    n, p, v, components = SHAPES[name]
    x, y = data(n, p, v)
    coefs = naive(x[:n], y[:n], components)
    fit = pls(x[:n], y[:n], components)
    assert fit.n_components == components
    close(fit.coef, coefs[-1])
    close(fit.intercept, y[:n].mean(0))
    for count in (1, 3, components):
        close(fit.predict(x[n:], count), (x[n:] - x[:n].mean(0)) @ coefs[count - 1] + y[:n].mean(0))
    close(fit.predict(x[n:], components + 5), fit.predict(x[n:]))


@pytest.mark.parametrize("name", SHAPES)
def test_from_the_gram_matrix_and_from_its_eigenbasis(name):
    n, p, v, components = SHAPES[name]
    x, y = data(n, p, v)
    order = np.random.default_rng(1).permutation(len(x))
    train, other, counts = order[:n], order[n:], [2, components]
    expected = [(x[other] - x[train].mean(0)) @ coef + y[train].mean(0) for coef in naive(x[train], y[train], components)]
    found = kernel_pls(x @ x.T, y, train, other, counts)
    assert found.shape == (2, len(other), v)
    basis = basis_of_kernel(torch.as_tensor(x @ x.T), torch.as_tensor(train), torch.as_tensor(other))
    rotated = basis_pls(basis, torch.as_tensor(y[train]), counts)
    for number, count in enumerate(counts):
        close(found[number], expected[count - 1])
        close(rotated[number].numpy(), expected[count - 1])
    close(kernel_pls(x @ x.T, y, train, other, components), found[1])


def test_responses_of_held_out_rows_are_not_read():
    x, y = data(40, 60, 5)
    train, other = np.arange(40), np.arange(40, 49)
    blind = y.copy()
    blind[other] = np.nan
    np.testing.assert_array_equal(kernel_pls(x @ x.T, blind, train, other, 5), kernel_pls(x @ x.T, y, train, other, 5))


def test_against_scikit_learn_at_a_tight_tolerance():
    x, y = data(80, 20, 12)
    other = PLSRegression(8, scale=False, tol=1e-20, max_iter=100_000).fit(x, y)
    close(pls(x, y, 8).coef, other.coef_.T, 1e-6)


def test_one_component_of_one_neuroid_is_the_covariance():
    x, y = data(50, 8, 1)
    centred = x - x.mean(0)
    weight = centred.T @ (y - y.mean(0))
    score = centred @ weight
    close(pls(x, y, 1).coef, weight * float((score * y).sum() / (score * score).sum()))


@pytest.mark.parametrize("v", [1, 5, 30])
def test_all_components_are_least_squares(v):
    x, y = data(60, 10, v)
    centred = x - x.mean(0)
    close(pls(x, y, 10).coef, np.linalg.lstsq(centred, y - y.mean(0), rcond=None)[0])


@pytest.mark.parametrize(("p", "v"), [(18, 20), (18, 3), (90, 20), (90, 3)])
def test_repeated_features_have_no_more_components_than_their_rank(p, v):
    x, y = data(40, 6, v)
    wide = np.tile(x, p // 6)
    fit = pls(wide[:40], y[:40])
    assert fit.n_components == 6
    centred, level = x[:40] - x[:40].mean(0), y[:40].mean(0)
    weights = np.linalg.lstsq(centred, y[:40] - level, rcond=None)[0]
    expected = (x[40:] - x[:40].mean(0)) @ weights + level
    close(fit.predict(wide[40:]), expected)
    train, other = np.arange(40), np.arange(40, 49)
    close(kernel_pls(wide @ wide.T, y, train, other), expected, 1e-7)
    basis = basis_of_kernel(torch.as_tensor(wide @ wide.T), torch.as_tensor(train), torch.as_tensor(other))
    close(basis_pls(basis, torch.as_tensor(y[:40])).numpy(), expected, 1e-7)


@pytest.mark.parametrize("p", [10, 80])
def test_more_components_than_stimuli(p):
    x, y = data(12, p, 4)
    fit = pls(x[:12], y[:12])
    assert fit.n_components == min(11, p)
    assert np.isfinite(fit.predict(x[12:])).all()
    if p > 12:
        close(fit.predict(x[:12]), y[:12])


def test_responses_that_are_explained_end_the_fit():
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 8)))[0]
    x = np.linalg.qr(x - x.mean(0))[0] + 1  # white: the first weight is the solution
    y = x @ np.arange(1.0, 9.0)[:, None]
    fit = pls(x, y)
    assert fit.n_components == 1
    close(fit.predict(x), y)


@pytest.mark.parametrize("p", [12, 80])
def test_constant_features_weigh_nothing(p):
    x, y = data(40, p, 5)
    mixed = np.insert(x, [0, 3, p], 0.1, axis=1)
    fit, plain = pls(mixed, y, 6), pls(x, y, 6)
    at = np.flatnonzero((mixed == 0.1).all(0))
    assert len(at) == 3
    assert (fit.coef[at] == 0).all()
    close(np.delete(fit.coef, at, axis=0), plain.coef)


def test_nothing_but_constant_features_predict_the_mean():
    y = data(20, 3, 4)[1][:20]
    for p in (3, 30):
        x = np.full((20, p), 2.5)
        fit = pls(x, y)
        assert fit.n_components == 0
        np.testing.assert_allclose(fit.predict(x), np.tile(y.mean(0), (20, 1)))
        np.testing.assert_allclose(kernel_pls(x @ x.T, y, np.arange(15), np.arange(15, 20)), np.tile(y[:15].mean(0), (5, 1)))
        basis = basis_of_kernel(torch.as_tensor(x @ x.T), torch.arange(15), torch.arange(15, 20))
        np.testing.assert_allclose(basis_pls(basis, torch.as_tensor(y[:15])), np.tile(y[:15].mean(0), (5, 1)))


@pytest.mark.parametrize("p", [12, 80])
def test_neuroids_that_are_constant_or_hold_nan_are_nan_and_alter_no_other(p):
    x, y = data(40, p, 6)
    spoilt = y.copy()
    spoilt[:, 1], spoilt[3, 4] = 2.0, np.nan
    bad = np.isin(np.arange(6), [1, 4])
    fit, plain = pls(x, spoilt, 6), pls(x, y[:, ~bad], 6)
    for part in (fit.coef, fit.predict(x), fit.intercept[None]):
        assert np.isnan(part).all(0).tolist() == bad.tolist()
        assert np.isnan(part).any(0).tolist() == bad.tolist()
    close(fit.coef[:, ~bad], plain.coef)
    train, other = np.arange(40), np.arange(40, 49)
    found = kernel_pls(x @ x.T, spoilt, train, other, 6)
    assert np.isnan(found).any(0).tolist() == bad.tolist()
    close(found[:, ~bad], kernel_pls(x @ x.T, y[:, ~bad], train, other, 6))
    assert np.isnan(pls(x, np.full((49, 2), 1.5)).coef).all()


@pytest.mark.parametrize("v", [4, 60])
def test_covariances_over_many_orders_of_magnitude(v):
    x, y = data(80, 10, v)
    x = x * np.logspace(0, -6, 10)
    y = (x - x.mean(0)) @ np.linalg.qr(np.random.default_rng(3).normal(size=(10, 10)))[0] @ y[:10]
    for count in (1, 3, 6, 8):
        close(pls(x, y, count).coef, naive(x, y, count)[-1])


@pytest.mark.parametrize(("p", "v"), [(12, 5), (12, 40), (130, 5), (130, 60)])
def test_float32_stays_float32_and_close(p, v):
    x, y = data(60, p, v)
    exact, coarse = pls(x, y, 8), pls(x.astype(np.float32), y.astype(np.float32), 8)
    assert coarse.coef.dtype == coarse.predict(x.astype(np.float32)).dtype == np.float32
    assert coarse.n_components == 8
    # sd of the responses times 1e-3: single precision has seven digits, and weights of later components lose three.
    assert np.abs(coarse.predict(x.astype(np.float32)) - exact.predict(x)).max() < 1e-3 * y.std()


def test_torch_stays_torch_and_integers_become_float64():
    x, y = data(30, 8, 4)
    fit = pls(torch.as_tensor(x), torch.as_tensor(y), 4)
    assert all(isinstance(part, torch.Tensor) for part in (fit.coef, fit.predict(torch.as_tensor(x))))
    close(fit.coef.numpy(), pls(x, y, 4).coef, 1e-12)
    gram, rows = torch.as_tensor(x @ x.T), torch.arange(30)
    assert isinstance(kernel_pls(gram, torch.as_tensor(y), rows[:20], rows[20:], 3), torch.Tensor)
    whole = pls(np.round(10 * x).astype(np.int64), np.round(10 * y).astype(np.int32), 4)
    np.testing.assert_array_equal(whole.coef, pls(np.round(10 * x), np.round(10 * y), 4).coef)


@pytest.mark.parametrize("p", [20, 60, 120])
def test_scores_over_shuffled_splits(p):
    x, y = data(60, p, 5)
    y[:, 3] = 1.0
    rng = np.random.default_rng(2)
    splits = [(order[:50], order[50:60]) for order in (rng.permutation(69) for _ in range(4))]  # nine rows in neither
    result = shuffle_split_score(x, y, splits, 5)
    r = np.full((4, 5), np.nan)
    kept = [0, 1, 2, 4]
    for number, (train, test) in enumerate(splits):
        predicted = (x[test] - x[train].mean(0)) @ naive(x[train], y[train][:, kept], 5)[-1]
        r[number, kept] = pearson(predicted, y[test][:, kept])
    np.testing.assert_allclose(result.r, r, rtol=1e-8)
    medians = np.nanmedian(r, axis=1)
    assert result.score == pytest.approx(medians.mean(), rel=1e-8)
    assert result.error == pytest.approx(medians.std() / 2, rel=1e-8)


def test_a_neuroid_silent_on_the_training_rows_of_one_split_has_no_r_there():
    x, y = data(60, 10, 3)
    y[:50, 1] = 0.0
    splits = [(np.arange(50), np.arange(50, 60)), (np.arange(10, 60), np.arange(10))]
    r = shuffle_split_score(x, y, splits, 3).r
    assert np.isnan(r).tolist() == [[False, True, False], [False, True, False]]  # silent on the other's test rows
    splits[1] = (np.arange(9, 59), np.arange(55, 65))
    assert np.isnan(shuffle_split_score(x, y, splits, 3).r).tolist() == [[False, True, False], [False, False, False]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": np.full((20, 3), np.inf)},
            r"pls: found 60 NaN or infinite features, first at \[0, 0\], expected finite numbers",
        ),
        ({"y": np.zeros((19, 2))}, r"pls: found x \(20, 3\) and y \(19, 2\), expected \(stimuli, features\)"),
        ({"x": np.zeros((1, 3)), "y": np.zeros((1, 2))}, "pls: found 1 stimuli, expected at least 2"),
        ({"components": 0}, "pls: components, found 0, expected at least 1"),
    ],
)
def test_refusals(change, message):
    given = {"x": np.random.default_rng(0).normal(size=(20, 3)), "y": np.eye(20)[:, :2], "components": 2} | change
    with pytest.raises(DataError, match=message):
        pls(**given)


def test_refusals_of_predictions_and_splits():
    x, y = data(20, 3, 2)
    with pytest.raises(DataError, match="pls: components, found 0"):
        pls(x, y, 2).predict(x, 0)
    with pytest.raises(DataError, match="pls: components, found -1"):
        kernel_pls(x @ x.T, y, [0, 1, 2], [3], [2, -1])
    with pytest.raises(DataError, match=r"pls: found a Gram matrix \(29, 28\) and y \(29, 2\), expected \(n, n\)"):
        kernel_pls((x @ x.T)[:, 1:], y, [0, 1, 2], [3])
    with pytest.raises(DataError, match="pls: found NaN or infinity in the Gram matrix, expected finite numbers; mend"):
        kernel_pls(np.full((29, 29), np.nan), y, [0, 1, 2], [3])
    with pytest.raises(DataError, match="pls: splits, found none, expected pairs of training and test rows"):
        shuffle_split_score(x, y, [])


@pytest.mark.parametrize("steps", [4, 300])
def test_the_leading_eigenvector(steps, monkeypatch):
    monkeypatch.setattr(lanczos, "STEPS", steps)
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(40, 25)) * np.linspace(1, 3, 25)
    matrix = torch.as_tensor(factor @ factor.T)
    value, vector = leading_pair(matrix, torch.as_tensor(rng.normal(size=40)))
    values, vectors = torch.linalg.eigh(matrix)
    assert float(value) == pytest.approx(float(values[-1]), rel=1e-12)
    assert abs(float(vector @ vectors[:, -1])) == pytest.approx(1, abs=1e-12)


def test_the_leading_eigenvector_of_matrices_without_one():
    start = torch.arange(1.0, 21.0, dtype=torch.float64)
    for scale in (0.0, 2.0):
        value, vector = leading_pair(scale * torch.eye(20, dtype=torch.float64), start)
        assert float(value) == pytest.approx(scale, abs=1e-14)
        assert float(vector.norm()) == pytest.approx(1)
    value, vector = leading_pair(torch.tensor([[3.0]], dtype=torch.float64), start[:1])
    assert (float(value), abs(float(vector[0]))) == (3.0, 1.0)
