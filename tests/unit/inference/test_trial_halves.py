"""Halves of trials in time and at random, and equal numbers of trials and units of two systems."""

from __future__ import annotations

import numpy as np
import pytest

from isocortex.inference.trial_halves import HALVES, System, blocked_halves, match, pick, random_halves, shuffled, stretches


@pytest.mark.parametrize("n", [4, 8, 9, 25, 66])
@pytest.mark.parametrize("kind", list(HALVES))
def test_halves_share_no_trial_and_leave_at_most_one_out(n: int, kind: str) -> None:
    order = np.random.default_rng(n).permutation(100)[:n]
    for seed in range(5):
        first, second = HALVES[kind](order, 10, np.random.default_rng(seed))
        assert sorted([*first, *second]) == sorted(order)
        assert abs(len(first) - len(second)) <= 1


def test_blocked_halves_alternate_in_time() -> None:
    first, second = blocked_halves(np.arange(24), 4, np.random.default_rng(0))
    found = {tuple(first.tolist()), tuple(second.tolist())}
    assert found == {(*range(6), *range(12, 18)), (*range(6, 12), *range(18, 24))}
    orders = {tuple(blocked_halves(np.arange(24), 4, np.random.default_rng(seed))[0][:1].tolist()) for seed in range(20)}
    assert orders == {(0,), (6,)}
    random = {tuple(sorted(random_halves(np.arange(24), 4, np.random.default_rng(seed))[0].tolist())) for seed in range(20)}
    assert len(random) == 20


@pytest.mark.parametrize(("n", "blocks", "sizes"), [(8, 10, [2] * 4), (3, 10, [3]), (24, 4, [6] * 4), (9, 3, [5, 4])])
def test_stretches_hold_two_trials_or_more(n: int, blocks: int, sizes: list[int]) -> None:
    assert [len(stretch) for stretch in stretches(n, blocks)] == sizes


def test_systems_are_matched_on_what_both_have() -> None:
    def system(ids: str, counts: list[int], units: int) -> System:
        trials = np.zeros((len(ids), 12, units))
        shown = np.stack([np.where(np.arange(12) < count, np.arange(12), -1) for count in counts])
        return System("A", "m", list(ids), trials, shown)

    both = match(system("abcd", [12, 8, 9, 3], 5), system("dcab", [12, 10, 8, 7], 4), 8)
    assert both.first.tolist() == [0, 2]  # a and c; b and d were shown too seldom in one of them
    assert both.second.tolist() == [2, 1]
    assert both.trials.tolist() == [8, 9]
    assert both.half.tolist() == [4, 4]
    assert both.units == 4


def test_trials_are_picked_from_those_dealt() -> None:
    trials = np.arange(2 * 6 * 1, dtype=float).reshape(2, 6, 1)
    found = pick(trials, [np.array([1, 3, 5]), np.array([0, 2])], np.array([3, 2]), np.random.default_rng(0))
    assert found.shape == (2, 3, 1)
    assert sorted(found[0, :, 0]) == [1, 3, 5]
    assert sorted(found[1, :2, 0]) == [6, 8]
    assert np.isnan(found[1, 2, 0])


def test_shuffling_keeps_stretches_and_single_units() -> None:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((3, 60, 1))
    trials = shared + 0.1 * rng.standard_normal((3, 60, 4))
    order = [rng.permutation(60) for _ in range(3)]
    found = shuffled(trials, order, 6, rng)
    for row in range(3):
        for stretch in stretches(60, 6):
            places = order[row][stretch]
            np.testing.assert_array_equal(np.sort(found[row, places], axis=0), np.sort(trials[row, places], axis=0))
        assert np.corrcoef(trials[row].T)[0, 1] > 0.9
        assert abs(np.corrcoef(found[row].T)[0, 1]) < 0.5
    assert not np.shares_memory(found, trials)
