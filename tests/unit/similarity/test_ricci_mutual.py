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
