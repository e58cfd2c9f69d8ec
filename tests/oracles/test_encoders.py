"""Ridge, scores, ceilings and the factorised readout against other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.ceilings import step_up
from isocortex.encoding.decomposition import basis_of_kernel
from isocortex.encoding.penalties import fold_predictions
from isocortex.encoding.readouts.factorized import FactorizedFit, normalize, penalty_l1, read_out
from isocortex.encoding.ridge import ridge_cv
from isocortex.encoding.scores import fev_single_trials, pearson, r2_score
from isocortex.inference.fdr import benjamini_hochberg


@pytest.fixture
def load(oracles):
    def load(name):
        with np.load(oracles / "encoders" / f"{name}.npz") as file:
            return {key.partition("_")[2]: file[key] for key in file.files}

    return load


def contiguous(n, k):
    sizes = np.full(k, n // k)
    sizes[: n % k] += 1
    return np.split(np.arange(n), np.cumsum(sizes)[:-1])


RIDGES = [
    ("himalaya_ridgecv_a", 5, True, False),
    ("himalaya_ridgecv_b", 3, False, False),
    ("himalaya_ridgecv_c_shared_alpha", 5, True, True),
    ("himalaya_kernelridgecv_a", 5, False, False),
    ("himalaya_kernelridgecv_b", 3, True, False),
]


@pytest.mark.parametrize(("name", "k", "intercept", "shared"), RIDGES)
def test_himalaya(load, name, k, intercept, shared):
    ref = load(name)
    fit = ridge_cv(
        ref["X"],
        ref["Y"],
        contiguous(len(ref["X"]), k),
        ref["alphas"],
        fit_intercept=intercept,
        standardize=False,
        shared_alpha=shared,
    )
    np.testing.assert_allclose(fit.alphas, ref["best_alphas"], rtol=1e-12)
    np.testing.assert_allclose(fit.predict(ref["Xtest"]), ref["pred"], rtol=1e-6, atol=1e-8)
    if "coef" in ref:
        np.testing.assert_allclose(fit.coef, ref["coef"], rtol=1e-6, atol=1e-8)
    if "primal" in ref:
        np.testing.assert_allclose(fit.coef, ref["primal"], rtol=1e-6, atol=1e-8)
    if not shared:
        np.testing.assert_allclose(-fit.errors.min(0), ref["cv_scores"], rtol=1e-6)


@pytest.mark.parametrize(("name", "intercept"), [("sklearn_ridgecv_loo_a", True), ("sklearn_ridgecv_loo_b", False)])
def test_sklearn_leave_one_out(load, name, intercept):
    ref = load(name)
    fit = ridge_cv(
        ref["X"], ref["Y"], contiguous(len(ref["X"]), len(ref["X"])), ref["alphas"], fit_intercept=intercept, standardize=False
    )
    np.testing.assert_allclose(fit.alphas, ref["alpha"], rtol=1e-12)
    np.testing.assert_allclose(fit.errors, ref["loo_mse"][np.argsort(ref["alphas"])], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.coef, ref["coef"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.predict(ref["Xtest"]), ref["pred"], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "k"), [("heldout_residual_identity_kfold5", 5), ("heldout_residual_identity_loo", 25)])
def test_held_out_residuals(load, name, k):
    ref = load(name)
    x, y, alphas = (torch.as_tensor(ref[key]) for key in ("X", "Y", "alphas"))
    rows = torch.arange(len(x))
    for part in contiguous(len(x), k):
        other = torch.as_tensor(part)
        train = rows[~torch.isin(rows, other)]
        basis = basis_of_kernel(x @ x.T, train, other)
        residual = y[other] - fold_predictions(basis, y[train], alphas)
        np.testing.assert_allclose(residual.numpy(), ref["residuals"][:, part], rtol=1e-6, atol=1e-8)


def test_correlation_as_in_himalaya_but_for_constants(load):
    ref = load("himalaya_scores_a")
    for number, predicted in enumerate(ref["y_pred"]):
        r = pearson(predicted, ref["y_true"])
        constant = (np.ptp(predicted, axis=0) == 0) | (np.ptp(ref["y_true"], axis=0) == 0)
        assert np.isnan(r[constant]).all()
        np.testing.assert_allclose(r[~constant], ref["corr"][number][~constant], rtol=1e-6, atol=1e-8)
        r2 = r2_score([predicted], [ref["y_true"]], [ref["y_true"].mean(0)])
        varied = np.ptp(ref["y_true"], axis=0) > 0
        np.testing.assert_allclose(r2[varied], ref["r2"][number][varied], rtol=1e-6, atol=1e-8)
        assert np.isnan(r2[~varied]).all()


def test_fraction_of_explainable_variance(load):
    ref = load("fev_ccnorm_a")
    expected = np.where(ref["fev"] >= 0.15, ref["feve"], np.nan)  # below, the ratio is unstable and left out
    assert np.isfinite(expected).sum() >= 3
    np.testing.assert_allclose(fev_single_trials(ref["data"], ref["pred"]), expected, rtol=1e-6, atol=1e-8)


def test_spearman_brown(load):
    ref = load("splithalf_sb_a")
    positive = ref["r_half"] >= 0
    np.testing.assert_allclose(step_up(ref["r_half"], 2.0)[positive], ref["r_sb"][positive], rtol=1e-6, atol=1e-8)
    for split, order in enumerate(ref["perms"]):
        half = len(order) // 2
        r = pearson(ref["data"][order[:half]].mean(0), ref["data"][order[half : 2 * half]].mean(0))
        np.testing.assert_allclose(r, ref["r_half"][split], rtol=1e-6, atol=1e-8)


def test_false_discovery_rate(load):
    ref = load("fdr_perm_a")
    np.testing.assert_allclose(benjamini_hochberg(ref["p"]), ref["bh"], rtol=1e-12, atol=1e-14)


def test_factorized_readout(load):
    ref = load("factorized_readout_a")
    x, spatial, features, bias = (torch.as_tensor(ref[key]) for key in ("x", "spatial", "features", "bias"))
    np.testing.assert_allclose(read_out(x, normalize(spatial), features, bias).numpy(), ref["y"], rtol=1e-9, atol=1e-10)
    wide = FactorizedFit(normalize(spatial).numpy(), ref["features"], ref["bias"], None, 0)
    np.testing.assert_allclose(wide.predict(ref["x"]), ref["y"], rtol=1e-9, atol=1e-10)
    # neuralpredictors multiplies every mask's norm with every feature norm (a broadcast of (v, 1) with (v,)); ours pairs them.
    masks, weights = normalize(spatial).flatten(1).abs().sum(1), features.abs().sum(1)
    assert float((masks[:, None] * weights).sum()) == pytest.approx(float(ref["l1"]), rel=1e-9)
    assert float(penalty_l1(normalize(spatial), features)) == pytest.approx(float((masks * weights).sum()), rel=1e-12)
