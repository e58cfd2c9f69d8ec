"""GULP beside its definition by covariances and beside the predictions of ridge regressions."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.gulp import gulp, smoother, summaries
from isocortex.similarity.summaries import compare_systems

N = 24


def pair(n=N, p=5, q=7, seed=0):
    rng = np.random.default_rng(seed)
    x = 2.0 * rng.normal(size=(n, p)) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, q)) / 2 + rng.normal(size=(n, q)), rng


def scaled(x):
    moved = x - x.mean(0)
    return moved * np.sqrt(len(x)) / np.linalg.norm(moved)


def naive(x, y, ridge):
    """The traces of covariances, as the paper has them."""
    x, y = scaled(x), scaled(y)
    n = len(x)
    cx, cy, cxy = x.T @ x / n, y.T @ y / n, x.T @ y / n
    invert = np.linalg.pinv if ridge == 0 else np.linalg.inv
    ix, iy = (invert(c + ridge * np.eye(len(c))) for c in (cx, cy))
    return np.trace(ix @ cx @ ix @ cx) + np.trace(iy @ cy @ iy @ cy) - 2 * np.trace(ix @ cxy @ iy @ cxy.T)


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize(("n", "p", "q"), [(24, 5, 7), (12, 30, 40), (40, 3, 60)], ids=["tall", "wide", "mixed"])
def test_distance_is_that_of_covariances(ridge, n, p, q):
    x, y, _ = pair(n, p, q)
    expected = naive(x, y, ridge)
    assert gulp(x, y, ridge) == pytest.approx(expected, abs=1e-8)
    assert gulp(y, x, ridge) == pytest.approx(expected, abs=1e-8)
    assert gulp(torch.as_tensor(x), torch.as_tensor(y), ridge) == pytest.approx(expected, abs=1e-8)
    assert isinstance(gulp(x, y, ridge), float)
    assert gulp(x, x, ridge) == pytest.approx(0.0, abs=1e-12)


def test_it_is_the_mean_square_difference_of_predictions_over_tasks():
    x, y, rng = pair()
    ridge, tasks = 0.1, rng.normal(size=(N, 10000))
    fits = []
    for z in (scaled(x), scaled(y)):
        weights = np.linalg.solve(z.T @ z / N + ridge * np.eye(z.shape[1]), z.T @ tasks / N)
        fits.append(z @ weights)
    found = np.mean(np.sum((fits[0] - fits[1]) ** 2, axis=0))
    assert gulp(x, y, ridge) == pytest.approx(found, rel=0.02)
    kernel = torch.as_tensor(scaled(x) @ scaled(x).T)
    assert smoother(kernel, ridge).numpy() @ tasks == pytest.approx(fits[0], abs=1e-9)


def test_without_a_penalty_it_counts_canonical_correlations():
    x, y, _ = pair()
    ranks = [np.linalg.svd(z - z.mean(0), full_matrices=False)[0] for z in (x, y)]
    correlations = np.linalg.svd(ranks[0].T @ ranks[1])[1]
    assert gulp(x, y, 0.0) == pytest.approx(5 + 7 - 2 * np.sum(correlations**2), abs=1e-9)
    mixed = x @ np.random.default_rng(1).normal(size=(5, 5))
    assert gulp(x, mixed, 0.0) == pytest.approx(0.0, abs=1e-9)
    assert gulp(x, mixed, 0.1) > 0.01


@pytest.mark.parametrize("ridge", [1e-3, 0.1, 1.0])
def test_its_root_keeps_the_triangle_inequality_and_rotations_do_not_matter(ridge):
    x, y, rng = pair()
    z = 0.6 * x + rng.normal(size=x.shape)
    xy, xz, zy = (gulp(*given, ridge) ** 0.5 for given in ((x, y), (x, z), (z, y)))
    assert max(xy, xz, zy) <= (xy + xz + zy) / 2
    turned = 3.7 * x @ np.linalg.qr(rng.normal(size=(5, 5)))[0] + rng.normal(size=5)
    assert gulp(turned, y, ridge) == pytest.approx(gulp(x, y, ridge), abs=1e-10)


def test_summaries_permute_and_draw_as_the_function():
    x, y, rng = pair()
    method = summaries({"ridge": 0.2})
    layer, brain, every = torch.as_tensor(x), torch.as_tensor(y), np.arange(N)
    rows, order = np.sort(rng.permutation(N)[:15]), rng.permutation(N)
    moved = method.permuted(method.of(layer, every), order)
    found = method.compare([moved, method.of(layer, every)], [method.of(brain, every), method.of(layer, every)])
    expected = [[gulp(a, b, 0.2) for b in (y, x)] for a in (x[order], x)]
    assert found == pytest.approx(np.array(expected), abs=1e-10)
    part = [method.of(z, rows) for z in (layer, brain)]
    assert method.compare(part[:1], part[1:])[0, 0] == pytest.approx(gulp(x[rows], y[rows], 0.2), abs=1e-10)
    assert compare_systems(summaries({}), layer, brain) == pytest.approx(gulp(x, y), abs=1e-12)
    assert method.permuting == "moderate"


@pytest.mark.parametrize("p", [10, 100, 1000])
def test_noise_is_as_far_as_its_permutations(p):
    """Less than the null, by a part of it: zero on average for unrelated systems."""
    rng = np.random.default_rng(p)
    method, every, found = summaries({}), np.arange(50), []
    for _ in range(20):
        x, y = (method.of(torch.as_tensor(z), every) for z in rng.normal(size=(2, 50, p)))
        null = method.compare([method.permuted(x, rng.permutation(50)) for _ in range(10)], [y]).mean()
        found.append((null - method.compare([x], [y])[0, 0]) / null)
    assert abs(np.mean(found)) < 0.03


def test_degenerate_systems_have_one_answer():
    x, y, _ = pair()
    assert gulp(np.c_[x, np.ones(N)], y) == pytest.approx(gulp(x, y), abs=1e-12)
    copies = np.r_[x[:1], x[:-1]]
    assert gulp(copies, y) == pytest.approx(naive(copies, y, 0.1), abs=1e-9)
    # Two stimuli span one axis, whatever they are.
    assert gulp(x[:2], y[:2]) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(DataError, match="gulp: found the same pattern for all 24 stimuli, expected some that differ"):
        gulp(np.tile(x[:1], (N, 1)), y)
    with pytest.raises(DataError, match="gulp: found 1 stimuli, expected at least 2; compare needs more stimuli"):
        gulp(x[:1], y[:1])
    with pytest.raises(DataError, match="gulp: found 24 stimuli in x and 20 in y, expected the same stimuli"):
        gulp(x, y[:20])
    with pytest.raises(DataError, match="gulp: found NaN or infinite values, expected finite ones"):
        gulp(np.where(x > 3, np.nan, x), y)
    with pytest.raises(DataError, match="gulp: found ridge -1, expected a number of at least 0"):
        gulp(x, y, -1)
