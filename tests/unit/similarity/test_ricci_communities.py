import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.similarity.ricci import Graph, agreement, communities, graph_from_adjacency, graph_from_rdm, ricci_flow
from isocortex.similarity.ricci.communities import _modularities


def gaussian(clusters, seed, size=20, apart=6.0):
    rng = np.random.default_rng(seed)
    true = rng.permutation(np.repeat(np.arange(clusters), size))
    x = rng.standard_normal((len(true), 8)) + apart * np.eye(8)[true]
    return graph_from_rdm(((x[:, None] - x[None]) ** 2).sum(-1)), true


def hanging_together(n, edges):
    labels = np.arange(n)
    for i, j in edges:
        labels[labels == max(labels[i], labels[j])] = min(labels[i], labels[j])
    return labels


def modularity(graph, kept, labels):
    """Newman's: for each community its part of the lengths less the square of its part of the ends."""
    edges, lengths = graph.edges[kept], graph.lengths[kept]
    total = lengths.sum()
    found = 0.0
    for label in set(labels.tolist()):
        inside = lengths[(labels[edges] == label).all(axis=1)].sum()
        ends = sum((labels[edge] == label).sum() * w for edge, w in zip(edges, lengths, strict=True))
        found += inside / total - (ends / (2 * total)) ** 2
    return found if total > 0 else 0.0


def naive(graph, drop=0.01, step=0.025):
    """Cut by cut, each with the modularity of what is left; the drop from the lowest up."""
    cuts = np.arange(graph.lengths.max(), 1, -step)
    qualities, labels = [], []
    for cut in cuts:
        kept = graph.lengths <= cut
        labels.append(hanging_together(graph.n, graph.edges[kept]))
        qualities.append(modularity(graph, kept, labels[-1]))
    for i in range(len(cuts) - 2, -1, -1):
        if qualities[i + 1] > qualities[i] > 1e-4 and (qualities[i + 1] - qualities[i]) / qualities[i + 1] > drop:
            return labels[i + 1]
    return None


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_its_rule(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((18, 3)) + 2 * np.eye(3)[rng.integers(0, 3, 18)]
    graph = ricci_flow(graph_from_rdm(((x[:, None] - x[None]) ** 2).sum(-1), k=3), 8).graph
    for options in ({}, {"drop": 0.1}, {"step": 0.2}):
        expected, found = naive(graph, **options), communities(graph, **options)
        if expected is not None:
            assert agreement(found, expected, "vi") == 0
            np.testing.assert_array_equal(found, np.unique(expected, return_inverse=True)[1])
        assert list(dict.fromkeys(found.tolist())) == list(range(found.max() + 1))  # by their first nodes


def test_modularities_of_every_number_of_edges():
    graph, _ = gaussian(3, 0, 6)
    order = np.argsort(graph.lengths)
    found = _modularities(graph, order)
    assert found[0] == 0
    for k in range(1, len(order) + 1):
        labels = hanging_together(graph.n, graph.edges[order[:k]])
        assert found[k] == pytest.approx(modularity(graph, order[:k], labels), abs=1e-12)


@pytest.mark.parametrize("clusters", [2, 3, 4])
def test_planted_clusters_are_never_mixed(clusters):
    """The published rule takes the finest of its partitions, which may split a cluster."""
    scores = []
    for seed in range(6):
        graph, true = gaussian(clusters, seed)
        found = communities(ricci_flow(graph, 10).graph)
        assert len(set(zip(found.tolist(), true.tolist(), strict=True))) == found.max() + 1
        scores.append(agreement(found, true, "ari"))
    assert np.mean(scores) > 0.7


@pytest.mark.parametrize("seed", range(6))
def test_planted_clusters_come_back(seed):
    graph, true = gaussian(3, seed)
    found = communities(ricci_flow(graph, 10).graph, drop=0.1)
    assert agreement(found, true, "ari") > 0.95


def test_two_cliques_and_a_bridge():
    """Their union has a modularity of 0, so that the drop to it is the only one."""
    m = 6
    matrix = np.kron(np.eye(2), 1 - np.eye(m))
    matrix[m - 1, m] = matrix[m, m - 1] = 1
    flow = ricci_flow(graph_from_adjacency(matrix), 10)
    assert communities(flow.graph).tolist() == [0] * m + [1] * m
    assert communities(graph_from_adjacency(matrix)).tolist() == [0] * (2 * m)  # all edges are alike before


def test_where_nothing_is_cut_all_is_one():
    complete = graph_from_adjacency(1.0 - np.eye(5))
    assert communities(complete).tolist() == [0] * 5
    assert communities(graph_from_adjacency(np.zeros((3, 3)))).tolist() == [0, 0, 0]
    # A pendant node on a long edge is no community: without it the modularity is 0 as well.
    matrix = np.zeros((6, 6))
    matrix[:5, :5] = 0.5 * (1 - np.eye(5))
    matrix[4, 5] = matrix[5, 4] = 6
    assert communities(graph_from_adjacency(matrix)).tolist() == [0] * 6


def test_nodes_without_edges_and_edges_of_length_zero_have_a_place():
    graph, true = gaussian(3, 1, 12)
    n = graph.n
    edges = np.concatenate([graph.edges, [[n, n + 1]]])
    flow = ricci_flow(Graph(n + 3, edges, np.append(graph.lengths, 0.0)), 10)
    found = communities(flow.graph)
    assert found.shape == (n + 3,)
    assert agreement(found[:n], true, "ari") == 1
    assert found[n] == found[n + 1]
    assert found[n + 2] == found.max()
    assert len(set(found.tolist())) == 5


def test_agreement_of_partitions():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 300)
    renamed = np.array([7, 2, 5])[a]
    for kind, best in (("ami", 1), ("ari", 1), ("vi", 0)):
        assert agreement(a, renamed, kind) == pytest.approx(best, abs=1e-12)
        b = rng.integers(0, 4, 300)
        assert agreement(a, b, kind) == pytest.approx(agreement(b, a, kind), abs=1e-12)
    for kind in ("ami", "ari"):
        assert abs(np.mean([agreement(a, rng.permutation(a), kind) for _ in range(50)])) < 0.01
    # Independent halves: each leaves the other's ln 2; one community says nothing of quarters: ln 4.
    assert agreement([0, 0, 1, 1], [0, 1, 0, 1], "vi") == pytest.approx(2 * np.log(2))
    assert agreement(np.zeros(4, int), np.arange(4), "vi") == pytest.approx(np.log(4))
    c = rng.integers(0, 2, 300)
    assert agreement(a, b, "vi") <= agreement(a, c, "vi") + agreement(c, b, "vi") + 1e-12
    assert agreement(["x", "x", "y"], ["b", "b", "a"], "ari") == 1


def test_wrong_options_are_refused():
    graph, _ = gaussian(2, 0, 5)
    with pytest.raises(DataError, match="found a drop of 1, expected a part from 0 to below 1"):
        communities(graph, drop=1)
    with pytest.raises(DataError, match="found a step of 0, expected one above 0"):
        communities(graph, step=0)
    with pytest.raises(DataError, match="found 2 and 3 labels, expected one of each"):
        agreement([0, 1], [0, 1, 1])
    with pytest.raises(DataError, match="found 0 and 0 labels"):
        agreement([], [])
    with pytest.raises(ValueError, match="found kind 'nmi', expected one of ami, ari, vi"):
        agreement([0], [0], "nmi")
