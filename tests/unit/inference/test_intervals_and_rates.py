import numpy as np
import pytest

from isocortex.inference import intervals, layers, pooling
from isocortex.inference.fdr import benjamini_hochberg, q_of_rows
from isocortex.inference.rows import new_row


def test_benjamini_hochberg_leaves_out_what_was_not_tested():
    q = benjamini_hochberg([0.01, np.nan, 0.04, 0.03])
    assert q[[0, 2, 3]] == pytest.approx([0.03, 0.04, 0.04])
    assert np.isnan(q[1])
    assert benjamini_hochberg([]).shape == (0,)
    assert np.isnan(benjamini_hochberg([np.nan])).all()


def test_contaminated_models_and_unchosen_layers_are_no_tests():
    common = {"method": "rsa", "family": "rdm", "subject": "all"}
    rows = [
        new_row(**common, p=0.04, is_chosen=True),
        new_row(**common, p=0.001, is_chosen=True, contaminated=True),
        new_row(**common, is_chosen=False),
        new_row(**{**common, "subject": "S1"}, p=0.5, is_chosen=True),
    ]
    q = q_of_rows(rows, ["method", "subject"])
    assert q[[0, 3]] == pytest.approx([0.04, 0.5])
    assert np.isnan(q[[1, 2]]).all()


def test_a_layer_is_chosen_by_the_others_and_scored_on_the_subject():
    scores = np.array([[0.9, 0.1], [0.2, 0.3], [0.1, 0.4]])
    value, chosen = layers.on_other_subjects(scores)
    assert chosen.tolist() == [1, 0, 0]
    assert value.tolist() == [0.1, 0.2, 0.1]
    value, chosen = layers.on_other_subjects(scores, np.array([0, 1, 2]))
    assert chosen.tolist() == [1, 1, 1]
    only, _ = layers.on_other_subjects(scores, np.array([3, 0, 0]))
    assert np.isnan(only[0])
    assert layers.on_other_subjects(scores[:, :1], np.array([3, 0, 0]))[0].tolist() == [0.9, 0.2, 0.1]


def test_a_cross_fit_scores_each_choice_on_the_other_half():
    value, chosen = layers.across_halves(np.array([[0.5, 0.1, np.nan]]), np.array([[0.2, 0.6, 0.9]]))
    assert chosen.tolist() == [[0, 2]]
    assert np.isnan(value[0])
    value, chosen = layers.across_halves(np.array([0.5, 0.1]), np.array([0.2, 0.6]))
    assert value == pytest.approx((0.2 + 0.1) / 2)
    assert layers.vote_shares(np.array([0, 1, 1, 1]), 3).tolist() == [0.25, 0.75, 0.0]


def test_few_subjects_resample_stimuli_only_and_many_both():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(500, 3))
    few = pooling.pool(np.zeros(3), draws, ["a", "b", "c"], 0)
    assert few.both is None
    var, dof, generalise = pooling.spread(few, 3, 20)
    assert (dof, generalise) == (19, "stimulus")
    assert var == pytest.approx(draws.mean(1).var() * 20 / 19)
    many = pooling.pool(np.arange(8.0), rng.normal(size=(500, 8)) + np.arange(8.0), list("abcdefgh"), 0)
    var, dof, generalise = pooling.spread(many, 8, 20)
    assert (dof, generalise) == (7, "stimulus and subject")
    assert var >= many.subjects.var() * 8 / 7 - 1e-12
    assert many.minus(many).both.max() == 0


def test_intervals_and_tests_of_degenerate_variance_are_defined():
    assert np.isnan(intervals.interval(0.3, np.nan, 5)).all()
    assert intervals.two_sided_p(0.0, 0.0, 5) == 1.0
    assert intervals.two_sided_p(0.1, 0.0, 5) == 0.0
    assert np.isnan(intervals.two_sided_p(0.1, np.nan, 5))
    low, high = intervals.interval(0.0, 1.0, 10_000)
    assert (low, high) == pytest.approx((-1.96, 1.96), abs=0.001)
    assert np.isnan(intervals.variance([1.0, np.nan]))
