"""Input at the edge of sense, for every encoder and algorithm: one defined answer, or a clear refusal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.algorithms import ALGORITHMS
from isocortex.encoding.encoders.fractional import fit_fractional
from isocortex.encoding.encoders.pls import fit_pls
from isocortex.encoding.kernels import z_scored
from isocortex.encoding.nested import outer_kernel
from isocortex.encoding.ridge import fit_outer, ridge_cv
from isocortex.encoding.splits import make_splits
from isocortex.errors import DataError

DTYPES = [np.float64, np.float32]
NESTED = [(fit_outer, {"algorithm": name}) for name in ALGORITHMS] + [(fit_pls, {"components": 25}), (fit_fractional, {})]
NAMES = [*ALGORITHMS, "pls", "fractional"]


def data(n=40, p=10, v=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    return x, x @ rng.normal(size=(p, v)) / p**0.5 + rng.normal(size=(n, v))


def nested(x):
    """The outer split of a study, and the kernel of its z-scored features."""
    outer = make_splits([f"s{index}" for index in range(len(x))], test=0.25, folds=3)["outer"][0]
    z, _ = z_scored(torch.as_tensor(x), torch.as_tensor(outer["train"]))
    return outer, outer_kernel(z @ z.T, outer)


def test_fewer_stimuli_than_folds():
    x, y = data(n=4)
    with pytest.raises(
        DataError, match="found 4 training stimuli and 5 folds, expected 2 folds or more and 2 stimuli for each"
    ):
        ridge_cv(x, y, 5)
    with pytest.raises(DataError, match=r"splits: found 4 training stimuli of 4, expected at least 10|splits: found 4"):
        make_splits(list("abcd"), test=0.0, folds=5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_many_more_features_than_stimuli(algorithm, dtype):
    x, y = (part.astype(dtype) for part in data(n=20, p=2000))
    fit = ridge_cv(x, y, 4, algorithm=algorithm)
    exact = ridge_cv(x.astype(np.float64), y.astype(np.float64), 4, fit.grid, algorithm="folds")
    np.testing.assert_allclose(fit.predict(x), exact.predict(x), atol=1e-8 if dtype == np.float64 else 2e-3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_duplicated_features_share_the_weight(algorithm):
    """Two copies of all features are the features at half the penalty."""
    x, y = data()
    twice = ridge_cv(np.hstack([x, x]), y, 4, [2.0, 20.0], standardize=False, algorithm=algorithm)
    once = ridge_cv(x, y, 4, [1.0, 10.0], standardize=False, algorithm=algorithm)
    np.testing.assert_allclose(twice.alphas, 2 * once.alphas)
    np.testing.assert_allclose(twice.coef[:10], once.coef / 2, atol=1e-9)
    np.testing.assert_allclose(twice.coef[10:], once.coef / 2, atol=1e-9)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_features_have_no_weight(algorithm, dtype):
    x, y = data()
    constant = np.hstack([x, np.full((40, 3), 0.1)]).astype(dtype)
    fit = ridge_cv(constant, y.astype(dtype), 4, algorithm=algorithm)
    without = ridge_cv(x.astype(dtype), y.astype(dtype), 4, fit.grid, algorithm=algorithm)
    assert (fit.coef[10:] == 0).all()
    np.testing.assert_allclose(fit.coef[:10], without.coef, atol=1e-9 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_of_zeros_predicts_the_mean(algorithm, dtype):
    _, y = (part.astype(dtype) for part in data())
    fit = ridge_cv(np.zeros((40, 6), dtype=dtype), y, 4, algorithm=algorithm)
    np.testing.assert_allclose(fit.predict(np.ones((3, 6), dtype=dtype)), np.tile(y.mean(0), (3, 1)), rtol=1e-5)
    assert (fit.alphas == fit.grid[-1]).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_and_missing_neuroids_change_nothing_for_the_others(algorithm, dtype):
    x, y = (part.astype(dtype) for part in data())
    spoiled = y.copy()
    spoiled[:, 1], spoiled[3, 4] = 7.0, np.nan
    fit, whole = (ridge_cv(x, part, 4, algorithm=algorithm) for part in (spoiled, y))
    for found in (fit.alphas, fit.coef[0], fit.intercept, fit.predict(x)[0]):
        assert np.isnan(found).tolist() == [False, True, False, False, True]
    np.testing.assert_allclose(fit.coef[:, [0, 2, 3]], whole.coef[:, [0, 2, 3]], rtol=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_neuroid_is_what_it_is_among_others(algorithm):
    x, y = data()
    alone, among = ridge_cv(x, y[:, [2]], 4, algorithm=algorithm), ridge_cv(x, y, 4, algorithm=algorithm)
    np.testing.assert_allclose(alone.coef[:, 0], among.coef[:, 2], rtol=1e-9)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_grid_of_one_penalty(algorithm):
    x, y = data()
    fit = ridge_cv(x, y, 4, [3.0], standardize=False, algorithm=algorithm)
    centred = x - x.mean(0)
    expected = np.linalg.solve(centred.T @ centred + 3 * np.eye(10), centred.T @ (y - y.mean(0)))
    np.testing.assert_allclose(fit.coef, expected, rtol=1e-9)
    assert fit.alpha_at_edge == 1


@pytest.mark.parametrize(("fit", "options"), NESTED, ids=NAMES)
def test_a_layer_of_zeros_in_a_study(fit, options):
    """Its z-scores have no columns: every held-out prediction is the training mean of the fold."""
    _, y = data()
    outer, kernel = nested(np.zeros((40, 6)))
    made = fit(kernel, torch.as_tensor(y), options)
    train = np.array(outer["train"])
    np.testing.assert_allclose(made.test.numpy(), np.tile(y[train].mean(0), (len(outer["test"]), 1)), atol=1e-9)
    for part in outer["inner"]:
        rest = np.setdiff1d(train, part)
        where = np.searchsorted(train, part)
        np.testing.assert_allclose(made.oof[where].numpy(), np.tile(y[rest].mean(0), (len(part), 1)), atol=1e-9)


@pytest.mark.parametrize(("fit", "options"), NESTED, ids=NAMES)
def test_one_feature_and_wide_features_in_a_study(fit, options):
    for p in (1, 500):
        x, y = data(p=p)
        _, kernel = nested(x)
        made = fit(kernel, torch.as_tensor(y), options)
        assert bool(made.test.isfinite().all())
        assert bool(made.oof.isfinite().all())
