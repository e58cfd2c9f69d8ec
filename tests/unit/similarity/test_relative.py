"""Relative representations: naive loops, products of spaces, invariances, permutations and what is refused."""

import itertools
import sys

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.inference.summary_tables import SummaryTable
from isocortex.similarity import METRICS
from isocortex.similarity.relative import (
    SIMILARITIES,
    Relative,
    anchor_places,
    mean_cosine,
    mean_reciprocal_rank,
    relative,
    relative_product,
    relative_representation,
)
from isocortex.similarity.summaries import compare_systems

VALUES = {"relative": relative, "relative_product": relative_product}
SPACES = {"relative": ("cosine",), "relative_product": ("cosine", "euclidean", "manhattan", "chebyshev")}
NAMES = sorted(VALUES)
N = 24


def systems(seed=0, n=N, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)) + 0.5
    return x, x @ rng.normal(size=(6, 9)) + noise * rng.normal(size=(n, 9)), rng


BETWEEN = {
    "cosine": lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b)),
    "euclidean": lambda a, b: np.sqrt(np.sum((a - b) ** 2)),
    "manhattan": lambda a, b: np.sum(np.abs(a - b)),
    "chebyshev": lambda a, b: np.max(np.abs(a - b)),
}


def naive_vectors(x, similarities, rows, anchors):
    """Of each stimulus {(similarity, anchor): value}, without those with itself."""
    vectors = {i: {} for i in rows}
    for name in similarities:
        space = {(i, a): BETWEEN[name](x[i], x[a]) for i in rows for a in anchors if i != a}
        for a in anchors:
            mean = np.mean([space[i, a] for i in rows if i != a])
            for i in rows:
                if i != a:
                    space[i, a] -= mean
        size = np.sqrt(sum(v**2 for v in space.values()))
        for (i, a), v in space.items():
            vectors[i][name, a] = v / size
    return vectors


def naive(x, y, similarities, anchors="auto"):
    rows, places = anchor_places(len(x), anchors)
    a, b = (naive_vectors(z, similarities, rows, places) for z in (x, y))
    cosines = []
    for i in rows:
        v, w = (np.array([s[i][key] for key in sorted(a[i])]) for s in (a, b))
        cosines.append(v @ w / np.sqrt((v @ v) * (w @ w)))
    return np.mean(cosines)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("anchors", ["auto", 2, 7, 1000])
def test_values_are_those_of_naive_loops(name, anchors):
    x, y, _ = systems()
    assert VALUES[name](x, y, anchors) == pytest.approx(naive(x, y, SPACES[name], anchors), abs=1e-12)


@pytest.mark.parametrize("similarities", [("cosine", "chebyshev"), ("manhattan", "euclidean"), ("euclidean",)], ids="-".join)
def test_products_of_some_similarities(similarities):
    x, y, _ = systems()
    found = relative_product(x, y, similarities=similarities)
    assert found == pytest.approx(naive(x, y, similarities), abs=1e-12)
    assert set(BETWEEN) == set(SIMILARITIES)


def test_a_product_of_cosines_alone_is_relative():
    x, y, _ = systems()
    assert relative_product(x, y, similarities=("cosine",)) == pytest.approx(relative(x, y), abs=1e-14)


def test_anchors_are_drawn_once_and_are_not_compared():
    for n, m in ((24, 6), (24, 23), (5, 2)):
        rows, anchors = anchor_places(n, m)
        assert sorted([*rows, *anchors]) == list(range(n))
        assert len(anchors) == min(m, n - 3)
        assert np.array_equal(anchors, anchor_places(n, m)[1])
    assert not np.array_equal(anchor_places(24, 6)[1], anchor_places(25, 6)[1])
    assert all(np.array_equal(places, np.arange(9)) for places in anchor_places(9, "auto"))
    with pytest.raises(DataError, match="relative: found 1 anchors, expected at least 2, or auto"):
        relative(*systems()[:2], 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("anchors", ["auto", 6])
def test_identity_symmetry_and_lists_of_systems(name, anchors, monkeypatch):
    x, y, rng = systems()
    z = rng.normal(size=(N, 4))
    assert VALUES[name](x, 3.0 * x[:, ::-1], anchors) == pytest.approx(1.0, abs=1e-12)
    assert VALUES[name](x, y, anchors) == pytest.approx(VALUES[name](y, x, anchors), abs=1e-14)
    method = METRICS[name].summarised({"anchors": anchors})
    made = [method.of(s, np.arange(N)) for s in (x, y, z)]
    together = method.compare(made, made)
    for (i, a), (j, b) in itertools.product(enumerate((x, y, z)), repeat=2):
        assert together[i, j] == pytest.approx(VALUES[name](a, b, anchors), abs=1e-12)
    monkeypatch.setattr(sys.modules["isocortex.similarity.relative"], "_BUDGET", 1.0)
    assert method.compare(made, made) == pytest.approx(together, abs=1e-14)
    assert compare_systems(method, torch.as_tensor(x), torch.as_tensor(y)) == pytest.approx(together[0, 1], abs=1e-14)
    assert VALUES[name](torch.as_tensor(x), torch.as_tensor(y), anchors) == VALUES[name](x, y, anchors)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("anchors", ["auto", 6])
def test_permuted_and_drawn_summaries_are_those_of_the_patterns(name, anchors):
    x, y, rng = systems()
    method = METRICS[name].summarised({"anchors": anchors})
    table = SummaryTable([torch.as_tensor(y)], [torch.as_tensor(x)], method, np.arange(N), True)
    orders = np.stack([rng.permutation(N) for _ in range(20)])
    found = table.permuted((orders, np.arange(N)[None]))[:, 0, 0]
    assert found == pytest.approx([VALUES[name](x[order], y, anchors) for order in orders], abs=1e-12)
    layer, brain = (method.of(s, np.arange(N)) for s in (x, y))
    twice = method.permuted(method.permuted(layer, orders[0]), orders[1])
    assert method.compare([twice], [brain])[0, 0] == pytest.approx(VALUES[name](x[orders[0]][orders[1]], y, anchors), abs=1e-12)
    kept = np.sort(rng.permutation(N)[:19])
    counts = np.zeros((1, N), dtype=np.int64)
    counts[0, kept] = 1
    assert table.drawn(counts)[0, 0, 0] == pytest.approx(VALUES[name](x[kept], y[kept], anchors), abs=1e-12)
    mask = np.arange(N) % 2 == 0
    halves = table.halves(mask[None], np.arange(N)[None])
    assert halves[:, 0, 0, 0] == pytest.approx([VALUES[name](x[m], y[m], anchors) for m in (mask, ~mask)], abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_whole_systems_are_kept_as_long_as_there_is_room(name):
    x, y, rng = systems()
    method, full = (Relative(METRICS[name].options) for _ in range(2))
    kept = np.sort(rng.permutation(N)[:15])
    made = [method.of(s, rows) for s in (x, y) for rows in (np.arange(N), kept)]
    assert len(method.kept.made) == 2
    full.kept.room = 8.0 * len(SPACES[name]) * N * N
    again = [full.of(s, rows) for s in (x, y) for rows in (np.arange(N), kept)]
    assert list(full.kept.made) == [id(x)]
    assert made[1].values is method.kept.made[id(x)][1]  # a part is laid out when it is compared
    assert again[3].values.shape == (len(SPACES[name]), 15, 15)
    for part in (slice(0, None, 2), slice(1, None, 2)):
        assert np.array_equal(method.compare(made[part], made[part]), full.compare(again[part], again[part]))


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
    moved = abs(VALUES[name](CHANGES[change](x, rng), y) - VALUES[name](x, y))
    assert moved < 1e-10 if change in METRICS[name].invariances else moved > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_common_order_of_stimuli_does_not_matter_where_all_are_anchors(name):
    x, y, rng = systems()
    order = rng.permutation(N)
    assert VALUES[name](x[order], y[order]) == pytest.approx(VALUES[name](x, y), abs=1e-12)
    assert abs(VALUES[name](x[order], y) - VALUES[name](x, y)) > 1e-2
    x[[2, 5, 9]] = x[11]  # copies are as like as can be: no error, no matter in which order
    assert VALUES[name](x[order], y[order]) == pytest.approx(VALUES[name](x, y), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [4, 300])
def test_unrelated_noise_is_at_chance_where_the_plain_cosine_is_not(name, p):
    rng = np.random.default_rng(p)
    method = METRICS[name].summarised({})
    found, plain = [], []
    for _ in range(20):
        x, y = (rng.normal(size=(50, p)) + 2.0 for _ in range(2))
        layer, brain = (method.of(z, np.arange(50)) for z in (x, y))
        null = method.compare([method.permuted(layer, rng.permutation(50)) for _ in range(40)], [brain])[:, 0]
        found.append((method.compare([layer], [brain])[0, 0] - null.mean()) / (1 - null.mean()))
        plain.append(mean_cosine(*(relative_representation(z, np.arange(25)) for z in (x, y))))
    assert abs(np.mean(found)) < 3.5 * np.std(found) / np.sqrt(20)
    assert np.mean(plain) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_more_noise_is_less_alike(name):
    found = [np.mean([VALUES[name](*systems(seed, 60, noise)[:2]) for seed in range(4)]) for noise in (0.0, 0.5, 2.0, 8.0)]
    assert found == sorted(found, reverse=True)
    assert np.ptp(found) > 0.3


def test_of_many_units_some_are_drawn():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(12, 40)), rng.normal(size=(12, 7))
    found = relative_product(x, y, units=10)
    assert found != pytest.approx(relative_product(x, y), abs=1e-6)
    assert found == relative_product(x, y, units=10)
    assert relative_product(x, y, units=None) == relative_product(x, y, units=40)


def test_plain_functions_are_those_of_naive_loops():
    x, y, rng = systems()
    anchors = rng.permutation(N)[:5]
    a, b = (relative_representation(z, anchors) for z in (x, y))
    assert a == pytest.approx(np.array([[BETWEEN["cosine"](v, x[i]) for i in anchors] for v in x]), abs=1e-14)
    assert isinstance(relative_representation(torch.as_tensor(x), anchors), torch.Tensor)
    cosines = np.array([[BETWEEN["cosine"](v, w) for w in b] for v in a])
    assert mean_cosine(a, b) == pytest.approx(np.mean(cosines.diagonal()), abs=1e-14)
    ranks = [1 + sum(c > row[i] for c in row) for i, row in enumerate(cosines)]
    assert mean_reciprocal_rank(a, b) == pytest.approx(np.mean([1 / r for r in ranks]), abs=1e-14)
    assert mean_reciprocal_rank(np.ones((4, 3)), np.ones((4, 3))) == 1.0  # as like is not better


@pytest.mark.parametrize("name", NAMES)
def test_what_says_nothing_is_refused(name):
    x, y, _ = systems()
    silent = np.hstack([x, np.zeros((N, 3))])
    assert VALUES[name](silent, y) == pytest.approx(VALUES[name](x, y), abs=1e-12)
    with pytest.raises(DataError, match=f"{name}: found stimuli that are all as like each other, expected some that differ"):
        VALUES[name](np.full((N, 3), 0.3), y)
    x[[3, 4]] = 0.0
    with pytest.raises(DataError, match=f"{name}: found 2 patterns of zeros of 24, expected none"):
        VALUES[name](x, y)
    with pytest.raises(DataError, match=f"{name}: found 24 and 23 stimuli, expected the same stimuli for both"):
        VALUES[name](y, y[:-1])
    with pytest.raises(DataError, match=f"{name}: found 4 stimuli, expected at least 5; take more stimuli"):
        VALUES[name](y[:4], y[:4])
    with pytest.raises(DataError, match=f"{name}: found 4 stimuli, expected at least 5; take more stimuli"):
        METRICS[name].summarised({}).of(y, np.arange(4))
    x[3, 2] = np.inf
    with pytest.raises(DataError, match=f"{name}: found NaN or infinite values"):
        VALUES[name](x, y)


def test_unknown_similarities_are_named():
    x, y, _ = systems()
    with pytest.raises(ValueError, match=r"relative_product: found similarities \['hamming'\], expected some of"):
        relative_product(x, y, similarities=("cosine", "hamming"))
