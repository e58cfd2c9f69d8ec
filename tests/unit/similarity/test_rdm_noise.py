"""Noise covariances against a loop over rows, and what cannot be inverted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.rdm import noise_covariance, noise_precision, residuals_of_repeats

SHRINKAGES = ["shrinkage_diag", "shrinkage_eye", "diag", "full"]


def loop(x, dof, shrinkage):
    """The formulas as they are published, row by row and pair by pair."""
    x = x - x.mean(0)
    n, p = x.shape
    outer = np.array([np.outer(row, row) for row in x])
    s, s2 = outer.sum(0), (outer**2).sum(0)
    if shrinkage in ("diag", "full"):
        return s / dof if shrinkage == "full" else np.diag(np.diag(s / dof))
    if shrinkage == "shrinkage_eye":
        mean = s / n
        m = np.trace(mean) / p
        d2 = ((mean - m * np.eye(p)) ** 2).sum()
        b2 = min(d2, (s2 / n - mean**2).sum() / n)
        return (b2 / d2 * m * np.eye(p) + (d2 - b2) / d2 * mean) * n / dof
    variance = np.diag(s) / dof
    top = bottom = 0.0
    for i in range(p):
        for j in range(p):
            if i != j:
                r = s[i, j] / np.sqrt(variance[i] * variance[j]) / (n - 1)
                r2 = s2[i, j] / (variance[i] * variance[j]) / (n - 1)
                top, bottom = top + n / dof**2 * (r2 - r**2), bottom + r**2
    shrunk = (1 - np.clip(top / bottom, 0, 1)) * s / dof
    np.fill_diagonal(shrunk, variance)
    return shrunk


def correlated(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + rng.normal(size=p)


@pytest.mark.parametrize("shrinkage", SHRINKAGES)
@pytest.mark.parametrize(("n", "p", "dof"), [(40, 6, None), (12, 20, 8), (2, 3, None), (30, 1, 20), (9, 2, 5)])
def test_covariances_equal_loops(shrinkage, n, p, dof):
    x = correlated(n, p)
    if p == 1:  # one neuroid has no correlations: its variance is all there is
        expected = np.array([[x.var() * n / dof]])
    else:
        expected = loop(x, n - 1 if dof is None else dof, shrinkage)
    assert noise_covariance(x, dof, shrinkage) == pytest.approx(expected, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("shrinkage", SHRINKAGES)
def test_leading_axes_are_separate_problems(shrinkage):
    x = np.stack([correlated(15, 5, seed) for seed in range(6)]).reshape(2, 3, 15, 5)
    found = noise_covariance(x, 11, shrinkage)
    precision = noise_precision(torch.as_tensor(x), 11, shrinkage)
    assert isinstance(precision, torch.Tensor)
    for place in np.ndindex(2, 3):
        assert found[place] == pytest.approx(loop(x[place], 11, shrinkage), rel=1e-10, abs=1e-13)
        assert precision[place].numpy() == pytest.approx(np.linalg.inv(found[place]), rel=1e-8, abs=1e-12)


def test_float32_is_computed_in_float64():
    x = correlated(30, 5).astype(np.float32)
    found = noise_covariance(x)
    assert found.dtype == np.float64
    assert found == pytest.approx(loop(x.astype(np.float64), 29, "shrinkage_diag"), rel=1e-10)


def test_shrinkage_of_independent_noise_is_nearly_whole_and_of_strong_correlations_nearly_none():
    rng = np.random.default_rng(3)
    independent = noise_covariance(rng.normal(size=(50, 30)))
    off = independent - np.diag(np.diag(independent))
    raw = noise_covariance(rng.normal(size=(50, 30)), shrinkage="full")
    assert np.abs(off).max() < 0.2 * np.abs(raw - np.diag(np.diag(raw))).max()
    shared = rng.normal(size=(2000, 1)) + 0.3 * rng.normal(size=(2000, 4))
    kept = noise_covariance(shared) / noise_covariance(shared, shrinkage="full")
    assert kept.min() > 0.99


def naive_residuals(trials):
    rows, dof = [], 0
    for stimulus in trials:
        valid = [repeat for repeat in stimulus if np.isfinite(repeat).all()]
        if len(valid) > 1:
            rows += [repeat - np.mean(valid, axis=0) for repeat in valid]
            dof += len(valid) - 1
    return np.array(rows), dof


def test_residuals_of_unequal_repeats():
    trials = np.random.default_rng(0).normal(size=(6, 4, 3)) + 50.0
    trials[0, 2:] = np.nan
    trials[1, 1:] = np.nan  # one repeat: no residual
    trials[2] = np.nan  # none
    trials[3, 0, 1] = np.nan  # one neuroid is missing: the repeat does not count
    rows, dof = residuals_of_repeats(trials)
    expected, expected_dof = naive_residuals(trials)
    assert rows == pytest.approx(expected, abs=1e-12)
    assert dof == expected_dof == (2 - 1) + (3 - 1) + (4 - 1) + (4 - 1)
    tensor, _ = residuals_of_repeats(torch.as_tensor(trials))
    assert np.array_equal(tensor.numpy(), rows)


def test_equal_repeats_leave_exactly_nothing_and_are_counted():
    trials = np.random.default_rng(0).normal(size=(8, 3, 5))
    trials[:, :, [1, 4]] = np.random.default_rng(1).normal(size=(8, 1, 2))
    rows, dof = residuals_of_repeats(trials)
    assert not rows[:, [1, 4]].any()
    covariance = noise_covariance(rows, dof)
    assert not covariance[[1, 4]].any()
    others = [0, 2, 3]
    assert covariance[np.ix_(others, others)] == pytest.approx(noise_covariance(rows[:, others], dof), rel=1e-12)
    with pytest.raises(
        DataError, match="found 2 neuroids of 5 whose repeats never differ, expected noise in all; leave them out"
    ):
        noise_precision(rows, dof)
    assert np.isfinite(noise_precision(rows, dof, "shrinkage_eye")).all()
    with pytest.raises(DataError, match="found 5 neuroids of 5 whose repeats never differ"):
        noise_precision(np.zeros((6, 5)), 3, "shrinkage_eye")


@pytest.mark.parametrize("p", [5, 40])
def test_a_singular_covariance_names_the_remedy(p):
    rows = correlated(p, p)  # p rows less their mean: one short of full rank
    with pytest.raises(DataError, match=f"covariance of {p} neuroids is singular.*choose noise: shrinkage_diag"):
        noise_precision(rows, shrinkage="full")
    assert noise_precision(rows) @ noise_covariance(rows) == pytest.approx(np.eye(p), abs=1e-9)


@pytest.mark.parametrize("p", [3, 5, 10])
def test_whether_a_covariance_is_singular_does_not_hang_on_the_order_of_rounding(p):
    rng = np.random.default_rng(p)
    for _ in range(300):
        rows, mixed = rng.normal(size=(p + 2, p)), rng.normal(size=(p, p))
        with pytest.raises(DataError, match="is singular"):
            noise_precision(rows[:p] @ mixed, shrinkage="full")  # one degree of freedom too few
        assert np.isfinite(noise_precision(rows @ mixed, shrinkage="full")).all()


def test_a_neuroid_and_its_copy_have_no_precision():
    x = np.random.default_rng(0).normal(size=(10_000, 1)).repeat(2, axis=1)
    with pytest.raises(DataError, match="choose noise: shrinkage_diag"):
        noise_precision(x, shrinkage="full")
    scaled = np.array([1.0, 1e6]) * np.random.default_rng(0).normal(size=(50, 2))  # other units are no copies
    inverse = np.linalg.inv(noise_covariance(scaled, shrinkage="full"))
    assert noise_precision(scaled, shrinkage="full") == pytest.approx(inverse, rel=1e-9)


def test_bad_residuals_and_trials_are_refused():
    good = correlated(10, 3)
    with pytest.raises(ValueError, match="found shrinkage 'ledoit'"):
        noise_covariance(good, shrinkage="ledoit")
    with pytest.raises(DataError, match=r"residuals of shape \(1, 3\), expected \(n_rows, n_neuroids\) with 2 rows or more"):
        noise_covariance(good[:1])
    with pytest.raises(DataError, match="found 0 degrees of freedom, expected at least 1"):
        noise_covariance(good, 0)
    good[0, 0] = np.nan
    with pytest.raises(DataError, match="residuals with NaN or infinite values"):
        noise_covariance(good)
    with pytest.raises(DataError, match=r"trials of shape \(10, 3\)"):
        residuals_of_repeats(good)
    with pytest.raises(
        DataError, match="found at most 1 valid repeats of a stimulus, expected 2 of at least one; choose rdm: e"
    ):
        residuals_of_repeats(np.ones((4, 1, 3)))
    with pytest.raises(DataError, match="found at most 0 valid repeats"):
        residuals_of_repeats(np.full((4, 2, 3), np.nan))
