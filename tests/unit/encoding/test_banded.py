"""Banded ridge against a naive loop over scikit-learn fits and against ridge; degenerate input; candidates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import isocortex.encoding.inverses as inverses
from isocortex.encoding.banded import banded_ridge_cv
from isocortex.encoding.dirichlet import candidates, dirichlet_candidates
from isocortex.encoding.inverses import held_out_errors
from isocortex.encoding.ridge import ridge_cv
from isocortex.encoding.spanning import spanning
from isocortex.errors import DataError

SHAPES = {"n > p": (60, (7, 9)), "n < p": (40, (30, 80)), "rank-deficient": (50, (20, 12))}
GAMMAS = np.array([[0.5, 0.5], [1.0, 0.0], [0.03, 0.97]])


def data(name="n > p", v=6, seed=0):
    n, widths = SHAPES[name]
    rng = np.random.default_rng(seed)
    spaces = [rng.normal(size=(n, p)) * scale + 1 for p, scale in zip(widths, (1.0, 3.0), strict=True)]
    if name == "rank-deficient":
        spaces[0][:, 8:] = spaces[0][:, :8] @ rng.normal(size=(8, 12))
    share = np.linspace(0, 1, v)
    y = sum(x @ rng.normal(size=(x.shape[1], v)) / x.std() * w for x, w in zip(spaces, (share, 1 - share), strict=True))
    return spaces, y + np.logspace(-0.5, 1, v) * rng.normal(size=(n, v)) + 5


def naive(spaces, y, folds, alphas, gammas, intercept=True):
    """By fits on √γ-scaled features, in float64: errors (G, A, v), index of γ and of α, coef of the features as they are."""
    errors = np.zeros((len(gammas), len(alphas), y.shape[1]))
    rows = np.arange(len(y))
    for i, gamma in enumerate(gammas):
        x = np.hstack([part * weight**0.5 for part, weight in zip(spaces, gamma, strict=True)])
        for j, alpha in enumerate(alphas):
            for part in folds:
                train = np.setdiff1d(rows, part)
                model = Ridge(alpha=alpha, solver="svd", fit_intercept=intercept).fit(x[train], y[train])
                errors[i, j] += ((model.predict(x[part]) - y[part]) ** 2).mean(0) / len(folds)
    best_alpha = len(alphas) - 1 - errors[:, ::-1].argmin(1)
    least = errors.min(1)
    gamma_index = least.argmin(0)
    chosen = best_alpha[gamma_index, np.arange(y.shape[1])]
    coef = np.empty((sum(x.shape[1] for x in spaces), y.shape[1]))
    for column, (i, j) in enumerate(zip(gamma_index, chosen, strict=True)):
        root = np.repeat(gammas[i] ** 0.5, [x.shape[1] for x in spaces])
        model = Ridge(alpha=alphas[j], solver="svd", fit_intercept=intercept).fit(np.hstack(spaces) * root, y[:, column])
        coef[:, column] = model.coef_ * root
    return errors, gamma_index, chosen, coef


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("intercept", [True, False])
def test_against_the_naive_loop(name, intercept):
    spaces, y = data(name)
    folds = np.array_split(np.random.default_rng(1).permutation(len(y)), 4)
    alphas = np.logspace(-2, 5, 9)
    errors, gamma_index, chosen, coef = naive(spaces, y, folds, alphas, GAMMAS, intercept)
    assert len(set(gamma_index)) > 1
    fit = banded_ridge_cv(spaces, y, folds, list(alphas[::-1]), GAMMAS, fit_intercept=intercept, standardize=False)
    np.testing.assert_allclose(fit.cv_scores, -errors.min(1), rtol=1e-8)
    np.testing.assert_array_equal(fit.gamma_index, gamma_index)
    np.testing.assert_allclose(fit.alphas, alphas[chosen])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(fit.deltas, np.log(GAMMAS[gamma_index].T / alphas[chosen]))
    np.testing.assert_allclose(np.vstack(fit.coef), coef, rtol=1e-6, atol=1e-8)
    constant = y.mean(0) - np.hstack(spaces).mean(0) @ coef if intercept else 0.0
    np.testing.assert_allclose(fit.predict([x[:5] for x in spaces]), np.hstack(spaces)[:5] @ coef + constant, rtol=1e-7)


def test_leave_one_out_and_ragged_folds():
    spaces, y = data()
    alphas = np.logspace(-1, 3, 4)
    for folds in ([[index] for index in range(len(y))], [np.arange(3), np.arange(3, 40), np.arange(40, 60)]):
        errors = naive(spaces, y, folds, alphas, GAMMAS[:1])[0]
        fit = banded_ridge_cv(spaces, y, folds, list(alphas), GAMMAS[:1], standardize=False)
        np.testing.assert_allclose(fit.cv_scores, -errors.min(1), rtol=1e-8)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("alphas", ["auto", [0.1, 1.0, 10.0, 1e3]])
def test_one_space_is_ridge(name, standardize, alphas):
    spaces, y = data(name)
    x = spaces[0]
    banded = banded_ridge_cv([x], y, 5, alphas, np.ones((1, 1)), standardize=standardize)
    ridge = ridge_cv(x, y, 5, alphas, standardize=standardize, algorithm="folds")
    np.testing.assert_allclose(banded.grid, ridge.grid, rtol=1e-9)
    np.testing.assert_allclose(banded.alphas, ridge.alphas, rtol=1e-9)
    np.testing.assert_allclose(-banded.cv_scores[0], ridge.errors.min(0), rtol=1e-6)
    np.testing.assert_allclose(banded.predict([x]), ridge.predict(x), rtol=1e-6, atol=1e-8)
    assert banded.alpha_at_edge == ridge.alpha_at_edge


def test_a_space_without_weight_takes_no_part():
    spaces, y = data()
    fit = banded_ridge_cv(spaces, y, 5, [1.0, 10.0], np.array([[1.0, 0.0]]))
    ridge = ridge_cv(spaces[0], y, 5, [1.0, 10.0])
    np.testing.assert_allclose(fit.predict(spaces), ridge.predict(spaces[0]), rtol=1e-9)
    assert (fit.coef[1] == 0).all()
    assert np.isneginf(fit.deltas[1]).all()
    np.testing.assert_allclose(fit.deltas[0], -np.log(ridge.alphas))


def test_duplicated_spaces_share_and_the_first_candidate_wins_ties():
    spaces, y = data()
    twice = [spaces[0], spaces[0]]
    gammas = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.25, 0.75]])
    fit = banded_ridge_cv(twice, y, 5, [1.0, 10.0], gammas)
    assert (fit.gamma_index == 0).all()
    np.testing.assert_allclose(fit.cv_scores, np.tile(fit.cv_scores[0], (4, 1)), rtol=1e-12)
    np.testing.assert_allclose(fit.coef[0], fit.coef[1])
    np.testing.assert_allclose(fit.predict(twice), ridge_cv(spaces[0], y, 5, [1.0, 10.0]).predict(spaces[0]), rtol=1e-9)


def test_parts_sum_to_the_prediction():
    spaces, y = data()
    fit = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS)
    np.testing.assert_allclose(fit.predict_split(spaces).sum(0) + fit.intercept, fit.predict(spaces), rtol=1e-12)
    np.testing.assert_allclose(fit.predict_split(spaces).mean(1), 0, atol=1e-10)


@pytest.mark.parametrize("intercept", [True, False])
def test_kernels_are_spaces(intercept):
    spaces, y = data("n < p")
    kernels = np.stack([x @ x.T for x in spaces])
    new = [np.random.default_rng(3).normal(size=(8, x.shape[1])) for x in spaces]
    one = banded_ridge_cv(spaces, y, 4, [1.0, 30.0, 1e3], GAMMAS, fit_intercept=intercept, standardize=False)
    two = banded_ridge_cv(kernels, y, 4, [1.0, 30.0, 1e3], GAMMAS, fit_intercept=intercept, kernels=True)
    np.testing.assert_allclose(two.cv_scores, one.cv_scores, rtol=1e-9)
    np.testing.assert_allclose(two.deltas, one.deltas)
    np.testing.assert_allclose(two.dual, one.dual, rtol=1e-7, atol=1e-10)
    cross = np.stack([x @ train.T for x, train in zip(new, spaces, strict=True)])
    np.testing.assert_allclose(two.predict_split(cross), one.predict_split(new), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(two.predict(cross), one.predict(new), rtol=1e-7, atol=1e-9)
    assert two.coef == ()


def test_units_of_standardized_features_do_not_matter():
    spaces, y = data()
    other = [spaces[0] * np.logspace(-3, 3, 7) + 7, spaces[1]]
    first, second = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS), banded_ridge_cv(other, y, 5, "auto", GAMMAS)
    np.testing.assert_allclose(first.cv_scores, second.cv_scores, rtol=1e-7)
    np.testing.assert_allclose(first.predict(spaces), second.predict(other), rtol=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_float32(name):
    spaces, y = data(name)
    narrow = [x.astype(np.float32) for x in spaces]
    exact = banded_ridge_cv([x.astype(np.float64) for x in narrow], y.astype(np.float32), 5, "auto", GAMMAS)
    fit = banded_ridge_cv(narrow, y.astype(np.float32), 5, "auto", GAMMAS)
    assert exact.cv_scores.dtype == np.float64
    assert {part.dtype for part in (fit.cv_scores, fit.coef[0], fit.dual, fit.predict(narrow))} == {np.dtype(np.float32)}
    # 1e-3 sd of a prediction is what float32 may cost at the smallest penalty left to it.
    np.testing.assert_allclose(fit.cv_scores, exact.cv_scores, rtol=1e-3)
    np.testing.assert_allclose(fit.predict(narrow), exact.predict(spaces), atol=2e-3 * y.std())


def test_torch_stays_torch():
    spaces, y = data()
    fit = banded_ridge_cv([torch.as_tensor(x) for x in spaces], torch.as_tensor(y), 5, "auto", torch.as_tensor(GAMMAS))
    arrays = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS)
    assert all(isinstance(part, torch.Tensor) for part in (fit.deltas, fit.gamma_index, fit.dual, *fit.coef, *fit.x_mean))
    np.testing.assert_allclose(fit.coef[1].numpy(), arrays.coef[1])
    tensors = [torch.as_tensor(x) for x in spaces]
    np.testing.assert_allclose(fit.predict(tensors).numpy(), arrays.predict(spaces))
    np.testing.assert_allclose(arrays.predict(tensors).numpy(), arrays.predict(spaces))


def test_constant_and_missing_neuroids_come_back_as_nan():
    spaces, y = data()
    whole = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS)
    y[:, 1], y[3, 4] = 2.0, np.nan
    fit = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS)
    bad = np.isin(np.arange(y.shape[1]), [1, 4])
    np.testing.assert_array_equal(fit.gamma_index == -1, bad)
    for part in (fit.deltas, fit.cv_scores, fit.dual, fit.coef[0], fit.predict(spaces), fit.predict_split(spaces)[1]):
        np.testing.assert_array_equal(np.isnan(part).all(0), bad)
    np.testing.assert_allclose(fit.coef[1][:, ~bad], whole.coef[1][:, ~bad], rtol=1e-9)
    one = banded_ridge_cv(spaces, y[:, [0]], 5, "auto", GAMMAS)
    np.testing.assert_allclose(one.coef[0][:, 0], whole.coef[0][:, 0], rtol=1e-9)


def test_constant_features_have_no_weight():
    spaces, y = data()
    spaces[0][:, 2] = 1e6 + 1e-3 * y[:, 0]  # all but constant: rounding, even where it tells
    fit = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS)
    assert (fit.coef[0][2] == 0).all()
    y = np.hstack([y] * 30) * np.random.default_rng(0).normal(size=(1, 180))
    nothing = [np.full((60, 3), 2.0), np.full((60, 2), -1.0)]
    flat = banded_ridge_cv(nothing, y, 5, "auto", GAMMAS)
    np.testing.assert_allclose(flat.predict(nothing), np.tile(y.mean(0), (60, 1)))
    assert (flat.alphas == flat.grid[-1]).all()
    assert (flat.gamma_index == 0).all()
    held = [np.delete(np.arange(60), part) for part in np.array_split(np.arange(60), 5)]
    errors = [((np.delete(y, rows, 0) - y[rows].mean(0)) ** 2).mean(0) for rows in held]
    np.testing.assert_allclose(-flat.cv_scores[0], np.mean(errors, 0))


def test_penalties_at_rounding_level_are_never_chosen():
    spaces, y = data("rank-deficient")
    tiny = banded_ridge_cv(spaces, y, 5, [1e-25, 10.0], GAMMAS)
    plain = banded_ridge_cv(spaces, y, 5, [10.0], GAMMAS)
    np.testing.assert_allclose(tiny.cv_scores, plain.cv_scores)
    assert (tiny.alphas == 10).all()


def test_a_penalty_counts_from_the_rounding_of_the_kernel():
    spaces, y = data("n < p")
    kernel, rows = torch.as_tensor(spaces[1] @ spaces[1].T), torch.arange(40)
    size = float(torch.linalg.eigvalsh(kernel)[-1])
    alphas = 40 * np.finfo(np.float64).eps * size * torch.tensor([0.5, 2.0], dtype=torch.float64)
    folds = [(rows[20:], rows[:20]), (rows[:20], rows[20:])]
    errors = held_out_errors(kernel, torch.as_tensor(y), folds, alphas, size, False)
    assert errors[0].isinf().all()
    inside = spaces[1][:20] @ spaces[1][:20].T, spaces[1][20:] @ spaces[1][20:].T
    across = spaces[1][20:] @ spaces[1][:20].T
    made = across @ np.linalg.solve(inside[0], y[:20]), across.T @ np.linalg.solve(inside[1], y[20:])
    expected = (((made[0] - y[20:]) ** 2).mean(0) + ((made[1] - y[:20]) ** 2).mean(0)) / 2
    np.testing.assert_allclose(errors[1].numpy(), expected, rtol=1e-8)


def test_small_batches_change_nothing(monkeypatch):
    spaces, y = data("n < p")
    whole = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS)
    monkeypatch.setattr(inverses, "PRODUCT_BYTES", 1)
    monkeypatch.setattr(inverses, "budget_bytes", lambda device: 4 * 8 * 40 * 40 * 3)
    small = banded_ridge_cv(spaces, y, 5, "auto", GAMMAS)
    np.testing.assert_allclose(small.cv_scores, whole.cv_scores, rtol=1e-9)
    np.testing.assert_array_equal(small.alphas, whole.alphas)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
def test_penalties_that_are_combined_score_as_if_solved(dtype, tolerance):
    spaces, y = data("n < p")
    x = spaces[0] - spaces[0].mean(0)
    kernel, responses = torch.as_tensor(x @ x.T), torch.as_tensor(y - y.mean(0))
    size = float(torch.linalg.eigvalsh(kernel)[-1])
    alphas = torch.as_tensor(size * np.logspace(0, 8, 24))
    solved, _ = spanning(alphas.numpy(), 2 * size, 32 * torch.finfo(dtype).eps)
    assert len(solved) < 20
    parts = torch.arange(40).split(8)
    folds = [(torch.cat([*parts[:i], *parts[i + 1 :]]), part) for i, part in enumerate(parts)]
    found = held_out_errors(kernel.to(dtype), responses.to(dtype), folds, alphas, size, True)
    expected = naive([x], y, [part.numpy() for part in parts], alphas.numpy(), np.ones((1, 1)))[0][0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_penalties_beyond_all_eigenvalues_predict_the_mean(dtype):
    spaces, y = data()
    fit = banded_ridge_cv([x.astype(dtype) for x in spaces], y.astype(dtype), 5, [1e25, 1e30], GAMMAS)
    np.testing.assert_allclose(fit.predict(spaces), np.tile(y.mean(0), (60, 1)), rtol=1e-5)


def test_widest_dtype_is_that_of_the_arithmetic():
    spaces, y = data()
    narrow = [x.astype(np.float32) for x in spaces]
    fit = banded_ridge_cv(narrow, y, 5, [1.0, 30.0], GAMMAS)
    wide = banded_ridge_cv([x.astype(np.float64) for x in narrow], y, 5, [1.0, 30.0], GAMMAS)
    np.testing.assert_allclose(fit.cv_scores, wide.cv_scores, rtol=1e-12)
    assert fit.coef[0].dtype == np.float64


def test_spanning_holds_between_the_values_it_was_fitted_at():
    alphas, tolerance = np.logspace(-1, 8, 25), 1e-6
    solved, weights = spanning(alphas, 50.0, tolerance)
    values = np.random.default_rng(0).uniform(0, 50, 1000)[:, None]
    shrink = values / (values + alphas)
    assert 3 <= len(solved) < 20
    assert np.abs(shrink[:, solved] @ weights.T - shrink).max() < 2 * tolerance
    np.testing.assert_array_equal(weights[solved], np.eye(len(solved)))


def test_two_bands_beat_one_penalty_where_one_space_is_noise():
    rng = np.random.default_rng(5)
    good, noise = rng.normal(size=(150, 10)), rng.normal(size=(150, 300))
    y = good @ rng.normal(size=(10, 20)) + 2 * rng.normal(size=(150, 20))
    gammas = candidates(20, 2, seed=1)
    fit = banded_ridge_cv([good, noise], y, 5, "auto", gammas)
    assert (np.asarray(fit.deltas[0]) > fit.deltas[1]).all()
    assert fit.cv_scores.max(0).mean() > 1.2 * fit.cv_scores[0].mean()  # scores are negative: a fifth less error


def test_candidates_lie_on_the_simplex():
    for n, spaces in ((1, 2), (7, 4), (8, 1)):
        found = candidates(n, spaces, seed=3)
        assert found.shape == (n, spaces)
        np.testing.assert_allclose(found.sum(1), 1)
        np.testing.assert_array_equal(found[0], 1 / spaces)
        np.testing.assert_array_equal(found[1:], dirichlet_candidates(n, spaces, seed=3)[1:])
    sparse, even = (dirichlet_candidates(2000, 5, level, seed=0).max(1).mean() for level in (0.1, 1.0))
    # E max of a uniform point on the simplex is the harmonic number over g; with .1, nearly one space has all.
    assert even == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5, abs=0.01)
    assert sparse > 0.75


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spaces_or_kernels": []}, r"found spaces \[\], expected one or more of \(stimuli, features\)"),
        ({"spaces_or_kernels": [np.ones((20, 2)), np.ones((19, 2))]}, r"found spaces \[\(20, 2\), \(19, 2\)\]"),
        ({"spaces_or_kernels": [np.ones((20, 2)), np.ones((20, 0))]}, r"found spaces \[\(20, 2\), \(20, 0\)\]"),
        (
            {"spaces_or_kernels": [np.ones((20, 2)), np.full((20, 3), np.inf)]},
            r"found 60 NaN or infinite features in space 1, first at \[0, 0\]",
        ),
        ({"y": np.zeros((19, 2))}, r"found y \(19, 2\) and 20 stimuli in the spaces"),
        ({"gammas": np.ones((3, 3)) / 3}, r"found gammas \(3, 3\), expected \(candidates, 2\)"),
        ({"gammas": [[0.5, 0.5], [1.5, -0.5]]}, r"found \[1.5, -0.5\] in row 1, expected weights of zero or more"),
        ({"gammas": [[0.5, 0.4]]}, r"found \[0.5, 0.4\] in row 0"),
        ({"alphas": [0.0]}, "zero is not a penalty"),
        ({"folds": 1}, "found 20 training stimuli and 1 folds"),
        ({"folds": [np.arange(20), np.arange(0)]}, "found no rows in fold 1 of 2, expected one or more"),
        (
            {"spaces_or_kernels": np.ones((2, 20, 3)), "kernels": True},
            r"found kernels \(2, 20, 3\), expected \(spaces, stimuli",
        ),
        ({"spaces_or_kernels": np.full((2, 20, 20), np.nan), "kernels": True}, "found 800 NaN or infinite kernel values"),
        ({"spaces_or_kernels": np.stack([-np.eye(20)] * 2), "kernels": True}, "no penalty above the rounding and the negative"),
        ({"alphas": [1e-30]}, "row 0 of gammas, expected positive kernels and penalties that count; mend the kernels or raise"),
    ],
)
def test_refusals(change, message):
    rng = np.random.default_rng(0)
    arguments = {
        "spaces_or_kernels": [rng.normal(size=(20, 3)), rng.normal(size=(20, 2))],
        "y": rng.normal(size=(20, 2)),
        "folds": 4,
        "alphas": [0.5, 0.9],
        "gammas": [[0.5, 0.5]],
        **change,
    }
    with pytest.raises(DataError, match=message) as caught:
        banded_ridge_cv(**arguments)
    assert "\n" not in str(caught.value)


def test_refusals_of_candidates_and_predictions():
    with pytest.raises(DataError, match="found 0 candidates of 2 spaces, expected one or more"):
        candidates(0, 2)
    with pytest.raises(DataError, match=r"concentration, found \[0.1, 0.0\], expected positive numbers"):
        dirichlet_candidates(3, 2, (0.1, 0.0))
    spaces, y = data()
    fit = banded_ridge_cv(spaces, y, 5, [1.0], GAMMAS)
    with pytest.raises(DataError, match=r"found spaces of width \[\(7,\)\], expected \[\(7,\), \(9,\)\], as in the fit"):
        fit.predict(spaces[:1])
