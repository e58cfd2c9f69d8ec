"""Splits of joint scores, unique and shared variance, and their bootstrap, against naive loops and planted variances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

import isocortex.encoding.partition as partition
from isocortex.encoding.banded import banded_ridge_cv
from isocortex.encoding.partition import (
    correlation_split,
    noise_corrected,
    partition_draws,
    partition_intervals,
    product_measure,
    region_share,
    relative_weights,
    unique_shared,
)
from isocortex.encoding.scores import r2_score
from isocortex.errors import DataError


def predictions(n=40, v=5, g=3, seed=0):
    """Responses, parts that correlate, and the training mean that the parts leave out."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, v))
    parts = rng.normal(size=(g, n, v)) * np.array([1.0, 0.5, 0.2])[:g, None, None] + 0.5 * common
    mean = rng.normal(size=v)
    return parts.sum(0) + mean + rng.normal(size=(n, v)), parts, mean


def test_shares_of_r2_sum_to_r2_about_the_training_mean():
    y, parts, mean = predictions()
    r2 = r2_score([parts.sum(0) + mean], [y], [mean])
    np.testing.assert_allclose(product_measure(y, parts, mean).sum(0), r2, rtol=1e-12)
    np.testing.assert_allclose(relative_weights(y, parts, mean).sum(0), r2, rtol=1e-12)
    own = np.tile(mean, (len(y), 1))
    np.testing.assert_allclose(product_measure(y, parts, own), product_measure(y, parts, mean))


def test_product_measure_against_a_loop():
    y, parts, _ = predictions()
    centred = y - y.mean(0)
    for column in range(y.shape[1]):
        total = sum(value**2 for value in centred[:, column])
        for number, part in enumerate(parts):
            joint = parts[:, :, column].sum(0)
            share = sum(2 * a * b - b * c for a, b, c in zip(centred[:, column], part[:, column], joint, strict=True)) / total
            assert product_measure(y, parts)[number, column] == pytest.approx(share, rel=1e-12)


def test_correlation_split_sums_to_r():
    y, parts, _ = predictions()
    r = np.array([pearsonr(y[:, column], parts.sum(0)[:, column])[0] for column in range(y.shape[1])], dtype=np.float64)
    np.testing.assert_allclose(correlation_split(y, parts).sum(0), r, rtol=1e-12)
    moved = parts + np.array([100.0, -7.0, 3.0])[:, None, None]
    np.testing.assert_allclose(correlation_split(y, moved), correlation_split(y, parts), rtol=1e-9)


def test_relative_weights_by_singular_vectors():
    y, parts, _ = predictions()
    found = relative_weights(y, parts)
    joint_r2 = r2_score([parts.sum(0) + y.mean(0)], [y], [y.mean(0)])
    for column in range(y.shape[1]):
        p = parts[:, :, column].T
        left, _, right = np.linalg.svd(p, full_matrices=False)
        orthogonal = left @ right
        loadings = np.linalg.lstsq(orthogonal, p, rcond=None)[0]
        beta = orthogonal.T @ p.sum(1)
        shares = (loadings**2 / (loadings**2).sum(0)) @ beta**2
        np.testing.assert_allclose(found[:, column], shares / shares.sum() * joint_r2[column], rtol=1e-9)


def test_uncorrelated_parts_have_their_own_variance_in_every_split():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(np.column_stack([np.ones(50), rng.normal(size=(50, 4))]))[0][:, 1:]
    parts = np.stack([basis[:, [0]] * 3, basis[:, [1]] * 2, basis[:, [2]]])
    y = parts.sum(0) + basis[:, [3]] * 6  # residual at right angles: R² is 14/50
    expected = np.array([[9.0], [4.0], [1.0]]) / 50
    np.testing.assert_allclose(product_measure(y, parts), expected, rtol=1e-10)
    np.testing.assert_allclose(relative_weights(y, parts), expected, rtol=1e-10)
    np.testing.assert_allclose(correlation_split(y, parts) * np.sqrt(14 / 50), expected, rtol=1e-10)


def test_duplicated_and_absent_parts():
    y, parts, _ = predictions(g=2)
    parts = np.stack([parts[0], parts[0], 0 * parts[0]])
    for shares in (product_measure(y, parts), relative_weights(y, parts), correlation_split(y, parts)):
        np.testing.assert_allclose(shares[0], shares[1], rtol=1e-7)
        np.testing.assert_allclose(shares[2], 0, atol=1e-9)


def test_constant_and_unpredicted_neuroids_are_nan():
    y, parts, _ = predictions()
    y[:, 1], parts[:, :, 3] = 2.0, np.nan
    bad = np.isin(np.arange(5), [1, 3])
    for shares in (product_measure(y, parts), relative_weights(y, parts), correlation_split(y, parts)):
        np.testing.assert_array_equal(np.isnan(shares).all(0), bad)
        assert np.isfinite(shares[:, ~bad]).all()
    silent = 0 * parts
    silent[:, :, 3] = 0
    assert (product_measure(y, silent)[:, ~bad] == 0).all()
    assert np.isnan(correlation_split(y, silent)).all()
    assert np.isnan(relative_weights(y, silent)).all()


def test_torch_and_float32():
    y, parts, mean = predictions()
    for measure in (product_measure, relative_weights):
        found = measure(torch.as_tensor(y), torch.as_tensor(parts), torch.as_tensor(mean))
        assert isinstance(found, torch.Tensor)
        np.testing.assert_allclose(found.numpy(), measure(y, parts, mean), rtol=1e-12)
        narrow = measure(y.astype(np.float32), parts.astype(np.float32), mean.astype(np.float32))
        np.testing.assert_allclose(narrow, measure(y, parts, mean), rtol=1e-5, atol=1e-5)


def test_two_spaces():
    one, two, both = np.array([0.30, 0.1]), np.array([0.25, -0.02]), np.array([0.40, 0.05])
    parts = unique_shared(both, np.stack([two, one]), np.stack([one, two]))
    np.testing.assert_allclose(parts.unique, [both - two, both - one])
    np.testing.assert_allclose(parts.shared, one + two - both)
    np.testing.assert_allclose(parts.overlap, np.stack([parts.shared] * 2))
    assert (parts.unique < 0).any()  # kept, not clipped
    assert unique_shared(both, np.stack([two, one])).overlap is None


def test_planted_unique_and_shared_variance():
    # y = a + b + c + noise. Space 1 shows a and b, space 2 shows b and c, space 3 is noise.
    rng = np.random.default_rng(2)
    n_train, n, v, p = 1200, 3000, 30, 4
    latent = rng.normal(size=(3, n_train + n, p))
    spaces = [np.hstack([latent[0], latent[1]]), np.hstack([latent[1], latent[2]]), rng.normal(size=(n_train + n, p))]
    loadings = rng.normal(size=(3, p, v)) * np.sqrt(np.array([3, 2, 1]) / p)[:, None, None]
    y = np.einsum("knp,kpv->nv", latent, loadings) + 1.5 * rng.normal(size=(n_train + n, v))
    a, b, c = (loadings**2).sum(1) / ((loadings**2).sum((0, 1)) + 1.5**2)
    train, test = slice(0, n_train), slice(n_train, None)

    def r2_of(chosen):
        gammas = np.full((1, len(chosen)), 1 / len(chosen))
        fit = banded_ridge_cv([spaces[i][train] for i in chosen], y[train], 5, [1.0, 10.0], gammas, standardize=False)
        return r2_score([fit.predict([spaces[i][test] for i in chosen])], [y[test]], [y[train].mean(0)])

    without = np.stack([r2_of(rest) for rest in ([1, 2], [0, 2], [0, 1])])
    parts = unique_shared(r2_of([0, 1, 2]), without, np.stack([r2_of([i]) for i in range(3)]))
    for found, truth in ((parts.unique[0], a), (parts.shared, b), (parts.unique[1], c), (parts.unique[2], 0 * a)):
        # The sd of a difference R² of nested fits is at most 2 √(truth/n); what training noise costs is of order p/n_train.
        sd, loss = 2 * np.sqrt(truth / n), 2 * p / n_train
        assert (np.abs(found - truth) < 4 * sd + loss).all()
        assert abs((found - truth).mean()) < 4 * sd.max() / v**0.5 + loss
    assert np.abs(parts.overlap[2]).max() < 4 * p / n_train
    np.testing.assert_allclose(parts.overlap[:2].mean(1), [b.mean()] * 2, atol=0.02)


def test_noise_correction():
    r2, reliability = np.array([0.3, -0.1, 0.2, 0.1]), np.array([0.6, 0.5, 0.0, np.nan])
    np.testing.assert_allclose(noise_corrected(r2, reliability), [0.5, -0.2, np.nan, np.nan])
    assert np.isnan(noise_corrected(r2, -np.ones(4))).all()
    np.testing.assert_allclose(noise_corrected(np.stack([r2, 2 * r2]), reliability)[1, :2], [1.0, -0.4])
    assert region_share(r2, reliability) == pytest.approx(0.4 / 1.1)
    assert region_share(np.array([np.nan, 0.2]), np.array([0.5, 0.4])) == pytest.approx(0.5)
    assert np.isnan(region_share(r2, -np.abs(reliability)))
    assert region_share(np.stack([r2, 2 * r2]), reliability)[1] == pytest.approx(0.8 / 1.1)


def fixed(n=60, v=4, seed=3):
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(2, n, v))
    y = signal.sum(0) + 3 + rng.normal(size=(n, v))
    joint = 3 + 0.9 * signal.sum(0)
    without = np.stack([3 + signal[1], 3 + signal[0] * 0.8])
    weights = rng.multinomial(n, np.full(n, 1 / n), size=25)
    return y, joint, without, weights, rng.normal(size=v) * 0.1 + 3


def test_draws_against_repeated_rows():
    y, joint, without, weights, mean = fixed()
    draws = partition_draws(y, joint, without, weights, mean)
    assert draws.shape == (4, 25, 4)
    for number, counts in enumerate(weights):
        rows = np.repeat(np.arange(len(y)), counts)
        all_, *rest = (r2_score([part[rows]], [y[rows]], [mean]) for part in (joint, *without))
        np.testing.assert_allclose(draws[0, number], all_, rtol=1e-10)
        np.testing.assert_allclose(draws[1:3, number], all_ - np.stack(rest), rtol=1e-9)
        np.testing.assert_allclose(draws[3, number], sum(rest) - all_, rtol=1e-9)


@pytest.mark.parametrize("size", [1 << 24, 1])
def test_intervals_are_quantiles_of_the_draws(monkeypatch, size):
    monkeypatch.setattr(partition, "QUANTILE_SIZE", size)
    y, joint, without, weights, mean = fixed()
    reliability = np.array([0.9, 0.5, np.nan, 0.7])
    found = partition_intervals(y, joint, without, weights, mean, reliability, level=0.8)
    draws = partition_draws(y, joint, without, weights, mean)
    plain = partition_draws(y, joint, without, np.ones((1, len(y))), mean)[:, 0]
    np.testing.assert_allclose(found.value, plain, rtol=1e-12)
    np.testing.assert_allclose([found.low, found.high], np.quantile(draws, [0.1, 0.9], axis=1), rtol=1e-12)
    kept = [0, 1, 3]
    region = draws[:, :, kept].sum(2) / 2.1
    np.testing.assert_allclose(found.region, plain[:, kept].sum(1) / 2.1, rtol=1e-12)
    np.testing.assert_allclose([found.region_low, found.region_high], np.quantile(region, [0.1, 0.9], axis=1), rtol=1e-12)
    means = partition_intervals(y, joint, without, weights, mean)
    np.testing.assert_allclose(means.region, plain.mean(1), rtol=1e-12)


def test_a_draw_without_variance_is_nan_and_left_out():
    y, joint, without, weights, mean = fixed()
    y[:, 2], mean[2] = 3.0, 3.0
    found = partition_intervals(y, joint, without, weights, mean)
    assert np.isnan(found.value[:, 2]).all()
    assert np.isnan(found.low[:, 2]).all()
    np.testing.assert_allclose(found.region, np.delete(found.value, 2, axis=1).mean(1))


def test_intervals_cover_the_planted_value():
    # Each neuroid is an experiment of its own: 200 stimuli, fixed predictions, population values in closed form.
    rng = np.random.default_rng(4)
    n, v = 200, 1500
    one, two, noise = rng.normal(size=(3, n, v))
    y = one + two + noise
    weights = rng.multinomial(n, np.full(n, 1 / n), size=400)
    found = partition_intervals(y, one + two, np.stack([two, one]), weights, np.zeros(v))
    for row, truth in enumerate((2 / 3, 1 / 3, 1 / 3, 0.0)):
        coverage = ((found.low[row] <= truth) & (truth <= found.high[row])).mean()
        assert 0.92 < coverage < 0.97


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: product_measure(np.ones((5, 2)), np.ones((3, 5, 1))), r"found y \(5, 2\) and predictions \(3, 5, 1\)"),
        (lambda: correlation_split(np.ones(5), np.ones((3, 5))), r"found y \(5,\) and predictions \(3, 5\)"),
        (lambda: unique_shared(np.ones(4), np.ones((1, 4))), r"found R² \[\(4,\), \(1, 4\)\], expected \(neuroids\)"),
        (lambda: unique_shared(np.ones(4), np.ones((2, 4)), np.ones((2, 3))), r"found R² \[\(4,\), \(2, 4\), \(2, 3\)\]"),
        (
            lambda: partition_draws(np.ones((5, 2)), np.ones((5, 2)), np.ones((2, 5, 2)), np.ones((9, 4)), np.ones(2)),
            r"shapes \[\(5, 2\), \(5, 2\), \(2, 5, 2\), \(9, 4\)\], expected",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
