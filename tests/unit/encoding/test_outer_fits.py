"""Encoders beside ridge, nested: against scikit-learn and a naive loop on z-scored features; permuted responses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import PLSRegression

from isocortex.encoding.encoders.fractional import fit_fractional
from isocortex.encoding.encoders.pls import fit_pls
from isocortex.encoding.kernels import z_scored
from isocortex.encoding.nested import fit_permuted, inner_score, outer_kernel
from isocortex.encoding.scores import fold_moments
from isocortex.encoding.splits import make_splits


@pytest.fixture(params=[(60, 15), (40, 90)], ids=["n > p", "n < p"])
def world(request):
    n, p = request.param
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p)) * np.logspace(0, -1, p) + 2
    y = x @ rng.normal(size=(p, 6)) / p**0.5 + np.logspace(-1, 0.5, 6) * rng.normal(size=(n, 6))
    outer = make_splits([f"s{index}" for index in range(n)], test=0.25, folds=4)["outer"][0]
    z, _ = z_scored(torch.as_tensor(x), torch.as_tensor(outer["train"]))
    return z.numpy(), y, outer, outer_kernel(z @ z.T, outer)


def each_fit(outer):
    """Training and held-out rows of every inner fold, and of the outer split."""
    train = np.array(outer["train"])
    for part in outer["inner"]:
        yield np.setdiff1d(train, part), np.array(part), "oof"
    yield train, np.array(outer["test"]), "test"


def test_pls_is_that_of_scikit_learn_on_z_scores(world):
    z, y, outer, kernel = world
    fit = fit_pls(kernel, torch.as_tensor(y), {"components": 3})
    for rows, held, name in each_fit(outer):
        model = PLSRegression(3, scale=False, tol=1e-12, max_iter=5000).fit(z[rows], y[rows])
        made = fit.test if name == "test" else fit.oof[np.searchsorted(outer["train"], held)]
        np.testing.assert_allclose(made.numpy(), model.predict(z[held]), atol=1e-5)
    assert fit.alphas.isnan().all()


def naive_fraction(x, y, share):
    """Weights whose length is a share of those of least squares, by bisection on the penalty, neuroid by neuroid."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    keep = s > 1e-6 * s[0]
    u, s, vt = u[:, keep], s[keep], vt[keep]
    z = u.T @ y
    low, high = -30.0, 30.0
    for _ in range(200):
        middle = (low + high) / 2
        longer = np.linalg.norm(s * z / (s**2 + np.exp(middle))) > share * np.linalg.norm(z / s)
        low, high = (middle, high) if longer else (low, middle)
    return vt.T @ (s * z / (s**2 + (np.exp(middle) if share < 1 else 0.0)))


def test_fractions_are_chosen_and_fitted_as_a_loop_would(world):
    z, y, outer, kernel = world
    shares = [0.2, 0.5, 0.9]
    fit = fit_fractional(kernel, torch.as_tensor(y), {"fractions": shares})
    for column in range(y.shape[1]):
        errors, predicted = [], []
        for share in shares:
            error = 0.0
            made = {}
            for rows, held, name in each_fit(outer):
                mean_x, mean_y = z[rows].mean(0), y[rows, column].mean()
                weights = naive_fraction(z[rows] - mean_x, y[rows, column] - mean_y, share)
                made[name, held[0]] = (z[held] - mean_x) @ weights + mean_y
                if name == "oof":
                    error += ((made[name, held[0]] - y[held, column]) ** 2).mean()
            errors.append(error)
            predicted.append(made)
        best = int(np.argmin(errors))
        for _, held, name in each_fit(outer):
            ours = fit.test if name == "test" else fit.oof[np.searchsorted(outer["train"], held)]
            np.testing.assert_allclose(ours[:, column].numpy(), predicted[best][name, held[0]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("fit", "options", "together"), [(fit_pls, {"components": 2}, True), (fit_fractional, {}, False)])
def test_permuted_fits(world, fit, options, together):
    _, y, outer, kernel = world
    y = torch.as_tensor(y)
    orders = np.stack([np.random.default_rng(k).permutation(len(y)) for k in range(3)])
    inner, tested = fit_permuted(fit, kernel, y, orders, options, together=together)
    for number, order in enumerate(orders):
        permuted = y[torch.as_tensor(order)]
        made = fit(kernel, permuted, options)
        np.testing.assert_allclose(tested[:, number], fold_moments(made.test, permuted[outer["test"]]).numpy(), rtol=1e-5)
        assert inner[number] == pytest.approx(float(inner_score(kernel, made.oof, permuted).quantile(0.5)), abs=1e-9)


def test_a_constant_neuroid_and_one_neuroid(world):
    _, y, _, kernel = world
    y = torch.as_tensor(y)
    y[:, 2] = 3.0
    for fit, options in ((fit_pls, {"components": 50}), (fit_fractional, {})):
        made, alone = fit(kernel, y, options), fit(kernel, y[:, :1], options)
        assert made.test.shape[1] == 6
        spread = made.test[:, 2] - made.test[0, 2]
        assert bool(made.test[:, 2].isnan().all()) or float(spread.abs().max()) < 1e-9
        assert bool(made.test[:, [0, 1, 3, 4, 5]].isfinite().all())
        assert bool(alone.test.isfinite().all())
