"""Procrustes distance beside the rotation that gives it."""

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes

from isocortex.errors import DataError
from isocortex.inference.nulls import permutations
from isocortex.similarity.metrics import METRICS
from isocortex.similarity.procrustes import procrustes
from isocortex.similarity.shape import shape_distance
from isocortex.similarity.summaries import compare_systems

KINDS = ("normalized", "size_and_shape")


def related(n=30, p=6, q=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) + rng.normal(size=p)
    return x, x @ rng.normal(size=(p, q)) + rng.normal(size=(n, q)), rng


def naive(x, y, kind):
    """The length of what is left after the best rotation, the narrower system with silent units."""
    a, b = x - x.mean(0), y - y.mean(0)
    width = max(a.shape[1], b.shape[1])
    a, b = (np.pad(z, ((0, 0), (0, width - z.shape[1]))) for z in (a, b))
    if kind == "normalized":
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return np.linalg.norm(a @ orthogonal_procrustes(a, b)[0] - b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("p", "q"), [(6, 6), (4, 9), (50, 40)], ids=["square", "unequal", "wide"])
def test_distances_are_what_the_best_rotation_leaves(kind, p, q):
    x, y, _ = related(p=p, q=q)
    expected = naive(x, y, kind)
    assert procrustes(x, y, kind) == pytest.approx(expected, abs=1e-7)
    assert procrustes(y, x, kind) == pytest.approx(expected, abs=1e-7)
    assert procrustes(torch.as_tensor(x), torch.as_tensor(y), kind) == pytest.approx(expected, abs=1e-7)


def test_normalized_distances_are_chords_of_the_angle_of_shape():
    x, y, _ = related(q=8, seed=1)
    assert procrustes(x, y) == pytest.approx(2 * np.sin(shape_distance(x, y) / 2), abs=1e-9)


def test_invariances_bounds_and_identity():
    x, y, rng = related(seed=2)
    whole = procrustes(x, y)
    turned = x @ np.linalg.qr(rng.normal(size=(6, 6)))[0] * 3 + rng.normal(size=6)
    order = rng.permutation(30)
    assert procrustes(turned, y) == pytest.approx(whole, abs=1e-8)
    assert procrustes(x[order], y[order]) == pytest.approx(whole, abs=1e-8)
    assert procrustes(x, turned) == pytest.approx(0.0, abs=1e-7)
    assert 0.0 < whole < 2**0.5
    assert abs(procrustes(3 * x, y, "size_and_shape") - procrustes(x, y, "size_and_shape")) > 1
    assert abs(procrustes(x @ rng.normal(size=(6, 6)), y) - whole) > 1e-3
    a, b = np.zeros((8, 1)), np.zeros((8, 1))
    a[:4], b[::2] = 1, 1
    assert procrustes(a, b) == pytest.approx(2**0.5, abs=1e-9)  # nothing shared


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_triangle_inequality(kind, seed):
    x, y, rng = related(seed=seed)
    z = 0.6 * x + rng.normal(size=x.shape)
    a, b, c = procrustes(x, y, kind), procrustes(y, z, kind), procrustes(x, z, kind)
    assert max(a, b, c) <= a + b + c - max(a, b, c) + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_summaries_are_the_function_of_permuted_and_of_some_stimuli(kind):
    x, y, rng = related(p=40, seed=3)
    method = METRICS["procrustes"].summarised({"kind": kind})
    layer, brain = (method.of(torch.as_tensor(z), np.arange(30)) for z in (x, y))
    orders = permutations(30, 4, 0)
    found = method.compare([method.permuted(layer, o) for o in orders], [brain, layer])
    assert found[:, 0] == pytest.approx([procrustes(x[o], y, kind) for o in orders], abs=1e-8)
    assert found[:, 1] == pytest.approx([procrustes(x[o], x, kind) for o in orders], abs=1e-8)
    kept = np.sort(rng.permutation(30)[:20])
    drawn = method.compare([method.of(torch.as_tensor(x), kept)], [method.of(torch.as_tensor(y), kept)])
    assert drawn[0, 0] == pytest.approx(procrustes(x[kept], y[kept], kind), abs=1e-8)
    assert compare_systems(method, torch.as_tensor(x), torch.as_tensor(y)) == pytest.approx(procrustes(x, y, kind), abs=1e-12)


def test_degenerate_patterns_have_one_answer():
    x, y, _ = related(seed=4)
    assert procrustes(np.c_[x, np.full(30, 2.0)], y) == pytest.approx(procrustes(x, y), abs=1e-9)
    assert procrustes(x[:2], y[:2]) == pytest.approx(0.0, abs=1e-7)  # two stimuli make one contrast
    assert procrustes(np.r_[x, x], np.r_[y, y]) == pytest.approx(procrustes(x, y), abs=1e-9)
    with pytest.raises(DataError, match="procrustes: found the same pattern for all 30 stimuli, expected some that differ"):
        procrustes(x, np.ones_like(y))
    with pytest.raises(DataError, match="procrustes: found 30 stimuli in x and 20 in y, expected the same stimuli"):
        procrustes(x, y[:20])
    with pytest.raises(
        ValueError, match=r"procrustes: found kind 'angular', expected one of \['normalized', 'size_and_shape'\]"
    ):
        procrustes(x, y, "angular")


def test_calibrated_scores_of_noise_are_about_zero_and_nested_ones_keep_their_order():
    rng = np.random.default_rng(5)
    method, every = METRICS["procrustes"].summarised({}), np.arange(50)
    found = []
    for _ in range(15):
        shared, other = rng.normal(size=(50, 30)), rng.normal(size=(50, 100))
        values = []
        for weight in (0.0, 1.0, 3.0):
            x, y = (weight * shared @ rng.normal(size=(30, 100)) / 30**0.5 + rng.normal(size=(50, 100)) for _ in range(2))
            a, b = method.of(torch.as_tensor(x), every), method.of(torch.as_tensor(y + 0.1 * other), every)
            null = method.compare([method.permuted(a, o) for o in permutations(50, 20, 0)], [b]).mean()
            values.append((null - method.compare([a], [b])[0, 0]) / null)
        found.append(values)
    noise, little, much = np.mean(found, axis=0)
    assert abs(noise) < 3 * np.std(found, axis=0)[0] / 15**0.5 + 0.003
    assert noise + 0.05 < little < much - 0.05
