"""Adjusted mutual information, beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from isocortex.similarity.ricci.mutual import adjusted_mutual_information


@pytest.mark.parametrize("seed", range(30))
def test_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 60))
    a, b = (rng.integers(0, rng.integers(1, 8), size=n) for _ in range(2))
    assert adjusted_mutual_information(a, b) == pytest.approx(adjusted_mutual_info_score(a, b), abs=1e-10)
    assert adjusted_mutual_information(a, a) == pytest.approx(1.0)


def test_one_part_and_parts_of_one():
    one, each = np.zeros(5, dtype=int), np.arange(5)
    for a in (one, each):
        for b in (one, each):
            assert adjusted_mutual_information(a, b) == pytest.approx(adjusted_mutual_info_score(a, b), abs=1e-10)


def test_edges_in_common_are_corrected_for_what_random_orders_give():
    from isocortex.similarity.ricci.rows import SharedEdges

    rng = np.random.default_rng(0)
    graphs = [np.triu(rng.random((9, 9)) < share, 1) for share in (0.3, 0.6)]
    a, b = (np.stack([g | g.T]) for g in graphs)
    method = SharedEdges({"shares": [0.2]})
    naive_chance = np.mean([(b[0][np.ix_(o, o)] & a[0]).sum() / 2 for o in
                            (rng.permutation(9) for _ in range(4000))])  # fmt: skip
    common, sizes = (a & b).sum() / 2, (a.sum() / 2, b.sum() / 2)
    expected = (common - naive_chance) / (0.5 * sum(sizes) - naive_chance)
    assert method.compare([a], [b])[0, 0] == pytest.approx(expected, abs=0.02)
    assert method.compare([a], [a])[0, 0] == pytest.approx(1.0)
    whole = ~np.eye(9, dtype=bool)[None]
    assert np.isnan(method.compare([whole], [whole])[0, 0])  # a complete graph leaves nothing to chance


@pytest.mark.parametrize("kind", ["ami", "ari", "vi"])
def test_one_community_agrees_with_nothing(kind):
    from isocortex.similarity.ricci.rows import alike

    one, two = np.zeros(6, dtype=int), np.array([0, 0, 0, 1, 1, 1])
    assert alike(kind)(one, one) == alike(kind)(one, two) == 0.0
    assert alike(kind)(two, two) == pytest.approx(1.0)
    assert alike(kind)(two, np.array([0, 1, 0, 1, 0, 1])) < 0.7
