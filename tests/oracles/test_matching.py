"""Matchings of units beside POT, and the measures of resi and NeuroAIMetrics."""

import json

import numpy as np
import pytest
from sklearn.model_selection import KFold

from isocortex.similarity.matching import best_buddies, bipartite_match, semi_match, soft_matching, unit_correlations


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


@pytest.mark.parametrize("name", ["softmatch_a", "softmatch_rect"])
def test_soft_matching_of_pot(load, name):
    data, close = load(name)
    x, y = data["in_X"], data["in_Y"]
    found, unit = soft_matching(x, y), soft_matching(x, y, unit_norm=True)
    assert found.correlation == pytest.approx(float(data["out_soft_match_corr"]), **close)
    assert found.distance == pytest.approx(float(data["out_soft_match_dist_centered"]), **close)
    assert unit.distance == pytest.approx(float(data["out_soft_match_dist_unitcols"]), **close)


@pytest.mark.parametrize("name", ["softmatch_a", "softmatch_rect"])
def test_bipartite_and_semi_matching_and_best_buddies(load, name):
    data, close = load(name)
    x, y = data["in_X"], data["in_Y"]
    assert bipartite_match(x, y).correlation == pytest.approx(float(data["out_bipartite_mean_r"]), **close)
    semi = semi_match(x, y)
    assert semi.x_to_y == pytest.approx(float(data["out_semi_x_to_y"]), **close)
    assert semi.y_to_x == pytest.approx(float(data["out_semi_y_to_x"]), **close)
    for top in (1, 3):
        assert best_buddies(x, y, top).tolist() == data[f"out_best_buddies_k{top}"].tolist()


@pytest.mark.parametrize("name", ["match_a", "match_rect"])
def test_hard_and_semi_matching_of_resi(load, name):
    data, close = load(name)
    x, y = data["in_X"], data["in_Y"]
    assert bipartite_match(x, y).correlation == pytest.approx(float(data["out_hard_corr_match"]), **close)
    assert np.mean(semi_match(x, y)) == pytest.approx(float(data["out_semi_corr_match_resi"]), **close)


@pytest.mark.parametrize("name", ["linpred_a", "linpred_b"])
def test_pairs_on_other_stimuli_and_soft_matching_of_neuroaimetrics(load, name):
    """Their pairs: of each neuroid the unit that goes best with it on other folds. They compute in float32."""
    data, close = load(name)
    x, y = data["in_X"], data["in_Y"]
    assert soft_matching(x, y).correlation == pytest.approx(float(data["out_soft_matching"]), **close)
    found = []
    for matched, judged in KFold(5, shuffle=True, random_state=42).split(x):
        best = unit_correlations(x[matched], y[matched]).argmax(axis=0)
        found.append(unit_correlations(x[judged], y[judged])[best, np.arange(y.shape[1])].mean())
    assert found == pytest.approx(data["out_pairwise_match_folds"], **close)
