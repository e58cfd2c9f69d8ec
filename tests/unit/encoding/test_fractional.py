"""Fractional ridge against a scalar root finder, least squares and a naive cross-validation; degenerate input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from isocortex.encoding.decomposition import basis_of_kernel
from isocortex.encoding.fractional import fractional_cv, fractional_ridge, fractions_to_alphas
from isocortex.encoding.penalties import Fold, solve
from isocortex.errors import DataError

SHAPES = {"n > p": (50, 12), "n < p": (25, 80), "rank-deficient": (40, 16)}
SHARES = [0.05, 0.3, 0.99, 0.7, 1.0]


def data(name="n > p", v=6, seed=0):
    n, p = SHAPES[name]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * np.logspace(0, -1.5, p)
    if name == "rank-deficient":
        x[:, 8:] = x[:, :8] @ rng.normal(size=(8, 8))
    y = x @ rng.normal(size=(p, v)) + np.logspace(-1, 1, v) * rng.normal(size=(n, v)) + 2
    return x, y


def ridge(x, y, alpha):
    """Weights of least length of one neuroid, by the pseudoinverse."""
    left, singular, right = np.linalg.svd(x, full_matrices=False)
    kept = singular > 1e-10 * singular[0]
    return right[kept].T @ (singular[kept] / (singular[kept] ** 2 + alpha) * (left[:, kept].T @ y))


def naive_alpha(x, y, share):
    """The penalty of one neuroid and one fraction."""
    if share == 1:
        return 0.0
    goal = share * np.linalg.norm(ridge(x, y, 0))
    top = np.linalg.norm(x, 2) ** 2
    excess = lambda size: np.linalg.norm(ridge(x, y, np.exp(size))) - goal
    root: Any = brentq(excess, np.log(1e-12 * top), np.log(1e6 * top), xtol=1e-13)
    return float(np.exp(root))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("intercept", [False, True])
def test_against_a_scalar_root_finder(name, intercept):
    x, y = data(name)
    fit = fractional_ridge(x, y, SHARES, fit_intercept=intercept)
    features, responses = (x - x.mean(0), y - y.mean(0)) if intercept else (x, y)
    assert fit.coef.shape == (x.shape[1], len(SHARES), y.shape[1])
    for f, share in enumerate(SHARES):
        for v in range(y.shape[1]):
            alpha = naive_alpha(features, responses[:, v], share)
            assert fit.alpha[f, v] == pytest.approx(alpha, rel=1e-8)
            np.testing.assert_allclose(fit.coef[:, f, v], ridge(features, responses[:, v], alpha), rtol=1e-7, atol=1e-9)
    expected = np.einsum("np,pfv->nfv", features, fit.coef) + (y.mean(0) if intercept else 0)
    np.testing.assert_allclose(fit.predict(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SHAPES)
def test_lengths_are_the_fractions_from_nearly_nothing_to_nearly_all(name):
    x, y = data(name)
    shares = [1e-9, 1e-4, 0.5, 1 - 1e-6, 1.0]
    fit = fractional_ridge(x, y, shares)
    lengths = np.linalg.norm(fit.coef, axis=0)
    np.testing.assert_allclose(lengths / lengths[-1], np.tile(np.array(shares)[:, None], 6), rtol=1e-12)
    assert (np.diff(fit.alpha, axis=0) < 0).all()
    assert (fit.alpha[-1] == 0).all()
    np.testing.assert_allclose(fit.coef[:, -1], np.linalg.lstsq(x, y, rcond=1e-12)[0], rtol=1e-7, atol=1e-9)


def test_orthonormal_features_have_the_penalty_in_closed_form():
    x = 3 * np.linalg.qr(np.random.default_rng(0).normal(size=(30, 5)))[0]
    fit = fractional_ridge(x, data()[1][:30], [0.2, 0.5, 1.0])
    np.testing.assert_allclose(fit.alpha, 9 * np.tile([[4.0], [1.0], [0.0]], 6), rtol=1e-12)


def test_neuroids_that_are_constant_or_hold_nan_are_nan_and_alter_no_other():
    x, y = data()
    spoilt = y.copy()
    spoilt[:, 1], spoilt[3, 4] = 2.0, np.nan
    bad = np.isin(np.arange(6), [1, 4])
    fit, plain = fractional_ridge(x, spoilt), fractional_ridge(x, y)
    chosen, whole = fractional_cv(x, spoilt), fractional_cv(x, y)
    for part in (fit.coef, fit.alpha, chosen.coef, chosen.fraction[None], chosen.alpha[None], chosen.errors):
        assert (np.isnan(part) == bad).all()
    np.testing.assert_allclose(fit.coef[..., ~bad], plain.coef[..., ~bad])
    np.testing.assert_allclose(chosen.coef[:, ~bad], whole.coef[:, ~bad])
    one = fractional_ridge(x, y[:, [0]])
    np.testing.assert_allclose(one.coef[..., 0], plain.coef[..., 0])


def test_constant_features_weigh_nothing():
    x, y = data()
    mixed = np.insert(x, 2, 0.0, axis=1)
    fit = fractional_ridge(mixed, y)
    assert (fit.coef[2] == 0).all()
    np.testing.assert_allclose(np.delete(fit.coef, 2, axis=0), fractional_ridge(x, y).coef, rtol=1e-9, atol=1e-12)
    constant = np.insert(x, 2, 0.1, axis=1)
    centred, chosen = fractional_ridge(constant, y, fit_intercept=True), fractional_cv(constant, y)
    assert (centred.coef[2] == 0).all()
    assert (chosen.coef[2] == 0).all()
    np.testing.assert_allclose(np.delete(chosen.coef, 2, axis=0), fractional_cv(x, y).coef, rtol=1e-8, atol=1e-10)
    for silent in (np.zeros_like(x), np.full_like(x, 2.5)):
        none = fractional_ridge(silent, y, fit_intercept=True)
        assert (none.coef == 0).all()
        np.testing.assert_allclose(none.predict(silent)[:, 0], np.tile(y.mean(0), (50, 1)))


def test_responses_that_no_feature_meets_have_no_weights():
    fit = fractional_ridge(np.eye(30)[:, :5], np.eye(30)[:, 10:12], [0.5, 1.0])
    assert (fit.coef == 0).all()
    np.testing.assert_allclose(fit.alpha, [[1, 1], [0, 0]])  # as if along the first direction, which has length 1


def test_float32_and_torch():
    x, y = data()
    fit = fractional_ridge(torch.as_tensor(x), torch.as_tensor(y))
    assert all(isinstance(part, torch.Tensor) for part in (fit.coef, fit.alpha, fit.predict(torch.as_tensor(x))))
    np.testing.assert_allclose(fit.coef.numpy(), fractional_ridge(x, y).coef, rtol=1e-12)
    x32, y32 = x.astype(np.float32), y.astype(np.float32)
    coarse = fractional_ridge(x32, y32)
    np.testing.assert_array_equal(coarse.coef, fractional_ridge(x32.astype(np.float64), y32.astype(np.float64)).coef)
    chosen = fractional_cv(torch.as_tensor(x), torch.as_tensor(y))
    assert isinstance(chosen.predict(torch.as_tensor(x)), torch.Tensor)
    np.testing.assert_array_equal(chosen.fraction.numpy(), fractional_cv(x, y).fraction)


@pytest.mark.parametrize("name", SHAPES)
def test_penalties_from_an_eigenbasis(name):
    x, y = data(name)
    train, other = np.arange(20), np.arange(20, 25)
    basis = basis_of_kernel(torch.as_tensor(x @ x.T), torch.as_tensor(train), torch.as_tensor(other))
    inside = torch.as_tensor(y[train])
    alphas = fractions_to_alphas(basis.values, basis.vectors.T @ (inside - inside.mean(0)), SHARES)
    fit = fractional_ridge(x[train], y[train], SHARES, fit_intercept=True)
    np.testing.assert_allclose(alphas.numpy(), fit.alpha, rtol=1e-7)
    predicted = np.stack([solve(basis, inside, row).numpy() for row in alphas], 1)
    np.testing.assert_allclose(predicted, fit.predict(x[other]), rtol=1e-6, atol=1e-7)


def test_a_basis_without_any_direction_predicts_the_mean():
    x, y = np.full((12, 4), 3.0), torch.as_tensor(data()[1][:12])
    basis = basis_of_kernel(torch.as_tensor(x @ x.T), torch.arange(8), torch.arange(8, 12))
    fold = Fold(basis, torch.arange(8), torch.arange(8, 12))
    alphas = fractions_to_alphas(basis.values, basis.vectors.T @ (y[:8] - y[:8].mean(0)), [0.5, 1.0])
    for row in alphas:
        np.testing.assert_allclose(solve(fold.basis, y[:8], row), y[:8].mean(0).expand(4, -1))


def naive_cv(x, y, folds, shares):
    """Errors (f, v) with an intercept per fold."""
    errors = np.zeros((len(shares), y.shape[1]))
    for part in folds:
        train = np.setdiff1d(np.arange(len(x)), part)
        features, level = x[train] - x[train].mean(0), y[train].mean(0)
        for f, share in enumerate(shares):
            for v in range(y.shape[1]):
                wanted = y[train, v] - level[v]
                weights = ridge(features, wanted, naive_alpha(features, wanted, share))
                predicted = (x[part] - x[train].mean(0)) @ weights + level[v]
                errors[f, v] += ((y[part, v] - predicted) ** 2).mean() / len(folds)
    return errors


@pytest.mark.parametrize("name", SHAPES)
def test_cross_validation_against_the_naive_loop(name):
    x, y = data(name)
    shares = [0.1, 0.4, 0.7, 1.0]
    folds = np.array_split(np.random.default_rng(1).permutation(len(x)), 4)
    fit = fractional_cv(x, y, folds, shares[::-1])
    errors = naive_cv(x, y, folds, shares)
    np.testing.assert_allclose(fit.errors, errors, rtol=1e-6)
    np.testing.assert_array_equal(fit.fraction, np.array(shares)[errors.argmin(0)])
    assert len(np.unique(fit.fraction)) > 1
    whole = fractional_ridge(x, y, shares, fit_intercept=True)
    best = errors.argmin(0)
    np.testing.assert_allclose(fit.alpha, whole.alpha[best, np.arange(6)], rtol=1e-6)
    np.testing.assert_allclose(fit.coef, whole.coef[:, best, np.arange(6)], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.predict(x[:3]), (x[:3] - x.mean(0)) @ fit.coef + y.mean(0))


def test_the_smaller_fraction_wins_ties():
    fit = fractional_cv(np.full((20, 3), 2.0), data()[1][:20], 4, [0.8, 0.2, 0.5])
    assert (fit.fraction == 0.2).all()
    np.testing.assert_array_equal(fit.fractions, [0.2, 0.5, 0.8])
    assert (fit.coef == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"fractions": [0.5, 0.0]},
            r"fractions, found \[0.5, 0.0\], expected numbers above 0 and up to 1, where 1 is no shrinkage",
        ),
        ({"fractions": [1.1]}, r"fractions, found \[1.1\]"),
        ({"fractions": [np.nan]}, r"fractions, found \[nan\]"),
        ({"fractions": []}, r"fractions, found \[\]"),
        ({"x": np.full((20, 3), np.nan)}, r"fractional ridge: found 60 NaN or infinite features, first at \[0, 0\]"),
        ({"y": np.zeros((19, 2))}, r"fractional ridge: found x \(20, 3\) and y \(19, 2\), expected"),
    ],
)
@pytest.mark.parametrize("function", [fractional_ridge, fractional_cv])
def test_refusals(function, change, message):
    given = {"x": np.random.default_rng(0).normal(size=(20, 3)), "y": np.eye(20)[:, :2], "fractions": [0.5]} | change
    with pytest.raises(DataError, match=message):
        function(**given)
