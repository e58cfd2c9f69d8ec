"""Ridge against a naive loop and scikit-learn; nested fits; permuted fits; degenerate input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from isocortex.encoding.decomposition import basis_of_features, basis_of_kernel
from isocortex.encoding.kernels import decompositions, z_scored
from isocortex.encoding.nested import fit_permuted, inner_score, outer_kernel
from isocortex.encoding.penalties import alpha_grid, select
from isocortex.encoding.ridge import fit_outer, ridge_cv
from isocortex.encoding.scores import foldwise_r, r_of_moments
from isocortex.encoding.splits import make_splits
from isocortex.errors import DataError

SHAPES = {"n > p": (60, 12), "n < p": (40, 130), "rank-deficient": (50, 20)}


def data(name="n > p", v=7, seed=0):
    n, p = SHAPES[name]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    if name == "rank-deficient":
        x[:, 10:] = x[:, :10] @ rng.normal(size=(10, 10))
    y = x @ rng.normal(size=(p, v)) / p**0.5 + np.logspace(-1, 1, v) * rng.normal(size=(n, v)) + 5
    return x, y


def naive(x, y, folds, alphas):
    """Everything by solving, in float64: errors (A, v), chosen (v,), coef, intercept, with an intercept per fold."""
    errors = np.zeros((len(alphas), y.shape[1]))
    for number, alpha in enumerate(alphas):
        for part in folds:
            train = np.setdiff1d(np.arange(len(x)), part)
            model = Ridge(alpha=alpha, solver="svd").fit(x[train], y[train])
            errors[number] += ((model.predict(x[part]) - y[part]) ** 2).mean(0) / len(folds)
    chosen = alphas[len(alphas) - 1 - errors[::-1].argmin(0)]
    models = [Ridge(alpha=alpha, solver="svd").fit(x, y[:, column]) for column, alpha in enumerate(chosen)]
    return errors, chosen, np.stack([m.coef_ for m in models], 1), np.array([m.intercept_ for m in models])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("centred", [True, False])
def test_against_the_naive_loop(name, centred):
    x, y = data(name)
    x = x if centred else x + 3
    folds = np.array_split(np.random.default_rng(1).permutation(len(x)), 4)
    alphas = np.logspace(-2, 4, 9)
    errors, chosen, coef, intercept = naive(x, y, folds, alphas)
    fit = ridge_cv(x, y, folds, alphas[::-1], standardize=False)
    np.testing.assert_allclose(fit.errors, errors, rtol=1e-8)
    np.testing.assert_allclose(fit.alphas, chosen)
    np.testing.assert_allclose(fit.coef, coef, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.predict(x[:5]), x[:5] @ coef + intercept, rtol=1e-8)


def test_standardized_features_do_not_depend_on_units():
    x, y = data()
    first, second = ridge_cv(x, y), ridge_cv(x * np.logspace(-3, 3, x.shape[1]) + 7, y)
    np.testing.assert_allclose(first.predict(x), second.predict(x * np.logspace(-3, 3, x.shape[1]) + 7), rtol=1e-6)


def test_torch_stays_torch():
    x, y = data()
    fit = ridge_cv(torch.as_tensor(x), torch.as_tensor(y))
    assert isinstance(fit.coef, torch.Tensor)
    np.testing.assert_allclose(fit.coef.numpy(), ridge_cv(x, y).coef)


@pytest.mark.parametrize("centre", [True, False])
def test_primal_and_kernel_bases_agree(centre):
    x = torch.as_tensor(data("rank-deficient")[0]) + 1
    rows = torch.arange(len(x))
    primal = basis_of_features(x, rows[:30], rows[30:], centre)
    kernel = basis_of_kernel(x @ x.T, rows[:30], rows[30:], centre)
    assert len(primal.values) == len(kernel.values) <= 11
    np.testing.assert_allclose(primal.values, kernel.values, rtol=1e-9)
    for one, other in ((primal.vectors, kernel.vectors), (primal.cross, kernel.cross)):
        np.testing.assert_allclose((one @ primal.vectors.T).numpy(), (other @ kernel.vectors.T).numpy(), atol=1e-8)


def test_the_larger_penalty_wins_ties():
    alphas = torch.tensor([1.0, 2.0, 3.0])
    errors = torch.tensor([[1.0, 0.5, 2.0], [1.0, 0.5, 1.0], [1.0, 0.7, 3.0]])
    assert select(errors, alphas).tolist() == [2, 1, 1]


def test_constant_features_predict_the_mean():
    x, y = np.full((30, 4), 2.5), data()[1][:30]
    fit = ridge_cv(x, y)
    np.testing.assert_allclose(fit.predict(x), np.tile(y.mean(0), (30, 1)))
    assert (fit.alphas == fit.grid[-1]).all()


def test_constant_and_missing_neuroids_come_back_as_nan():
    x, y = data()
    y[:, 1], y[3, 4] = 2.0, np.nan
    fit = ridge_cv(x, y)
    bad = np.isin(np.arange(y.shape[1]), [1, 4])
    assert np.isnan(fit.alphas).tolist() == bad.tolist()
    assert np.isnan(fit.predict(x)).all(0).tolist() == bad.tolist()
    one = ridge_cv(x, y[:, [0]])
    np.testing.assert_allclose(one.coef[:, 0], fit.coef[:, 0], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.full((20, 3), np.nan)}, r"found 60 NaN or infinite features, first at \[0, 0\]"),
        ({"y": np.zeros((19, 2))}, r"found x \(20, 3\) and y \(19, 2\), expected \(stimuli, features\)"),
        ({"alphas": [0.0, 1.0]}, "zero is not a penalty"),
        ({"alphas": "best"}, "found 'best', expected 'auto'"),
        ({"folds": 11}, "found 20 training stimuli and 11 folds"),
        ({"folds": 1}, "found 20 training stimuli and 1 folds"),
    ],
)
def test_refusals(change, message):
    rng = np.random.default_rng(0)
    arguments = {"x": rng.normal(size=(20, 3)), "y": rng.normal(size=(20, 2)), "folds": 4, "alphas": "auto", **change}
    with pytest.raises(DataError, match=message) as caught:
        ridge_cv(**arguments)
    assert "\n" not in str(caught.value)


def nested(name, stored=False):
    x, y = data(name)
    outer = make_splits([f"s{index}" for index in range(len(x))], test=0.25, folds=4)["outer"][0]
    scores, _ = z_scored(torch.as_tensor(x), torch.as_tensor(outer["train"]))
    gram = scores @ scores.T
    return x, y, outer, outer_kernel(gram, outer, dict(decompositions(gram, outer)) if stored else None)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("stored", [True, False])
def test_a_nested_fit_is_ridge_cv_on_training_rows(name, stored):
    x, y, outer, kernel = nested(name, stored)
    fit = fit_outer(kernel, torch.as_tensor(y), {})
    train = np.array(outer["train"])
    folds = [np.searchsorted(train, part) for part in outer["inner"]]
    public = ridge_cv(x[train], y[train], folds)
    np.testing.assert_allclose(fit.alphas, public.alphas, rtol=1e-9)
    np.testing.assert_allclose(fit.test.numpy(), public.predict(x[outer["test"]]), rtol=1e-6, atol=1e-8)
    for part in folds:
        rest = np.setdiff1d(np.arange(len(train)), part)
        scaled = (x[train] - public.x_mean) / public.x_scale
        for column, alpha in enumerate(public.alphas):
            model = Ridge(alpha=alpha, solver="svd").fit(scaled[rest], y[train][rest, column])
            np.testing.assert_allclose(fit.oof[part, column], model.predict(scaled[part]), rtol=1e-5, atol=1e-7)
    assert public.alpha_at_edge == pytest.approx(fit.alpha_at_edge)


def test_permuted_fits_are_fits_of_permuted_responses():
    _, y, outer, kernel = nested("n < p")
    y = torch.as_tensor(y)
    orders = np.stack([np.random.default_rng(k).permutation(len(y)) for k in range(3)])
    inner, tested = fit_permuted(fit_outer, kernel, y, orders, {})
    for number, order in enumerate(orders):
        permuted = y[torch.as_tensor(order)]
        fit = fit_outer(kernel, permuted, {})
        expected = foldwise_r([fit.test], [permuted[torch.as_tensor(outer["test"])]])
        found = r_of_moments(torch.as_tensor(tested[:, number], dtype=torch.float64))
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)
        assert inner[number] == pytest.approx(float(inner_score(kernel, fit.oof, permuted).median()), abs=1e-9)


def test_auto_penalties_follow_the_spectrum():
    grid = alpha_grid(50.0)
    assert len(grid) == 20
    assert grid[[0, -1]] == pytest.approx([5e-5, 5e3])
    assert alpha_grid(0.0)[-1] == pytest.approx(100)
    assert alpha_grid(1.0, [3, 1, 2]).tolist() == [1, 2, 3]
