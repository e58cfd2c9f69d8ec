"""Joint fits on arrays: held-out residuals against refits, kernels that start equal, draws of shares, groups left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from isocortex.encoding.inverses import held_out_residuals
from isocortex.encoding.joint.banded import fit_banded
from isocortex.encoding.joint.spaces import Spaces
from isocortex.encoding.joint.stacking import fit_stacking
from isocortex.encoding.nested import outer_kernel
from isocortex.encoding.partition import partition_draws, product_draws, product_measure, r2_draws, unique_shared
from isocortex.encoding.ridge_input import largest_eigenvalue

N, V = 50, 4
# Penalties that are told apart: of a space of few features all small ones fit alike, and rounding would choose among them.
FITS = {
    "banded": (fit_banded, {"candidates": 3, "seed": 2, "alphas": [0.1, 3.0, 100.0]}),
    "stacking": (fit_stacking, {}),
}


def split(seed=0):
    order = np.random.default_rng(seed).permutation(N)
    train = np.sort(order[:40])
    return {"train": train.tolist(), "test": np.sort(order[40:]).tolist(), "inner": [train[k::4].tolist() for k in range(4)]}


def spaces(groups, seed=0):
    """Spaces of different width and scale, and responses that all of them drive."""
    rng = np.random.default_rng(seed)
    features = [rng.normal(size=(N, 3 + 2 * number)) * 10**number for number in range(len(groups))]
    y = sum(x @ rng.normal(size=(x.shape[1], V)) / x.std() for x in features) + 2 * rng.normal(size=(N, V))
    kernels = [outer_kernel(x @ x.T, split()) for x in features]
    return Spaces(kernels.__getitem__, groups), torch.as_tensor(y), features


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-3)])
def test_held_out_residuals_are_those_of_refits(centre, dtype, tolerance):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 40)), rng.normal(size=(30, 5))
    x, y = (x - x.mean(0), y - y.mean(0)) if centre else (x, y)
    alphas = np.array([1e-3, 1.0, 1.0, 30.0, 1e4])
    parts = [np.arange(k, 30, 3) for k in range(3)]
    expected = np.empty_like(y)
    for part in parts:
        rest = np.setdiff1d(np.arange(30), part)
        for column, alpha in enumerate(alphas):
            model = Ridge(alpha=alpha, solver="svd", fit_intercept=centre).fit(x[rest], y[rest, column])
            expected[part, column] = y[part, column] - model.predict(x[part])
    kernel, rows = torch.as_tensor(x @ x.T), torch.arange(30)
    folds = [(rows[~torch.isin(rows, torch.as_tensor(part))], torch.as_tensor(part)) for part in parts]
    size = largest_eigenvalue(kernel, centre)
    found = held_out_residuals(kernel, torch.as_tensor(y).to(dtype), folds, torch.as_tensor(alphas), size, centre)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), expected, atol=tolerance)


def test_a_kernel_without_variance_leaves_the_mean():
    y = torch.as_tensor(np.random.default_rng(0).normal(size=(12, 2)))
    y, rows = y - y.mean(0), torch.arange(12)
    parts = rows.split(4)
    folds = [(rows[~torch.isin(rows, part)], part) for part in parts]
    nothing = torch.zeros(12, 12, dtype=torch.float64)
    found = held_out_residuals(nothing, y, folds, torch.ones(2, dtype=torch.float64), 0.0, True)
    expected = torch.cat([y[part] - y[train].mean(0) for train, part in folds])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_spaces_start_equal():
    some, _, features = spaces([0, 1, 1])
    inside, outside = some.equalised
    train, test = (np.array(split()[name]) for name in ("train", "test"))
    np.testing.assert_allclose(inside.diagonal(dim1=1, dim2=2).mean(1), 1)
    for number, x in enumerate(features):
        scale = (x[train] ** 2).sum(1).mean()
        np.testing.assert_allclose(inside[number], x[train] @ x[train].T / scale)
        np.testing.assert_allclose(outside[number], x[test] @ x[train].T / scale)
    assert (some.n_groups, some.of_group(1), some.but_group(1)) == (2, [1, 2], [0])
    flat = Spaces(lambda _: outer_kernel(np.zeros((N, N)), split()), [0])
    assert (flat.equalised[0] == 0).all()


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("groups", [[0, 1], [0, 1, 1], [0, 1, 2]])
def test_a_group_is_left_out_and_taken_alone(name, groups):
    fit, options = FITS[name]
    some, y, _ = spaces(groups)
    whole = fit(some, y, options)
    mean = y[split()["train"]].mean(0)
    np.testing.assert_allclose(whole.parts.sum(0) + mean, whole.outer.test, atol=1e-10)
    np.testing.assert_allclose(whole.weights.sum(0), 1)
    assert (whole.weights >= 0).all()
    assert whole.outer.oof.shape == (40, V)
    for group in range(some.n_groups):
        for kept, predicted in ((some.of_group(group), whole.alone[group]), (some.but_group(group), whole.without[group])):
            # A space twice is as good as once, and a fit is of two or more.
            names = kept if len(kept) > 1 else kept * 2
            again = Spaces(lambda number, names=names: some.read(names[number]), list(range(len(names))))
            np.testing.assert_allclose(predicted, fit(again, y, options).outer.test, atol=1e-8)


def test_one_space_alone_is_ridge():
    some, y, features = spaces([0, 1])
    whole = fit_banded(some, y, {"candidates": 2, "alphas": [0.5]})
    train, test = (np.array(split()[name]) for name in ("train", "test"))
    for number, x in enumerate(features):
        scaled = x / np.sqrt((x[train] ** 2).sum(1).mean())
        model = Ridge(alpha=0.5, solver="svd").fit(scaled[train], y[train].numpy())
        np.testing.assert_allclose(whole.alone[number], model.predict(scaled[test]), atol=1e-9)
        np.testing.assert_allclose(whole.without[1 - number], model.predict(scaled[test]), atol=1e-9)


def test_draws_of_shares_are_those_of_duplicated_rows():
    rng = np.random.default_rng(0)
    y, mean = rng.normal(size=(20, V)), rng.normal(size=V)
    parts = rng.normal(size=(3, 20, V))
    joint = parts.sum(0) + mean
    models = np.concatenate([joint[None], joint + rng.normal(size=(3, 20, V))])
    weights = rng.multinomial(20, np.full(20, 0.05), size=6)
    r2, product = r2_draws(y, models, weights, mean), product_draws(y, parts, weights, mean)
    assert (r2.shape, product.shape) == ((4, 6, V), (3, 6, V))
    for draw, counts in enumerate(weights):
        rows = np.repeat(np.arange(20), counts)
        total = ((y[rows] - mean) ** 2).sum(0)
        expected = 1 - ((y[rows] - models[:, rows]) ** 2).sum(1) / total
        np.testing.assert_allclose(r2[:, draw], expected, rtol=1e-10)
        np.testing.assert_allclose(product[:, draw], product_measure(y[rows], parts[:, rows], mean), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(product.sum(0), r2[0], rtol=1e-9)
    split_ = partition_draws(y, joint, models[1:], weights, mean)
    found = unique_shared(r2[0], r2[1:])
    np.testing.assert_allclose(split_, np.concatenate([r2[:1], found.unique, found.shared[None]]), rtol=1e-9, atol=1e-12)
    nothing = np.zeros_like(weights)
    assert np.isnan(r2_draws(y, models, nothing, mean)).all()
    assert np.isnan(product_draws(y, parts, nothing, mean)).all()
