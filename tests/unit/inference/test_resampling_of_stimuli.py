import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.inference import nulls
from isocortex.inference.resampling import halves, stimulus_counts, subject_counts, subsamples

IDS = [f"s{k}" for k in range(12)]


def test_draws_depend_on_the_ids_and_not_on_their_order_or_number():
    order = np.random.default_rng(0).permutation(12)
    shuffled = [IDS[k] for k in order]
    full = stimulus_counts(IDS, 50, 3)
    assert np.array_equal(stimulus_counts(shuffled, 20, 3), full[:20][:, order])
    assert (full.sum(1) == 12).all()
    assert not np.array_equal(full, stimulus_counts(IDS, 50, 4))
    assert not np.array_equal(full, subject_counts(IDS, 50, 3))
    assert not np.array_equal(full, stimulus_counts([*IDS[:11], "other"], 50, 3))


def test_subsamples_are_different_stimuli_and_follow_the_ids():
    drawn = subsamples(IDS, 40, 5, 0)
    assert drawn.shape == (40, 5)
    assert all(len(set(row)) == 5 for row in drawn)
    names = {frozenset(IDS[k] for k in row) for row in drawn[:7]}
    assert names == {frozenset(IDS[::-1][k] for k in row) for row in subsamples(IDS[::-1], 7, 5, 0)}
    assert (halves(IDS[:7], 9, 1).sum(1) == 3).all()


def test_every_stimulus_is_drawn_equally_often():
    counts = stimulus_counts(IDS, 4000, 0).mean(0)
    assert np.abs(counts - 1.0).max() < 0.08


def test_duplicate_ids_are_refused():
    with pytest.raises(DataError, match="stimulus ids: found 1 duplicates, expected unique ids"):
        stimulus_counts(["a", "a"], 2, 0)


def test_permutations_stay_in_their_blocks_and_do_not_depend_on_their_number():
    blocks = np.array(list("abcabcabcabc"))
    drawn = nulls.permutations(12, 200, 0, blocks=blocks)
    assert (blocks[drawn] == blocks).all()
    assert (np.sort(drawn, axis=1) == np.arange(12)).all()
    assert np.array_equal(drawn[:30], nulls.permutations(12, 30, 0, blocks=blocks))
    assert np.array_equal(np.vstack(list(nulls.permutation_stages(12, [10, 20], 0, blocks))), drawn[:30])
    free = nulls.permutations(3, 6000, 1)
    counts = np.unique(free, axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert np.abs(counts / 1000 - 1).max() < 0.12


def test_p_counts_the_observed_order_and_ties_and_leaves_out_missing_values():
    null = np.array([0.1, 0.3, 0.3 + 1e-15, 0.5, np.nan])
    assert nulls.p_value(0.3, null) == 4 / 5
    assert nulls.p_value(0.3, null, higher_is_closer=False) == 4 / 5
    assert nulls.p_value(0.6, null) == 1 / 5
    assert np.isnan(nulls.p_value(np.nan, null))
    assert np.isnan(nulls.p_value(0.1, np.array([np.nan])))
    assert nulls.p_value([0.3, 0.6], np.stack([null, null], axis=1)).tolist() == [4 / 5, 1 / 5]


def test_the_extreme_of_a_null_lies_in_the_closer_direction():
    null = np.arange(101.0)
    assert nulls.extreme95(null) == 95
    assert nulls.extreme95(null, higher_is_closer=False) == 5
    assert np.isnan(nulls.extreme95([np.nan]))


def test_a_sequential_test_goes_on_only_where_more_permutations_decide():
    assert nulls.stages(10_000) == [1000, 9000]
    assert nulls.stages(300) == [300]
    assert nulls.enough([100, 5000])
    assert not nulls.enough([100, 99])
    assert nulls.monte_carlo_error(0.5, 99) == pytest.approx(0.05)
