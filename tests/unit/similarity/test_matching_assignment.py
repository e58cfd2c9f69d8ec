"""Matchings of units on all stimuli, beside every matching there is, and a linear programme."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from isocortex.similarity.matching import best_buddies, bipartite_match, semi_match, soft_matching, unit_correlations
from isocortex.similarity.matching.assignment import mutual, one_to_one, shared_out
from isocortex.similarity.transport import plan, w1


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def best_sum(c):
    """Of all injections of the narrower side."""
    c = c if c.shape[0] <= c.shape[1] else c.T
    chosen = itertools.permutations(range(c.shape[1]), c.shape[0])
    return max(sum(c[i, j] for i, j in enumerate(columns)) for columns in chosen)


def programmed(c):
    p, q = c.shape
    sums = np.vstack([np.kron(np.eye(p), np.ones(q)), np.kron(np.ones(p), np.eye(q))])
    found = linprog(-c.ravel(), A_eq=sums, b_eq=np.r_[np.full(p, 1 / p), np.full(q, 1 / q)], method="highs")
    return -found.fun


def buddies_by_hand(c, top):
    found = []
    for i, j in itertools.product(*map(range, c.shape)):
        better_columns = sum(c[i, k] > c[i, j] for k in range(c.shape[1]))
        better_rows = sum(c[k, j] > c[i, j] for k in range(c.shape[0]))
        if better_columns == 0 and better_rows < top:
            found.append((i, j))
    return np.array(found, dtype=int).reshape(-1, 2)


SHAPES = [(4, 4), (3, 6), (6, 3), (1, 4), (4, 1), (1, 1)]
NAMED = [f"{p}x{q}" for p, q in SHAPES]


@pytest.mark.parametrize(("p", "q"), SHAPES, ids=NAMED)
def test_the_matching_is_the_best_of_all(rng, p, q):
    x, y = rng.normal(size=(9, p)), rng.normal(size=(9, q))
    c = unit_correlations(x, y)
    found = bipartite_match(x, y)
    assert found.correlation == pytest.approx(best_sum(c) / min(p, q), abs=1e-12)
    assert found.pairs.shape == (min(p, q), 2)
    assert c[tuple(found.pairs.T)].mean() == pytest.approx(found.correlation, abs=1e-12)
    assert all(len(set(side)) == min(p, q) for side in found.pairs.T.tolist())


@pytest.mark.parametrize(("p", "q"), SHAPES, ids=NAMED)
def test_units_are_shared_out_as_the_linear_programme_does(rng, p, q):
    x, y = rng.normal(size=(9, p)), rng.normal(size=(9, q))
    c = unit_correlations(x, y)
    t = shared_out(c)
    assert t.min() >= 0
    assert t.sum(0) == pytest.approx(np.full(q, 1 / q), abs=1e-12)
    assert t.sum(1) == pytest.approx(np.full(p, 1 / p), abs=1e-12)
    assert (t * c).sum() == pytest.approx(programmed(c), abs=1e-10)
    assert (t * c).sum() == pytest.approx(soft_matching(x, y).correlation, abs=1e-12)


@pytest.mark.parametrize("top", [1, 2, 3, 9])
def test_best_buddies_are_counted_by_hand(rng, top):
    for p, q in [*SHAPES, (7, 12)]:
        x, y = rng.normal(size=(9, p)), rng.normal(size=(9, q))
        found = best_buddies(x, y, top)
        assert found.tolist() == buddies_by_hand(unit_correlations(x, y), top).tolist()
        assert best_buddies(torch.as_tensor(x), torch.as_tensor(y), top).tolist() == found.tolist()


def test_equal_units_are_all_each_others_best(rng):
    x = rng.normal(size=(10, 2))
    twice = x[:, [0, 1, 0]]
    assert best_buddies(twice, twice).tolist() == [[0, 0], [0, 2], [1, 1], [2, 0], [2, 2]]
    assert mutual(np.zeros((2, 3))).all()


def test_semi_matching_is_above_the_matching_one_to_one_and_bounded_by_each_side(rng):
    x, y = rng.normal(size=(12, 5)), rng.normal(size=(12, 8))
    c = unit_correlations(x, y)
    found = semi_match(x, y)
    assert found.x_to_y == pytest.approx(np.mean([max(row) for row in c]), abs=1e-14)
    assert found.y_to_x == pytest.approx(np.mean([max(row) for row in c.T]), abs=1e-14)
    assert found.x_to_y >= bipartite_match(x, y).correlation
    assert semi_match(y, x) == pytest.approx((found.y_to_x, found.x_to_y), abs=1e-14)


def test_a_planted_permutation_is_found(rng):
    order = rng.permutation(40)
    x = rng.normal(size=(60, 40))
    y = (x + 0.3 * rng.normal(size=x.shape))[:, order]
    pairs = bipartite_match(x, y).pairs
    assert np.array_equal(order[pairs[:, 1]], pairs[:, 0])
    assert np.array_equal(best_buddies(x, y), pairs)


def test_units_that_are_split_in_two_are_shared_out_to_both(rng):
    x = rng.normal(size=(200, 6))
    y = np.repeat(x, 2, axis=1) + 0.2 * rng.normal(size=(200, 12))
    t = shared_out(unit_correlations(x, y))
    assert t == pytest.approx(np.repeat(np.eye(6), 2, axis=1) / 12, abs=1e-12)
    assert len(one_to_one(unit_correlations(x, y))[0]) == 6


@pytest.mark.parametrize("zero", [False, True], ids=["all", "some empty"])
def test_a_plan_moves_the_masses_at_the_least_cost(rng, zero):
    for _ in range(20):
        s, t = rng.integers(1, 15, 2)
        a, b, cost = rng.random(s), rng.random(t), rng.normal(size=(s, t))
        if zero:
            a[rng.permutation(s)[: s // 2]] = 0
            b[rng.permutation(t)[: t // 2]] = 0
        b *= a.sum() / b.sum()
        found = plan(a, b, cost)
        assert found.min() >= 0
        assert found.sum(1) == pytest.approx(a, abs=1e-12)
        assert found.sum(0) == pytest.approx(b, abs=1e-12)
        assert (found * cost).sum() == pytest.approx(w1(a, b, cost), abs=1e-11)
        assert (found > 0).sum() <= s + t - 1
    assert not plan(np.zeros(2), np.zeros(3), np.ones((2, 3))).any()
