import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.shape import (
    Alignment,
    cross_validated_distance,
    factor,
    factor_distances,
    factor_from_gram,
    shape_distance,
)

KINDS = ["angular", "euclidean"]
ALPHAS = [0.0, 0.3, 1.0]


def whitened(x, alpha):
    """X V diag(d) Vᵀ as it is defined, in the space of the units; directions without variance stay without."""
    x = x - x.mean(0)
    values, vectors = np.linalg.eigh(x.T @ x)
    kept = values > 1e-9 * values.max()
    values, vectors = values[kept], vectors[:, kept]
    d = alpha + (1 - alpha) / np.sqrt(values)
    d *= np.sqrt(values.sum() / (values * d**2).sum())
    return x @ (vectors * d) @ vectors.T


def naive(x, y, alpha, kind):
    """Pads, whitens, rotates by the singular vectors of p × p products, and measures."""
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(whitened(z, alpha), ((0, 0), (0, width - z.shape[1]))) for z in (x, y))
    u, _, vt = np.linalg.svd(x.T @ y)
    x, y = x @ u, y @ vt.T
    if kind == "euclidean":
        return np.linalg.norm(x - y)
    return np.arccos(np.clip((x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y), -1, 1))


def related(n, p, q, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 4))
    return tuple(common @ rng.normal(size=(4, k)) + noise * rng.normal(size=(n, k)) + rng.normal(size=k) for k in (p, q))


def rotation(p, seed=5):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(p, p)))[0]


SHAPES = [(30, 8, 8), (30, 5, 12), (10, 25, 25), (12, 7, 40), (2, 3, 3), (20, 1, 6), (20, 1, 1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("n", "p", "q"), SHAPES)
def test_distances_equal_those_of_padded_patterns(n, p, q, alpha, kind):
    x, y = related(n, p, q)
    expected = naive(x, y, alpha, kind)
    scale = 1 if kind == "angular" else np.linalg.norm(x)
    assert shape_distance(x, y, alpha, kind) == pytest.approx(expected, abs=1e-7 * scale)
    found = shape_distance(torch.as_tensor(y), torch.as_tensor(x), alpha, kind)
    assert found == pytest.approx(expected, abs=1e-7 * scale)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("n", "p"), [(30, 8), (10, 25), (12, 12)])
def test_factors_have_the_gram_matrix_of_whitened_patterns(n, p, alpha):
    x, _ = related(n, p, 3)
    expected = whitened(x, alpha)
    for found in (factor(x, alpha), factor_from_gram(x @ x.T, alpha)):
        assert found.dtype == torch.float64
        assert (found @ found.T).numpy() == pytest.approx(expected @ expected.T, abs=1e-8)
    assert factor(x, alpha).shape == (n, min(n, p))
    assert float(factor(x, alpha).square().sum()) == pytest.approx(((x - x.mean(0)) ** 2).sum())
    raw = factor(x, 1.0, centre=False)
    assert (raw @ raw.T).numpy() == pytest.approx(x @ x.T, abs=1e-9)
    raw = factor_from_gram(x @ x.T, 1.0, centre=False)
    assert (raw @ raw.T).numpy() == pytest.approx(x @ x.T, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_distances_of_many_systems_are_those_of_each_pair(kind):
    a = [related(15, p, 3, seed)[0] for seed, p in enumerate((4, 30, 4, 1))]
    b = [related(15, p, 3, seed)[0] for seed, p in enumerate((8, 40))]
    found = factor_distances([factor(x) for x in a], [factor(y) for y in b], kind)
    expected = [[shape_distance(x, y, kind=kind) for y in b] for x in a]
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-8)


def test_small_batches_change_nothing(monkeypatch):
    factors = [factor(related(15, 6, 3, seed)[0]) for seed in range(5)]
    whole = factor_distances(factors, factors)
    monkeypatch.setattr("isocortex.similarity.shape.factors._CPU_BYTES", 1.0)
    assert factor_distances(factors, factors).numpy() == pytest.approx(whole.numpy(), abs=1e-7)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("n", "p"), [(30, 6), (8, 20)])
def test_rotations_reflections_and_means_do_not_matter(n, p, alpha):
    x, y = related(n, p, 9)
    before = shape_distance(x, y, alpha)
    turn = rotation(p)
    turn[:, 0] *= -1
    assert shape_distance(x @ turn, y, alpha) == pytest.approx(before, abs=1e-8)
    assert shape_distance(x + 3 * np.arange(p), y, alpha) == pytest.approx(before, abs=1e-8)
    if alpha or n > p:  # fewer stimuli than units, whitened, are all alike
        assert abs(shape_distance(x + 3 * np.arange(p), y, alpha, centre=False) - before) > 1e-3


def test_invertible_maps_do_not_matter_to_alpha_zero_alone():
    x, y = related(40, 6, 9)
    mixed = x @ np.random.default_rng(2).normal(size=(6, 6))
    assert shape_distance(mixed, y, 0.0) == pytest.approx(shape_distance(x, y, 0.0), abs=1e-8)
    for alpha in (0.3, 1.0):
        assert abs(shape_distance(mixed, y, alpha) - shape_distance(x, y, alpha)) > 1e-3


def test_scale_does_not_matter_to_angles_at_both_ends():
    x, y = related(40, 6, 9)
    for scale in (1e-6, 100.0):
        for alpha in (0.0, 1.0):
            assert shape_distance(scale * x, y, alpha) == pytest.approx(shape_distance(x, y, alpha), abs=1e-7)
    assert abs(shape_distance(100 * x, y, 0.5) - shape_distance(x, y, 0.5)) > 1e-3
    assert abs(shape_distance(2 * x, y, kind="euclidean") - shape_distance(x, y, kind="euclidean")) > 1e-3


def test_few_stimuli_of_many_units_are_all_alike_when_whitened():
    x, y = related(8, 20, 30, noise=5)
    assert shape_distance(x, y, 0.0) == pytest.approx(0, abs=1e-6)
    assert shape_distance(x, y, 1.0) > 0.1


@pytest.mark.parametrize("alpha", ALPHAS)
def test_constant_patterns_share_nothing_with_others_and_all_with_their_like(alpha):
    x, _ = related(12, 5, 4)
    for flat in (np.full((12, 3), 0.1), np.tile([1e6, -3.3, 0.7], (12, 1)), np.full((12, 30), 0.1), np.zeros((12, 2))):
        assert shape_distance(flat, x, alpha) == np.pi / 2
        assert shape_distance(x, flat, alpha) == np.pi / 2
        assert shape_distance(flat, np.ones((12, 4)), alpha) == 0
        assert shape_distance(flat, x, alpha, "euclidean") == pytest.approx(np.linalg.norm(x - x.mean(0)))
        by_gram = factor_from_gram(flat @ flat.T, alpha)
        assert float(factor_distances([by_gram], [factor(x, alpha)])) == np.pi / 2


@pytest.mark.parametrize("alpha", ALPHAS)
def test_duplicate_stimuli_and_units_have_their_distances(alpha):
    x, y = related(10, 4, 25)
    place = np.array([0, 0, 0, 1, 2, 3, 4, 5, 5, 9])
    found = shape_distance(x[place], y[place], alpha)
    assert found == pytest.approx(naive(x[place], y[place], alpha, "angular"), abs=1e-7)
    twice = np.hstack([x, x]) / np.sqrt(2)  # the same Gram matrix
    assert shape_distance(twice, y, alpha) == pytest.approx(shape_distance(x, y, alpha), abs=1e-7)


def test_two_stimuli_of_any_width_have_one_shape():
    x, y = related(2, 3, 7)
    assert shape_distance(x, y) == pytest.approx(0, abs=1e-7)


def test_inputs_are_not_changed():
    x, y = related(10, 4, 4)
    kept = x.copy(), y.copy()
    for group in ("orthogonal", "permutation"):
        shape_distance(x, y, group=group)
    factor(torch.as_tensor(x), centre=False).add_(1)
    Alignment.fit(x, y).score(x, y)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def scored(x, y, x_test, y_test, alpha, kind):
    """Means, whitening and rotations of n >= p stimuli applied to others, in the space of the units."""
    parts, width = [], max(x.shape[1], y.shape[1])
    for train, test in ((x, x_test), (y, y_test)):
        moved = train - train.mean(0)
        values, vectors = np.linalg.eigh(moved.T @ moved)
        d = alpha + (1 - alpha) / np.sqrt(values)
        d *= np.sqrt(values.sum() / (values * d**2).sum())
        z = (vectors * d) @ vectors.T
        parts.append([np.pad(m @ z, ((0, 0), (0, width - len(z)))) for m in (moved, test - train.mean(0))])
    u, _, vt = np.linalg.svd(parts[0][0].T @ parts[1][0])
    a, b = parts[0][1] @ u, parts[1][1] @ vt.T
    if kind == "euclidean":
        return np.linalg.norm(a - b)
    return np.arccos((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_alignments_are_scored_on_other_stimuli(alpha, kind):
    x, y = related(50, 6, 9)
    expected = scored(x[:40], y[:40], x[40:], y[40:], alpha, kind)
    fitted = Alignment.fit(x[:40], y[:40], alpha, kind)
    assert fitted.score(x[40:], y[40:]) == pytest.approx(expected, abs=1e-9)
    assert fitted.score(x[:40], y[:40]) == pytest.approx(shape_distance(x[:40], y[:40], alpha, kind), abs=1e-7)


def test_what_the_fit_never_saw_adds_to_norms_and_is_not_shared():
    x, _ = related(30, 60, 3)
    fitted = Alignment.fit(x[:10], x[:10])
    own, other, shared = fitted.products(x[10:], x[10:]).numpy()
    moved = x[10:] - x[:10].mean(0)
    _, _, vt = np.linalg.svd(x[:10] - x[:10].mean(0), full_matrices=False)
    inside = moved @ vt[:9].T
    assert [own, other] == pytest.approx([(moved**2).sum()] * 2)
    assert shared == pytest.approx((inside**2).sum())
    blind = Alignment.fit(x[:10], x[:10], 0.0).products(x[10:], x[10:])
    assert blind[0] == pytest.approx(blind[2])


def test_cross_validation_pools_folds_and_is_not_fooled_by_width():
    x, y = related(20, 5, 6)
    order = np.array_split(np.random.default_rng(3).permutation(20), 4)
    total = np.zeros(3)
    for fold in order:
        rest = np.setdiff1d(np.arange(20), fold)
        total += Alignment.fit(x[rest], y[rest]).products(x[fold], y[fold]).numpy()
    expected = np.arccos(total[2] / np.sqrt(total[0] * total[1]))
    assert cross_validated_distance(x, y, 4, 3) == pytest.approx(expected)
    assert cross_validated_distance(x, y, 4, 3) == cross_validated_distance(torch.as_tensor(x), torch.as_tensor(y), 4, 3)
    euclidean = np.sqrt(total[0] + total[1] - 2 * total[2])
    assert cross_validated_distance(x, y, 4, 3, kind="euclidean") == pytest.approx(euclidean)
    rng = np.random.default_rng(0)
    wide = [rng.normal(size=(40, 300)) for _ in range(2)]
    assert shape_distance(*wide) < 0.5
    assert cross_validated_distance(*wide) == pytest.approx(np.pi / 2, abs=0.1)
    assert cross_validated_distance(*related(40, 300, 200, noise=0.2)) < 0.5


def test_one_stimulus_can_be_scored():
    x, y = related(20, 5, 6)
    assert 0 <= Alignment.fit(x[1:], y[1:]).score(x[:1], y[:1]) <= np.pi
    assert 0 <= cross_validated_distance(x, y, 20) <= np.pi


def test_a_fit_without_variance_aligns_nothing():
    x, y = related(10, 3, 4)
    assert Alignment.fit(np.ones((10, 3)), y).score(x, y) == np.pi / 2


def test_wrong_input_is_refused():
    x, y = related(10, 3, 4)
    with pytest.raises(DataError, match="found 10 stimuli in x and 9 in y, expected the same stimuli"):
        shape_distance(x, y[:9])
    with pytest.raises(DataError, match=r"found x of shape \(1, 3\), expected \(stimuli >= 2, units >= 1\)"):
        shape_distance(x[:1], y[:1])
    with pytest.raises(DataError, match="found NaN or infinite values in y"):
        shape_distance(x, np.where(y > 0, np.nan, y))
    with pytest.raises(ValueError, match=r"found alpha 1\.5, expected a number from 0"):
        shape_distance(x, y, 1.5)
    with pytest.raises(ValueError, match="found kind 'riemann', expected one of"):
        shape_distance(x, y, kind="riemann")
    with pytest.raises(ValueError, match="found group 'affine', expected one of"):
        shape_distance(x, y, group="affine")
    with pytest.raises(DataError, match=r"found a Gram matrix of shape \(10, 3\), expected \(n, n\)"):
        factor_from_gram(x)
    with pytest.raises(DataError, match="found a Gram matrix that is not finite and symmetric"):
        factor_from_gram(np.triu(x @ x.T))
    with pytest.raises(DataError, match=r"found factors of \[9, 10\] stimuli, expected the same stimuli"):
        factor_distances([factor(x)], [factor(y[:9])])
    with pytest.raises(DataError, match="found no factors"):
        factor_distances([], [])
    with pytest.raises(DataError, match="found 11 folds of 10 stimuli"):
        cross_validated_distance(x, y, 11)
    with pytest.raises(DataError, match="found 5 units, expected 3 as in the fit"):
        Alignment.fit(x, y).score(np.ones((4, 5)), y[:4])
