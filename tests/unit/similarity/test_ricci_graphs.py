import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import minimum_spanning_tree

from isocortex.errors import DataError
from isocortex.similarity import to_vector
from isocortex.similarity.ricci import Graph, graph_from_adjacency, graph_from_rdm, sweep
from isocortex.similarity.ricci.flow import components


def distances(n, seed=0, features=4):
    x = np.random.default_rng(seed).standard_normal((n, features))
    return ((x[:, None] - x[None]) ** 2).sum(-1)


def pairs(graph):
    return {(int(i), int(j)) for i, j in graph.edges}


def naive_nearest(d, k):
    kept = set()
    for i in range(len(d)):
        others = sorted((d[i, j], j) for j in range(len(d)) if j != i)
        kept |= {(min(i, j), max(i, j)) for _, j in others[:k]}
    return kept


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [1, 3, 19, 40])
def test_nearest_neighbours_and_ties_by_index(k, ties):
    d = np.round(distances(20)) if ties else distances(20)
    graph = graph_from_rdm(d, k=k, connect=False)
    assert pairs(graph) == naive_nearest(d, min(k, 19))
    assert graph.edges.dtype == np.int64
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert graph.edges.tolist() == sorted(graph.edges.tolist())


@pytest.mark.parametrize(("n", "share", "k"), [(20, 0.1, 5), (100, 0.1, 10), (100, 0.3, 30), (4, 0.1, 3), (30, 1.0, 29)])
def test_how_many_are_near(n, share, k):
    assert pairs(graph_from_rdm(distances(n), share=share)) >= naive_nearest(distances(n), k)
    assert pairs(graph_from_rdm(distances(n), share=share, connect=False)) == naive_nearest(distances(n), k)


@pytest.mark.parametrize("ties", [False, True])
def test_the_shortest_pairs(ties):
    d = np.round(distances(15)) if ties else distances(15)
    order = sorted((d[i, j], i, j) for i in range(15) for j in range(i + 1, 15))
    graph = graph_from_rdm(d, rule="shortest", share=0.2, connect=False)
    assert pairs(graph) == {(i, j) for _, i, j in order[:21]}
    assert len(graph_from_rdm(d, rule="shortest", share=1e-9, connect=False).edges) == 1


def test_a_minimum_spanning_tree_connects_and_adds_no_more():
    x = np.concatenate([np.random.default_rng(c).standard_normal((12, 3)) + 50 * c for c in range(3)])
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    apart, joined = (graph_from_rdm(d, k=2, connect=connect) for connect in (False, True))
    assert components(apart).max() >= 2
    assert components(joined).max() == 0
    tree = {(min(i, j), max(i, j)) for i, j in np.argwhere(minimum_spanning_tree(d).toarray()).tolist()}
    assert pairs(joined) == pairs(apart) | tree


def test_edges_of_length_zero_join():
    """Of six stimuli, three and three are the same; SciPy's tree would take their zeros for no edges."""
    place = np.array([0, 1, 0, 1, 0, 1])
    d = (place[:, None] != place).astype(float)
    graph = graph_from_rdm(d, k=1, lengths="given")
    assert components(graph).max() == 0
    same = place[graph.edges[:, 0]] == place[graph.edges[:, 1]]
    assert same.sum() == 4
    assert (graph.lengths[same] == 0).all()
    assert (~same).sum() == 1
    assert graph.lengths.mean() == pytest.approx(1)
    floor = graph_from_rdm(d, k=1).lengths
    assert floor[same] / floor[~same] == pytest.approx([0.01] * 4)


def test_lengths_are_roots_or_as_given_with_a_mean_of_one():
    d = distances(12)
    far = d[tuple(graph_from_rdm(d).edges.T)]
    assert graph_from_rdm(d).lengths == pytest.approx(np.sqrt(far) / np.sqrt(far).mean())
    assert graph_from_rdm(d, lengths="given").lengths == pytest.approx(far / far.mean())
    assert graph_from_rdm(7 * d).lengths == pytest.approx(graph_from_rdm(d).lengths)


def test_distances_below_zero_are_raised_to_a_floor_and_stay_the_nearest():
    d = distances(10)
    first, second = np.triu_indices(10, 1)
    d[0, 1] = d[1, 0] = -0.3
    d[2, 3] = d[3, 2] = -0.1
    kept = d.copy()
    graph = graph_from_rdm(d, rule="shortest", share=2 / 45, connect=False)
    assert pairs(graph) == {(0, 1), (2, 3)}
    np.testing.assert_array_equal(d, kept)
    whole = graph_from_rdm(d, k=9)
    values = d[first, second]
    expected = np.sqrt(np.maximum(values, 1e-4 * np.median(values[values > 0])))
    assert whole.lengths == pytest.approx(expected / expected.mean())
    assert graph_from_rdm(d, k=9, lengths="given").lengths.min() == 0


def test_equal_distances_have_a_graph():
    graph = graph_from_rdm(np.full(45, 3.0))
    assert components(graph).max() == 0
    assert graph.lengths == pytest.approx(1)
    assert pairs(graph_from_rdm(np.ones(3), k=9)) == {(0, 1), (0, 2), (1, 2)}


def test_vectors_matrices_and_tensors_are_the_same():
    d = distances(9)
    graph = graph_from_rdm(d, k=2)
    for other in (to_vector(d), torch.as_tensor(d), torch.as_tensor(to_vector(d))):
        found = graph_from_rdm(other, k=2)
        np.testing.assert_array_equal(found.edges, graph.edges)
        np.testing.assert_array_equal(found.lengths, graph.lengths)
    single = graph_from_rdm(torch.as_tensor(d, dtype=torch.float32), k=2)
    assert single.lengths.dtype == np.float64


def test_a_sweep_has_a_graph_for_each_share():
    d = distances(40)
    graphs = sweep(d, (0.05, 0.2, 0.3))
    assert [len(g.edges) for g in graphs] == [len(graph_from_rdm(d, share=s).edges) for s in (0.05, 0.2, 0.3)]
    shortest = sweep(d, (0.1, 0.5), rule="shortest")
    assert len(shortest[1].edges) >= 390
    assert len(sweep(d)) == 6


def test_adjacency_and_back():
    lengths = np.zeros((5, 5))
    lengths[0, 2] = lengths[2, 0] = 0.5
    lengths[1, 2] = lengths[2, 1] = 2.0
    for given in (lengths, torch.as_tensor(lengths)):
        graph = graph_from_adjacency(given)
        assert graph.edges.tolist() == [[0, 2], [1, 2]]
        assert graph.lengths.tolist() == [0.5, 2.0]
        np.testing.assert_array_equal(graph.matrix(), lengths)
        assert graph.degrees().tolist() == [1, 1, 2, 0, 0]
    starts, nodes, edges = graph.neighbours()
    assert starts.tolist() == [0, 1, 2, 4, 4, 4]
    assert nodes.tolist() == [2, 2, 0, 1]
    assert edges.tolist() == [0, 1, 0, 1]
    empty = graph_from_adjacency(np.zeros((3, 3)))
    assert empty.edges.shape == (0, 2)
    assert empty.neighbours()[0].tolist() == [0, 0, 0, 0]
    assert isinstance(empty, Graph)


def test_what_is_no_rdm_is_refused():
    with pytest.raises(DataError, match="found an RDM of 2 stimuli, expected at least 3"):
        graph_from_rdm(np.ones(1))
    with pytest.raises(DataError, match="found 1 pairs without a finite distance"):
        graph_from_rdm(np.array([1.0, np.nan, 2.0]))
    with pytest.raises(DataError, match="found an RDM that is not symmetric"):
        graph_from_rdm(np.triu(np.ones((4, 4)), 1))
    with pytest.raises(DataError, match=r"found an RDM of shape \(2, 3, 3\)"):
        graph_from_rdm(np.ones((2, 3, 3)))
    with pytest.raises(DataError, match="found no distance above zero"):
        graph_from_rdm(np.zeros(6))
    with pytest.raises(ValueError, match="found 5 entries"):
        graph_from_rdm(np.ones(5))
    for share in (0, 1.5, np.nan):
        with pytest.raises(DataError, match=f"found a share of {share}, expected one above 0 and at most 1"):
            graph_from_rdm(np.ones(6), share=share)
    with pytest.raises(DataError, match="found k = 0, expected at least 1 neighbour"):
        graph_from_rdm(np.ones(6), k=0)
    with pytest.raises(ValueError, match="found rule 'far', expected one of nearest, shortest"):
        graph_from_rdm(np.ones(6), rule="far")
    with pytest.raises(ValueError, match="found lengths 'log', expected one of sqrt, given"):
        graph_from_rdm(np.ones(6), lengths="log")


def test_what_is_no_adjacency_is_refused():
    with pytest.raises(DataError, match=r"found an adjacency matrix of shape \(2, 3\)"):
        graph_from_adjacency(np.zeros((2, 3)))
    with pytest.raises(DataError, match="found an edge length that is negative or not finite"):
        graph_from_adjacency(np.array([[0, -1.0], [-1.0, 0]]))
    with pytest.raises(DataError, match="found an adjacency matrix that is not symmetric"):
        graph_from_adjacency(np.array([[0, 1.0], [0, 0]]))
    with pytest.raises(DataError, match="found an edge from a node to itself"):
        graph_from_adjacency(np.eye(2))
