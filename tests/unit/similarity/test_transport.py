import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from isocortex.errors import DataError
from isocortex.similarity import simplex
from isocortex.similarity.transport import optimum, w1


def programmed(a, b, cost):
    """The linear programme as it is defined."""
    s, t = cost.shape
    sums = np.vstack([np.kron(np.eye(s), np.ones(t)), np.kron(np.ones(s), np.eye(t))])
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b]), method="highs", options=tight)
    assert found.success
    return found.fun


def spread_out(rng, s, t):
    return rng.random(s), rng.random(t), rng.random((s, t))


def whole_costs(rng, s, t):
    return rng.random(s), rng.random(t), rng.integers(0, 4, (s, t)).astype(float)


def assigned(rng, s, t):
    return np.ones(s), np.ones(s), rng.integers(0, 4, (s, s)).astype(float)


def equal_and_uneven(rng, s, t):
    return np.ones(s), np.ones(t), rng.random((s, t))


def metric(rng, s, t):
    x = rng.integers(0, 4, (s + t, 2)).astype(float)
    return np.ones(s), np.ones(t), np.abs(x[:s, None] - x[None, s:]).sum(-1)


def heavy(rng, s, t):
    return rng.random(s) ** 20, rng.random(t) ** 20, rng.random((s, t)) ** 5


def signed(rng, s, t):
    return rng.random(s), rng.random(t), rng.standard_normal((s, t))


def constant(rng, s, t):
    return rng.random(s), rng.random(t), np.full((s, t), 2.0)


@pytest.mark.parametrize("case", [spread_out, whole_costs, assigned, equal_and_uneven, metric, heavy, signed, constant])
def test_it_equals_the_linear_programme_and_its_potentials_prove_it(case):
    rng = np.random.default_rng(3)
    for _ in range(50):
        a, b, cost = case(rng, *rng.integers(1, 25, 2))
        a, b = a / a.sum(), b / b.sum()
        value, f, g = optimum(a, b, cost)
        assert value == pytest.approx(programmed(a, b, cost), abs=1e-10)
        assert (f[:, None] - g[None] <= cost + 1e-12).all()  # a bound from below, whatever the transport
        assert a @ f - b @ g == pytest.approx(value, abs=1e-13)
        assert w1(b, a, cost.T) == pytest.approx(value, abs=1e-13)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 137, 1024, 5000])
def test_the_longest_way_has_room(size):
    unit = simplex.cost_unit(3.0, size)
    assert 2.0**60 < 3.0 / unit * size <= 2.0**61 * (1 + 1e-12)
    assert simplex.cost_unit(0.0, size) == 1


@pytest.mark.parametrize(("s", "t"), [(100, 100), (200, 3), (1, 150)])
def test_large_problems_equal_the_linear_programme(s, t):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((s + t, 4))
    cost = np.linalg.norm(x[:s, None] - x[None, s:], axis=-1)
    a, b = np.full(s, 1 / s), np.full(t, 1 / t)
    assert w1(a, b, cost) == pytest.approx(programmed(a, b, cost), abs=1e-9)


def test_flows_of_the_basis_are_a_transport_of_the_same_cost():
    rng = np.random.default_rng(4)
    for s, t in [(1, 1), (1, 7), (6, 1), (9, 12), (30, 30)]:
        a, b, cost = np.full(s, 1 / s), np.full(t, 1 / t), rng.integers(0, 3, (s, t))
        left, flow = np.empty(s + t, np.int64), np.empty(s + t, np.int64)
        tree = np.empty((6, s + t), np.int32)
        potential = np.zeros(s + t, np.int64)
        simplex.whole_masses(a, b, left)
        masses = left.copy()
        assert masses[:s].sum() == masses[s:].sum()
        simplex.solve(cost, left, potential, tree, flow)
        assert (potential[:s, None] - potential[None, s:] <= cost).all()
        moved = np.zeros((s, t), np.int64)
        for node, parent in enumerate(tree[simplex.PARENT]):
            if parent >= 0:
                assert flow[node] > 0  # no arc of a basis is empty
                moved[min(node, parent), max(node, parent) - s] = flow[node]
        np.testing.assert_array_equal(moved.sum(1), masses[:s])
        np.testing.assert_array_equal(moved.sum(0), masses[s:])
        assert (moved * potential[:s, None] - moved * potential[s:] == moved * cost).all()  # to the last bit: complementary
        assert (moved / masses[:s].sum() * cost).sum() == pytest.approx(w1(a, b, cost), abs=1e-12)


def test_known_answers():
    places = np.arange(5.0)
    line = np.abs(places[:, None] - places)
    assert w1([1, 0, 0, 0, 0], [0, 0, 0, 0, 1], line) == pytest.approx(4)
    # On a line: the area between the cumulative sums.
    a, b = np.array([0.5, 0.1, 0.1, 0.1, 0.2]), np.array([0.0, 0.3, 0.3, 0.3, 0.1])
    assert w1(a, b, line) == pytest.approx(np.abs(np.cumsum(a - b)).sum(), abs=1e-14)
    assert w1(a, a, line) == pytest.approx(0, abs=1e-15)
    assert w1([2.0], [2.0], [[3.0]]) == pytest.approx(6)
    assert w1(np.zeros(2), np.zeros(3), np.ones((2, 3))) == 0


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_units_do_not_matter_and_sums_may_differ_by_rounding(scale):
    rng = np.random.default_rng(5)
    a, b, cost = rng.random(12), rng.random(9), rng.random((12, 9))
    a, b = a / a.sum(), b / b.sum() * (1 + 1e-12)
    expected = programmed(a, b / b.sum(), cost)
    assert w1(a * scale, b * scale, cost) / scale == pytest.approx(expected, rel=1e-10)
    assert w1(a, b, cost * scale) / scale == pytest.approx(expected, rel=1e-10)


def test_places_without_mass_have_potentials_too():
    rng = np.random.default_rng(6)
    a, b, cost = rng.random(8), rng.random(7), rng.random((8, 7))
    a[[0, 3]], b[[1, 6]] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    value, f, g = optimum(a, b, cost)
    assert value == pytest.approx(programmed(a, b, cost), abs=1e-12)
    assert (f[:, None] - g[None] <= cost + 1e-12).all()


def test_tensors_and_inputs_stay():
    a, b, cost = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    kept = a.clone(), b.clone(), cost.clone()
    assert w1(a, b, cost) == pytest.approx(0.25)
    assert all(torch.equal(one, other) for one, other in zip((a, b, cost), kept, strict=True))


def test_what_is_no_transport_is_refused():
    ones = np.ones((2, 2))
    with pytest.raises(
        DataError, match=r"found masses \(2,\) and \(3,\) and costs \(2, 2\), expected \(S,\), \(T,\), \(S, T\)"
    ):
        w1([1, 1], [1, 1, 0], ones)
    with pytest.raises(DataError, match="found a supply that is negative or not finite"):
        w1([2, -1], [0.5, 0.5], ones)
    with pytest.raises(DataError, match="found a demand that is negative or not finite"):
        w1([1, 1], [np.nan, 1], ones)
    with pytest.raises(DataError, match="found a cost that is not finite"):
        w1([1, 1], [1, 1], [[0, np.inf], [1, 0]])
    with pytest.raises(DataError, match="found a supply of 2 and a demand of 3, expected equal sums"):
        w1([1, 1], [1, 2], ones)
