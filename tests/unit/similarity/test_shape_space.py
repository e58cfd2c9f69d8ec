import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isocortex.errors import DataError
from isocortex.similarity.shape import embed, factor, factor_distances, frechet_mean, pairwise, shape_distance

KINDS = ["angular", "euclidean"]


def systems(count, n=12, seed=0, shared=1.0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 3))
    widths = rng.integers(1, 25, size=count)
    return [shared * common @ rng.normal(size=(3, p)) + rng.normal(size=(n, p)) for p in widths]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@given(seed=st.integers(0, 10_000), centre=st.booleans())
@settings(max_examples=15, deadline=None)
def test_distances_are_a_metric(kind, alpha, seed, centre):
    factors = [factor(x, alpha, centre) for x in [*systems(5, 8, seed), np.ones((8, 2))]]
    table = pairwise(factors, kind).numpy()
    np.testing.assert_array_equal(table, table.T)
    assert (np.diag(table) == 0).all()
    assert (table >= 0).all()
    assert (table[:, :, None] <= table[:, None, :] + table.T[None] + 1e-6 * (1 + table.max())).all()
    assert table == pytest.approx(factor_distances(factors, factors, kind).numpy(), abs=1e-6 * (1 + table.max()))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_permutation_distances_are_a_metric(seed):
    made = systems(4, 6, seed)
    for kind in KINDS:
        table = np.array([[shape_distance(x, y, kind=kind, group="permutation") for y in made] for x in made])
        assert table == pytest.approx(table.T, abs=1e-7)
        assert np.diag(table) == pytest.approx(np.zeros(4), abs=1e-6)
        assert (table[:, :, None] <= table[:, None, :] + table.T[None] + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_shapes_are_at_zero_and_others_are_not(kind):
    x, y = systems(2, shared=0)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(x.shape[1], x.shape[1])))[0]
    table = pairwise([factor(z) for z in (x, x @ turn + 2, y)], kind)
    assert float(table[0, 1]) == pytest.approx(0, abs=1e-6)
    assert float(table[0, 2]) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_turned_copies_is_their_shape(kind):
    x = np.random.default_rng(0).normal(size=(10, 6))
    copies = [x @ np.linalg.qr(np.random.default_rng(k).normal(size=(6, 6)))[0] for k in range(4)]
    found = frechet_mean([factor(z) for z in copies], kind)
    assert found.converged
    assert found.dispersion == pytest.approx(0, abs=1e-9)
    assert float(pairwise([found.factor, factor(x)], kind)[0, 1]) == pytest.approx(0, abs=1e-6)


def cost(factors, mean, kind):
    apart = factor_distances(factors, [mean], kind)[:, 0]
    return float((2 - 2 * apart.cos()).sum() if kind == "angular" else apart.square().sum())


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_away_from_the_mean_is_nearer_to_all(kind):
    factors = [factor(x) for x in systems(6)]
    found = frechet_mean(factors, kind)
    assert found.converged
    assert found.distances.numpy() == pytest.approx(factor_distances(factors, [found.factor], kind)[:, 0].numpy())
    assert found.dispersion == pytest.approx(float(found.distances.square().mean()))
    least = cost(factors, found.factor, kind)
    assert least <= min(cost(factors, f, kind) for f in factors)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        step = torch.randn(found.factor.shape, generator=generator, dtype=torch.float64)
        for size in (1e-3, 1e-1):
            moved = found.factor + size * step * found.factor.norm() / step.norm()
            assert cost(factors, moved, kind) >= least - 1e-9 * least
    if kind == "angular":
        assert float(found.factor.norm()) == pytest.approx(1)


def test_more_steps_never_are_farther_and_the_order_does_not_matter():
    factors = [factor(x) for x in systems(6, shared=0)]
    costs = [cost(factors, frechet_mean(factors, "euclidean", steps).factor, "euclidean") for steps in (1, 2, 4, 8, 100)]
    assert (np.diff(costs) <= 1e-9).all()
    assert not frechet_mean(factors, "euclidean", 1).converged
    turned = frechet_mean(factors[::-1], "euclidean")
    assert turned.dispersion == pytest.approx(frechet_mean(factors, "euclidean").dispersion, rel=1e-6)


def test_the_mean_of_two_is_halfway():
    factors = [factor(x) for x in systems(2)]
    apart = float(pairwise(factors, "angular")[0, 1])
    assert frechet_mean(factors, "angular").distances.numpy() == pytest.approx([apart / 2] * 2, abs=1e-4)
    apart = float(pairwise(factors, "euclidean")[0, 1])
    assert frechet_mean(factors, "euclidean").distances.numpy() == pytest.approx([apart / 2] * 2, abs=1e-4 * apart)


def test_distances_in_a_plane_are_embedded_as_they_are():
    points = np.random.default_rng(0).normal(size=(7, 2)) * [3, 1]
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found = embed(distances)
    x = found.coordinates
    assert np.linalg.norm(x[:, None] - x[None], axis=-1) == pytest.approx(distances)
    assert found.shares.sum() == pytest.approx(1)
    assert found.shares == pytest.approx(
        np.linalg.svd(points - points.mean(0))[1] ** 2 / ((points - points.mean(0)) ** 2).sum()
    )
    assert (x[np.abs(x).argmax(0), [0, 1]] > 0).all()
    order = np.array([3, 1, 6, 0, 2, 5, 4])
    assert embed(distances[np.ix_(order, order)]).coordinates == pytest.approx(x[order])
    third = embed(distances, 3)
    assert third.coordinates[:, 2] == pytest.approx(np.zeros(7), abs=1e-5)
    assert third.shares[2] == pytest.approx(0, abs=1e-12)


def test_shares_are_of_positive_variance():
    distances = pairwise([factor(x) for x in systems(8)])
    found = embed(distances, 7)
    assert isinstance(found.coordinates, torch.Tensor)
    assert float(found.shares.sum()) == pytest.approx(1)
    assert (found.shares.diff() <= 1e-12).all()
    assert embed(np.zeros((3, 3))).coordinates.tolist() == [[0, 0]] * 3
    assert embed(np.zeros((3, 3))).shares.tolist() == [0, 0]


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="found kind 'procrustes'"):
        pairwise([factor(x) for x in systems(2)], "procrustes")
    with pytest.raises(DataError, match="system 1 is constant, and its norm cannot be made 1; leave it out"):
        frechet_mean([factor(systems(1)[0]), factor(np.ones((12, 2)))])
    with pytest.raises(DataError, match=r"found distances of shape \(2, 2\), expected \(T, T\) with T > dims = 2"):
        embed(np.zeros((2, 2)))
    with pytest.raises(DataError, match="found distances that are not finite and symmetric"):
        embed(np.triu(np.ones((4, 4)), 1))
    with pytest.raises(DataError, match="found distances that are not finite and symmetric"):
        embed(np.full((4, 4), np.nan))
