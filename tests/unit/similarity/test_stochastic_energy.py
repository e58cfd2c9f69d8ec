"""Energy distances of trials beside loops over all pairs, and the search beside stacked, reweighted Procrustes fits."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape import Search, energy, energy_shape


def trials(m, r, p, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, 1, p)) + noise * rng.standard_normal((m, r, p))


def rotation(p, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))[0]


def squared_by_loops(x, y, t):
    total = 0.0
    for a, b in zip(x, y, strict=True):
        a, b = a[~np.isnan(a).any(1)], b[~np.isnan(b).any(1)] @ t
        total += np.mean([np.linalg.norm(i - j) for i in a for j in b])
        for c in (a, b):
            total -= 0.5 * np.mean([np.linalg.norm(i - j) for k, i in enumerate(c) for n, j in enumerate(c) if k != n])
    return total / len(x)


def reweighted(x, y, t, iterations=3000):
    """The cross term that fits of all stacked pairs of trials reach from t."""
    r, s = x.shape[1], y.shape[1]
    left = np.repeat(x, s, axis=1).reshape(-1, x.shape[2])
    right = np.tile(y, (1, r, 1)).reshape(-1, x.shape[2])
    for _ in range(iterations):
        weight = 1 / np.linalg.norm(left - right @ t, axis=1)[:, None]
        u, _, v = np.linalg.svd((weight * right).T @ left)
        t = u @ v
    return t


def with_gaps(x, seed):
    gone = np.random.default_rng(seed).random(x.shape[:2]) < 0.3
    gone[:, :2] = False
    return np.where(gone[..., None], np.nan, x)


def test_without_alignment_it_is_the_mean_over_pairs():
    x, y = trials(5, 6, 3, 0), trials(5, 4, 3, 1)
    assert energy_shape(x, y, "identity").squared == pytest.approx(squared_by_loops(x, y, np.eye(3)), rel=1e-10)
    assert energy_shape(x, y, "identity").distance == pytest.approx(np.sqrt(squared_by_loops(x, y, np.eye(3))), rel=1e-10)


def test_missing_trials_are_no_trials():
    x, y = with_gaps(trials(6, 7, 3, 0), 0), with_gaps(trials(6, 5, 3, 1), 1)
    found = energy_shape(x, y)
    assert found.squared == pytest.approx(squared_by_loops(x, y, found.transform), rel=1e-9)
    padded = np.concatenate([x, np.full((6, 3, 3), np.nan)], axis=1)
    assert energy_shape(padded, y).squared == pytest.approx(found.squared, rel=1e-9)


def test_reaches_the_plain_algorithm_from_the_same_start():
    x, y = trials(7, 5, 4, 2), trials(7, 6, 4, 3)
    found = energy_shape(x, y, starts=3, tol=1e-12)
    starts = energy.first_transforms(*energy.both_sampled(x, y), Search(starts=3))[0].numpy()
    for start, value in zip(starts, found.values, strict=True):
        plain = squared_by_loops(x, y, reweighted(x, y, start))
        assert value**2 <= plain + 1e-7
        assert found.squared <= plain + 1e-9
    assert found.converged
    assert found.transform @ found.transform.T == pytest.approx(np.eye(4), abs=1e-12)


def test_the_curvature_is_the_second_derivative_also_where_conditions_come_in_parts(monkeypatch):
    x, y = energy.both_sampled(with_gaps(trials(7, 5, 4, 2), 0), trials(7, 6, 4, 3))
    t, rng, h = torch.as_tensor(rotation(4))[None], np.random.default_rng(0), 1e-5
    turn = torch.as_tensor(rng.standard_normal((1, 4, 4)))
    turn = turn - turn.mT
    made = []
    for budget in (1e9, 1500):
        monkeypatch.setattr(energy, "budget_bytes", lambda device, budget=budget: budget)
        problem = energy._problem(x, y, 1)
        value, gradient, state = problem.evaluate(t)
        apart = problem.evaluate(t + h * t @ turn)[1] - problem.evaluate(t - h * t @ turn)[1]
        bent = problem.bent(t, state, turn)
        assert bent.numpy() == pytest.approx((t.mT @ apart / (2 * h)).numpy(), rel=1e-5, abs=1e-7)
        made.append((problem.step, value, gradient, bent, energy.scored(x, y, t)))
    assert made[0][0] == 7
    assert made[1][0] < 7
    for whole, parts in zip(made[0][1:], made[1][1:], strict=True):
        assert parts.numpy() == pytest.approx(whole.numpy(), rel=1e-12)


def test_a_turned_copy_is_at_zero_and_its_turn_is_found():
    x = trials(8, 6, 4, 0)
    found = energy_shape(x, x @ rotation(4, 1))
    assert found.distance == 0
    assert found.squared < 0
    assert found.transform == pytest.approx(rotation(4, 1).T, abs=1e-4)


def test_gaussians_apart_by_their_means_alone():
    """Without noise it is the mean distance of conditions: √ of it, once aligned."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((9, 1, 3))
    x, y = np.repeat(means, 3, axis=1), np.repeat(means + np.array([0, 0, 2.0]), 3, axis=1)
    assert energy_shape(x, y, "identity").distance == pytest.approx(np.sqrt(2.0), rel=1e-12)


def test_tells_populations_of_equal_moments_apart():
    """Signs and normal deviates have one mean and one covariance: a Gaussian distance has nothing to see."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 40, 2)), np.sign(rng.standard_normal((2, 40, 2)))
    same = energy_shape(x, rng.standard_normal((2, 40, 2)), "identity").squared
    assert energy_shape(x, y, "identity").squared > same + 0.02


def test_permutations_beside_brute_force_and_unequal_widths():
    x, y = trials(5, 4, 4, 0), trials(5, 4, 3, 1)
    wide = np.pad(y, ((0, 0), (0, 0), (0, 1)))
    every = [squared_by_loops(x, wide, np.eye(4)[list(order)]) for order in permutations(range(4))]
    assert energy_shape(x, y, "permutation", starts=30).squared == pytest.approx(min(every), rel=1e-9)


def test_is_symmetric_and_blind_to_rotations_but_not_to_scales():
    x, y = trials(20, 6, 3, 0, 0.5), trials(20, 6, 3, 1, 0.5)
    d = energy_shape(x, y, starts=6).squared
    assert energy_shape(y, x, starts=6).squared == pytest.approx(d, rel=1e-6)
    assert energy_shape(x @ rotation(3, 1), y @ rotation(3, 2), starts=6).squared == pytest.approx(d, rel=1e-6)
    assert abs(energy_shape(x * [3.0, 1, 1], y, starts=6).squared - d) > 0.1 * d


def test_keeps_the_triangle_inequality_where_alignment_is_found():
    systems = [trials(20, 8, 3, k, 0.3) for k in range(4)]
    d = np.array([[energy_shape(x, y, starts=6).distance for y in systems] for x in systems])
    for i in range(4):
        assert (d <= d[:, i, None] + d[None, i] + 0.05).all()


def test_tensors_stay_tensors_and_inputs_stay_as_they_are():
    x, y = trials(5, 4, 3, 0), with_gaps(trials(5, 4, 3, 1), 0)
    copies = x.copy(), y.copy()
    found = energy_shape(torch.as_tensor(x), torch.as_tensor(y))
    assert isinstance(found.transform, torch.Tensor)
    assert found.squared == energy_shape(x, y).squared
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


def test_constant_trials():
    still = np.ones((4, 3, 2))
    assert energy_shape(still, still).distance == pytest.approx(0, abs=1e-7)
    assert energy_shape(np.zeros((4, 3, 2)), np.zeros((4, 3, 2))).distance == 0


def test_refusals():
    x, y = trials(5, 4, 3, 0), trials(5, 4, 3, 1)
    once = y.copy()
    once[2:4, 1:] = np.nan
    with pytest.raises(DataError, match=r"found 1 trials of y in condition 2 and too few in 1 more, expected at least 2; drop"):
        energy_shape(x, once)
    gone = y.copy()
    gone[4] = np.nan
    with pytest.raises(DataError, match=r"found 0 trials of y in condition 4"):
        energy_shape(x, gone)
    partly = y.copy()
    partly[0, 0, 0] = np.nan
    with pytest.raises(DataError, match=r"trials of y with some units missing or infinite.*drop these units or trials"):
        energy_shape(x, partly)
    with pytest.raises(DataError, match=r"found 5 and 4 conditions.*keep the common ones"):
        energy_shape(x, y[:4])
    with pytest.raises(DataError, match=r"found x of shape \(4, 3\)"):
        energy_shape(x[0], y)
    with pytest.raises(ValueError, match="group: found 'affine'"):
        energy_shape(x, y, "affine")
