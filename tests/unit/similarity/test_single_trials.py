"""Trials in time and at random: stretches, halves, choices and shuffles."""

from __future__ import annotations

import numpy as np
import pytest

from isocortex.similarity.trials import (
    HALVES,
    blocked_half,
    chosen,
    packed,
    random_half,
    ranks,
    shuffled_within,
    some,
    stretches,
)


def holes(n: int, r: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which trials there are, two of each stimulus at least, and their places in time, -1 where missing."""
    rng = np.random.default_rng(seed)
    valid = rng.random((n, r)) < 0.7
    valid[:, :2] = True
    return valid, np.where(valid, rng.permutation(n * r).reshape(n, r), -1)


def in_order(valid: np.ndarray, shown: np.ndarray) -> list[np.ndarray]:
    return [row[mask[row]] for row, mask in zip(np.argsort(shown, axis=1), valid, strict=True)]


def naive_stretches(n: int, blocks: int) -> list[np.ndarray]:
    number = max(1, min(blocks, n // 2))
    return np.array_split(np.arange(n), number - number % 2 if number > 1 else 1)


@pytest.mark.parametrize("n", [4, 8, 9, 25, 66])
@pytest.mark.parametrize("kind", list(HALVES))
def test_halves_share_no_trial_and_leave_at_most_one_out(n: int, kind: str) -> None:
    order = np.random.default_rng(n).permutation(100)[:n]
    shown = np.full((1, 100), -1)
    shown[0, order] = np.arange(n)
    for seed in range(5):
        first = HALVES[kind](shown >= 0, np.random.default_rng(seed), shown, 10)
        assert not first[shown < 0].any()
        assert abs(n - 2 * int(first.sum())) <= 1


def test_blocked_halves_alternate_in_time() -> None:
    valid = np.ones((1, 24), dtype=bool)
    blocked = {tuple(np.flatnonzero(blocked_half(valid, np.random.default_rng(seed), None, 4))) for seed in range(20)}
    assert blocked == {(*range(6), *range(12, 18)), (*range(6, 12), *range(18, 24))}
    random = {tuple(np.flatnonzero(random_half(valid, np.random.default_rng(seed)))) for seed in range(20)}
    assert len(random) == 20


@pytest.mark.parametrize(("n", "blocks", "sizes"), [(8, 10, [2] * 4), (3, 10, [3]), (24, 4, [6] * 4), (9, 3, [5, 4])])
def test_stretches_hold_two_trials_or_more(n: int, blocks: int, sizes: list[int]) -> None:
    assert np.bincount(stretches(np.ones((1, n), dtype=bool), None, blocks)[0]).tolist() == sizes


@pytest.mark.parametrize("blocks", [1, 2, 3, 10])
def test_stretches_are_those_of_each_stimulus_by_itself(blocks: int) -> None:
    valid, shown = holes(40, 23, blocks)
    found = stretches(valid, shown, blocks)
    for row, order in enumerate(in_order(valid, shown)):
        parts = naive_stretches(len(order), blocks)
        expected = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        assert found[row, order].tolist() == expected.tolist()
        assert not set(found[row, ~valid[row]]) & set(expected)
        assert ranks(valid, shown)[row, order].tolist() == list(range(len(order)))


def test_trials_are_chosen_from_those_there_are() -> None:
    trials = np.arange(2 * 6 * 1, dtype=float).reshape(2, 6, 1)
    dealt = np.zeros((2, 6), dtype=bool)
    dealt[0, [1, 3, 5]] = dealt[1, [0, 2]] = True
    found = chosen(trials, dealt, np.array([3, 2]), np.random.default_rng(0))
    assert found.shape == (2, 3, 1)
    assert sorted(found[0, :, 0]) == [1, 3, 5]
    assert sorted(found[1, :2, 0]) == [6, 8]
    assert np.isnan(found[1, 2, 0])
    firsts = {chosen(trials, dealt, np.array([2, 1]), np.random.default_rng(seed))[0, 0, 0] for seed in range(40)}
    assert firsts == {1, 3, 5}  # in the order of the draw
    kept = some(dealt, np.array([2, 1]), np.random.default_rng(1))
    assert kept.sum(axis=1).tolist() == [2, 1]
    assert not (kept & ~dealt).any()
    np.testing.assert_array_equal(packed(trials, dealt)[:, :, 0], [[1, 3, 5], [6, 8, np.nan]])
    np.testing.assert_array_equal(trials.ravel(), np.arange(12))


def test_shuffling_keeps_stretches_and_single_units() -> None:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((3, 60, 1))
    trials = shared + 0.1 * rng.standard_normal((3, 60, 4))
    shown = np.stack([rng.permutation(60) for _ in range(3)])
    stretch = stretches(np.ones((3, 60), dtype=bool), shown, 6)
    before = trials.copy()
    found = shuffled_within(trials, stretch, rng)
    for row, order in enumerate(np.argsort(shown, axis=1)):
        for part in naive_stretches(60, 6):
            places = order[part]
            np.testing.assert_array_equal(np.sort(found[row, places], axis=0), np.sort(trials[row, places], axis=0))
        assert np.corrcoef(trials[row].T)[0, 1] > 0.9
        assert abs(np.corrcoef(found[row].T)[0, 1]) < 0.5
    assert not np.shares_memory(found, trials)
    np.testing.assert_array_equal(trials, before)
