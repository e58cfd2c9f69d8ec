"""Mutual neighbours: naive loops, ties shared out, invariances, permutations and what is refused."""

import itertools

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.inference.summary_tables import SummaryTable
from isocortex.similarity import METRICS
from isocortex.similarity.neighbours import cknna, cycle_knn, directed_cknna, lcs_knn, mutual_knn, neighbour_weights
from isocortex.similarity.neighbours.knn import most_neighbours
from isocortex.similarity.summaries import compare_systems

VALUES = {"mutual_knn": mutual_knn, "cknna": cknna}
NAMES = sorted(VALUES)
N, K = 24, 5


def systems(seed=0, n=N, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)) + 0.5
    return x, x @ rng.normal(size=(6, 9)) + noise * rng.normal(size=(n, 9)), rng


def naive_cosines(x):
    return np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in x] for a in x])


def naive_weights(x, k):
    """Probabilities of being among the k nearest: all choices of the tied ones, one by one."""
    cosine = naive_cosines(x)
    found = np.zeros((len(x), len(x)))
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]
        last = sorted((cosine[i, j] for j in others), reverse=True)[k - 1]
        sure = [j for j in others if cosine[i, j] > last + 1e-9]
        tied = [j for j in others if abs(cosine[i, j] - last) <= 1e-9]
        choices = list(itertools.combinations(tied, k - len(sure)))
        for choice in choices:
            found[i, [*sure, *choice]] += 1 / len(choices)
    return found


def naive_mutual(x, y, k):
    return np.mean([a @ b / k for a, b in zip(naive_weights(x, k), naive_weights(y, k), strict=True)])


def naive_hsic(k, ell):
    n = len(k)
    first = sum(k[i, j] * ell[j, i] for i in range(n) for j in range(n))
    chains = sum(k[i, j] * ell[j, m] for i in range(n) for j in range(n) for m in range(n))
    return (first + k.sum() * ell.sum() / ((n - 1) * (n - 2)) - 2 * chains / (n - 2)) / (n * (n - 3))


def naive_cknna(x, y, k):
    """Mean of both orders of the authors' estimator."""

    def product(a, b):
        mask = naive_weights(a, k) * naive_weights(b, k)
        kernels = mask * naive_cosines(a), mask * naive_cosines(b)
        return 0.5 * (naive_hsic(*kernels) + naive_hsic(*kernels[::-1]))

    return product(x, y) / np.sqrt(product(x, x) * product(y, y))


NAIVE = {"mutual_knn": naive_mutual, "cknna": naive_cknna}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 3, 8])
def test_values_are_those_of_naive_loops(name, k):
    x, y, _ = systems(n=18)
    assert VALUES[name](x, y, k) == pytest.approx(NAIVE[name](x, y, k), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_ties_are_shared_out_and_the_order_of_copies_decides_nothing(name):
    x, y, rng = systems(n=14)
    x[[3, 9, 11, 12]] = x[5]
    y[[0, 9]] = 2.0 * y[1]  # the same direction
    x[4] = 7.0 * x[5]
    for k in (1, 2, 3):
        expected = NAIVE[name](x, y, k)
        assert VALUES[name](x, y, k) == pytest.approx(expected, abs=1e-12)
        for _ in range(5):
            order = rng.permutation(14)
            turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
            assert VALUES[name](x[order] @ turn, y[order], k) == pytest.approx(expected, abs=1e-12)


def test_of_stimuli_that_are_all_as_near_every_other_may_be_a_neighbour():
    """Orthogonal patterns have no neighbours: chance, k/(n − 1), exactly."""
    assert mutual_knn(np.eye(11), np.eye(11)[::-1], 4) == pytest.approx(0.4, abs=1e-12)
    weights = neighbour_weights(torch.eye(11, dtype=torch.float64), 4)
    assert weights.numpy() == pytest.approx(0.4 * (1 - np.eye(11)), abs=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_identity_symmetry_and_lists_of_systems(name):
    x, y, rng = systems()
    assert VALUES[name](x, x @ np.linalg.qr(rng.normal(size=(6, 6)))[0], K) == pytest.approx(1.0, abs=1e-12)
    assert VALUES[name](x, y, K) == pytest.approx(VALUES[name](y, x, K), abs=1e-14)
    z = np.repeat(rng.normal(size=(N // 4, 5)), 4, axis=0)  # more are tied than there are places
    method = METRICS[name].summarised({"neighbours": K})
    made = [method.of(s, np.arange(N)) for s in (x, y, z)]
    together = method.compare(made, made)
    assert together.shape == (3, 3)
    for (i, a), (j, b) in itertools.product(enumerate((x, y, z)), repeat=2):
        assert together[i, j] == pytest.approx(VALUES[name](a, b, K), abs=1e-12)
    assert together[0, 1] == pytest.approx(compare_systems(method, torch.as_tensor(x), torch.as_tensor(y)), abs=1e-14)
    assert VALUES[name](torch.as_tensor(x), torch.as_tensor(y), K) == VALUES[name](x, y, K)


@pytest.mark.parametrize("name", NAMES)
def test_many_systems_are_compared_by_parts(name, monkeypatch):
    x, y, rng = systems()
    method = METRICS[name].summarised({"neighbours": K})
    layer, brain = (method.of(s, np.arange(N)) for s in (x, y))
    moved = [method.permuted(layer, rng.permutation(N)) for _ in range(7)]
    whole = method.compare(moved, [brain])
    monkeypatch.setattr("isocortex.similarity.neighbours.knn._BUDGET", 1.0)
    assert method.compare(moved, [brain]) == pytest.approx(whole, abs=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_a_permuted_summary_is_that_of_the_permuted_patterns(name):
    x, y, rng = systems()
    x[[2, 7, 8]] = x[20]
    method = METRICS[name].summarised({"neighbours": K})
    layer, brain = (method.of(s, np.arange(N)) for s in (x, y))
    for _ in range(4):
        order, again = rng.permutation(N), rng.permutation(N)
        found = method.compare([method.permuted(layer, order)], [brain])[0, 0]
        assert found == pytest.approx(VALUES[name](x[order], y, K), abs=1e-12)
        twice = method.compare([method.permuted(method.permuted(layer, order), again)], [brain])[0, 0]
        assert twice == pytest.approx(VALUES[name](x[order][again], y, K), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_tables_draw_permute_and_halve(name):
    x, y, rng = systems()
    method = METRICS[name].summarised({"neighbours": K})
    table = SummaryTable([torch.as_tensor(y)], [torch.as_tensor(x)], method, np.arange(N), True)
    kept = np.sort(rng.permutation(N)[:19])
    counts = np.zeros((1, N), dtype=np.int64)
    counts[0, kept] = 1
    assert table.drawn(counts)[0, 0, 0] == pytest.approx(VALUES[name](x[kept], y[kept], K), abs=1e-12)
    orders = np.stack([rng.permutation(N) for _ in range(20)])
    found = table.permuted((orders, np.arange(N)[None]))[:, 0, 0]
    assert found == pytest.approx([VALUES[name](x[order], y, K) for order in orders], abs=1e-12)
    mask = np.arange(N) < N // 2
    halves = table.halves(mask[None], np.arange(N)[None])
    assert halves[:, 0, 0, 0] == pytest.approx([VALUES[name](x[m], y[m], K) for m in (mask, ~mask)], abs=1e-12)


CHANGES = {
    "rotation": lambda x, rng: x @ np.linalg.qr(rng.normal(size=(6, 6)))[0],
    "permutation": lambda x, rng: x[:, rng.permutation(6)],
    "isotropic_scale": lambda x, rng: 3.7 * x,
    "pattern_scale": lambda x, rng: x * rng.uniform(0.2, 5, size=(N, 1)),
    "translation": lambda x, rng: x + rng.normal(size=6),
    "pattern_offset": lambda x, rng: x + rng.normal(size=(N, 1)),
    "affine": lambda x, rng: x @ (np.eye(6) + 0.8 * rng.normal(size=(6, 6))),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", sorted(CHANGES))
def test_declared_invariances_hold_and_no_others(name, change):
    x, y, rng = systems()
    moved = abs(VALUES[name](CHANGES[change](x, rng), y, K) - VALUES[name](x, y, K))
    assert moved < 1e-10 if change in METRICS[name].invariances else moved > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_outlying_values_are_clamped_if_asked_for(name):
    x, y, rng = systems()
    x[rng.integers(N, size=6), rng.integers(6, size=6)] *= 40.0
    clipped = []
    for z in (x, y):
        most = np.mean([np.quantile(np.abs(row), 0.8) for row in z])
        clipped.append(np.clip(z, -most, most))
    found = VALUES[name](x, y, K, clamp=0.8)
    assert found == pytest.approx(NAIVE[name](*clipped, K), abs=1e-12)
    assert abs(found - VALUES[name](x, y, K)) > 1e-3


def test_cknna_is_the_mean_of_both_orders_of_its_authors():
    x, y, _ = systems()
    orders = [directed_cknna(x, y, K), directed_cknna(y, x, K)]
    assert abs(orders[0] - orders[1]) > 1e-6
    assert cknna(x, y, K) == pytest.approx(np.mean(orders), abs=1e-12)


def naive_lists(x, k):
    cosine = naive_cosines(x)
    return [
        sorted((j for j in range(len(x)) if j != i), key=lambda j: (-round(cosine[i, j], 10), j))[:k] for i in range(len(x))
    ]


def naive_lcs(a, b):
    if not a or not b:
        return 0
    return 1 + naive_lcs(a[1:], b[1:]) if a[0] == b[0] else max(naive_lcs(a[1:], b), naive_lcs(a, b[1:]))


def test_cycles_and_subsequences_are_those_of_naive_loops():
    x, y, _ = systems(noise=2.0)
    first, second = naive_lists(x, 4), naive_lists(y, 4)
    cycles = [any(i in first[j] for j in second[i]) for i in range(N)]
    assert cycle_knn(x, y, 4) == pytest.approx(np.mean(cycles), abs=1e-15)
    assert 0 < np.mean(cycles) < 1
    assert lcs_knn(x, y, 4) == pytest.approx(np.mean([naive_lcs(a, b) for a, b in zip(first, second, strict=True)]), abs=1e-15)
    assert lcs_knn(x, x, 4) == 4.0


def test_no_more_neighbours_than_half_of_the_others():
    assert [most_neighbours(10, n) for n in (3, 4, 12, 20, 21, 50)] == [1, 1, 5, 9, 10, 10]
    x, y, _ = systems(n=12)
    assert mutual_knn(x, y, 1000) == mutual_knn(x, y, 5)
    with pytest.raises(DataError, match="neighbours: found 0, expected at least 1"):
        mutual_knn(x, y, 0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [4, 300])
def test_unrelated_noise_is_at_chance(name, p):
    rng = np.random.default_rng(p)
    method = METRICS[name].summarised({"neighbours": 10})
    found = []
    for _ in range(20):
        x, y = (method.of(rng.normal(size=(50, p)) + 1.0, np.arange(50)) for _ in range(2))
        null = method.compare([method.permuted(x, rng.permutation(50)) for _ in range(40)], [y])[:, 0]
        found.append((method.compare([x], [y])[0, 0] - null.mean()) / (1 - null.mean()))
        if name == "mutual_knn":
            assert null.mean() == pytest.approx(10 / 49, abs=5 * null.std() / np.sqrt(40))
    assert abs(np.mean(found)) < 3.5 * np.std(found) / np.sqrt(20)


@pytest.mark.parametrize("name", NAMES)
def test_more_noise_is_less_alike(name):
    found = [np.mean([VALUES[name](*systems(seed, 60, noise)[:2]) for seed in range(4)]) for noise in (0.0, 0.5, 2.0, 8.0)]
    assert found == sorted(found, reverse=True)
    assert np.ptp(found) > 0.4


@pytest.mark.parametrize("name", NAMES)
def test_units_and_stimuli_that_say_nothing(name):
    x, y, _ = systems()
    silent = np.hstack([x, np.zeros((N, 3))])
    assert VALUES[name](silent, y, K) == pytest.approx(VALUES[name](x, y, K), abs=1e-12)
    x[[3, 4]] = 0.0
    with pytest.raises(DataError, match=f"{name}: found 2 patterns of zeros of 24, expected none; leave those stimuli out"):
        VALUES[name](x, y, K)
    x[3, 2] = np.nan
    with pytest.raises(DataError, match=f"{name}: found NaN or infinite values, expected finite ones"):
        VALUES[name](x, y, K)
    with pytest.raises(DataError, match=f"{name}: found 24 and 23 stimuli, expected the same stimuli for both"):
        VALUES[name](y, y[:-1], K)
    with pytest.raises(DataError, match=rf"{name}: found patterns of shape \(24,\), expected \(n_stimuli, n_features\)"):
        VALUES[name](y[:, 0], y, K)
    fewest = {"mutual_knn": 3, "cknna": 4}[name]
    with pytest.raises(DataError, match=f"{name}: found {fewest - 1} stimuli, expected at least {fewest}; take more stimuli"):
        VALUES[name](y[: fewest - 1], y[: fewest - 1], K)


def test_one_pattern_for_all_is_at_chance_or_refused():
    _, y, _ = systems()
    same = np.ones((N, 3))
    assert mutual_knn(same, y, K) == pytest.approx(K / (N - 1), abs=1e-12)
    with pytest.raises(DataError, match="cknna: found 24 patterns whose 5 nearest are alike in no way, expected some that are"):
        cknna(same, y, K)
