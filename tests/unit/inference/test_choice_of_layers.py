"""Layers chosen on the other subjects, where some have no score."""

import numpy as np
import pytest

from isocortex.inference.comparisons import Candidate, compare_pair
from isocortex.inference.layers import on_other_subjects
from isocortex.inference.pooling import Draws, mean_of_scored


def by_loops(scores, weights, sign):
    """For each subject the mean over the others who have a score, times how often each was drawn."""
    values, chosen = [], []
    for s in range(len(scores)):
        others = [t for t in range(len(scores)) if t != s for _ in range(weights[t])]
        means = []
        for layer in range(scores.shape[1]):
            known = [scores[t, layer] for t in others if np.isfinite(scores[t, layer])]
            means.append(sign * np.mean(known) if known else -np.inf)
        best = int(np.argmax(means))
        chosen.append(best)
        values.append(scores[s, best] if np.isfinite(means[best]) else np.nan)
    return values, chosen


@pytest.mark.parametrize("closer", [True, False], ids=["similarity", "distance"])
@pytest.mark.parametrize("missing", [[(1, slice(None))], [(0, 2), (3, 1)], [(0, slice(None)), (2, slice(None))]], ids=str)
def test_a_subject_without_a_score_has_no_say(closer, missing):
    scores = np.random.default_rng(0).normal(size=(5, 4, 3))
    for place in missing:
        scores[(slice(None), *place)] = np.nan
    for weights in (None, np.array([[1, 2, 0, 1]] * 5)):
        values, chosen = on_other_subjects(scores, weights, higher_is_closer=closer)
        for d in range(5):
            expected = by_loops(scores[d], np.ones(4, int) if weights is None else weights[d], 1 if closer else -1)
            assert values[d] == pytest.approx(np.array(expected[0]), nan_ok=True)
            assert list(chosen[d]) == expected[1]


def test_one_subject_with_scores_among_many_without_has_no_layer_to_be_scored_in():
    scores = np.full((3, 2), np.nan)
    scores[1] = [0.1, 0.4]
    assert np.isnan(on_other_subjects(scores)[0]).all()


def test_the_mean_is_of_those_who_have_values():
    values = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, np.nan]])
    assert mean_of_scored(values) == pytest.approx(np.array([2.0, np.nan]), nan_ok=True)
    assert np.isnan(mean_of_scored(values[1:2])).all()


def test_models_are_compared_on_subjects_with_a_score():
    rng = np.random.default_rng(1)
    a, b = (
        Candidate(name, ("S0", "S1", "S2"), np.array([0.3, np.nan, 0.5]) + k, Draws(rng.normal(size=(50, 3))), 40)
        for k, name in enumerate("ab")
    )
    found = compare_pair(a, b)
    assert (found["difference"], found["n_subjects"]) == (pytest.approx(-1.0), 2)
    assert np.isfinite([found["ci_low"], found["p"]]).all()
    nobody = Candidate("c", a.subjects, np.full(3, np.nan), a.draws, 40)
    assert compare_pair(a, nobody) is None
