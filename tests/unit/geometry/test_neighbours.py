"""Dimensions of neighbourhoods, and entropies."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.geometry.diffusion import diffusion_entropy, diffusion_entropy_of_subsets, diffusion_information
from isocortex.geometry.dimensionality import components_for, effective_rank, participation_ratio, stable_rank
from isocortex.geometry.distances import coordinates, euclidean, median_distance
from isocortex.geometry.entropy import von_neumann_entropy
from isocortex.geometry.neighbours import (
    likelihood_dimension,
    local_rank,
    local_rank_of_subsets,
    two_nn,
    two_nn_of_subsets,
    two_nn_scan,
)


def naive_distances(x):
    return np.sqrt(np.square(x[:, None] - x[None]).sum(axis=2))


def subsets(rng, n, size, number=3):
    masks = np.zeros((number, n))
    for row in masks:
        row[rng.permutation(n)[:size]] = 1
    return masks


def embedded(rng, n, d, width=20):
    return rng.normal(size=(n, d)) @ np.linalg.qr(rng.normal(size=(width, d)))[0].T


def test_distances_are_those_of_differences_and_equal_patterns_are_at_zero():
    x = np.random.default_rng(0).normal(size=(9, 4)) + 1e6
    x[3] = x[7]
    distances = euclidean(x)
    assert distances.numpy() == pytest.approx(naive_distances(x))
    assert distances[3, 7] == 0
    assert float(median_distance(distances)) == pytest.approx(np.median(naive_distances(x)[np.triu_indices(9, 1)]))
    turned = coordinates(x[:, :3].T)
    assert turned.shape == (3, 3)
    assert turned @ turned.T == pytest.approx(x[:, :3].T @ x[:, :3])


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_two_neighbours_find_planted_dimensions(d):
    x = embedded(np.random.default_rng(d), 900, d)
    assert two_nn(x) == pytest.approx(d, rel=0.12)
    assert likelihood_dimension(x) == pytest.approx(d, rel=0.15)


def test_a_rolled_sheet_has_two_dimensions_though_it_fills_three():
    rng = np.random.default_rng(4)
    angle, height = rng.uniform(0, 4 * np.pi, 800), rng.uniform(0, 20, 800)
    x = np.stack([angle * np.cos(angle), angle * np.sin(angle), height], axis=1)
    assert two_nn(x) == pytest.approx(2, rel=0.1)
    assert participation_ratio(x) > 2.8
    assert local_rank(x, neighbours=8) < 2


def test_two_neighbours_equal_a_loop_and_duplicates_are_dropped():
    x = np.random.default_rng(5).normal(size=(30, 4))
    ratios = sorted(np.sort(row)[2] / np.sort(row)[1] for row in naive_distances(x))[:27]
    rest = [-np.log(1 - i / 30) for i in range(1, 28)]
    expected = np.dot(np.log(ratios), rest) / np.dot(np.log(ratios), np.log(ratios))
    assert two_nn(x) == pytest.approx(expected)
    assert two_nn(np.vstack([x, x[:5], x[:2]])) == pytest.approx(expected)
    assert two_nn(torch.as_tensor(x)) == pytest.approx(expected)
    assert np.isfinite(two_nn(x, discard=0.001))


def test_a_scan_over_subsets_ends_at_the_whole():
    x = np.random.default_rng(6).normal(size=(40, 3))
    scan = two_nn_scan(x, [10, 40], draws=4)
    assert scan.shape == (2, 4)
    assert scan[1] == pytest.approx(np.full(4, two_nn(x)))
    assert scan[0].std() > 0
    assert two_nn_scan(x, [10, 40], draws=4) == pytest.approx(scan, rel=1e-9)
    with pytest.raises(DataError, match="found sizes 3 to 40, expected 4 to 40"):
        two_nn_scan(x, [3, 40])


def test_local_rank_is_the_mean_ratio_of_neighbourhoods():
    x = np.random.default_rng(7).normal(size=(25, 6)) * np.arange(1, 7)
    order = np.argsort(naive_distances(x), axis=1)[:, :6]
    expected = np.mean([participation_ratio(x[rows]) for rows in order])
    assert local_rank(x, neighbours=5) == pytest.approx(expected)
    assert np.isnan(local_rank(np.ones((9, 2)), neighbours=3))
    with pytest.raises(DataError, match="found 9 different stimuli for 10 neighbours"):
        local_rank(np.ones((9, 2)))


def test_the_likelihood_equals_a_loop():
    x = np.random.default_rng(8).normal(size=(30, 4))
    near = np.sort(naive_distances(x), axis=1)[:, 1:8]
    inverse = [np.mean([np.log(row[-1] / d) for d in row[:-1]]) for row in near]
    assert likelihood_dimension(x, neighbours=7) == pytest.approx(1 / np.mean(inverse))
    assert likelihood_dimension(x, neighbours=7, mean="dimensions") == pytest.approx(np.mean(1 / np.array(inverse)))
    with pytest.raises(DataError, match="found mean 'median', expected one of dimensions, inverses"):
        likelihood_dimension(x, mean="median")


@pytest.mark.parametrize(
    ("value", "fast"),
    [(two_nn, two_nn_of_subsets), (local_rank, local_rank_of_subsets), (diffusion_entropy, diffusion_entropy_of_subsets)],
    ids=["two_nn", "local_rank", "diffusion_entropy"],
)
def test_subsets_equal_their_own_value(value, fast):
    rng = np.random.default_rng(9)
    x, masks = rng.normal(size=(30, 4)), subsets(rng, 30, 20)
    assert fast(x, masks) == pytest.approx([value(x[m > 0]) for m in masks])
    masks[0] = 0
    masks[0, :3] = 1
    assert np.isnan(fast(torch.as_tensor(x), torch.as_tensor(masks)).numpy()).tolist() == [True, False, False]


def test_a_discarded_share_and_few_stimuli_are_said():
    with pytest.raises(DataError, match="found discard 0, expected more than 0 and less than 1"):
        two_nn(np.ones((6, 2)), discard=0.0)
    with pytest.raises(DataError, match="found 1 different stimuli, expected at least 4"):
        two_nn(np.ones((6, 2)))
    with pytest.raises(DataError, match=r"found patterns of shape \(6,\), expected at least 2 stimuli and 1 unit"):
        two_nn(np.ones(6))


def naive_diffusion(distances, sigma, time):
    kernel = np.exp(-(distances**2) / (2 * sigma**2))
    degree = kernel.sum(axis=1)
    weights = np.abs(np.linalg.eigvalsh(kernel / np.sqrt(np.outer(degree, degree)))) ** time
    weights = weights[weights > 0] / weights.sum()
    return -np.sum(weights * np.log2(weights))


def test_diffusion_entropy_equals_its_formula_and_its_limits():
    x = np.random.default_rng(10).normal(size=(25, 4))
    distances = naive_distances(x)
    auto = np.median(np.sort(distances, axis=1)[:, 10])
    assert diffusion_entropy(x) == pytest.approx(naive_diffusion(distances, auto, 1))
    assert diffusion_entropy(x, neighbours=3, time=2.5) == pytest.approx(
        naive_diffusion(distances, np.median(np.sort(distances, axis=1)[:, 3]), 2.5)
    )
    assert diffusion_entropy(x, sigma=1e-3) == pytest.approx(np.log2(25))
    assert diffusion_entropy(x, sigma=1e4) == pytest.approx(0, abs=1e-5)


def clusters(rng, number=4, size=10):
    return np.repeat(100 * np.eye(number), size, axis=0) + 1e-4 * rng.normal(size=(number * size, number))


def test_clusters_have_the_entropy_of_their_number_and_labels_the_information():
    rng = np.random.default_rng(11)
    x, labels = clusters(rng), np.repeat(list("abcd"), 10)
    assert diffusion_entropy(x, sigma=1.0) == pytest.approx(2, abs=1e-5)
    two, of_two = x[:20], labels[:20]
    # Half of all stimuli are of both clusters, but for two of 184 756 halves.
    assert diffusion_information(two, of_two, sigma=1.0) == pytest.approx(1, abs=0.35)
    even = diffusion_information(np.vstack([two, two[:5]]), [*of_two, *"ccccc"], sigma=1.0, draws=50)
    assert even > 0
    shuffled = [diffusion_information(x, rng.permutation(labels), sigma=1.0, seed=k) for k in range(20)]
    assert abs(np.mean(shuffled)) < 0.1 < diffusion_information(x, labels, sigma=1.0) - 1
    with pytest.raises(DataError, match="found 1 class in the labels, expected at least 2"):
        diffusion_information(x, np.zeros(40))


def test_a_width_that_is_none_is_said():
    with pytest.raises(DataError, match="found a width of 0 of the diffusion, expected more than 0; set sigma"):
        diffusion_entropy(np.ones((20, 2)))
    with pytest.raises(DataError, match="found 8 stimuli for the 10-th neighbour, expected more; lower neighbours"):
        diffusion_entropy(np.ones((8, 2)))


def test_von_neumann_entropy_is_that_of_eigenvalues():
    x = np.random.default_rng(12).normal(size=(20, 6)) + 1
    for centred in (False, True):
        moved = x - x.mean(axis=0) * centred
        z = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        values = np.linalg.eigvalsh(z.T @ z / 20)
        assert von_neumann_entropy(x, centred=centred) == pytest.approx(-np.sum(values * np.log(values)))
    assert von_neumann_entropy(np.eye(7)) == pytest.approx(np.log(7))
    assert von_neumann_entropy(np.outer([1.0, 2.0, 3.0], [1.0, 1.0])) == pytest.approx(0, abs=1e-9)
    assert von_neumann_entropy(np.vstack([np.eye(3), np.zeros((2, 3))])) == pytest.approx(np.log(3))
    assert np.isnan(von_neumann_entropy(np.zeros((4, 3))))
    with pytest.raises(DataError, match=r"found patterns of shape \(3,\), expected stimuli × units"):
        von_neumann_entropy(np.ones(3))


def test_ranks_of_known_spectra():
    x = np.vstack([np.diag([4.0, 2.0, 1.0]), -np.diag([4.0, 2.0, 1.0])])
    shares = np.array([16, 4, 1]) / 21
    assert stable_rank(x) == pytest.approx(21 / 16)
    assert effective_rank(x) == pytest.approx(np.exp(-np.sum(shares * np.log(shares))))
    assert [components_for(x, share) for share in (0.5, 16 / 21, 0.95, 1.0)] == [1, 1, 2, 3]
    assert np.isnan(stable_rank(np.ones((4, 3))))
    assert np.isnan(effective_rank(np.ones((4, 3))))
    with pytest.raises(DataError, match=r"found share 0.95 of patterns \(4, 3\), expected 0 to 1 of some that vary"):
        components_for(np.ones((4, 3)))
