"""Clusters and loops beside matrix reduction and closed forms."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from isocortex.errors import DataError
from isocortex.geometry.persistence import (
    SUMMARIES,
    betti_curve,
    intervals,
    persistence_h0,
    persistence_h0_of_subsets,
    persistence_h1,
    persistence_h1_of_subsets,
)


def naive_loops(distances):
    """Reduction of the boundary of triangles over two elements, in the order of the filtration."""
    n = len(distances)
    edges = sorted(combinations(range(n), 2), key=lambda e: distances[e])
    place = {edge: k for k, edge in enumerate(edges)}
    length = [distances[edge] for edge in edges]

    def boundary(triangle):
        return {place[side] for side in combinations(triangle, 2)}

    triangles = sorted(combinations(range(n), 3), key=lambda t: max(boundary(t)))
    columns, found = {}, []
    for triangle in triangles:
        column = boundary(triangle)
        death = length[max(column)]
        while column and max(column) in columns:
            column = column ^ columns[max(column)]
        if column:
            columns[max(column)] = column
            found.append((length[max(column)], death))
    return sorted((birth, death) for birth, death in found if death > birth)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_loops_equal_matrix_reduction_to_the_last_digit(seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, 16)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.3 * rng.normal(size=(16, 2))
    distances = squareform(pdist(x))
    found = intervals(distances)
    assert sorted(map(tuple, found.tolist())) == naive_loops(distances)
    assert (np.diff(found[:, 1] - found[:, 0]) <= 0).all()


@pytest.mark.parametrize("n", [9, 12, 20])
def test_a_circle_has_one_loop_of_known_birth_and_death(n):
    angle = 2 * np.pi * np.arange(n) / n
    x = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = intervals(squareform(pdist(x)))
    # It dies with the first triangle around the centre: its longest side spans a third of the points, rounded up.
    sides = 10 * np.sin(np.pi * np.array([1, np.ceil(n / 3)]) / n)
    assert found[0] == pytest.approx(sides)
    # Sides that differ by rounding make loops of that length.
    assert (found[1:, 1] - found[1:, 0]).max(initial=0) < 1e-12
    expected = (sides[1] - sides[0]) / np.median(pdist(x))
    assert persistence_h1(x) == pytest.approx(expected)
    assert persistence_h1(torch.as_tensor(x)) == pytest.approx(expected)


def test_clusters_merge_where_single_linkage_says():
    x = np.random.default_rng(4).normal(size=(20, 3))
    merged = linkage(x, "single")[:, 2]
    assert np.sort(intervals(squareform(pdist(x)), 0)[:, 1]) == pytest.approx(merged)
    assert persistence_h0(x) == pytest.approx(merged.mean() / np.median(pdist(x)))
    assert persistence_h0(x, summary="maximum", scale="none") == pytest.approx(merged.max())


def test_equal_stimuli_merge_at_0_and_change_no_other_merger():
    x = np.array([[0.0, 0], [5, 0], [0, 0], [5, 0], [0, 2]])
    assert intervals(squareform(pdist(x)), 0).tolist() == [[0, 5], [0, 2]]
    assert persistence_h0(x, summary="total", scale="none") == pytest.approx(linkage(x, "single")[:, 2].sum())


def test_a_line_has_no_loop_and_equal_stimuli_no_distance():
    line = np.arange(8.0)[:, None]
    assert intervals(squareform(pdist(line))).shape == (0, 2)
    assert {name: persistence_h1(line, summary=name) for name in SUMMARIES} == dict.fromkeys(SUMMARIES, 0.0)
    assert np.isnan(persistence_h0(np.ones((5, 2))))


def test_summaries_and_the_betti_curve_of_known_intervals():
    found = np.array([[0.0, 3.0], [1.0, 2.0]])
    lifetimes = found[:, 1] - found[:, 0]
    shares = np.array([0.75, 0.25])
    values = {name: summary(lifetimes) for name, summary in SUMMARIES.items()}
    assert values == {
        "total": 4.0, "mean": 2.0, "maximum": 3.0, "entropy": pytest.approx(-np.sum(shares * np.log(shares)))
    }  # fmt: skip
    assert betti_curve(found, [-1, 0, 1, 1.5, 2, 3]).tolist() == [0, 1, 2, 2, 1, 0]
    assert betti_curve(np.empty((0, 2)), [1.0]).tolist() == [0]


@pytest.mark.parametrize(
    ("value", "fast"),
    [(persistence_h0, persistence_h0_of_subsets), (persistence_h1, persistence_h1_of_subsets)],
    ids=["h0", "h1"],
)
def test_subsets_equal_their_own_value(value, fast):
    rng = np.random.default_rng(5)
    x, masks = rng.normal(size=(30, 2)), np.zeros((3, 30))
    for row in masks:
        row[rng.permutation(30)[:22]] = 1
    assert fast(x, masks) == pytest.approx([value(x[m > 0]) for m in masks])


def test_of_many_stimuli_some_are_drawn():
    x = np.random.default_rng(6).normal(size=(40, 2))
    few = [persistence_h1(x, max_stimuli=20, seed=seed) for seed in (0, 0, 1)]
    assert few[1] == pytest.approx(few[0], rel=1e-12)
    assert few[2] != pytest.approx(few[0], rel=1e-3)
    assert persistence_h1_of_subsets(x, np.ones((1, 40)), max_stimuli=20)[0] == pytest.approx(few[0], rel=1e-12)
    assert persistence_h1(x, max_stimuli=40) == pytest.approx(persistence_h1(x), rel=1e-12)


def test_what_is_no_matrix_of_distances_is_said():
    with pytest.raises(DataError, match=r"found distances of shape \(2, 3\), expected a finite and symmetric square matrix"):
        intervals(np.ones((2, 3)))
    with pytest.raises(DataError, match="expected a finite and symmetric square matrix"):
        intervals(np.array([[0, 1], [2, 0.0]]))
    with pytest.raises(DataError, match="found dimension 2, expected 0"):
        intervals(np.zeros((3, 3)), 2)
    with pytest.raises(DataError, match="found 'longest', expected one of total, mean, maximum, entropy"):
        persistence_h0(np.eye(4), summary="longest")
    with pytest.raises(DataError, match="found 'mean', expected one of none, median"):
        persistence_h0(np.eye(4), scale="mean")
