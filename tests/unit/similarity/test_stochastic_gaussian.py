"""Gaussian stochastic shape distances beside closed forms, brute force and the plain alternating algorithm."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from isocortex.errors import DataError
from isocortex.similarity.stochastic_shape import Gaussians, Search, bures_squared, gaussian_distances, gaussian_shape
from isocortex.similarity.stochastic_shape.descent import descend
from isocortex.similarity.stochastic_shape.gaussian import _problem, both, first_transforms
from isocortex.similarity.stochastic_shape.groups import GROUPS


def system(m, p, seed, rank=None, size=1.0):
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((m, p, rank or 2 * p)) / np.sqrt(rank or 2 * p)
    return Gaussians(size * rng.standard_normal((m, p)), factors @ factors.transpose(0, 2, 1))


def rotation(p, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))[0]


def turned(x, t):
    return Gaussians(x.means @ t, t.T @ x.covariances @ t)


def nuclear(a):
    return np.linalg.svd(a, compute_uv=False).sum()


def bures_by_definition(a, b):
    root = sqrtm(a).real
    return np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(root @ b @ root)).real


def score(x, y, t, alpha):
    apart = ((x.means - y.means @ t) ** 2).sum(1)
    bures = [bures_by_definition(a, t.T @ b @ t) for a, b in zip(x.covariances, y.covariances, strict=True)]
    return np.sqrt(np.mean(alpha * apart + (2 - alpha) * np.array(bures)))


def alternated(x, y, t, alpha, iterations=3000, tol=1e-13):
    """The alternating algorithm as it is defined, with a singular value decomposition per condition."""
    root = lambda c: np.array([sqrtm(each).real for each in c])
    a, b = np.sqrt(2 - alpha) * root(x.covariances), np.sqrt(2 - alpha) * root(y.covariances)
    before = np.inf
    for _ in range(iterations):
        left, right = [np.sqrt(alpha) * x.means], [np.sqrt(alpha) * y.means]
        for each_a, each_b in zip(a, b, strict=True):
            u, _, v = np.linalg.svd(each_a @ (each_b @ t).T)
            left.append(each_a)
            right.append(u @ v @ each_b)
        left, right = np.concatenate(left), np.concatenate(right)
        u, _, v = np.linalg.svd(right.T @ left)
        t = u @ v
        now = ((left - right @ t) ** 2).sum() / len(x.means)
        if before - now < tol * now:
            break
        before = now
    return np.sqrt(now)


def test_bures_is_the_definition_and_broadcasts():
    x, y = system(6, 4, 0), system(6, 4, 1)
    expected = [[bures_by_definition(a, b) for b in y.covariances] for a in x.covariances]
    assert bures_squared(x.covariances[:, None], y.covariances[None]) == pytest.approx(np.array(expected), rel=1e-9)
    found = bures_squared(torch.as_tensor(x.covariances[0]), torch.as_tensor(y.covariances[0]))
    assert isinstance(found, torch.Tensor)
    assert float(found) == pytest.approx(expected[0][0], rel=1e-9)


def test_bures_of_commuting_singular_and_equal_covariances():
    t, a, b = rotation(5), np.array([4.0, 1, 0, 0.25, 9]), np.array([1.0, 0, 0, 4, 2])
    found = bures_squared(t @ np.diag(a) @ t.T, t @ np.diag(b) @ t.T)
    assert found == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-7)
    x = system(1, 6, 0, rank=2).covariances[0]
    assert bures_squared(x, x) == pytest.approx(0, abs=1e-14)
    assert bures_squared(x, np.zeros_like(x)) == pytest.approx(np.trace(x))
    slightly_negative = x - 1e-15 * np.eye(6)
    assert bures_squared(slightly_negative, x) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_without_alignment_it_is_the_formula(alpha):
    x, y = system(7, 4, 0), system(7, 4, 1)
    assert gaussian_shape(x, y, alpha, group="identity").distance == pytest.approx(score(x, y, np.eye(4), alpha), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 1.7])
def test_reaches_the_plain_algorithm_from_the_same_start_and_reports_what_its_transform_scores(alpha):
    x, y = system(9, 5, 3), system(9, 5, 4)
    found = gaussian_shape(x, y, alpha, starts=3, tol=1e-12)
    starts = first_transforms(*both([x], [y]), Search(starts=3))[0].numpy()
    plain = [alternated(x, y, t, alpha) for t in starts]
    assert found.distance <= min(plain) * (1 + 1e-8)
    assert found.converged
    assert found.values.shape == (3,)
    assert found.values.min() == found.distance
    assert found.transform @ found.transform.T == pytest.approx(np.eye(5), abs=1e-12)
    assert score(x, y, found.transform, alpha) == pytest.approx(found.distance, rel=1e-9)


def test_one_condition_without_means_pairs_sorted_eigenvalues():
    x, y = system(1, 6, 0), system(1, 6, 1)
    a, b = (np.sqrt(np.linalg.eigvalsh(s.covariances[0])) for s in (x, y))
    assert gaussian_shape(x, y, 0.0).distance == pytest.approx(np.sqrt(2 * ((a - b) ** 2).sum()), rel=1e-9)


def test_means_alone_are_procrustes():
    x, y = system(12, 5, 0), system(12, 5, 1)
    procrustes = np.sqrt((x.means**2).sum() + (y.means**2).sum() - 2 * nuclear(x.means.T @ y.means))
    assert gaussian_shape(x, y, 2.0).distance == pytest.approx(np.sqrt(2 / 12) * procrustes, rel=1e-12)
    nothing = [Gaussians(s.means, np.zeros_like(s.covariances)) for s in (x, y)]
    assert gaussian_shape(*nothing, 1.0).distance == pytest.approx(procrustes / np.sqrt(12), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_a_turned_copy_is_at_zero(alpha):
    x = system(8, 6, 5)
    found = gaussian_shape(x, turned(x, rotation(6, 3)), alpha, starts=6, tol=1e-14)
    assert found.distance == pytest.approx(0, abs=1e-6)
    if alpha:
        assert found.transform == pytest.approx(rotation(6, 3).T, abs=1e-6)


def test_permutations_beside_brute_force():
    for alpha in (0.0, 1.0):
        x, y = system(5, 4, 0), system(5, 4, 1)
        every = [score(x, y, np.eye(4)[list(order)], alpha) for order in permutations(range(4))]
        found = gaussian_shape(x, y, alpha, group="permutation", starts=40)
        assert found.distance == pytest.approx(min(every), rel=1e-9)
        assert np.sort(found.transform.ravel())[-4:] == pytest.approx(np.ones(4))
        assert found.transform.sum() == 4
    order = np.random.default_rng(0).permutation(6)
    x = system(9, 6, 2)
    assert gaussian_shape(x, turned(x, np.eye(6)[order]), group="permutation").distance == pytest.approx(0, abs=1e-7)


def test_is_symmetric_and_keeps_the_triangle_inequality():
    systems = [system(20, 3, k) for k in range(5)]
    d = gaussian_distances(systems, systems, starts=8)
    assert d == pytest.approx(d.T, rel=1e-6, abs=1e-7)
    assert np.diagonal(d) == pytest.approx(np.zeros(5), abs=1e-7)
    for i in range(5):
        assert (d <= d[:, i, None] + d[None, i] + 1e-6).all()


def test_rotations_do_not_matter_and_scales_of_units_do():
    x, y = system(20, 3, 0), system(20, 3, 1)
    before = gaussian_shape(x, y, starts=6).distance
    after = gaussian_shape(turned(x, rotation(3, 1)), turned(y, rotation(3, 2)), starts=6).distance
    assert after == pytest.approx(before, rel=1e-6)
    assert abs(gaussian_shape(turned(x, np.diag([3.0, 1, 1])), y, starts=6).distance - before) > 0.1 * before


def test_the_scale_of_the_data_only_scales_the_distance():
    x, y = system(9, 5, 0), system(9, 5, 1)
    before = gaussian_shape(x, y)
    for size in (1e-13, 1e9):
        small = [Gaussians(size * s.means, size**2 * s.covariances) for s in (x, y)]
        found = gaussian_shape(*small)
        assert found.distance == pytest.approx(size * before.distance, rel=1e-7)
        assert found.iterations <= before.iterations + 3


def test_many_pairs_are_as_one_by_one_whatever_the_widths():
    xs, ys = [system(6, p, p) for p in (3, 5)], [system(6, p, 10 + p) for p in (2, 4, 5)]
    found = gaussian_distances(xs, ys, 0.7, starts=3)
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            wide = [Gaussians(np.pad(s.means, ((0, 0), (0, 5 - s.means.shape[1]))), padded(s.covariances, 5)) for s in (x, y)]
            assert found[i, j] == pytest.approx(gaussian_shape(*wide, 0.7, starts=3).distance, rel=1e-7)
    tensors = [Gaussians(torch.as_tensor(x.means), torch.as_tensor(x.covariances)) for x in xs]
    assert isinstance(gaussian_distances(tensors, ys), torch.Tensor)
    assert isinstance(gaussian_shape(tensors[0], ys[0]).transform, torch.Tensor)


def padded(c, width):
    short = width - c.shape[1]
    return np.pad(c, ((0, 0), (0, short), (0, short)))


@pytest.mark.parametrize("rank", [1, 3])
def test_singular_covariances(rank):
    x, y = system(8, 6, 0, rank), system(8, 6, 1, rank)
    found = gaussian_shape(x, y, starts=2, tol=1e-11)
    assert found.converged
    start = first_transforms(*both([x], [y]), Search())[0, 0].numpy()
    sized = [Gaussians(s.means, s.covariances + 1e-13 * np.eye(6)) for s in (x, y)]
    assert found.distance <= alternated(*sized, start, 1.0) * (1 + 1e-6)
    assert gaussian_shape(x, turned(x, rotation(6)), starts=2).distance == pytest.approx(0, abs=1e-6)


def test_two_conditions_constant_patterns_and_one_unit():
    x, y = system(2, 4, 0), system(2, 4, 1)
    assert np.isfinite(gaussian_shape(x, y).distance)
    still = Gaussians(np.ones((5, 3)), np.zeros((5, 3, 3)))
    assert gaussian_shape(still, still).distance == pytest.approx(0, abs=1e-12)
    nothing = Gaussians(np.zeros((5, 3)), np.zeros((5, 3, 3)))
    assert gaussian_shape(nothing, nothing).distance == 0
    assert gaussian_shape(still, nothing, 1.0).distance == pytest.approx(np.sqrt(3))
    one = [
        Gaussians(np.array([[1.0], [2]]), np.array([[[4.0]], [[1]]])),
        Gaussians(np.array([[-1.0], [-2]]), np.ones((2, 1, 1))),
    ]
    assert gaussian_shape(*one).distance == pytest.approx(np.sqrt((2 - 1) ** 2 / 2))


def test_inputs_are_left_alone_and_results_do_not_depend_on_the_run():
    x, y = system(6, 4, 0), system(6, 4, 1)
    copies = [x.means.copy(), x.covariances.copy()]
    first, second = (gaussian_shape(x, y, 0.0, starts=5) for _ in range(2))
    assert first.distance == second.distance
    assert (first.values == second.values).all()
    assert (x.means == copies[0]).all()
    assert (x.covariances == copies[1]).all()


def test_the_curvature_is_the_second_derivative():
    x, y = both([system(7, 4, 0)], [system(7, 4, 1)])
    problem, t = _problem(x, y, 0.8), torch.as_tensor(rotation(4))[None]
    turn = torch.as_tensor(np.random.default_rng(0).standard_normal((1, 4, 4)))
    turn, h = turn - turn.mT, 1e-5
    _, _, state = problem.evaluate(t)
    apart = problem.evaluate(t + h * t @ turn)[1] - problem.evaluate(t - h * t @ turn)[1]
    assert problem.bent(t, state, turn).numpy() == pytest.approx((t.mT @ apart / (2 * h)).numpy(), rel=1e-4, abs=1e-5)


def test_a_search_that_is_cut_short_says_so_and_never_rises():
    x, y = both([system(20, 8, 0)], [system(20, 8, 1)])
    start = first_transforms(x, y, Search(starts=3, seed=1))[0]
    problem = _problem(x, y, 0.0).take(torch.zeros(3, dtype=torch.long))
    values = [descend(problem, start, GROUPS["orthogonal"], 1e-10, k) for k in (1, 2, 4, 8, 400)]
    assert not values[0].converged.any()
    assert values[-1].converged.all()
    assert int(values[2].iterations.max()) == 4
    for before, after in pairwise(values):
        assert (after.value <= before.value + 1e-9).all()


def test_refusals():
    x, y = system(6, 4, 0), system(6, 4, 1)
    missing = Gaussians(np.where(np.arange(6)[:, None] == 2, np.nan, x.means), x.covariances)
    with pytest.raises(DataError, match=r"means of x that are not finite in condition 2 and 0 more.*drop these conditions"):
        gaussian_shape(missing, y)
    with pytest.raises(DataError, match=r"found y with means \(6, 4\) and covariances \(6, 3, 3\)"):
        gaussian_shape(x, Gaussians(y.means, y.covariances[:, :3, :3]))
    with pytest.raises(DataError, match=r"found 6 and 5 conditions.*keep the common ones"):
        gaussian_shape(x, system(5, 4, 1))
    with pytest.raises(DataError, match=r"found xs?.*\[5, 6\] conditions"):
        gaussian_distances([x, system(5, 4, 1)], [y])
    with pytest.raises(DataError, match="found 0 and 1 systems"):
        gaussian_distances([], [y])
    with pytest.raises(ValueError, match=r"found alpha 2\.5"):
        gaussian_shape(x, y, 2.5)
    with pytest.raises(ValueError, match="found 'affine', expected one of orthogonal, permutation, identity"):
        gaussian_shape(x, y, group="affine")
    with pytest.raises(ValueError, match="found starts 0"):
        gaussian_shape(x, y, starts=0)
    with pytest.raises(DataError, match=r"bures_squared: found a of shape \(6, 4\)"):
        bures_squared(x.means, y.covariances)
    with pytest.raises(DataError, match="bures_squared: found b with values that are not finite"):
        bures_squared(x.covariances, np.full((4, 4), np.nan))
    with pytest.raises(DataError, match="found 4 and 3 dimensions"):
        bures_squared(x.covariances, y.covariances[:, :3, :3])
