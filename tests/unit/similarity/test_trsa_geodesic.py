import heapq

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from isocortex.errors import DataError
from isocortex.similarity import to_square, to_vector
from isocortex.similarity.trsa import geodesic, rgtm, two_step
from isocortex.similarity.trsa.paths import shortest_paths, together


def searched(lengths):
    """Dijkstra from every node over a matrix whose missing edges are infinite; an edge of length zero is an edge."""
    n = len(lengths)
    result = np.full((n, n), np.inf)
    for source in range(n):
        queue = [(0.0, source)]
        while queue:
            far, node = heapq.heappop(queue)
            if far < result[source, node]:
                result[source, node] = far
                for other in range(n):
                    if other != node and np.isfinite(lengths[node, other]):
                        heapq.heappush(queue, (far + lengths[node, other], other))
    return result


def scaled_ranks(d):
    ranks = rankdata(d)
    return (ranks - ranks.min()) / max(ranks.max() - ranks.min(), 1e-300)


def naive(d, keep, p, k):
    x = to_square(scaled_ranks(d))
    n = len(x)
    graph = np.full((n, n), np.inf)
    for i in range(n):
        for j in range(n):
            others = np.delete(x[i], i)
            if i == j:
                continue
            if keep == "p_shortest":
                kept = x[i, j] <= np.quantile(to_vector(x), p) + 1e-12
            else:
                kept = x[i, j] <= np.sort(others)[min(k if keep == "k_nearest" else max(1, int(p * n + 1e-9)), n - 1) - 1]
            if kept:
                graph[i, j] = graph[j, i] = x[i, j]
    return to_vector(searched(graph))


@pytest.fixture(params=["untied", "tied", "duplicates"])
def rdms(request):
    rng = np.random.default_rng(11)
    values = rng.random((3, 66))
    if request.param == "tied":
        return np.round(values * 12)
    if request.param == "duplicates":  # of stimuli: distances of zero
        place = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8])
        return to_vector(to_square(values)[:, place][:, :, place])
    return values


KEPT = [("p_shortest", 0.1, None), ("p_shortest", 0.3, None), ("p_nearest", 0.05, None), ("p_nearest", 0.25, None),
        ("k_nearest", 0.0, 1), ("k_nearest", 0.0, 4), ("k_nearest", 0.0, 50), ("p_shortest", 0.0, None)]  # fmt: skip


@pytest.mark.parametrize(("keep", "p", "k"), KEPT)
def test_geodesics_equal_searches_of_a_graph(rdms, keep, p, k):
    expected = np.array([naive(row, keep, p, k) for row in rdms])
    found = geodesic(rdms, keep, p, k, rank=False)
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    reached = np.isfinite(expected)
    assert found[reached] == pytest.approx(expected[reached], abs=1e-12)
    ranks = [rankdata(np.round(row, 9)) for row in expected]  # equal paths tie; the search rounds them apart
    assert geodesic(rdms, keep, p, k) == pytest.approx(np.array(ranks), abs=0)


@pytest.mark.parametrize(("lower", "upper"), [(0.2, 0.8), (0.0, 0.25), (0.1, 1.0), (0.3, 0.3)])
def test_the_second_of_two_steps_equals_a_search(rdms, lower, upper):
    for row, found, ranks in zip(rdms, two_step(rdms, lower, upper, rank=False), two_step(rdms, lower, upper), strict=True):
        x = to_square(rgtm(row, lower, upper))
        expected = to_vector(searched(np.where(x < 1, x, np.inf)))
        np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
        assert found[np.isfinite(found)] == pytest.approx(expected[np.isfinite(expected)], abs=1e-11)
        assert ranks == pytest.approx(rankdata(np.round(expected, 9)), abs=0)


@pytest.mark.parametrize("transform", ["gtm", "rgtm"])
def test_the_order_of_stimuli_does_not_matter(rdms, transform):
    order = np.random.default_rng(0).permutation(12)
    moved = to_vector(to_square(rdms)[:, order][:, :, order])
    for function in (
        lambda d: geodesic(d, "k_nearest", k=2),
        lambda d: geodesic(d, "p_nearest", p=0.3),
        lambda d: geodesic(d, "p_shortest", p=0.2),
        lambda d: two_step(d, 0.25, 0.6, transform=transform),
    ):
        expected = to_vector(to_square(function(rdms))[:, order][:, :, order])
        np.testing.assert_array_equal(function(moved), expected)


def test_the_closest_stimuli_are_joined_and_in_the_references_they_are_not():
    d = np.array([1.0, 2.0, 9.0, 3.0, 8.0, 7.0])  # pairs 01 02 03 12 13 23
    assert geodesic(d, "p_shortest", p=0.2, rank=False) == pytest.approx([0, 0.2, np.inf, 0.2, np.inf, np.inf])
    theirs = geodesic(d, "p_shortest", p=0.2, rank=False, compat=True)
    assert theirs == pytest.approx([np.inf, 0.2, np.inf, np.inf, np.inf, np.inf])
    assert two_step(d, 0.2, 0.6, rank=False)[0] == 0
    assert two_step(d, 0.2, 0.6, rank=False, compat=True)[0] > 0


def test_what_is_disconnected_is_at_the_top_or_as_far_as_the_farthest():
    d = np.array([1.0, 2.0, 9.0, 3.0, 8.0, 7.0])
    assert geodesic(d, "p_shortest", p=0.2).tolist() == [1, 2.5, 5, 2.5, 5, 5]
    assert geodesic(d, "p_shortest", p=0.2, rank=False, disconnected="finite_max") == pytest.approx(
        [0, 0.2, 0.2, 0.2, 0.2, 0.2]
    )
    assert two_step(np.ones(3), rank=False, disconnected="finite_max").tolist() == [1, 1, 1]


@pytest.mark.parametrize("compat", [False, True])
def test_few_stimuli_and_equal_entries_have_defined_answers(compat):
    for d in ([0.7], [0.7, 0.2, 0.4], [0.5, 0.5, 0.5]):
        for keep, k in (("p_shortest", None), ("p_nearest", None), ("k_nearest", 2)):
            found = geodesic(np.array(d), keep, 0.5, k, rank=False, compat=compat)
            assert found.shape == (len(d),)
            assert not np.isnan(found).any()
    assert geodesic(np.array([0.7]), rank=False).tolist() == [0]
    assert geodesic(np.full(6, 0.5), rank=False).tolist() == [0] * 6
    assert two_step(np.array([0.7]), rank=False).tolist() == [np.inf]
    # Of three stimuli the longest side goes, and the way round is left.
    assert geodesic(np.array([0.7, 0.2, 0.4]), "k_nearest", k=1, rank=False) == pytest.approx([0.5, 0, 0.5])


def test_a_missing_entry_is_no_edge_and_the_way_round_it_is_found():
    d = np.array([1.0, np.nan, 9.0, 2.0, 8.0, 3.0])  # 02 is missing; 0-1-2-3 is a chain
    assert geodesic(d, "p_shortest", p=0.5, rank=False) == pytest.approx([0, 0.25, 0.75, 0.25, 0.75, 0.5])


def test_all_algorithms_of_paths_agree(rdms):
    graphs = torch.as_tensor(to_square(rdms))
    graphs = torch.where(graphs <= 0.4 * graphs.amax((1, 2), keepdim=True), graphs, torch.inf)
    expected = np.array([searched(graph.numpy()) for graph in graphs])
    start = graphs.clone()
    start.diagonal(dim1=1, dim2=2).zero_()
    np.testing.assert_allclose(shortest_paths(graphs).numpy(), expected, atol=1e-13)
    np.testing.assert_allclose(together(start).numpy(), expected, atol=1e-13)


def test_tensors_and_leading_axes_are_kept():
    d = np.random.default_rng(2).random((2, 3, 28))
    found = geodesic(torch.as_tensor(d), p=0.3)
    assert isinstance(found, torch.Tensor)
    assert found.shape == (2, 3, 28)
    np.testing.assert_array_equal(found[1, 2], geodesic(d[1, 2], p=0.3))


def test_wrong_options_are_refused():
    d = np.ones(6)
    with pytest.raises(ValueError, match="found keep 'nearest', expected one of"):
        geodesic(d, "nearest")
    with pytest.raises(ValueError, match="found disconnected 'drop', expected one of"):
        two_step(d, disconnected="drop")
    with pytest.raises(ValueError, match="found transform 'sigmoid', expected 'rgtm' or 'gtm'"):
        two_step(d, transform="sigmoid")
    with pytest.raises(DataError, match=r"found p = 1.5, expected a part between 0 and 1"):
        geodesic(d, p=1.5)
    with pytest.raises(DataError, match="found k = None, expected at least 1"):
        geodesic(d, "k_nearest")
    with pytest.raises(ValueError, match="found 5 entries"):
        geodesic(np.ones(5))
