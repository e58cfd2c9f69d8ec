"""The three exact algorithms of ridge against a naive loop and one another; precision; the count of operations."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from isocortex.encoding.algorithms import ALGORITHMS, Problem, fastest, operations
from isocortex.encoding.decomposition import basis_of_kernel, decompose
from isocortex.encoding.leave_out import LeaveOut
from isocortex.encoding.pruning import generalised_errors, search
from isocortex.encoding.ridge import ridge_cv
from isocortex.encoding.ridge_input import largest_eigenvalue
from isocortex.errors import DataError

SHAPES = {"n > p": (60, 12), "n < p": (40, 130), "n = p": (45, 45), "rank-deficient": (50, 20), "n of p + 1": (31, 30)}


def data(name, v=300, seed=0, dtype=np.float64):
    n, p = SHAPES.get(name, (None, None)) if isinstance(name, str) else name
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    if name == "rank-deficient":
        x[:, 10:] = x[:, :10] @ rng.normal(size=(10, 10))
    y = x @ rng.normal(size=(p, v)) / p**0.5 + np.logspace(-1, 1, v) * rng.normal(size=(n, v)) + 5
    return x.astype(dtype), y.astype(dtype)


def naive_errors(x, y, folds, alphas, intercept):
    """By solving, fold by fold and penalty by penalty, in float64."""
    errors = np.zeros((len(alphas), y.shape[1]))
    for number, alpha in enumerate(alphas):
        for part in folds:
            train = np.setdiff1d(np.arange(len(x)), part)
            model = Ridge(alpha=alpha, solver="svd", fit_intercept=intercept).fit(x[train], y[train])
            errors[number] += ((model.predict(x[part]) - y[part]) ** 2).mean(0) / len(folds)
    return errors


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_is_the_naive_loop(name, intercept, algorithm):
    x, y = data(name)
    folds = np.array_split(np.random.default_rng(1).permutation(len(x)), 4)
    alphas = np.logspace(-2, 4, 9)
    errors = naive_errors(x + 1, y, folds, alphas, intercept)
    fit = ridge_cv(x + 1, y, folds, alphas, standardize=False, fit_intercept=intercept, algorithm=algorithm)
    seen = np.isfinite(fit.errors)
    assert seen.all() or algorithm == "pruned"
    np.testing.assert_allclose(fit.errors[seen], errors[seen], rtol=1e-7)
    np.testing.assert_allclose(fit.alphas, alphas[len(alphas) - 1 - errors[::-1].argmin(0)])
    assert fit.algorithm == algorithm


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_leaving_one_out(algorithm):
    for name in ("n > p", "n < p"):
        x, y = data(name, v=200)
        folds = np.arange(len(x))[:, None]
        alphas = np.logspace(-1, 3, 5)
        fit = ridge_cv(x, y, folds, alphas, standardize=False, algorithm=algorithm)
        errors = naive_errors(x, y, folds, alphas, True)
        np.testing.assert_allclose(fit.errors[np.isfinite(fit.errors)], errors[np.isfinite(fit.errors)], rtol=1e-7)
        np.testing.assert_allclose(fit.alphas, alphas[len(alphas) - 1 - errors[::-1].argmin(0)])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", ["weak", "strong", "correlated rows"])
def test_pruning_finds_what_a_full_search_finds(seed, noise):
    n, p, v = 120, (40, 120, 400)[seed % 3], 1500
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * np.logspace(0, -2, p)
    level = {"weak": 0.3, "strong": 10.0, "correlated rows": 2.0}[noise]
    residual = rng.normal(size=(n, v))
    if noise == "correlated rows":  # where generalised cross-validation is wrong
        residual = residual.cumsum(0) / n**0.5
    y = x @ rng.normal(size=(p, v)) / p**0.5 + level * rng.uniform(0.1, 1, v) * residual
    full, pruned = (ridge_cv(x, y, 5, algorithm=algorithm) for algorithm in ("folds", "pruned"))
    assert (full.alphas == pruned.alphas).all()
    assert np.isinf(pruned.errors).any() or noise == "correlated rows"


def test_pruning_says_what_it_scored():
    x, y = data((80, 60), v=900)
    features = x
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    alphas = torch.logspace(-2, 5, 12, dtype=torch.float64)
    source = LeaveOut(basis_of_kernel(x @ x.T, torch.arange(80), torch.arange(1)), list(torch.arange(80).split(16)))
    found = search(source, y, alphas)
    assert found.n_scored == int(found.errors.isfinite().sum()) < 0.6 * found.errors.numel()
    # A margin that an earlier batch needed stays.
    assert search(source, y[:, :200], alphas, margin=0.5).margin >= 0.5
    # Its GCV is scikit-learn's and everyone's: RSS/(n − df − 1)².
    gcv = generalised_errors(source, source.scores(y), alphas)
    model = Ridge(alpha=float(alphas[5]), solver="svd").fit(features, y.numpy())
    centred = features - features.mean(0)
    degrees = np.trace(centred @ np.linalg.solve(centred.T @ centred + alphas[5].item() * np.eye(60), centred.T))
    expected = ((y.numpy() - model.predict(features)) ** 2).sum(0) / (80 - degrees - 1) ** 2
    np.testing.assert_allclose(gcv[5].numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", ["n > p", "n < p", "n = p"])
def test_float32_chooses_what_float64_chooses(algorithm, name):
    x, y = data(name, dtype=np.float32)
    exact = ridge_cv(x.astype(np.float64), y.astype(np.float64), 4, algorithm=algorithm)
    fit = ridge_cv(x, y, 4, exact.grid, algorithm=algorithm)
    assert fit.coef.dtype == np.float32
    seen = np.isfinite(fit.errors) & np.isfinite(exact.errors)
    # About 2e-8 · s_max/α of the sd in float32 (`precision`), and float64 below α = 2e-5 s_max: .001 at worst, squared errors.
    np.testing.assert_allclose(fit.errors[seen], exact.errors[seen], rtol=4e-3)
    # Where two penalties are as good as one another rounding decides.
    chosen = np.argmin(np.abs(np.log(fit.alphas / exact.grid[:, None])), 0), np.arange(y.shape[1])
    full = ridge_cv(x.astype(np.float64), y.astype(np.float64), 4, algorithm="folds").errors
    assert (full[chosen] <= full.min(0) * 1.001).all()


def test_small_penalties_are_done_in_float64():
    """p > n and a penalty of 1e-9 of the spectrum: float32 alone is off by sds."""
    x, y = data((60, 200), v=50, dtype=np.float32)
    x[:, 100:] *= 1e-3
    for algorithm in ("folds", "leave_out"):
        fit = ridge_cv(x, y, 4, [1e-6, 1.0], standardize=False, algorithm=algorithm)
        exact = naive_errors(x.astype(np.float64), y.astype(np.float64), np.array_split(np.arange(60), 4), [1e-6, 1.0], True)
        np.testing.assert_allclose(fit.errors, exact, rtol=1e-3)


def test_torch_and_numpy_alike():
    x, y = data("n < p")
    for algorithm in ALGORITHMS:
        ours, theirs = (ridge_cv(kind(x), kind(y), algorithm=algorithm) for kind in (torch.as_tensor, np.asarray))
        assert isinstance(ours.coef, torch.Tensor)
        np.testing.assert_allclose(ours.coef.numpy(), theirs.coef, rtol=1e-10)
        np.testing.assert_allclose(theirs.coef, (x - theirs.x_mean).T / theirs.x_scale[:, None] @ theirs.dual, atol=1e-10)


def test_a_shared_penalty_looks_at_all():
    x, y = data("n > p")
    fits = [ridge_cv(x, y, shared_alpha=True, algorithm=algorithm) for algorithm in ("auto", "folds", "pruned")]
    assert all(np.isfinite(fit.errors).all() and len(set(fit.alphas)) == 1 for fit in fits)
    assert fits[0].alphas[0] == fits[1].alphas[0] == fits[2].alphas[0]


def test_decomposition_is_orthogonal_to_the_ones():
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.normal(size=(40, 39)) + 30)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        values, vectors = decompose((x @ x.T).to(dtype))
        centred = x - x.mean(0)
        assert float(vectors.sum(0).abs().max()) < tolerance
        assert float((vectors.T @ vectors - torch.eye(vectors.shape[1])).abs().max()) < 10 * tolerance
        expected = torch.linalg.svdvals(centred).square()[: len(values)]
        # An eigenvalue is known to rounding of the largest of the uncentred kernel.
        np.testing.assert_allclose(values.double(), expected, atol=40 * tolerance * float((x @ x.T).diagonal().max()))


def test_the_largest_eigenvalue_before_a_decomposition():
    x, _ = data("n < p")
    x = torch.as_tensor(x + 2)
    # A power iteration comes from below; what it is for needs the order of magnitude.
    assert 0.5 < largest_eigenvalue(x @ x.T) / float(decompose(x @ x.T)[0][0]) <= 1 + 1e-9
    assert largest_eigenvalue(torch.zeros(5, 5)) == 0


PROBLEM = {"n": 2000, "rank": 1999, "sizes": (400,) * 5, "neuroids": 5000, "alphas": 10}


def test_operations_are_those_of_the_products():
    """n = p = 2000, 5000 neuroids, 10 penalties: terms counted by hand, in units of 1e9."""
    counted = operations(Problem(**PROBLEM))
    n, m, r, v, inside = 2000, 400, 1999, 5000, 1600
    folds = 5 * (9 * inside**3 + 2 * m * inside**2 + 2 * inside**2 * v + 11 * 2 * m * inside * v)
    assert counted["folds"] == pytest.approx(folds, rel=1e-9)
    leave = (
        10 * (5 * (2 * m * m * r + m**3) + min(10 * m * m * r, 10 * m * m * v) + 2 * n * r * v) + 2 * n * r * v + 10 * m * m * v
    )
    assert counted["leave_out"] == pytest.approx(leave, rel=1e-9)
    assert counted["pruned"] < 0.6 * counted["leave_out"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "pruned"),
        ({"neuroids": 50, "stored": True}, "folds"),
        ({"neuroids": 50, "sizes": (1,) * 2000}, "leave_out"),
        ({"rank": 20, "neuroids": 30, "alphas": 1}, "folds"),
    ],
)
def test_the_cheapest_is_taken_and_logged(change, expected, caplog):
    fastest.cache_clear()
    with caplog.at_level(logging.INFO):
        assert fastest(Problem(**{**PROBLEM, **change})) == expected
    assert caplog.text.count("operations: folds") == 1


def test_an_unknown_algorithm():
    x, y = data("n > p")
    with pytest.raises(DataError, match=r"ridge: algorithm, found 'svd', expected auto, folds, leave_out, pruned"):
        ridge_cv(x, y, algorithm="svd")
    with pytest.raises(DataError, match="found folds that hold 59 rows of 60, expected every row in one fold and one only"):
        ridge_cv(x, y, [np.arange(30), np.arange(30, 59)])
