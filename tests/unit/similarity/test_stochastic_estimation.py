"""From trials to Gaussians: enough trials, few enough dimensions, systems made alike, noise for a system without any."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.rdm import noise_covariance
from isocortex.similarity.stochastic_shape import (
    conditions_with,
    fit_gaussians,
    gaussian_shape,
    matched,
    most_components,
    on_axes,
    pooled_axes,
    with_noise,
)


def trials(counts, p, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((len(counts), 1, p)) + rng.standard_normal((len(counts), max(counts), p))
    for condition, count in zip(x, counts, strict=True):
        condition[rng.permutation(len(condition))[count:]] = np.nan
    return x


def present(x):
    return [condition[~np.isnan(condition).any(1)] for condition in x]


def test_conditions_with_enough_trials():
    x = trials([8, 7, 12, 0, 9], 3)
    assert conditions_with(x).tolist() == [0, 2, 4]
    assert conditions_with(x, 10).tolist() == [2]
    with pytest.raises(DataError, match=r"at most 12 of a condition, expected at least 20.*use the energy distance"):
        conditions_with(x, 20)


def test_dimensions_are_half_of_the_fewest_trials():
    assert most_components(trials([8, 13], 20)) == 4
    assert most_components(trials([9, 13], 20), trials([30, 30], 3)) == 3


def test_plain_gaussians_are_means_and_covariances_of_what_is_there():
    x = trials([8, 11, 20], 4)
    found = fit_gaussians(x)
    means = np.array([condition.mean(0) for condition in present(x)])
    assert found.means == pytest.approx(means - means.mean(0))
    assert found.covariances == pytest.approx(np.array([np.cov(condition.T) for condition in present(x)]))


@pytest.mark.parametrize("shrinkage", ["shrinkage_diag", "shrinkage_eye", "diag"])
def test_shrunk_covariances_may_have_more_dimensions_than_trials(shrinkage):
    x = trials([8, 9], 12)
    expected = [noise_covariance(condition, shrinkage=shrinkage) for condition in present(x)]
    assert fit_gaussians(x, shrinkage=shrinkage).covariances == pytest.approx(np.array(expected))


def test_pooled_axes_are_those_of_means_and_noise_together():
    x = trials([10, 16, 12], 5)
    means = np.array([condition.mean(0) for condition in present(x)])
    total = np.cov(means.T, bias=True) + np.mean([np.cov(condition.T, bias=True) for condition in present(x)], axis=0)
    mean, axes = pooled_axes(x, 3)
    assert mean == pytest.approx(means.mean(0))
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-12)
    values = np.linalg.eigvalsh(total)[::-1]
    assert axes.T @ total @ axes == pytest.approx(np.diag(values[:3]), abs=1e-10)
    on = on_axes(x, 3)
    assert np.isnan(on).all(2).tolist() == np.isnan(x).all(2).tolist()
    assert on == pytest.approx((x - mean) @ axes, nan_ok=True)


def test_all_components_are_a_rotation():
    x, y = trials([30, 30, 30], 3), trials([30, 30, 30], 3, 1)
    plain = gaussian_shape(fit_gaussians(x), fit_gaussians(y), starts=8).distance
    on_components = gaussian_shape(fit_gaussians(x, 3), fit_gaussians(y, 3), starts=8).distance
    assert on_components == pytest.approx(plain, rel=1e-6)


def test_matched_systems_have_the_same_conditions_trials_and_units():
    x, y = trials([8, 12, 3, 15], 6), trials([9, 10, 20, 8], 4, 1)
    copies = x.copy(), y.copy()
    found = matched(x, y, seed=3)
    assert found.conditions.tolist() == [0, 1, 3]
    assert found.x_units.size == 4
    assert found.y_units.tolist() == [0, 1, 2, 3]
    for made in (found.x, found.y):
        assert [len(condition) for condition in present(made)] == [8, 10, 8]
    for made, whole, units in ((found.x, x, found.x_units), (found.y, y, found.y_units)):
        for condition, kept in zip(found.conditions, present(made), strict=True):
            originals = [tuple(trial) for trial in whole[condition][:, units]]
            places = [originals.index(tuple(trial)) for trial in kept]
            assert places == sorted(set(places))
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])
    again = matched(x, y, seed=3)
    np.testing.assert_array_equal(again.x, found.x)
    assert matched(x, y, units=False).x.shape[2] == 6
    assert isinstance(matched(torch.as_tensor(x), torch.as_tensor(y)).x, torch.Tensor)


@pytest.mark.parametrize("kind", ["isotropic", "proportional"])
def test_noise_for_a_network_is_a_share_of_its_signal(kind):
    means = np.random.default_rng(0).standard_normal((30, 5)) + 1
    found = with_noise(means, kind, 0.4)
    signal = means.var(0).sum()
    assert np.trace(found.covariances, axis1=1, axis2=2).mean() == pytest.approx(0.4 * signal)
    variance = np.diagonal(found.covariances, axis1=1, axis2=2)
    assert found.covariances == pytest.approx(np.array([np.diag(v) for v in variance]))
    ratio = variance / (np.abs(means) if kind == "proportional" else 1.0)
    assert ratio == pytest.approx(np.full_like(means, ratio[0, 0]))
    np.testing.assert_array_equal(found.means, means)


def test_noise_by_condition_is_alike_in_all_directions():
    means = np.random.default_rng(1).standard_normal((30, 5)) + 1
    distances = ((means - means.mean(0)) ** 2).sum(1)
    expected = 0.4 * distances[:, None, None] / 5 * np.eye(5)
    assert with_noise(means, "proportional_by_condition", 0.4).covariances == pytest.approx(expected)


def test_no_noise():
    means = np.ones((3, 2))
    assert not with_noise(means, "none").covariances.any()
    with pytest.raises(DataError, match=r"the same response to all conditions.*choose kind none"):
        with_noise(means)


def test_refusals():
    x = trials([8, 8, 7], 12)
    with pytest.raises(DataError, match=r"found 7 trials of condition 2, expected at least 8.*use the energy distance"):
        fit_gaussians(x)
    with pytest.raises(DataError, match=r"found 12 dimensions of 12 units with 8 trials, expected at most 4; set components"):
        fit_gaussians(x[:2])
    with pytest.raises(DataError, match="found 5 dimensions of 12 units with 8 trials, expected at most 4"):
        fit_gaussians(x[:2], 5)
    with pytest.raises(DataError, match="found 1 trials of condition 0, expected at least 2"):
        fit_gaussians(x[:, :1][:1] * 0, least=1)
    with pytest.raises(ValueError, match="found shrinkage 'ridge'"):
        fit_gaussians(x, shrinkage="ridge")
    with pytest.raises(DataError, match="found 3 and 2 conditions"):
        matched(x, x[:2])
    with pytest.raises(DataError, match=r"no condition with 8 trials in both systems, at most 7.*use the energy distance"):
        matched(x[2:], x[2:])
    partly = np.zeros((2, 8, 3))
    partly[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="found 1 with some units missing and 0 infinite values"):
        fit_gaussians(partly)
    with pytest.raises(DataError, match=r"found shape \(8, 3\)"):
        conditions_with(partly[0])
    with pytest.raises(ValueError, match="with_noise: found kind 'pink'"):
        with_noise(np.eye(2), "pink")
    with pytest.raises(ValueError, match="found ratio -1"):
        with_noise(np.eye(2), "isotropic", -1)
    with pytest.raises(DataError, match=r"with_noise: found means of shape \(2,\)"):
        with_noise(np.ones(2))
