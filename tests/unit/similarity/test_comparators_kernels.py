"""Compiled parts: orders, inversions, weighted sums, and what they do on each side of their internal sizes."""

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, rankdata

from isocortex.similarity import compare_rdms
from isocortex.similarity.comparators import draws
from isocortex.similarity.comparators.inversions import buffers, discordant, group_power, layout, weighted_discordant
from isocortex.similarity.comparators.parallel import spread
from isocortex.similarity.comparators.sorting import Order, radix_order
from isocortex.similarity.comparators.sums import moments, own_moments, weighted_sums
from isocortex.similarity.comparators.whitened import by_whitening


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("values", [[], [2.5], [0.0, -0.0, 0.0], [1e300, -1e300, 5e-324, -5e-324, 0.0, 1.0, -1.0, 1.0]])
def test_orders_are_stable_and_know_their_ties(values):
    x = np.array(values)
    order = Order(x)
    assert order.order.tolist() == np.argsort(x, kind="stable").tolist()
    levels = np.unique(x)
    assert order.group.tolist() == np.searchsorted(levels, x).tolist()
    assert order.starts.tolist() == [*np.searchsorted(np.sort(x), levels).tolist(), len(x)]
    assert order.tied == (len(levels) < len(x))


def test_orders_of_many_values():
    x = np.round(np.random.default_rng(0).normal(size=5000), 2)
    assert Order(x).order.tolist() == np.argsort(x, kind="stable").tolist()
    keys = np.random.default_rng(1).integers(0, 1 << 20, 5000).astype(np.uint64)
    assert radix_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 300, 4096, 4097])
def test_discordant_weights_are_sums_over_inversions(n):
    rng = np.random.default_rng(n)
    order, values = rng.permutation(n).astype(np.int32), rng.permutation(n).astype(np.int32)
    weights = rng.integers(0, 4, n).astype(np.int32)
    found = weighted_discordant(order, values, weights, *buffers(n))
    w = weights[order].astype(np.int64)
    assert found == sum(int(w[i] * w[:i][values[:i] > values[i]].sum()) for i in range(n))


def test_discordant_pairs_of_known_permutations():
    n = 1000
    ones, spare = np.ones(n, np.int32), [np.empty(n, np.int32) for _ in range(2)]
    rising = np.arange(n, dtype=np.int32)
    assert discordant(rising.copy(), ones.copy(), n, n, *spare) == 0
    assert discordant(rising[::-1].copy(), ones.copy(), n, n, *spare) == n * (n - 1) // 2
    assert group_power(rising, np.array([0, 3, n], np.int32), ones) == 9 + (n - 3) ** 2
    order, values = layout(rising[::-1].copy(), rising)
    assert order.tolist() == values.tolist() == rising[::-1].tolist()


@pytest.mark.parametrize("levels", [(3, 5), (2, 4000), (4000, 4000), (1000000, 1000000)])
def test_tau_is_that_of_scipy_with_any_ties(levels):
    rng = np.random.default_rng(7)
    a, b = (rng.integers(0, k, 3000).astype(float) for k in levels)
    for x, y in ((a, b), (a, a + b), (a, -a)):
        tau_b = kendalltau(x, y).statistic
        assert compare_rdms(x, y, "tau_b") == pytest.approx(tau_b, abs=1e-12)
        total = 3000 * 2999 / 2
        free = [total - (size * (size - 1) / 2).sum() for size in (np.unique(v, return_counts=True)[1] for v in (x, y))]
        assert compare_rdms(x, y, "tau_a") == pytest.approx(tau_b * np.sqrt(free[0] * free[1]) / total, abs=1e-12)


@pytest.mark.parametrize("n", [3, 40, 90])
def test_weighted_sums_are_those_of_all_pairs(n):
    rng = np.random.default_rng(3)
    first, second = np.triu_indices(n, 1)
    rows, counts = rng.random((3, len(first))), rng.multinomial(n, np.full(n, 1 / n), size=400)
    expected = rows @ (counts[:, first] * counts[:, second]).T
    tensor = torch.as_tensor(rows)
    found = weighted_sums(lambda part: tensor[:, part], torch.as_tensor(counts, dtype=torch.float64))
    assert found.numpy() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_moments_with_themselves_take_every_product_once():
    rng = np.random.default_rng(4)
    rows, counts = torch.as_tensor(rng.random((4, 45))), torch.as_tensor(rng.multinomial(10, np.full(10, 0.1), size=6)).double()
    whole, once = moments(rows, rows, counts), own_moments(rows, counts)
    for name in ("pairs", "x", "y", "xx", "yy", "xy"):
        assert getattr(once, name).numpy() == pytest.approx(getattr(whole, name).numpy(), rel=1e-12)


@pytest.mark.parametrize("unit", [False, True])
def test_ranks_by_cumulated_weights_equal_the_compiled_ones(unit):
    rng = np.random.default_rng(5)
    rows = torch.as_tensor(np.vstack([rng.random((2, 66)), np.round(rng.random((3, 66)) * 4)]))
    counts = torch.as_tensor(rng.multinomial(12, np.full(12, 1 / 12), size=40)).double()
    compiled = draws.by_ranks(rows[:2], rows[2:], counts, unit=unit)
    assert compiled.numpy() == pytest.approx(draws.by_cumulated_ranks(rows[:2], rows[2:], counts, unit=unit).numpy(), abs=1e-12)


def test_blocks_of_draws_change_nothing(monkeypatch):
    rng = np.random.default_rng(6)
    rows = torch.as_tensor(rng.random((3, 66)))
    counts = torch.as_tensor(rng.multinomial(12, np.full(12, 1 / 12), size=20)).double()
    whole = by_whitening(rows[:1], rows[1:], counts, centre=True)
    monkeypatch.setattr("isocortex.similarity.comparators.whitened._BLOCK_BYTES", 1.0)
    assert by_whitening(rows[:1], rows[1:], counts, centre=True).numpy() == pytest.approx(whole.numpy(), abs=1e-12)


def test_threads_change_nothing_and_keep_the_order(threads):
    rng = np.random.default_rng(8)
    a, b = rng.random((3, 190)), np.round(rng.random((4, 190)) * 9)
    found = []
    for count in (1, 3):
        threads(count)
        found.append(compare_rdms(a, b, "tau_a"))
        assert spread(lambda k: k * k, [(k,) for k in range(20)]) == [k * k for k in range(20)]
    assert (found[0] == found[1]).all()
    assert spread(rankdata, []) == []
