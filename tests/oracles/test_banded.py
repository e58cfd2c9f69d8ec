"""Banded ridge, splits of its scores and stacking against himalaya and a general solver."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from isocortex.encoding.banded import banded_ridge_cv
from isocortex.encoding.dirichlet import candidates, dirichlet_candidates
from isocortex.encoding.partition import correlation_split, product_measure, relative_weights
from isocortex.encoding.stacking import residual_products, stack

# Folds of the reference run of each file.
GROUPED = [("himalaya_groupridge_a", 5), ("himalaya_groupridge_b", 4)]


@pytest.fixture
def load(oracles):
    index = {row["name"]: row for row in json.loads((oracles / "encoders" / "index.json").read_text())["oracles"]}

    def load(name):
        with np.load(oracles / "encoders" / f"{name}.npz") as file:
            return {key.partition("_")[2]: file[key] for key in file.files}, index[name]["tolerance"]

    return load


def spaces_of(ref, x):
    return [x[:, ref["groups"] == number] for number in np.unique(ref["groups"])]


def as_kernels(ref, x):
    pairs = zip(spaces_of(ref, x), spaces_of(ref, ref["X"]), strict=True)
    return np.stack([one @ other.T for one, other in pairs])


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(("name", "k"), GROUPED)
def test_banded_ridge(load, name, k, kind):
    ref, tolerance = load(name)
    convert = np.asarray if kind == "numpy" else torch.as_tensor
    spaces = [convert(x) for x in spaces_of(ref, ref["X"])]
    settings = {"fit_intercept": False, "standardize": False}
    fit = banded_ridge_cv(spaces, convert(ref["Y"]), k, ref["alphas"], ref["gammas"], **settings)
    test = [convert(x) for x in spaces_of(ref, ref["Xtest"])]
    assert isinstance(fit.predict(test), type(spaces[0]))
    np.testing.assert_allclose(fit.deltas, ref["deltas"], **tolerance)
    np.testing.assert_allclose(fit.cv_scores, ref["cv_scores"], **tolerance)
    np.testing.assert_allclose(np.concatenate(fit.coef), ref["coef"], **tolerance)
    np.testing.assert_allclose(fit.predict(test), ref["pred"], **tolerance)
    np.testing.assert_allclose(fit.predict_split(test), ref["pred_split"], **tolerance)


@pytest.mark.parametrize(("name", "k"), GROUPED)
def test_banded_ridge_from_kernels(load, name, k):
    ref, tolerance = load(name)
    kernels = as_kernels(ref, ref["X"])
    fit = banded_ridge_cv(kernels, ref["Y"], k, ref["alphas"], ref["gammas"], fit_intercept=False, kernels=True)
    np.testing.assert_allclose(fit.deltas, ref["deltas"], **tolerance)
    np.testing.assert_allclose(fit.cv_scores, ref["cv_scores"], **tolerance)
    np.testing.assert_allclose(fit.predict_split(as_kernels(ref, ref["Xtest"])), ref["pred_split"], **tolerance)


@pytest.mark.parametrize(("name", "k"), GROUPED)
def test_banded_ridge_in_float32(load, name, k):
    # The smallest penalty, 1e-2, lies below 2e-5 of the largest eigenvalue here and is computed in float64: scores then differ
    # by the rounding of the inputs and of sums of squares only.
    ref, _ = load(name)
    spaces = [x.astype(np.float32) for x in spaces_of(ref, ref["X"])]
    settings = {"fit_intercept": False, "standardize": False}
    fit = banded_ridge_cv(spaces, ref["Y"].astype(np.float32), k, ref["alphas"], ref["gammas"], **settings)
    assert fit.cv_scores.dtype == np.float32
    np.testing.assert_allclose(fit.deltas, ref["deltas"], rtol=1e-5)
    np.testing.assert_allclose(fit.cv_scores, ref["cv_scores"], rtol=1e-4)
    np.testing.assert_allclose(fit.predict(spaces_of(ref, ref["Xtest"].astype(np.float32))), ref["pred"], rtol=1e-3, atol=1e-4)


def test_dirichlet_candidates(load):
    ref, tolerance = load("himalaya_dirichlet_a")
    found = dirichlet_candidates(9, 3, tuple(ref["concentration"]), seed=131)
    np.testing.assert_allclose(found, ref["gammas"], **tolerance)
    first = candidates(9, 3, seed=131)
    np.testing.assert_allclose(first[1:], ref["gammas"][1:], **tolerance)
    np.testing.assert_allclose(first[0], 1 / 3)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(("name", "k"), GROUPED)
def test_split_scores(load, name, k, kind):
    ref, tolerance = load(name)
    convert = np.asarray if kind == "numpy" else torch.as_tensor
    y, parts = convert(ref["Ytest_centred"]), convert(ref["pred_split"])
    np.testing.assert_allclose(product_measure(y, parts), ref["r2_split"], **tolerance)
    np.testing.assert_allclose(relative_weights(y, parts), ref["r2_split_svd"], **tolerance)
    np.testing.assert_allclose(correlation_split(y, parts), ref["corr_split"], **tolerance)


def test_joint_scores_but_for_constants(load):
    # A space that makes the whole prediction has the whole score. Constant columns are NaN here and 0 in the reference.
    ref, tolerance = load("himalaya_scores_a")
    varies = np.ptp(ref["y_true"], axis=0) > 0
    for number, predicted in enumerate(ref["y_pred"]):
        r2 = product_measure(ref["y_true"], (predicted - ref["y_true"].mean(0))[None])[0]
        np.testing.assert_allclose(r2[varies], ref["r2"][number][varies], **tolerance)
        r = correlation_split(ref["y_true"], predicted[None])[0]
        both = varies & (np.ptp(predicted, axis=0) > 0)
        np.testing.assert_allclose(r[both], ref["corr"][number][both], **tolerance)
        assert np.isnan(r2[~varies]).all()
        assert np.isnan(r[~both]).all()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_stacking(load, kind):
    ref, tolerance = load("stacking_simplex_a")
    convert = np.asarray if kind == "numpy" else torch.as_tensor
    weights = np.asarray(stack(convert(ref["cv_pred"]), convert(ref["y"])))
    np.testing.assert_allclose(weights, ref["weights"], **tolerance)
    products = np.asarray(residual_products(ref["cv_pred"], ref["y"]))
    loss = np.einsum("iv,vij,jv->v", weights, products, weights)
    np.testing.assert_allclose(loss, ref["loss"], **tolerance)
    assert (loss <= ref["loss"] * (1 + 1e-9)).all()  # the exact optimum is at or below what the solver stopped at
