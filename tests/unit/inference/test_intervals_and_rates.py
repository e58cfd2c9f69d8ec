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


def mean_of_pairs(n, sims, alone, together, seed=0, shared=0.0, subjects=1):
    """Means over pairs of x_i + x_j + e_ij of `subjects`, whose x share a part; and Draws of each, as inference makes them."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(n, 1)
    for _ in range(sims):
        x = shared * rng.normal(size=(n, 1)) + alone * rng.normal(size=(n, subjects))
        e = together * rng.normal(size=(len(first), subjects))
        values = x[first] + x[second] + e
        counts = np.stack([np.bincount(row, minlength=n) for row in rng.integers(0, n, size=(200, n))])

        def score(weights, values=values):
            pairs = weights[:, first] * weights[:, second]
            return pairs @ values / pairs.sum(1, keepdims=True)

        whole, left_out = score(np.ones((1, n)))[0], score(1 - np.eye(n))
        influence = intervals.influences(whole, left_out)
        drawn = score(counts)
        yield whole, pooling.Draws(drawn, drawn, intervals.linear_part(counts, influence), influence)


@pytest.mark.parametrize(("alone", "together"), [(1.0, 0.0), (0.0, 1.0), (0.2, 1.0)])
def test_the_variance_of_a_statistic_of_pairs_is_free_of_bias_and_the_bootstraps_is_not(alone, together):
    n = 16
    single, pairs = 4 * alone**2 / n, together**2 / (n * (n - 1) / 2)
    found = [draws for _, draws in mean_of_pairs(n, 300, alone, together)]
    assert np.mean([draws.raw_variance()[0] for draws in found]) == pytest.approx(single + pairs, rel=0.15)
    bootstrap = np.mean([draws.values.var() * n / (n - 1) for draws in found])
    assert bootstrap == pytest.approx(single + 3 * pairs, rel=0.3)
    assert all(draws.variance(n) > 0 for draws in found)


def test_few_subjects_are_fixed_and_many_are_a_sample():
    n, shared, alone, together, between = 30, 0.5, 0.5, 0.3, 0.4
    interaction = 4 * alone**2 / n + together**2 / (n * (n - 1) / 2)
    rng = np.random.default_rng(5)
    seen = {3: [], 9: []}
    for subjects, kept in seen.items():
        for whole, draws in mean_of_pairs(n, 150, alone, together, shared=shared, subjects=subjects):
            kept.append(pooling.spread(whole + between * rng.normal(size=subjects), draws, n))
    assert {found[1:] for found in seen[3]} == {(n - 1, "stimulus")}
    assert {found[1:] for found in seen[9]} == {(8, "stimulus and subject")}
    assert np.mean([found[0] for found in seen[3]]) == pytest.approx(4 * shared**2 / n + interaction / 3, rel=0.15)
    expected = 4 * shared**2 / n + (interaction + between**2) / 9
    assert np.mean([found[0] for found in seen[9]]) == pytest.approx(expected, rel=0.15)


def test_what_is_asked_about_decides_the_variance_of_many_subjects():
    whole, draws = next(iter(mean_of_pairs(20, 1, 1.0, 0.5, subjects=8)))
    scores = whole + np.arange(8.0)
    found = {asked: pooling.spread(scores, draws, 20, asked) for asked in ("auto", "stimulus", "subject")}
    assert found["subject"] == (pytest.approx(scores.var(ddof=1) / 8), 7, "subject")
    assert found["stimulus"] == (draws.variance(20), 19, "stimulus")
    assert found["auto"][0] >= max(found["subject"][0], found["stimulus"][0])
    assert pooling.spread(scores[:3], draws.of([0, 1, 2]), 20, "subject")[2] == "stimulus"
    weights = np.stack([np.bincount(row, minlength=8) for row in np.random.default_rng(0).integers(0, 8, size=(4000, 8))])
    same = pooling.Draws(draws.values, regrouped=weights * scores)  # nothing chosen: the bootstrap says what Var/S says
    assert pooling.spread(scores, same, 20, "subject")[0] == pytest.approx(found["subject"][0], rel=0.05)
    assert same.minus(same).regrouped.max() == 0
    assert same.minus(draws).regrouped is None


def test_scores_that_are_means_of_stimuli_have_the_variance_of_their_bootstrap():
    draws = np.random.default_rng(0).normal(size=(500, 3))
    assert pooling.spread(np.zeros(3), pooling.Draws(draws), 20)[0] == pytest.approx(draws.mean(1).var() * 20 / 19)


def test_differences_are_paired_and_choices_add_to_the_variance():
    (_, a), (_, b) = mean_of_pairs(12, 2, 1.0, 1.0, subjects=2)
    same = a.minus(a)
    assert same.variance(12) == 0
    fewer = pooling.Draws(b.values[:150], b.fixed[:150], b.linear[:150], b.influence)
    difference = a.minus(fewer)
    assert difference.values.shape == (150, 2)
    assert difference.influence == pytest.approx(a.influence - b.influence)
    assert a.minus(pooling.Draws(b.values)).influence is None
    moved = pooling.Draws(a.values + np.array([[0.5], [-0.5]] * 100), a.fixed, a.linear, a.influence)
    ratio = min(a.variance(12) / (a.fixed.mean(axis=1).var() * 12 / 11), 1.0)
    assert moved.variance(12) == pytest.approx(a.variance(12) + 0.25 * ratio)


def test_subjects_on_stimuli_of_their_own_do_not_share_influences():
    (_, a), (_, b) = (next(iter(mean_of_pairs(n, 1, 1.0, 0.0, seed=n))) for n in (12, 15))
    both = pooling.joined([a, b])
    assert both.influence.shape == (27, 2)
    linear = (a.influence**2).sum() / 4 + (b.influence**2).sum() / 4
    assert both.raw_variance()[0] == pytest.approx(linear, rel=0.3)


def test_intervals_and_tests_of_degenerate_variance_are_defined():
    assert np.isnan(intervals.interval(0.3, np.nan, 5)).all()
    assert intervals.two_sided_p(0.0, 0.0, 5) == 1.0
    assert intervals.two_sided_p(0.1, 0.0, 5) == 0.0
    assert np.isnan(intervals.two_sided_p(0.1, np.nan, 5))
    low, high = intervals.interval(0.0, 1.0, 10_000)
    assert (low, high) == pytest.approx((-1.96, 1.96), abs=0.001)
    assert np.isnan(intervals.variance([1.0, np.nan]))
