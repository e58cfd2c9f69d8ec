"""Canonical correlations beside eigenvalues of covariances, and what each mean of them minds."""

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.inference.nulls import permutations
from isocortex.similarity.cca import canonical_correlations, cca, projection_weighted, pwcca, svcca
from isocortex.similarity.coordinates import coordinates
from isocortex.similarity.metrics import METRICS
from isocortex.similarity.summaries import compare_systems

FUNCTIONS = {"cca": cca, "svcca": svcca, "pwcca": pwcca}
NAMES = sorted(FUNCTIONS)


def related(n=90, p=4, q=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + rng.normal(size=p)
    return x, x[:, :2] @ rng.normal(size=(2, q)) + rng.normal(size=(n, q)), rng


def naive_correlations(x, y):
    """Roots of eigenvalues of Σxx⁻¹ Σxy Σyy⁻¹ Σyx."""
    a, b = x - x.mean(0), y - y.mean(0)
    product = np.linalg.solve(a.T @ a, a.T @ b) @ np.linalg.solve(b.T @ b, b.T @ a)
    values = np.sort(np.linalg.eigvals(product).real)[::-1]
    return np.sqrt(values.clip(0)[: min(x.shape[1], y.shape[1])])


def naive_components(x, k=None, variance=0.99):
    a = x - x.mean(0)
    values, vectors = np.linalg.eigh(a.T @ a)
    values, vectors = values[::-1], vectors[:, ::-1]
    if k is None:
        k = 1
        while values[:k].sum() < variance * values.sum():
            k += 1
        k = max(1, min(k, len(x) // 10))
    return a @ vectors[:, :k]


def naive_weighted(x, y):
    """By the variates of the first system."""
    a, b = x - x.mean(0), y - y.mean(0)
    values, w = np.linalg.eig(np.linalg.solve(a.T @ a, a.T @ b) @ np.linalg.solve(b.T @ b, b.T @ a))
    total = weight = 0.0
    for k in range(a.shape[1]):
        h = a @ w[:, k].real
        h /= np.linalg.norm(h)
        alpha = sum(abs(h @ a[:, j]) for j in range(a.shape[1]))
        total += alpha * np.sqrt(max(values[k].real, 0))
        weight += alpha
    return total / weight


def test_canonical_correlations_are_roots_of_eigenvalues():
    x, y, _ = related()
    expected = naive_correlations(x, y)
    assert canonical_correlations(x, y) == pytest.approx(expected, abs=1e-8)
    assert cca(x, y) == pytest.approx((expected**2).mean(), abs=1e-9)
    assert cca(x, y, "mean") == pytest.approx(expected.mean(), abs=1e-8)
    found = canonical_correlations(torch.as_tensor(x), torch.as_tensor(y))
    assert isinstance(found, torch.Tensor)
    assert found.numpy() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("settings", [{}, {"variance": 0.8}, {"components": 2}], ids=["auto", "variance", "two"])
def test_svcca_takes_principal_components_first(settings):
    x, y, _ = related(n=60, p=8, q=12, seed=1)
    k = settings.get("components")
    parts = [naive_components(z, k, settings.get("variance", 0.99)) for z in (x, y)]
    expected = naive_correlations(*parts)
    assert svcca(x, y, **settings) == pytest.approx((expected**2).mean(), abs=1e-9)
    assert svcca(x, y, summary="mean", **settings) == pytest.approx(expected.mean(), abs=1e-8)


def test_components_are_a_tenth_of_the_stimuli_at_most_and_one_at_least():
    rng = np.random.default_rng(2)
    sizes = [
        METRICS["svcca"].summarised({}).of(torch.as_tensor(rng.normal(size=(n, 30))), np.arange(n)).rank for n in (6, 19, 47)
    ]
    assert sizes == [1, 1, 4]
    line = rng.normal(size=(50, 1)) @ rng.normal(size=(1, 5))
    assert METRICS["svcca"].summarised({}).of(torch.as_tensor(line), np.arange(50)).rank == 1


@pytest.mark.parametrize(("p", "q"), [(3, 5), (5, 3), (4, 4)], ids=["x smaller", "y smaller", "alike"])
def test_weights_are_of_the_smaller_side_or_of_both(p, q):
    x, y, _ = related(p=p, q=q, seed=3)
    both = naive_weighted(x, y), naive_weighted(y, x)
    expected = both[0] if p < q else both[1] if q < p else np.mean(both)
    assert projection_weighted(x, y) == pytest.approx(expected, abs=1e-7)
    assert projection_weighted(y, x) == pytest.approx(expected, abs=1e-7)


def test_pwcca_weighs_principal_components():
    x, y, _ = related(n=60, p=8, q=7, seed=4)
    for k in (3, 6):
        parts = [naive_components(z, k) for z in (x, y)]
        expected = np.mean([naive_weighted(*parts), naive_weighted(*parts[::-1])])
        assert pwcca(x, y, components=k) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_no_rotation_shift_scale_or_common_order_matters(name):
    x, y, rng = related(seed=5)
    whole = FUNCTIONS[name](x, y)
    turned = x @ np.linalg.qr(rng.normal(size=(4, 4)))[0] * 3 + rng.normal(size=4)
    order = rng.permutation(len(x))
    assert FUNCTIONS[name](turned, y) == pytest.approx(whole, abs=1e-9)
    assert FUNCTIONS[name](x[order], y[order]) == pytest.approx(whole, abs=1e-9)
    assert FUNCTIONS[name](y, x) == pytest.approx(whole, abs=1e-9)
    assert FUNCTIONS[name](x, x) == pytest.approx(1.0, abs=1e-9)
    assert abs(FUNCTIONS[name](x[order], y) - whole) > 1e-2
    assert 0.0 <= whole <= 1.0


def test_every_invertible_map_is_one_to_cca_alone():
    x, y, rng = related(seed=6)
    mapped = x @ rng.normal(size=(4, 4))
    assert cca(mapped, y) == pytest.approx(cca(x, y), abs=1e-9)
    assert abs(svcca(mapped, y, variance=0.8) - svcca(x, y, variance=0.8)) > 1e-3
    assert abs(pwcca(mapped, y) - pwcca(x, y)) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_permuted_summaries_are_functions_of_permuted_stimuli(name):
    x, y, rng = related(seed=7)
    method = METRICS[name].summarised({})
    every = np.arange(len(x))
    layers, brain = (method.of(torch.as_tensor(z), every) for z in (x, y))
    orders = permutations(len(x), 5, 0)
    other = method.of(torch.as_tensor(rng.normal(size=(len(x), 3))), every)
    found = method.compare([*(method.permuted(layers, o) for o in orders), other], [brain, other])
    assert found[:5, 0] == pytest.approx([FUNCTIONS[name](x[o], y) for o in orders], abs=1e-9)
    assert found[5, 1] == pytest.approx(1.0, abs=1e-9)
    assert compare_systems(method, torch.as_tensor(x), torch.as_tensor(y)) == pytest.approx(FUNCTIONS[name](x, y), abs=1e-12)
    kept = np.sort(rng.permutation(len(x))[:60])
    drawn = method.compare([method.of(torch.as_tensor(x), kept)], [method.of(torch.as_tensor(y), kept)])[0, 0]
    assert drawn == pytest.approx(FUNCTIONS[name](x[kept], y[kept]), abs=1e-9)


def test_coordinates_of_a_gram_matrix_have_the_same_axes():
    """What its decomposition leaves of rounding is no dimension."""
    x, y, _ = related(n=60, p=4, q=3, seed=8)
    made = coordinates(torch.as_tensor(x @ x.T))
    assert cca(made, y) == pytest.approx(cca(x, y), abs=1e-9)


def test_refused_are_as_many_dimensions_as_would_correlate_anyhow():
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(40, 4)), rng.normal(size=(40, 3))
    message = r"cca: found 40 stimuli for 4 dimensions, expected more than 40, .* use svcca"
    with pytest.raises(DataError, match=message):
        cca(x, y)
    assert 0 < svcca(x, y) < 1
    # A half of a system that has enough is taken as it is, for layers are chosen on halves.
    whole = torch.as_tensor(rng.normal(size=(41, 4)))
    method = METRICS["cca"].summarised({})
    assert method.of(whole, np.arange(20)).rank == 4
    # Units that repeat others add no dimension.
    assert cca(x[:, [0, 0, 1, 1]], y) == pytest.approx(cca(x[:, :2], y), abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_refused_are_patterns_that_are_none(name):
    x, y, _ = related(seed=10)
    with pytest.raises(DataError, match=f"{name}: found the same pattern for all 90 stimuli, expected some that differ"):
        FUNCTIONS[name](np.ones_like(x), y)
    with pytest.raises(DataError, match=f"{name}: found 90 stimuli in x and 80 in y, expected the same stimuli"):
        FUNCTIONS[name](x, y[:80])
    x[0, 0] = np.nan
    with pytest.raises(DataError, match=f"{name}: found NaN or infinite values in x, expected finite ones"):
        FUNCTIONS[name](x, y)
    with pytest.raises(DataError, match=rf"{name}: found y of shape \(90,\), expected \(stimuli, units >= 1\)"):
        FUNCTIONS[name](y, y[:, 0])


def test_degenerate_patterns_have_one_answer():
    x, y, _ = related(n=60, seed=11)
    silent = np.c_[x, np.full(60, 3.0)]
    assert cca(silent, y) == pytest.approx(cca(x, y), abs=1e-9)
    two = svcca(x[:2], y[:2])
    assert two == pytest.approx(1.0, abs=1e-9)  # two stimuli make one contrast
    twice = np.r_[x, x], np.r_[y, y]
    assert cca(*twice) == pytest.approx(cca(x, y), abs=1e-9)


def test_calibrated_scores_of_noise_are_about_zero_and_planted_ones_are_found():
    rng = np.random.default_rng(12)
    for name, option in (("svcca", {}), ("pwcca", {})):
        method, found = METRICS[name].summarised(option), {False: [], True: []}
        for _ in range(25):
            shared = rng.normal(size=(50, 4))
            noise = torch.as_tensor(rng.normal(size=(50, 100))), torch.as_tensor(rng.normal(size=(50, 100)))
            made = [torch.as_tensor(shared @ rng.normal(size=(4, 100))) + z for z in noise]
            for planted, (x, y) in ((False, noise), (True, made)):
                every = np.arange(50)
                a, b = method.of(x, every), method.of(y, every)
                moved = [method.permuted(a, o) for o in permutations(50, 20, int(rng.integers(1000)))]
                null = method.compare(moved, [b]).mean()
                found[planted].append((method.compare([a], [b])[0, 0] - null) / (1 - null))
        # Of five components four are shared.
        assert abs(np.mean(found[False])) < 3 * np.std(found[False]) / 5 + 0.005
        assert np.mean(found[True]) > 0.7
