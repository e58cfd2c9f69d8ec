"""Temperatures and stated probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from isocortex.identification.calibration import calibrate, expected_error, slope, softmax


def _drawn(n: int, k: int, steepness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and truths that a softmax of them with this slope makes as likely as it says."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((n, k))
    stated = softmax(scores, steepness)
    return scores, (rng.random(n)[:, None] > stated.cumsum(axis=1)).sum(axis=1)


def test_the_slope_is_the_most_likely_one() -> None:
    scores, truth = _drawn(150, 5, 1.7)
    grid = np.linspace(0.01, 6.0, 6000)

    def likelihood(at: float) -> float:
        sure = softmax(scores, at).max(axis=1)
        right = scores.argmax(axis=1) == truth
        both = np.log(sure) + np.log(1 - sure)
        return float(np.where(right, np.log(sure), np.log(1 - sure)).sum() + 0.5 * both.mean())

    assert slope(scores, truth) == pytest.approx(grid[np.argmax([likelihood(at) for at in grid])], abs=1e-3)
    assert abs(slope(*_drawn(20000, 5, 1.7)) - 1.7) < 0.05


def test_the_slope_of_nothing_is_none_and_that_of_certainty_is_finite() -> None:
    scores, truth = _drawn(50, 4, 1.0)
    assert slope(np.zeros((50, 4)), truth) == 0.0
    assert slope(scores, scores.argmin(axis=1)) == 0.0
    sure = slope(scores, scores.argmax(axis=1))
    assert np.isfinite(sure)
    assert sure > 5.0


def test_the_error_is_that_of_equal_bins() -> None:
    rng = np.random.default_rng(0)
    stated, hit = rng.random(95), rng.random(95) < 0.5
    order, total = np.argsort(stated), 0.0
    # 95 worlds in ten bins: five of ten, then five of nine.
    ends = np.cumsum([0, *[10] * 5, *[9] * 5])
    for a, b in itertools.pairwise(ends):
        total += (b - a) * abs(stated[order[a:b]].mean() - hit[order[a:b]].mean())
    found, bins = expected_error(stated, hit)
    assert found == pytest.approx(total / 95)
    assert np.array_equal(bins[:, 2], np.diff(ends))
    assert len(expected_error(stated[:4], hit[:4])[1]) == 4


def test_scores_that_hold_are_calibrated_and_those_of_a_liar_are_not() -> None:
    scores, truth = _drawn(2000, 6, 2.0)
    groups = [int(k) for k in np.random.default_rng(1).integers(0, 12, 2000)]
    found = calibrate(scores, truth, groups)
    assert found.temperature == pytest.approx(0.5, abs=0.05)
    assert found.ece < found.ece_limit
    assert found.ece_expected < found.ece_limit
    assert np.allclose(found.stated.sum(axis=1), 1.0)
    # Half of the worlds tell nothing, and look as sure as the rest.
    truth[::2] = np.random.default_rng(2).integers(0, 6, 1000)
    scores[1::2] *= 3.0
    mixed = calibrate(scores, truth, groups)
    assert mixed.ece > mixed.ece_limit


def test_a_world_is_stated_by_the_temperature_of_other_networks() -> None:
    """Worlds of one network that are all wrong change what is stated of others, and not of themselves."""
    scores, truth = _drawn(100, 4, 3.0)
    groups = [k % 5 for k in range(100)]
    before = calibrate(scores, truth, groups).stated
    changed = truth.copy()
    changed[0::5] = scores[0::5].argmin(axis=1)
    after = calibrate(scores, changed, groups).stated
    assert np.array_equal(before[0::5], after[0::5])
    assert not np.allclose(before[1::5], after[1::5])


def test_one_network_has_no_other_to_learn_from() -> None:
    scores, truth = _drawn(20, 3, 1.0)
    found = calibrate(scores, truth, ["a"] * 20)
    assert np.isnan([found.temperature, found.ece, found.ece_expected, found.ece_limit]).all()
    assert np.isnan(found.stated).all()


def test_missing_scores_are_the_lowest_of_their_world() -> None:
    scores, truth = _drawn(60, 3, 2.0)
    groups = [k % 4 for k in range(60)]
    holed = scores.copy()
    holed[5, scores[5].argmin()] = np.nan
    lowest = scores.copy()
    lowest[5, scores[5].argmin()] = np.sort(scores[5])[1]
    assert np.array_equal(calibrate(holed, truth, groups).stated, calibrate(lowest, truth, groups).stated)
    holed[7] = np.nan
    assert np.allclose(calibrate(holed, truth, groups).stated[7], 1 / 3)


def test_no_worlds_have_no_probabilities() -> None:
    found = calibrate(np.empty((0, 3)), np.empty(0, dtype=int), [])
    assert np.isnan(found.ece)
    assert found.stated.shape == (0, 3)
