"""Subsamples of subjects who saw some of the same stimuli, and halves of repeats one split at a time."""

import inspect

import numpy as np
import pytest

from isocortex.inference.half_repeats import each_repeat_halves, repeat_halves
from isocortex.inference.resampling import subsamples, subsamples_within

EVERY = [f"s{k:02d}" for k in range(30)]


def named(ids, rows):
    return [{ids[k] for k in row} for row in rows]


def test_all_stimuli_are_subsampled_as_ever():
    assert np.array_equal(subsamples_within(EVERY, EVERY, 20, 24, 3), subsamples(EVERY, 20, 24, 3))


def test_what_two_subjects_share_is_drawn_for_both_in_one_order():
    first, second = EVERY[:20], EVERY[29:9:-1]
    a, b = (named(ids, subsamples_within(EVERY, ids, 200, 16, 0)) for ids in (first, second))
    shared = set(first) & set(second)
    # Each is the beginning of one order: of what is shared, one subject's part holds the other's.
    assert all((x & shared) <= (y & shared) or (y & shared) <= (x & shared) for x, y in zip(a, b, strict=True))
    assert np.mean([len(x & y) for x, y in zip(a, b, strict=True)]) > 7.2
    counts = np.array([sum(name in x for x in a) for name in first])
    assert counts.mean() == 160
    assert abs(counts - 160).max() < 5 * np.sqrt(200 * 0.16)


def test_stimuli_of_nobody_and_too_many_are_refused():
    with pytest.raises(ValueError, match="not among all"):
        subsamples_within(EVERY, ["t"], 2, 1, 0)
    with pytest.raises(ValueError, match="size 3, expected 1 to 2"):
        subsamples_within(EVERY, EVERY[:2], 2, 3, 0)


def test_halves_come_one_split_at_a_time_and_are_those_of_all():
    trials = np.random.default_rng(0).normal(size=(6, 5, 3))
    trials[2, 1:3] = np.nan
    found = each_repeat_halves(trials, 4, 7)
    assert inspect.isgenerator(found)
    assert np.array_equal(np.array(list(found)), repeat_halves(trials, 4, 7))
    for a, b in each_repeat_halves(trials, 4, 7):
        sizes = np.isfinite(trials).all(2).sum(1) // 2, -(-np.isfinite(trials).all(2).sum(1) // 2)
        total = sizes[0][:, None] * a + sizes[1][:, None] * b
        assert total == pytest.approx(np.nansum(trials, axis=1))
