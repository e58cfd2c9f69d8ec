from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.optimize import linprog

from isocortex.errors import DataError
from isocortex.similarity.shape import shape_distance, soft_matching
from isocortex.similarity.shape.permutation import least_cost


def patterns(p, q, n=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) + 1, rng.normal(size=(n, q)) - 1


@pytest.mark.parametrize(("p", "q"), [(4, 4), (3, 6), (6, 2), (1, 5), (1, 1)])
def test_permutations_equal_a_search_of_all(p, q):
    x, y = patterns(p, q)
    width = max(p, q)
    a, b = (np.pad(z - z.mean(0), ((0, 0), (0, width - z.shape[1]))) for z in (x, y))
    shared = max((a * b[:, list(order)]).sum() for order in permutations(range(width)))
    norms = np.linalg.norm(a), np.linalg.norm(b)
    assert shape_distance(x, y, group="permutation") == pytest.approx(np.arccos(shared / norms[0] / norms[1]))
    expected = np.sqrt(norms[0] ** 2 + norms[1] ** 2 - 2 * shared)
    assert shape_distance(x, y, kind="euclidean", group="permutation") == pytest.approx(expected)


def test_the_order_of_units_does_not_matter_and_rotations_do():
    x, y = patterns(6, 6)
    before = shape_distance(x, y, group="permutation")
    assert shape_distance(x[:, ::-1], y, group="permutation") == pytest.approx(before)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert abs(shape_distance(x @ turn, y, group="permutation") - before) > 1e-3
    assert shape_distance(x, y) <= before
    opposite = np.arange(12.0)[:, None]
    assert shape_distance(opposite, -opposite, group="permutation") == pytest.approx(np.pi)
    assert shape_distance(np.ones((12, 6)), y, group="permutation") == np.pi / 2


def test_whitening_is_refused_with_permutations():
    with pytest.raises(ValueError, match=r"found alpha 0\.5 with group 'permutation', expected 1"):
        shape_distance(*patterns(3, 3), alpha=0.5, group="permutation")


def linear_program(cost):
    p, q = cost.shape
    sums = sparse.vstack([sparse.kron(sparse.eye(p), np.ones((1, q))), sparse.kron(np.ones((1, p)), sparse.eye(q))])
    return linprog(cost.ravel(), A_eq=sums, b_eq=np.r_[np.full(p, 1 / p), np.full(q, 1 / q)]).fun


@pytest.mark.parametrize(("p", "q"), [(5, 5), (4, 6), (6, 4), (7, 9), (1, 8), (30, 23), (2, 40)])
@pytest.mark.parametrize("kind", ["spread", "tied", "equal", "negative"])
def test_transport_costs_what_a_linear_program_finds(p, q, kind):
    rng = np.random.default_rng(p * q)
    spread = rng.random((p, q))
    costs = {"spread": spread, "tied": np.round(3 * spread), "equal": np.ones((p, q)), "negative": -1e3 * spread}
    cost = costs[kind]
    assert least_cost(cost) == pytest.approx(linear_program(cost), abs=1e-9)


@pytest.mark.parametrize(("p", "q"), [(5, 5), (4, 7), (7, 3)])
def test_soft_matching_is_transport_between_units(p, q):
    x, y = patterns(p, q)
    a, b = x - x.mean(0), y - y.mean(0)
    r = np.corrcoef(x.T, y.T)[:p, p:]
    found = soft_matching(x, y)
    squares = ((a[:, :, None] - b[:, None, :]) ** 2).sum(0)
    assert found.distance == pytest.approx(np.sqrt(linear_program(squares)))
    assert found.correlation == pytest.approx(-linear_program(-r))
    assert soft_matching(x, y, unit_norm=True).distance == pytest.approx(np.sqrt(2 - 2 * found.correlation))
    raw = soft_matching(x, y, centre=False)
    assert raw.distance == pytest.approx(np.sqrt(linear_program(((x[:, :, None] - y[:, None, :]) ** 2).sum(0))))
    assert soft_matching(torch.as_tensor(x), torch.as_tensor(y)) == found


def test_soft_matching_of_equal_widths_is_the_permutation_distance():
    x, y = patterns(6, 6)
    expected = shape_distance(x, y, kind="euclidean", group="permutation") / np.sqrt(6)
    assert soft_matching(x, y).distance == pytest.approx(expected)


def test_soft_matching_is_a_metric_of_sets_of_units():
    systems = [np.random.default_rng(seed).normal(size=(10, p)) for seed, p in enumerate((3, 5, 4, 6, 5))]
    table = np.array([[soft_matching(x, y).distance for y in systems] for x in systems])
    assert table == pytest.approx(table.T, abs=1e-9)
    assert np.diag(table) == pytest.approx(np.zeros(5), abs=1e-7)
    assert (table[:, :, None] <= table[:, None, :] + table.T[None] + 1e-9).all()
    doubled = np.repeat(systems[0], 2, axis=1)
    assert soft_matching(doubled, systems[0]).distance == pytest.approx(0, abs=1e-7)
    assert soft_matching(doubled, systems[0]).correlation == pytest.approx(1)


def test_inputs_that_must_not_be_written_are_left_alone():
    x, y = patterns(4, 5)
    x.flags.writeable = y.flags.writeable = False
    assert soft_matching(x, y) == soft_matching(x.copy(), y.copy())


def test_constant_units_are_refused():
    x, y = patterns(4, 5)
    x[:, 2] = 0.1
    with pytest.raises(DataError, match="found 1 units of x that are constant; leave them out"):
        soft_matching(x, y)
