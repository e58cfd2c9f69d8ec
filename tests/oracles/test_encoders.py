"""Ridge, scores and ceilings against other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.algorithms import ALGORITHMS
from isocortex.encoding.ceilings import step_up
from isocortex.encoding.decomposition import basis_of_kernel
from isocortex.encoding.leave_out import LeaveOut
from isocortex.encoding.penalties import fold_predictions
from isocortex.encoding.ridge import held_out, ridge_cv
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


KINDS = {
    "numpy": (np.asarray, 1e-6, 1e-8),
    "torch": (torch.as_tensor, 1e-6, 1e-8),
    # A held-out prediction in float32 is off by 2e-8 · s_max/α of its sd, s_max/α ≤ 5e4 (`precision`).
    "float32": (lambda x: np.asarray(x, dtype=np.float32), 1e-3, 1e-3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("name", "k", "intercept", "shared"), RIDGES)
def test_himalaya(load, name, k, intercept, shared, algorithm, kind):
    ref = load(name)
    make, rtol, atol = KINDS[kind]
    fit = ridge_cv(
        make(ref["X"]),
        make(ref["Y"]),
        contiguous(len(ref["X"]), k),
        ref["alphas"],
        fit_intercept=intercept,
        standardize=False,
        shared_alpha=shared,
        algorithm=algorithm,
    )
    same = np.isclose(np.asarray(fit.alphas), ref["best_alphas"], rtol=1e-6)
    # In float32 rounding decides between penalties that are as good as one another: the score they reach is the same (below).
    assert same.all() if kind != "float32" else same.mean() > 0.8
    coef = ref.get("coef", ref.get("primal"))
    predicted = np.asarray(fit.predict(make(ref["Xtest"])))
    np.testing.assert_allclose(predicted[:, same], ref["pred"][:, same], rtol=rtol, atol=atol)
    if coef is not None:
        np.testing.assert_allclose(np.asarray(fit.coef)[:, same], coef[:, same], rtol=rtol, atol=atol)
    if not shared:
        np.testing.assert_allclose(-np.asarray(fit.errors).min(0), ref["cv_scores"], rtol=rtol)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("name", "intercept"), [("sklearn_ridgecv_loo_a", True), ("sklearn_ridgecv_loo_b", False)])
def test_sklearn_leave_one_out(load, name, intercept, algorithm):
    ref = load(name)
    folds = contiguous(len(ref["X"]), len(ref["X"]))
    options = {"fit_intercept": intercept, "standardize": False, "algorithm": algorithm}
    fit = ridge_cv(ref["X"], ref["Y"], folds, ref["alphas"], **options)
    np.testing.assert_allclose(fit.alphas, ref["alpha"], rtol=1e-12)
    expected = ref["loo_mse"][np.argsort(ref["alphas"])]
    seen = np.isfinite(fit.errors)
    assert seen.all() or algorithm == "pruned"
    np.testing.assert_allclose(fit.errors[seen], expected[seen], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.coef, ref["coef"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.predict(ref["Xtest"]), ref["pred"], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("name", "k"), [("heldout_residual_identity_kfold5", 5), ("heldout_residual_identity_loo", 25)])
def test_held_out_residuals(load, name, k, dtype):
    """By a fit per fold, and by the leave-out identity from one decomposition."""
    ref = load(name)
    x, y, alphas = (torch.as_tensor(ref[key]) for key in ("X", "Y", "alphas"))
    rows = torch.arange(len(x))
    parts = [torch.as_tensor(part) for part in contiguous(len(x), k)]
    for other in parts:
        train = rows[~torch.isin(rows, other)]
        basis = basis_of_kernel(x @ x.T, train, other)
        residual = y[other] - fold_predictions(basis, y[train], alphas)
        np.testing.assert_allclose(residual.numpy(), ref["residuals"][:, other.numpy()], rtol=1e-6, atol=1e-8)
    source = LeaveOut(basis_of_kernel(x @ x.T, rows, rows[:1]), parts)
    tolerance = {"rtol": 1e-6, "atol": 1e-8} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-3}
    for number, alpha in enumerate(alphas):
        made = held_out(source, y.to(dtype), alpha.repeat(y.shape[1]))
        np.testing.assert_allclose(made.numpy(), ref["residuals"][number], **tolerance)


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
