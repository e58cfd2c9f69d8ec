import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.sparse.csgraph import dijkstra

from isocortex.errors import DataError
from isocortex.similarity.ricci import (
    Graph,
    curvature,
    curvatures,
    forman,
    graph_from_adjacency,
    graph_from_rdm,
    lin_lu_yau,
    node_curvature,
)


def of_edges(n, pairs, lengths=None):
    matrix = np.zeros((n, n))
    for k, (i, j) in enumerate(pairs):
        matrix[i, j] = matrix[j, i] = 1.0 if lengths is None else lengths[k]
    return graph_from_adjacency(matrix)


def random_graph(rng, n=9, density=0.35, power=1.0):
    """A random weighted graph, connected by a path; `power` 3 and more breaks the triangle inequality."""
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if j == i + 1 or rng.random() < density]
    lengths = (0.2 + rng.random(len(pairs))) ** power
    return of_edges(n, pairs, lengths / lengths.mean())


def measure(graph, x, alpha, power, base=np.e, topk=3000):
    lengths = graph.matrix()
    near = sorted((lengths[x, y], y) for y in range(graph.n) if lengths[x, y] > 0)[:topk]
    share = np.array([base ** -(w**power) for w, _ in near])
    found = np.zeros(graph.n)
    found[x] = alpha
    for (_, y), part in zip(near, share / share.sum(), strict=True):
        found[y] += (1 - alpha) * part
    return found


def programmed(a, b, cost):
    s, t = cost.shape
    sums = np.vstack([np.kron(np.eye(s), np.ones(t)), np.kron(np.ones(s), np.eye(t))])
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b]), method="highs", options=tight)
    assert found.success
    return found.fun


def naive(graph, alpha, power, **options):
    d = dijkstra(graph.matrix(), directed=False)
    found = []
    for x, y in graph.edges:
        a, b = (measure(graph, end, alpha, power, **options) for end in (x, y))
        rows, columns = np.flatnonzero(a), np.flatnonzero(b)
        found.append(1 - programmed(a[rows], b[columns], d[np.ix_(rows, columns)]) / d[x, y])
    return np.array(found)


@pytest.mark.parametrize("power", [1, 4])
def test_a_hundred_random_graphs_equal_their_definition(power):
    rng = np.random.default_rng(power)
    broken = 0
    for number in range(50):
        graph = random_graph(rng, int(rng.integers(4, 10)), power=power)
        alpha, exponent = (0.5, 0.0, 0.3, 0.9)[number % 4], (1.0, 0.0, 2.0)[number % 3]
        assert curvature(graph, alpha, exponent) == pytest.approx(naive(graph, alpha, exponent), abs=1e-9)
        d = dijkstra(graph.matrix(), directed=False)
        broken += (d[tuple(graph.edges.T)] < graph.lengths - 1e-9).any()
    assert broken > 30 if power == 4 else broken > 0


def test_base_and_the_nearest_neighbours_alone():
    graph = random_graph(np.random.default_rng(1), 12, 0.6)
    assert curvature(graph, base=3.0) == pytest.approx(naive(graph, 0.5, 1.0, base=3.0), abs=1e-9)
    assert curvature(graph, topk=2) == pytest.approx(naive(graph, 0.5, 1.0, topk=2), abs=1e-9)
    assert curvature(graph, base=1.0) == pytest.approx(curvature(graph, exp_power=0), abs=1e-12)
    even = of_edges(4, itertools.combinations(range(4), 2))  # of equal neighbours, the lower index
    assert even.n == 4
    # With one neighbour each, all but node 0 have 0 and it has 1: κ(2, 3) of ½ δ_2 + ½ δ_0 and ½ δ_3 + ½ δ_0 is ½.
    assert curvature(even, topk=1)[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("n", [3, 4, 7])
def test_complete_graphs(alpha, n):
    """μ_x and μ_y differ at x and y alone, by α − (1 − α)/(n − 1), at a distance of 1."""
    graph = of_edges(n, itertools.combinations(range(n), 2))
    assert curvature(graph, alpha) == pytest.approx(1 - abs(alpha - (1 - alpha) / (n - 1)), abs=1e-12)
    assert lin_lu_yau(graph) == pytest.approx(n / (n - 1), abs=1e-12)


@pytest.mark.parametrize(("n", "kappa"), [(4, 1), (5, 0.5), (6, 0), (11, 0)])
def test_cycles(n, kappa):
    """With β = (1 − α)/2, α − β goes from x to y and β from a, the other neighbour of x, to b, that of y, at a distance of 1 in
    a ring of 4, of 2 in one of 5, of 3 in longer ones: W1 = α, α + β, α + 2 β = 1, from α = ⅓ where α ≥ β.
    """
    graph = of_edges(n, [(i, (i + 1) % n) for i in range(n)])
    for alpha in (1 / 3, 0.5, 0.9):
        assert curvature(graph, alpha) == pytest.approx((1 - alpha) * kappa, abs=1e-12)
    assert lin_lu_yau(graph) == pytest.approx(kappa, abs=1e-12)


def test_stars_and_paths():
    """On an unweighted tree all goes along the edge, at α ≥ ½: κ_α = (1 − α)(2/d_x + 2/d_y − 2); proved below for weights."""
    star = of_edges(6, [(0, i) for i in range(1, 6)])
    assert curvature(star, 0.6) == pytest.approx(0.4 * 2 / 5, abs=1e-12)
    path = of_edges(5, [(i, i + 1) for i in range(4)])
    assert lin_lu_yau(path) == pytest.approx([1, 0, 0, 1], abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.7])
def test_weighted_trees(alpha):
    """On a tree W1 is the sum over edges of length × the difference of the two measures' masses beyond it."""
    rng = np.random.default_rng(7)
    n = 14
    pairs = [(int(rng.integers(0, j)), j) for j in range(1, n)]
    graph = of_edges(n, pairs, 0.3 + rng.random(n - 1))
    beyond = np.zeros((n - 1, n))
    for k, (i, j) in enumerate(graph.edges):
        without = graph.matrix()
        without[i, j] = without[j, i] = 0
        beyond[k] = np.isfinite(dijkstra(without, directed=False)[j])
    expected = []
    for (x, y), length in zip(graph.edges, graph.lengths, strict=True):
        moved = measure(graph, x, alpha, 1.0) - measure(graph, y, alpha, 1.0)
        expected.append(1 - (graph.lengths * np.abs(beyond @ moved)).sum() / length)
    assert curvature(graph, alpha) == pytest.approx(np.array(expected), abs=1e-12)


def test_grids_are_flat_inside():
    """x, y and what is above and below move by 1, the last neighbour by 3, each β = (1 − α)/4: W1 = α − β + 2 β + 3 β = 1; the
    coordinate along the edge is a potential that proves it.
    """
    side = 7
    pairs = [(side * i + j, side * i + j + 1) for i in range(side) for j in range(side - 1)]
    pairs += [(side * i + j, side * i + j + side) for i in range(side - 1) for j in range(side)]
    graph = of_edges(side**2, pairs)
    row, column = np.divmod(graph.edges, side)
    inside = ((row > 0) & (row < side - 1) & (column > 0) & (column < side - 1)).all(axis=1)
    assert inside.sum() == 40
    for alpha in (0.2, 0.5, 0.8):
        assert curvature(graph, alpha)[inside] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dimension", [2, 3, 5])
def test_hypercubes(dimension):
    """Other neighbours of x and y are paired at a distance of 1: W1 = α − β + (d − 1) β, β = (1 − α)/d, and κ = 2 (1 − α)/d."""
    n = 2**dimension
    graph = of_edges(n, [(i, i ^ (1 << b)) for i in range(n) for b in range(dimension) if i < i ^ (1 << b)])
    assert curvature(graph, 0.5) == pytest.approx(1 / dimension, abs=1e-12)
    assert lin_lu_yau(graph) == pytest.approx(2 / dimension, abs=1e-12)


def test_a_bridge_between_cliques_is_negative():
    """As in a tree whose ends have m neighbours: each end's clique is at −1 or 2 on a line on which x is at 0 and y at 1, so
    that W1 = α + (1 − α)(3 − 4/m).
    """
    m = 5
    cliques = [(i + m * c, j + m * c) for c in range(2) for i, j in itertools.combinations(range(m), 2)]
    graph = of_edges(2 * m, [*cliques, (m - 1, m)])
    kappa = curvature(graph, 0.5)
    bridge = (graph.edges == [m - 1, m]).all(axis=1)
    assert kappa[bridge] == pytest.approx(0.5 * (4 / m - 2), abs=1e-12)
    assert (kappa[~bridge] > 0).all()
    assert node_curvature(graph, kappa).argsort()[:2].tolist() in ([m - 1, m], [m, m - 1])


@pytest.mark.parametrize("power", [1, 4])
def test_the_limit_is_reached_at_one_half_on_weighted_graphs_too(power):
    rng = np.random.default_rng(21)
    for _ in range(4):
        graph = random_graph(rng, 8, power=power)
        limit = lin_lu_yau(graph)
        for alpha in (0.5, 0.6, 0.95):
            assert naive(graph, alpha, 1.0) / (1 - alpha) == pytest.approx(limit, abs=1e-7)
        assert np.abs(naive(graph, 0.2, 1.0) / 0.8 - limit).max() > 1e-3  # and not below


def test_the_average_transport_is_never_cheaper():
    graph = random_graph(np.random.default_rng(2), 10, power=3)
    d = dijkstra(graph.matrix(), directed=False)
    expected = []
    for x, y in graph.edges:
        a, b = (measure(graph, end, 0.0, 1.0) for end in (x, y))
        expected.append(1 - (0.4 * d[x, y] + 0.6 * a @ d @ b) / d[x, y])
    found = curvature(graph, 0.4, transport="average")
    assert found == pytest.approx(np.array(expected), abs=1e-12)
    assert (found <= curvature(graph, 0.4) + 1e-12).all()


def test_long_edges_do_not_underflow():
    """e^(−800) is 0; relative to the nearest neighbour it is not."""
    graph = random_graph(np.random.default_rng(3), 9)
    far = Graph(graph.n, graph.edges, graph.lengths + 800)
    a = np.exp(-graph.lengths)
    starts, nodes, own = far.neighbours()
    x, y = far.edges[0]
    kappa = curvature(far)
    d = dijkstra(far.matrix(), directed=False)
    masses = []
    for end in (x, y):
        mass = np.zeros(far.n)
        at = slice(starts[end], starts[end + 1])
        mass[nodes[at]] = 0.5 * a[own[at]] / a[own[at]].sum()
        mass[end] += 0.5
        masses.append(mass)
    assert kappa[0] == pytest.approx(1 - programmed(*masses, d) / d[x, y], abs=1e-9)
    even = curvature(far, exp_power=0)
    assert np.abs(kappa - even).max() > 1e-3
    assert even == pytest.approx(curvature(Graph(far.n, far.edges, far.lengths * 5), exp_power=0), abs=1e-9)


def test_equal_stimuli_have_edges_without_curvature():
    x = np.random.default_rng(4).standard_normal((8, 3))
    place = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 7])
    d = ((x[place][:, None] - x[place][None]) ** 2).sum(-1)
    graph = graph_from_rdm(np.sqrt(d), k=3, lengths="given")
    kappa = curvature(graph)
    zero = graph.lengths == 0
    assert zero.sum() == 2
    assert (kappa[zero] == 0).all()
    assert np.isfinite(kappa).all()
    nearly = Graph(graph.n, graph.edges, np.where(zero, 1e-7, graph.lengths))  # SciPy takes 1e-8 for no edge
    assert kappa[~zero] == pytest.approx(naive(nearly, 0.5, 1.0)[~zero], abs=1e-6)
    assert np.isfinite(curvature(graph, transport="average")).all()
    # No edge of length zero, but a way of length zero: the distance is 0.
    way = Graph(3, np.array([[0, 1], [0, 2], [1, 2]]), np.array([0.0, 1.0, 0.0]))
    assert curvature(way).tolist() == [0, 0, 0]


def test_components_do_not_see_one_another_and_a_node_may_be_alone():
    first = random_graph(np.random.default_rng(5), 6)
    matrix = np.zeros((14, 14))
    matrix[:6, :6] = matrix[7:13, 7:13] = first.matrix()
    graph = graph_from_adjacency(matrix)
    for options in ({}, {"transport": "average"}):
        kappa = curvature(graph, **options)
        assert kappa == pytest.approx(np.tile(curvature(first, **options), 2), abs=1e-12)
    nodes = node_curvature(graph, kappa)
    assert nodes[[6, 13]].tolist() == [0, 0]
    matrix = np.zeros((14, 14))
    matrix[tuple(graph.edges.T)] = matrix[tuple(graph.edges.T[::-1])] = kappa
    assert nodes[0] == pytest.approx(matrix[0][matrix[0] != 0].mean())


def test_no_edges_and_one_edge():
    assert curvature(graph_from_adjacency(np.zeros((3, 3)))).shape == (0,)
    assert node_curvature(graph_from_adjacency(np.zeros((3, 3))), np.empty(0)).tolist() == [0, 0, 0]
    single = of_edges(2, [(0, 1)])
    assert curvature(single).tolist() == [1]  # both ends have the same measure
    assert curvature(single, 0.8) == pytest.approx([0.4])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_many_graphs_and_many_threads_give_the_same(monkeypatch, threads):
    rng = np.random.default_rng(6)
    graphs = [random_graph(rng, n) for n in (5, 30, 12, 7)]
    expected = [curvature(graph) for graph in graphs]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for found in (curvatures(graphs), [curvature(graph) for graph in graphs]):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert curvatures([]) == []


def test_the_order_of_stimuli_does_not_matter():
    d = np.random.default_rng(7).random((25, 25))
    d = d + d.T
    np.fill_diagonal(d, 0)
    order = np.random.default_rng(8).permutation(25)
    graph, moved = graph_from_rdm(d), graph_from_rdm(d[np.ix_(order, order)])
    nodes, after = (node_curvature(g, curvature(g)) for g in (graph, moved))
    assert after == pytest.approx(nodes[order], abs=1e-12)


def test_wrong_options_are_refused():
    graph = of_edges(3, [(0, 1), (1, 2)])
    for alpha in (-0.1, 1.1, np.nan):
        with pytest.raises(DataError, match=f"found alpha = {alpha}, expected a part of the mass from 0 to 1"):
            curvature(graph, alpha)
    with pytest.raises(DataError, match="found exp_power = -1, expected a finite power of at least 0"):
        curvature(graph, exp_power=-1)
    with pytest.raises(DataError, match=r"found base = 0.5, expected a finite base of at least 1"):
        lin_lu_yau(graph, base=0.5)
    with pytest.raises(DataError, match="found topk = 0, expected at least 1 neighbour"):
        curvatures([graph], topk=0)
    with pytest.raises(ValueError, match="found transport 'sinkhorn', expected one of optimal, average"):
        curvature(graph, transport="sinkhorn")
    with pytest.raises(DataError, match=r"found a length\^exp_power that is not finite"):
        curvature(Graph(3, graph.edges, np.array([1e200, 1.0])), exp_power=2)


def naive_forman(graph, method, lengths):
    w = graph.matrix(lengths)
    near = [set(np.flatnonzero(row).tolist()) for row in w]
    found = []
    for x, y in graph.edges:
        own, faces = w[x, y], near[x] & near[y] if method != "1d" else set()
        touching = [w[x, v] for v in near[x] - faces - {y}] + [w[y, v] for v in near[y] - faces - {x}]
        apart = sum(1 / np.sqrt(own * other) for other in touching)
        found.append(own * (2 / own + own * len(faces) - abs(apart)))
    return np.array(found)


def naive_balanced(graph):
    near = [set(np.flatnonzero(row).tolist()) for row in graph.matrix()]
    found = []
    for x, y in graph.edges.tolist():
        few, many = sorted((len(near[x]), len(near[y])))
        value = 2 / few + 2 / many - 2 + 2 * len(near[x] & near[y]) / many + len(near[x] & near[y]) / few
        squares, most = 0, 1
        for a, b in ((x, y), (y, x)):
            for v in near[a] - near[b] - {b}:
                through = len((near[v] & near[b]) - near[a] - {a})
                squares += through > 0
                most = max(most, through)
        found.append(0.0 if few == 1 else value + squares / (most * many))
    return np.array(found)


def test_forman_curvatures_equal_loops():
    rng = np.random.default_rng(9)
    for _ in range(5):
        graph = random_graph(rng, 16, 0.3)
        ones = np.ones(len(graph.edges))
        for method in ("1d", "augmented"):
            assert forman(graph, method) == pytest.approx(naive_forman(graph, method, ones), abs=1e-10)
            found = forman(graph, method, weighted=True)
            assert found == pytest.approx(naive_forman(graph, method, graph.lengths), abs=1e-10)
        assert forman(graph, "balanced") == pytest.approx(naive_balanced(graph), abs=1e-12)


def test_forman_curvatures_of_known_graphs():
    complete = of_edges(5, itertools.combinations(range(5), 2))
    assert forman(complete, "1d") == pytest.approx(4 - 4 - 4)
    assert forman(complete) == pytest.approx(4 - 4 - 4 + 3 * 3)
    # 2/4 + 2/4 − 2 + 2 × 3/4 + 3/4, no squares without a diagonal
    assert forman(complete, "balanced") == pytest.approx(1.25)
    square = of_edges(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert forman(square, "balanced") == pytest.approx(1)  # 2/2 + 2/2 − 2 + (1 + 1)/(1 × 2)
    ring = of_edges(6, [(i, (i + 1) % 6) for i in range(6)])
    assert forman(ring, "balanced") == pytest.approx(0)
    star = of_edges(4, [(0, 1), (0, 2), (0, 3)])
    assert forman(star, "balanced").tolist() == [0, 0, 0]
    assert forman(graph_from_adjacency(np.zeros((2, 2)))).shape == (0,)


def test_forman_refuses_what_it_has_no_answer_for():
    graph = Graph(3, np.array([[0, 1], [1, 2]]), np.array([0.0, 1.0]))
    assert forman(graph).tolist() == [1, 1]
    with pytest.raises(DataError, match="found an edge of length 0, expected lengths above 0"):
        forman(graph, weighted=True)
    with pytest.raises(ValueError, match="found weighted=True, expected False with 'balanced'"):
        forman(graph, "balanced", weighted=True)
    with pytest.raises(ValueError, match="found method '2d', expected one of 1d, augmented, balanced"):
        forman(graph, "2d")
