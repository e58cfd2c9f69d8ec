import itertools

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.ricci import (
    Graph,
    Surgery,
    curvature,
    graph_from_adjacency,
    graph_from_rdm,
    ricci_flow,
    ricci_flows,
)


def clustered(seed=0, n=24, apart=3.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)) + apart * np.eye(4)[rng.integers(0, 3, n)]
    return graph_from_rdm(((x[:, None] - x[None]) ** 2).sum(-1), k=4)


def naive(graph, iterations, step=1.0, alpha=0.5, power=1.0, surgery=None, tolerance=1e-4):
    """The rule edge by edge, with lengths in a dict; its surgery leaves the curvature of what stays."""
    w = {tuple(edge): length for edge, length in zip(graph.edges.tolist(), graph.lengths, strict=True)}

    def measured():
        edges = sorted(w)
        made = Graph(graph.n, np.array(edges), np.array([w[e] for e in edges]))
        return dict(zip(edges, curvature(made, alpha, power), strict=True))

    kappa, removed = measured(), []
    for iteration in range(iterations):
        w = {e: w[e] - step * kappa[e] * w[e] for e in w}
        total = sum(w.values())
        w = {e: w[e] / total * len(w) for e in w}
        kappa = measured()
        if max(kappa.values()) - min(kappa.values()) < tolerance:
            break
        if surgery and iteration > 0 and iteration % surgery.every == 0:
            cut = (max(w.values()) - 1) * surgery.share + 1
            removed += sorted(e for e in w if w[e] > cut)
            w = {e: w[e] for e in w if w[e] <= cut}
    return w, measured(), removed


@pytest.mark.parametrize("surgery", [None, Surgery(), Surgery(every=1, share=0.8)])
@pytest.mark.parametrize(("step", "alpha", "power"), [(1.0, 0.5, 1.0), (0.4, 0.2, 2.0)])
def test_it_equals_its_rule(step, alpha, power, surgery):
    graph = clustered()
    for iterations in (0, 1, 4, 7):
        found = ricci_flow(graph, iterations, step, alpha, power, surgery)
        w, kappa, removed = naive(graph, iterations, step, alpha, power, surgery)
        assert found.graph.edges.tolist() == [list(e) for e in sorted(w)]
        assert found.graph.lengths == pytest.approx(np.array([w[e] for e in sorted(w)]), rel=1e-9)
        assert found.curvature == pytest.approx(np.array([kappa[e] for e in sorted(kappa)]), abs=1e-7)
        assert [tuple(e) for e in found.removed.tolist()] == removed
        assert len(found.spreads) == iterations
        if iterations == 7:
            assert bool(removed) == bool(surgery)


def test_lengths_add_up_to_the_number_of_edges_and_the_input_stays():
    graph = clustered()
    before = graph.edges.copy(), graph.lengths.copy()
    flow = ricci_flow(graph, 5)
    assert flow.graph.lengths.sum() == pytest.approx(len(graph.edges))
    assert flow.removed.shape == (0, 2)
    np.testing.assert_array_equal(graph.edges, before[0])
    np.testing.assert_array_equal(graph.lengths, before[1])
    assert flow.curvature == pytest.approx(curvature(flow.graph), abs=1e-12)


def test_edges_between_clusters_grow():
    m = 6
    matrix = np.kron(np.eye(2), 1 - np.eye(m))
    matrix[m - 1, m] = matrix[m, m - 1] = 1
    flow = ricci_flow(graph_from_adjacency(matrix), 10)
    bridge = (flow.graph.edges == [m - 1, m]).all(axis=1)
    assert flow.graph.lengths[bridge] > 10 * flow.graph.lengths[~bridge].max()
    cut = ricci_flow(graph_from_adjacency(matrix), 5, surgery=Surgery())
    assert cut.removed.tolist() == [[m - 1, m]]
    assert cut.curvature == pytest.approx(curvature(cut.graph), abs=1e-12)


def test_symmetric_graphs_are_at_rest_and_end_at_once():
    ring = graph_from_adjacency(sum(np.roll(np.eye(8), s, axis=1) for s in (1, -1)))
    complete = graph_from_adjacency(1.0 - np.eye(5))
    for graph in (ring, complete):
        flow = ricci_flow(graph, 20)
        assert flow.graph.lengths == pytest.approx(1)
        assert len(flow.spreads) == 1
        assert flow.spreads[0] < 1e-12
    loose = ricci_flow(clustered(), 20, tolerance=1e3)
    assert len(loose.spreads) == 1


def test_components_flow_as_each_would_and_no_node_is_lost():
    first, second = clustered(1, 15), clustered(2, 12)
    second = Graph(second.n, second.edges, 5 * second.lengths)
    matrix = np.zeros((30, 30))
    # Woven into one another, with nodes without edges at 0, 28 and 29.
    places = np.arange(1, 28)
    odd, even = places[::2][:12], np.setdiff1d(places, places[::2][:12])
    matrix[np.ix_(even, even)], matrix[np.ix_(odd, odd)] = first.matrix(), second.matrix()
    for surgery in (None, Surgery()):
        flow = ricci_flow(graph_from_adjacency(matrix), 8, surgery=surgery)
        parts = ricci_flow(first, 8, surgery=surgery), ricci_flow(second, 8, surgery=surgery)
        assert flow.graph.n == 30
        assert flow.graph.edges.tolist() == sorted(flow.graph.edges.tolist())
        for part, nodes in zip(parts, (even, odd), strict=True):
            lengths = flow.graph.matrix()[np.ix_(nodes, nodes)]
            assert lengths == pytest.approx(part.graph.matrix(), abs=1e-12)
            kappa = flow.graph.matrix(flow.curvature)[np.ix_(nodes, nodes)]
            assert kappa == pytest.approx(part.graph.matrix(part.curvature), abs=1e-9)
        assert flow.spreads == pytest.approx(np.maximum(parts[0].spreads, parts[1].spreads))
        assert len(flow.removed) == len(parts[0].removed) + len(parts[1].removed)


def test_components_that_end_at_different_times():
    ring = sum(np.roll(np.eye(8), s, axis=1) for s in (1, -1))
    other = clustered(3, 12)
    matrix = np.zeros((20, 20))
    matrix[:8, :8], matrix[8:, 8:] = ring, other.matrix()
    flow = ricci_flow(graph_from_adjacency(matrix), 4)
    assert flow.spreads == pytest.approx(ricci_flow(other, 4).spreads)


def test_a_single_edge_keeps_its_length():
    """Its curvature is 1: it would shrink to nothing, and is rescaled to 1 edge."""
    flow = ricci_flow(graph_from_adjacency(np.array([[0, 3.0], [3.0, 0]])), 5)
    assert flow.graph.lengths.tolist() == [1]
    assert flow.curvature.tolist() == [1]


def test_no_edges_at_all():
    flow = ricci_flow(graph_from_adjacency(np.zeros((4, 4))), 5)
    assert flow.graph.n == 4
    assert flow.curvature.shape == flow.spreads.shape == (0,)
    assert flow.removed.shape == (0, 2)


def test_equal_stimuli_stay_equal():
    x = np.random.default_rng(4).standard_normal((9, 3))[[0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8]]
    graph = graph_from_rdm(((x[:, None] - x[None]) ** 2).sum(-1), k=3, lengths="given")
    zero = graph.lengths == 0
    flow = ricci_flow(graph, 6)
    assert zero.sum() == 2
    assert (flow.graph.lengths[zero] == 0).all()
    assert (flow.graph.lengths[~zero] >= 1e-12).all()
    assert np.isfinite(flow.curvature).all()
    assert flow.graph.lengths.sum() == pytest.approx(len(zero))


def test_long_flows_and_long_steps_stay_finite():
    for flow in (
        ricci_flow(clustered(5), 60),
        ricci_flow(clustered(5), 30, 3.0),
        ricci_flow(clustered(5), 60, surgery=Surgery()),
    ):
        assert np.isfinite(flow.graph.lengths).all()
        assert (flow.graph.lengths >= 1e-12).all()
        assert np.isfinite(flow.curvature).all()
        assert (flow.curvature <= 1 + 1e-9).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_many_flows_are_each_by_itself(monkeypatch, threads):
    graphs = [clustered(seed, n) for seed, n in enumerate((12, 20, 16))]
    expected = [ricci_flow(graph, 5, surgery=Surgery()) for graph in graphs]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for found, one in zip(ricci_flows(graphs, 5, surgery=Surgery()), expected, strict=True):
        np.testing.assert_array_equal(found.graph.lengths, one.graph.lengths)
        np.testing.assert_array_equal(found.removed, one.removed)
    assert ricci_flows([]) == []


def test_wrong_options_are_refused():
    graph = graph_from_adjacency(np.ones((3, 3)) - np.eye(3))
    with pytest.raises(DataError, match="found -1 iterations, expected at least 0"):
        ricci_flow(graph, -1)
    for step, tolerance in itertools.product((0, np.nan, np.inf), (1e-4,)):
        with pytest.raises(DataError, match=f"found a step of {step}, expected a finite one above 0"):
            ricci_flow(graph, step=step, tolerance=tolerance)
    with pytest.raises(DataError, match="found a tolerance of 0, expected a finite one above 0"):
        ricci_flows([graph], tolerance=0)
    with pytest.raises(DataError, match="found alpha = 2"):
        ricci_flow(graph, alpha=2)
    with pytest.raises(DataError, match="found every = 0, expected at least 1 iteration"):
        Surgery(every=0)
    with pytest.raises(DataError, match=r"found a share of 1.0, expected one between 0 and 1"):
        Surgery(share=1.0)
