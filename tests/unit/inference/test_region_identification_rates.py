"""Intervals of identification that cover, for other subjects; and the map of regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from scipy.stats import t as student

from isocortex.inference.region_identification import Measured, Plan, identify_regions
from isocortex.inference.region_identification_rates import Rates, rates, spread
from isocortex.inference.region_map import region_map, squared_distances
from isocortex.similarity.scaling import classical_scaling


def world(s: int, r: int, seed: int, effect: float = 0.3, n: int = 14) -> Measured:
    """Subjects in which a region's RDM is more or less clear; the regions are those of every seed."""
    rng, pairs = np.random.default_rng([9, seed]), n * (n - 1) // 2
    regions = effect * np.random.default_rng(8).standard_normal((r, pairs))
    rdms = torch.as_tensor(2 + regions * rng.gamma(4, 0.25, (s, 1, 1)) + rng.standard_normal((s, r, pairs)))
    return Measured([f"S{k}" for k in range(s)], [f"R{k}" for k in range(r)], [f"i{k}" for k in range(n)], rdms)


def result(measured: Measured, plan: Plan) -> Rates:
    found = identify_regions(measured, plan)
    return rates(np.where(found.correct < 0, np.nan, found.correct).mean(-1), found.without)


def test_the_variance_is_the_jackknifes_and_that_of_subsets():
    rng = np.random.default_rng(0)
    means, left = rng.random((2, 4)), rng.random((2, 4, 6))
    for row in range(2):
        pseudo = [np.mean([left[row, k, s] for k in range(4)]) for s in range(6)]
        expected = 5 / 6 * sum((value - np.mean(pseudo)) ** 2 for value in pseudo)
        assert spread(means, left)[row] == pytest.approx(expected + np.var(means[row], ddof=1) / 4)
        assert spread(means[:, :1], left[:, :1])[row] == pytest.approx(5 * np.var(left[row, 0]))


def test_intervals_and_differences_are_of_these_variances():
    rng = np.random.default_rng(3)
    accuracy, without = rng.integers(0, 2, (2, 1, 1, 9, 7)).astype(float), rng.random((2, 1, 1, 9, 7))
    found, means = rates(accuracy, without), accuracy[:, 0, 0].mean(-1)
    np.testing.assert_allclose(found.accuracy[:, 0, 0], means.mean(1))
    half = student.ppf(0.975, 6) * np.sqrt(spread(means, without[:, 0, 0]))
    np.testing.assert_allclose(found.low[:, 0, 0], np.clip(found.accuracy[:, 0, 0] - half, 0, 1))
    np.testing.assert_allclose(found.high[:, 0, 0], np.clip(found.accuracy[:, 0, 0] + half, 0, 1))
    sd = np.sqrt(spread(means[1:] - means[:1], without[1:, 0, 0] - without[:1, 0, 0])).item()
    difference = found.accuracy[1, 0, 0] - found.accuracy[0, 0, 0]
    assert found.difference[1, 0, 0] == pytest.approx(difference)
    assert found.difference_low[1, 0, 0] == pytest.approx(difference - student.ppf(0.975, 6) * sd)
    assert found.difference_high[1, 0, 0] == pytest.approx(difference + student.ppf(0.975, 6) * sd)
    assert found.p[1, 0, 0] == pytest.approx(2 * student.sf(abs(difference) / sd, 6))
    assert found.q[1, 0, 0] == found.p[1, 0, 0]
    assert np.isnan(found.p[0]).all()


def test_subsets_that_were_not_done_are_left_out():
    accuracy, without = np.random.default_rng(4).random((2, 1, 1, 1, 3, 5))
    more = np.full((1, 1, 1, 2, 5), np.nan)
    longer = rates(np.concatenate([accuracy, more], axis=3), np.concatenate([without, more], axis=3))
    for name, value in vars(rates(accuracy, without)).items():
        np.testing.assert_allclose(value, getattr(longer, name), rtol=1e-12)


def test_where_no_subject_changes_anything_the_interval_is_missing():
    accuracy = np.ones((2, 1, 1, 1, 6))
    accuracy[1] = 0.3
    found = rates(accuracy, accuracy)
    assert found.accuracy.ravel().tolist() == [1.0, pytest.approx(0.3)]
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert np.isnan(found.difference_low).all()
    assert found.p[1].item() == 0.0
    assert rates(np.ones((2, 1, 1, 1, 6)), np.ones((2, 1, 1, 1, 6))).p[1].item() == 1.0


def test_intervals_cover_what_is_true_of_other_subjects():
    """A subject is tested, and is in what others are compared with: an interval that forgets this covers too seldom."""
    both, simulations = {"rsa": {}, "rsa_rank": {}}, 200
    found = [result(world(10, 2, seed), Plan([7], [0.0], 10, both, seed)) for seed in range(simulations)]
    for name, row in (("accuracy", 0), ("accuracy", 1), ("difference", 1)):
        prefix = "" if name == "accuracy" else "difference_"
        value, low, high = (
            np.array([getattr(one, key)[row].item() for one in found]) for key in (name, f"{prefix}low", f"{prefix}high")
        )
        assert name == "difference" or 0.6 < value.mean() < 0.9
        covered = ((low <= value.mean()) & (value.mean() <= high)).mean()
        assert 0.89 <= covered <= 1.0, (name, row)  # four standard errors of 200 simulations are .06


def test_a_statistic_that_is_worse_is_found_out():
    """Of few pairs of stimuli a narrow band of ranks keeps little more than which are near."""
    plan = {"rsa": {}, "topology": {"step": 0.2}}
    found = [result(world(20, 4, seed, 0.8, 16), Plan([6], [0.0], 20, plan, seed)) for seed in range(8)]
    assert np.mean([one.difference[1].item() < 0 for one in found]) == 1.0
    assert np.mean([one.p[1].item() < 0.05 for one in found]) >= 0.75


# --- the map -----------------------------------------------------------------------------------------------------------


def test_similarities_between_subjects_are_those_of_pairs_of_subjects():
    rdms = torch.as_tensor(np.random.default_rng(6).random((4, 3, 15)))
    found = region_map(rdms)
    for a in range(3):
        for b in range(3):
            pairs = [spearmanr(rdms[s, a], rdms[t, b]).statistic for s in range(4) for t in range(4) if s != t]
            assert found.between[a, b] == pytest.approx(np.mean(pairs), abs=1e-12)
            own = np.mean([spearmanr(rdms[s, a], rdms[s, b]).statistic for s in range(4)])
            assert np.isnan(found.within[a, b]) if a == b else found.within[a, b] == pytest.approx(own, abs=1e-12)


def test_noise_that_a_subjects_regions_share_moves_regions_within_it_only():
    rng = np.random.default_rng(7)
    regions, trials = rng.standard_normal((2, 2000)), 3 * rng.standard_normal((8, 1, 2000))
    found = region_map(torch.as_tensor(regions + trials), "pearson")
    assert found.within[0, 1] > 0.85
    assert abs(found.between[0, 1]) < 0.05
    assert found.between[0, 0] == pytest.approx(0.1, abs=0.03)  # 1/(1 + 3²)


def test_squared_distances_are_those_of_mean_rdms_without_noise():
    rdms = torch.as_tensor(np.repeat(np.random.default_rng(8).random((1, 4, 21)), 3, axis=0))
    unit = rdms[0].numpy() - rdms[0].numpy().mean(1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    found = squared_distances(region_map(rdms, "pearson").between)
    np.testing.assert_allclose(found, ((unit[:, None] - unit[None]) ** 2).sum(-1), atol=1e-12)


def test_scaling_draws_a_plane_as_it_is():
    points = np.random.default_rng(9).standard_normal((5, 2))
    squared = ((points[:, None] - points[None]) ** 2).sum(-1)
    coordinates, shares = classical_scaling(squared)
    np.testing.assert_allclose(((coordinates[:, None] - coordinates[None]) ** 2).sum(-1), squared, atol=1e-10)
    assert shares.sum() == pytest.approx(1.0)
    assert (coordinates[np.abs(coordinates).argmax(0), [0, 1]] > 0).all()


def test_scaling_of_what_has_no_plane_is_defined():
    coordinates, shares = classical_scaling(np.zeros((3, 3)))
    assert (coordinates == 0).all()
    assert np.isnan(shares).all()
    coordinates, shares = classical_scaling(np.full((3, 3), np.nan))
    assert coordinates.shape == (3, 2)
    assert np.isnan(coordinates).all()
    assert np.isnan(shares).all()
    coordinates, _ = classical_scaling(np.array([[0.0, 4.0], [4.0, 0.0]]))
    np.testing.assert_allclose(np.abs(coordinates), [[1, 0], [1, 0]], atol=1e-12)
