"""Shuffled trials, split halves, and tests of noise: what they keep, what they destroy, and how often they reject."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape import (
    Gaussians,
    Measure,
    Search,
    condition_null,
    energy_shape,
    exchange_test,
    fit_gaussians,
    gaussian_shape,
    noise_test,
    self_distance,
    shuffled,
    split_halves,
)

ONE = Search(starts=1, tol=1e-6)


def trials(m, r, p, seed, shared=0.0, missing=False):
    """Unit variances; the correlation of units within a condition is `shared`."""
    rng = np.random.default_rng(seed)
    noise = np.sqrt(1 - shared) * rng.standard_normal((m, r, p)) + np.sqrt(shared) * rng.standard_normal((m, r, 1))
    x = np.random.default_rng(99).standard_normal((m, 1, p)) + noise
    if missing:
        gone = rng.random((m, r)) < 0.2
        gone[:, :4] = False
        x[gone] = np.nan
    return x


@pytest.mark.parametrize("block", [None, 3])
def test_shuffles_move_each_unit_by_itself_within_condition_and_block(block):
    x = trials(5, 10, 4, 0, missing=True)
    before = x.copy()
    found = shuffled(x, 1, block)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    moved = 0
    for one, other in zip(x, found, strict=True):
        one, other = one[~np.isnan(one).any(1)], other[~np.isnan(other).any(1)]
        size = block or len(one)
        for start in range(0, len(one), size):
            for unit in range(4):
                a, b = one[start : start + size, unit], other[start : start + size, unit]
                assert sorted(a) == sorted(b)
                moved += (a != b).sum()
    assert moved > 50
    np.testing.assert_array_equal(shuffled(x, 1, block), found)
    assert isinstance(shuffled(torch.as_tensor(x), 1, block), torch.Tensor)


def test_shuffles_remove_correlations():
    x = trials(20, 50, 2, 0, shared=0.6)
    correlation = lambda y: np.mean([np.corrcoef(condition.T)[0, 1] for condition in y])
    assert correlation(x) > 0.5
    assert abs(correlation(shuffled(x))) < 0.1


@pytest.mark.parametrize("blocks", [None, 2, 4])
def test_halves_part_the_trials_of_every_condition(blocks):
    x = trials(6, 13, 2, 0, missing=True)
    first, second = split_halves(x, 3, blocks)
    for whole, a, b in zip(x, first, second, strict=True):
        kept = [[tuple(t) for t in part if not np.isnan(t).any()] for part in (whole, a, b)]
        assert sorted(kept[0]) == sorted(kept[1] + kept[2])
        assert abs(len(kept[1]) - len(kept[2])) <= (1 if blocks is None else 2)
        sides = [trial in kept[1] for trial in kept[0]]
        if blocks:
            assert sum(a != b for a, b in pairwise(sides)) == blocks - 1
    again = split_halves(x, 3, blocks)
    np.testing.assert_array_equal(again[0], first)


def test_permuted_conditions_are_as_systems_given_in_another_order():
    x, y = (fit_gaussians(trials(6, 20, 3, k)) for k in (0, 1))
    null = condition_null(x, y, 5, search=Search(starts=2), seed=4)
    orders = np.random.default_rng(4).permuted(np.tile(np.arange(6), (5, 1)), axis=1)
    expected = [gaussian_shape(x, Gaussians(y.means[o], y.covariances[o]), starts=2).distance for o in orders]
    assert null == pytest.approx(expected, rel=1e-7)
    assert gaussian_shape(x, y, starts=2).distance < null.min()


def test_measures_are_the_distances_one_by_one():
    xs, ys = (np.array([trials(4, 12, 3, 10 * k + s) for s in range(3)]) for k in (0, 1))
    gaussian = [gaussian_shape(fit_gaussians(x), fit_gaussians(y), starts=2).squared for x, y in zip(xs, ys, strict=True)]
    assert Measure().squared(xs, ys) == pytest.approx(np.array(gaussian), rel=1e-7)
    on_two = [gaussian_shape(fit_gaussians(x, 2), fit_gaussians(y, 2), starts=2).squared for x, y in zip(xs, ys, strict=True)]
    assert Measure(components=2).squared(xs, ys) == pytest.approx(np.array(on_two), rel=1e-7)
    centred = lambda x: x - x.mean(1, keepdims=True).mean(0)
    energies = [energy_shape(centred(x), centred(y), starts=2).squared for x, y in zip(xs, ys, strict=True)]
    assert Measure("energy").squared(xs, ys) == pytest.approx(np.array(energies), rel=1e-6)


def test_self_distances_are_below_distances_from_another_population():
    x, y = trials(6, 40, 3, 0), trials(6, 40, 3, 1, shared=0.9)
    for kind in ("gaussian", "energy"):
        measure = Measure(kind)
        own = self_distance(x, 6, measure)
        assert own.shape == (6,)
        apart = measure.squared(split_halves(x)[0][None], split_halves(y)[0][None])[0] ** 0.5
        assert np.median(own) < apart
    np.testing.assert_array_equal(self_distance(x, 3, blocks=4), self_distance(x, 3, blocks=4))


@pytest.mark.parametrize("kind", ["gaussian", "energy"])
def test_noise_correlations_of_one_population_are_seen(kind):
    found = noise_test(trials(5, 24, 3, 0, shared=0.8), trials(5, 24, 3, 1), 39, Measure(kind, search=ONE))
    assert found.p == 1 / 40
    assert found.null.shape == (39,)
    assert found.squared > found.null.max()
    assert noise_test(trials(5, 24, 3, 2), trials(5, 24, 3, 3), 39, Measure(kind, search=ONE)).p > 0.05


def test_means_alone_do_not_see_them():
    """Shuffles leave the means: all of the null is as far, and p is 1."""
    found = noise_test(trials(5, 24, 3, 0, shared=0.8), trials(5, 24, 3, 1), 19, Measure(alpha=2.0, search=ONE))
    assert found.p == 1


def test_two_states_of_the_same_units_are_told_apart_by_exchanging_trials():
    measure = Measure(search=ONE)
    assert exchange_test(trials(5, 24, 3, 0, shared=0.8), trials(5, 24, 3, 1), 39, measure).p == 1 / 40
    assert exchange_test(trials(5, 24, 3, 0, shared=0.8), trials(5, 24, 3, 1, shared=0.8), 39, measure).p > 0.05
    x = trials(5, 24, 3, 0)
    x[:, 20:] = np.nan
    assert exchange_test(x, x[:, ::-1], 9, measure).p == 1


def test_quick_power_and_false_positives():
    """The slow simulations have more cases; here 60 studies of each."""
    rejected = np.zeros(2)
    for study in range(60):
        for k, shared in enumerate((0.0, 0.6)):
            x, y = trials(4, 16, 3, 1000 + study, shared=shared), trials(4, 16, 3, 2000 + study)
            rejected[k] += noise_test(x, y, 19, Measure(search=ONE), seed=study).p <= 0.05
    assert rejected[0] <= 8  # 60 at 5 %: more in 1 % of runs
    assert rejected[1] >= 54


def test_refusals():
    x = trials(3, 8, 4, 0)
    with pytest.raises(ValueError, match="measure: found kind 'kernel', expected one of"):
        Measure("kernel")
    with pytest.raises(DataError, match=r"found 5 components, expected 1 to 4, half of the fewest trials"):
        noise_test(x, x, 3, Measure(components=5))
    with pytest.raises(ValueError, match="found blocks of 1"):
        shuffled(x, block=1)
    with pytest.raises(DataError, match=r"found 1 trials of condition 0, expected at least 2"):
        split_halves(x[:, :1])
    with pytest.raises(DataError, match=r"found 8 trials of condition 0, expected at least 9.*set fewer blocks"):
        split_halves(x, blocks=9)
    with pytest.raises(DataError, match=r"exchange_test: found trials \(3, 8, 4\) and \(3, 8, 3\)"):
        exchange_test(x, x[:, :, :3])
