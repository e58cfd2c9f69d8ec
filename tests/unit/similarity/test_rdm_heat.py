"""Heat-geodesic distances: naive loops, rings and complete graphs in closed form, pieces, copies, and their use as RDMs."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.special import ive

from isocortex.errors import DataError
from isocortex.similarity.rdm import (
    alpha_decay_weights,
    brain_rdm,
    heat_geodesic,
    heat_geodesic_from_weights,
    rdm,
    rdm_from_gram,
    to_square,
    to_vector,
)
from isocortex.similarity.rdm.heat import entropy_knee
from isocortex.similarity.rsa import rsa


def patterns(n=30, p=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p)) + 0.7


def apart(x):
    return np.array([[np.sqrt(np.sum((a - b) ** 2)) for b in x] for a in x])


def naive_weights(x, k, decay):
    d = apart(x)
    one_way = np.zeros_like(d)
    for i in range(len(x)):
        width = sorted(d[i, j] for j in range(len(x)) if j != i)[k - 1]
        for j in range(len(x)):
            weight = np.exp(-((d[i, j] / width) ** decay))
            one_way[i, j] = weight if j != i and weight >= 1e-4 else 0.0
    return (one_way + one_way.T) / 2


def naive_laplacian(w, kind):
    degree = w.sum(1)
    if kind == "combinatorial":
        return np.diag(degree) - w
    return np.eye(len(w)) - w / np.sqrt(np.outer(degree, degree))


def naive_distances(w, tau, kind="normalized", harnack=0.0):
    h = expm(-tau * naive_laplacian(w, kind))
    found = np.zeros_like(w)
    for i in range(len(w)):
        for j in range(len(w)):
            square = -4 * tau * np.log(max(h[i, j], 0.0) + 1e-16)
            square += harnack * 4 * tau * np.log((h[i, i] + h[j, j]) / 2 + 1e-16)
            found[i, j] = 0.0 if i == j else np.sqrt(max(square, 0.0))
    return found


def naive_knee(w, kind="normalized"):
    values = np.linalg.eigvalsh(naive_laplacian(w, kind))
    entropies = []
    for tau in range(1, 101):
        share = np.exp(-tau * values) / np.sum(np.exp(-tau * values))
        entropies.append(-sum(p * np.log(p) for p in share if p > 0))
    below = [entropies[0] + (entropies[-1] - entropies[0]) * i / 99 - e for i, e in enumerate(entropies)]
    return 1 + int(np.argmax(below))


@pytest.mark.parametrize("kind", ["normalized", "combinatorial"])
@pytest.mark.parametrize("harnack", [0.0, 0.6])
@pytest.mark.parametrize("tau", [0.5, 7.0, 64.0])
def test_distances_are_those_of_naive_loops(kind, harnack, tau):
    w = naive_weights(patterns(), 5, 10.0)
    expected = naive_distances(w, tau, kind, harnack)
    # Small entries of a general exponential have the rounding of the largest.
    assert heat_geodesic_from_weights(w, tau, kind, harnack) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("k", "decay"), [(1, 2.0), (5, 40.0), (29, 3.0), (1000, 3.0)])
def test_graphs_are_those_of_naive_loops(k, decay):
    x = patterns()
    expected = naive_weights(x, min(k, 29), decay)
    assert alpha_decay_weights(apart(x), k, decay) == pytest.approx(expected, rel=1e-10, abs=1e-15)
    assert isinstance(alpha_decay_weights(torch.as_tensor(apart(x)), k, decay), torch.Tensor)


@pytest.mark.parametrize("tau", [0.3, 1.0, 5.0])
def test_heat_on_a_ring_is_a_sum_of_bessel_functions(tau):
    """Entries are exact far below the rounding of the largest: h = Σ_m e^(−2τ) I_(d + mn)(2τ)."""
    n = 40
    ring = np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1)
    steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    heat = np.sum([ive(np.abs(steps + m * n), 2 * tau) for m in (-2, -1, 0, 1, 2)], axis=0)
    expected = np.sqrt(-4 * tau * np.log(heat + 1e-16)) * (steps > 0)
    assert heat.min() < 1e-7
    assert heat_geodesic_from_weights(ring, tau, "combinatorial") == pytest.approx(expected, rel=1e-11)
    # All have two neighbours: the normalised Laplacian is half of the other.
    twice = heat_geodesic_from_weights(ring, 2 * tau, "normalized")
    assert twice == pytest.approx(np.sqrt(2) * expected, rel=1e-11)


def test_on_a_complete_graph_all_are_as_far():
    n, tau = 9, 2.0
    found = heat_geodesic_from_weights(np.ones((n, n)) - np.eye(n), tau)
    expected = np.sqrt(-4 * tau * np.log((1 - np.exp(-tau * n / (n - 1))) / n))
    assert found == pytest.approx(expected * (1 - np.eye(n)), rel=1e-12)


def test_far_pairs_along_a_curve_are_farther_than_across_it():
    """A horseshoe: its ends are near each other in space, far along it."""
    angle = np.linspace(0.0, 1.8 * np.pi, 60)
    found = heat_geodesic(np.stack([np.cos(angle), np.sin(angle)], axis=1), k=3, tau=20.0)
    assert found.parts == 1
    d = found.distances.numpy()
    assert d[0, -1] > d[0, 30]
    along = np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    assert np.corrcoef(to_vector(d), to_vector(along.astype(float)))[0, 1] > 0.95


def test_pieces_of_a_graph_are_as_far_as_can_be_and_are_counted():
    x = patterns(24, 3)
    x[:10] += 1000.0
    found = heat_geodesic(x, tau=8.0)
    assert (found.parts, found.saturated, found.time) == (2, 140, 8.0)
    d = found.distances.numpy()
    assert np.all(d[:10, 10:] == d.max())
    assert d.max() == pytest.approx(np.sqrt(4 * 8.0 * np.log(1e16)), rel=1e-12)
    assert np.sum(d == d.max()) == 280
    joined = heat_geodesic(patterns(24, 3))
    assert (joined.parts, joined.saturated) == (1, 0)


@pytest.mark.parametrize("kind", ["normalized", "combinatorial"])
def test_heat_stays_at_a_stimulus_without_an_edge(kind):
    w = naive_weights(patterns(8), 3, 4.0)
    w[5] = w[:, 5] = 0.0
    rest = np.delete(np.arange(8), 5)
    found = heat_geodesic_from_weights(w, 3.0, kind)
    assert found[np.ix_(rest, rest)] == pytest.approx(naive_distances(w[np.ix_(rest, rest)], 3.0, kind), rel=1e-9)
    assert np.all(found[5, rest] == np.sqrt(-12.0 * np.log(1e-16)))


def test_copies_of_a_stimulus_are_joined_and_have_the_same_distances():
    x = patterns(20, 4)
    x[[3, 7, 11]] = x[0]
    w = alpha_decay_weights(apart(x), 5)
    assert np.all(w[np.ix_([0, 3], [7, 11])] == 1.0)
    d = heat_geodesic(x).distances.numpy()
    rest = np.setdiff1d(np.arange(20), [0, 3, 7, 11])
    assert d[3, rest] == pytest.approx(d[0, rest], rel=1e-9)
    x[[4, 5, 6]] = x[0]  # six copies: no distance to the fifth nearest
    w = alpha_decay_weights(apart(x), 5)
    copies = [0, 3, 4, 5, 6, 7, 11]
    assert w[np.ix_(copies, copies)] == pytest.approx(1 - np.eye(7), abs=0)
    assert np.isfinite(heat_geodesic(x).distances.numpy()).all()


@pytest.mark.parametrize("kind", ["normalized", "combinatorial"])
@pytest.mark.parametrize("seed", range(3))
def test_the_time_is_where_the_entropy_bends(kind, seed):
    x = patterns(40, 3, seed)
    w = naive_weights(x, 5, 40.0)
    found = heat_geodesic(x, laplacian=kind)
    assert found.time == naive_knee(w, kind)
    assert 1 < found.time < 100
    assert found.distances.numpy() == pytest.approx(naive_distances(w, found.time, kind), rel=1e-6)


def test_where_the_entropy_does_not_fall_the_time_is_one():
    assert entropy_knee(torch.zeros(7, dtype=torch.float64)) == 1.0


def test_principal_components_can_make_the_graph():
    x = patterns(25, 8)
    u, s, _ = np.linalg.svd(x - x.mean(0))
    found = heat_geodesic(x, components=2).distances.numpy()
    assert found == pytest.approx(heat_geodesic(u[:, :2] * s[:2]).distances.numpy(), rel=1e-9)
    assert abs(found - heat_geodesic(x).distances.numpy()).max() > 0.1
    assert heat_geodesic(x, components=8).distances.numpy() == pytest.approx(heat_geodesic(x).distances.numpy(), rel=1e-9)


@pytest.mark.parametrize("p", [3, 200])
def test_all_ways_to_the_rdm_agree(p):
    x = patterns(30, p)
    expected = to_vector(heat_geodesic(x).distances.numpy())
    assert rdm(x, "heat_geodesic") == pytest.approx(expected, rel=1e-8)
    assert np.array_equal(brain_rdm(x, "heat_geodesic"), rdm(x, "heat_geodesic"))
    assert rdm_from_gram(x @ x.T, x.mean(1), p, "heat_geodesic") == pytest.approx(expected, rel=1e-8)
    assert isinstance(rdm(torch.as_tensor(x), "heat_geodesic"), torch.Tensor)
    halves = np.stack([x, patterns(30, p, 1)])[None]
    found = brain_rdm(halves, "heat_geodesic")
    assert found.shape == (1, 2, 435)
    assert found[0, 1] == pytest.approx(rdm(halves[0, 1], "heat_geodesic"), rel=1e-12)


def test_rotations_scales_and_translations_do_not_matter_and_others_do():
    x, rng = patterns(), np.random.default_rng(3)
    expected = rdm(x, "heat_geodesic")
    for same in (x @ np.linalg.qr(rng.normal(size=(6, 6)))[0], 4.2 * x, x + rng.normal(size=6)):
        assert rdm(same, "heat_geodesic") == pytest.approx(expected, rel=1e-8)
    order = rng.permutation(30)
    assert to_square(rdm(x[order], "heat_geodesic")) == pytest.approx(to_square(expected)[np.ix_(order, order)], rel=1e-8)
    for other in (x * rng.uniform(0.2, 5, size=(30, 1)), x @ rng.normal(size=(6, 6))):
        assert abs(rdm(other, "heat_geodesic") - expected).max() > 0.1


def test_rsa_takes_it():
    x = patterns(40, 4)
    y = x @ np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    # rho-a is 1 without ties: rounding breaks those of equal distances.
    assert rsa(x, y, rdm="heat_geodesic", compare="pearson") == pytest.approx(1.0, abs=1e-9)
    assert rsa(x, y, rdm="heat_geodesic") == pytest.approx(1.0, abs=1e-3)
    found = [rsa(patterns(40, 4, a), patterns(40, 4, a + 100), rdm="heat_geodesic") for a in range(10)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(9)


def test_what_gives_no_graph_is_refused():
    with pytest.raises(DataError, match="heat geodesic: found the same pattern for all stimuli, expected some that differ"):
        rdm(np.full((6, 3), 2.0), "heat_geodesic")
    with pytest.raises(DataError, match="RDM: found 2 stimuli, expected at least 3"):
        rdm(patterns(2), "heat_geodesic")
    with pytest.raises(DataError, match=r"heat geodesic: found patterns of shape \(2, 6\), expected \(n_stimuli, n_features\)"):
        heat_geodesic(patterns(2))
    x = patterns(6)
    x[2, 1] = np.nan
    with pytest.raises(DataError, match="heat geodesic: found NaN or infinite values, expected finite ones"):
        heat_geodesic(x)
    w = naive_weights(patterns(), 5, 40.0)
    for wrong in (-w, np.triu(w), np.full_like(w, np.nan)):
        with pytest.raises(DataError, match="heat geodesic: found weights that are not symmetric, finite and ≥ 0"):
            heat_geodesic_from_weights(wrong, 3.0)
    with pytest.raises(DataError, match=r"heat geodesic: found weights of shape \(3, 30\), expected \(n, n\)"):
        heat_geodesic_from_weights(w[:3], 3.0)
    with pytest.raises(DataError, match=r"heat geodesic: found tau = -1\.0, expected a time above 0"):
        heat_geodesic_from_weights(w, -1.0)
    with pytest.raises(ValueError, match="heat geodesic: found laplacian 'random', expected one of normalized, combinatorial"):
        heat_geodesic_from_weights(w, 1.0, "random")


def test_three_stimuli_have_distances():
    found = heat_geodesic(np.array([[0.0], [1.0], [3.0]]))
    assert found.parts == 1
    assert np.isfinite(found.distances.numpy()).all()
