"""Rows of METRICS beside the same numbers taken step by step with other libraries' functions."""

import numpy as np
import pytest
from scipy import stats

from isocortex.similarity import METRICS
from isocortex.similarity.ricci import curvature, graph_from_rdm, node_curvature
from isocortex.similarity.shape import eigenmoments, moment_similarity
from isocortex.similarity.shape.rows import Moments
from isocortex.similarity.stochastic_shape import Gaussians, gaussian_shape

SHARES = (0.25, 0.4)


def patterns(n=22, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    return x, x @ rng.normal(size=(6, 9)) + rng.normal(size=(n, 9)), rng


def curved(x, share):
    """Node curvature, mean distance and number of neighbours of correlation distances."""
    square = 1 - np.corrcoef(x)
    square = (square + square.T) / 2
    np.fill_diagonal(square, 0)
    graph = graph_from_rdm(square, "nearest", share)
    kappa = curvature(graph, alpha=0.5, exp_power=1.0)
    return node_curvature(graph, kappa), square.mean(1), np.bincount(graph.edges.ravel(), minlength=len(x)), kappa, graph


def test_node_curvature_is_a_mean_of_spearman_correlations():
    x, y, _ = patterns()
    expected = np.mean([stats.spearmanr(curved(x, s)[0], curved(y, s)[0]).statistic for s in SHARES])
    assert METRICS["ricci"].bind()(x, y, shares=SHARES) == pytest.approx(expected, abs=1e-9)


def test_partial_curvature_is_what_two_regressions_leave():
    x, y, _ = patterns(seed=1)

    def left(z, share):
        nodes, mean, degree, *_ = curved(z, share)
        design = np.column_stack([np.ones(len(z)), stats.rankdata(mean), stats.rankdata(degree)])
        ranks = stats.rankdata(nodes)
        return ranks - design @ (np.linalg.pinv(design) @ ranks)

    expected = np.mean([stats.pearsonr(left(x, s), left(y, s)).statistic for s in SHARES])
    assert METRICS["ricci_partial"].bind()(x, y, shares=SHARES) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("of", ["edges", "nodes"])
def test_distributions_are_scipys(of):
    x, y, _ = patterns(seed=2)
    place = 3 if of == "edges" else 0
    pairs = [(curved(x, s)[place], curved(y, s)[place]) for s in SHARES]
    for distance, function in (
        ("wasserstein", stats.wasserstein_distance),
        ("kolmogorov_smirnov", lambda a, b: stats.ks_2samp(a, b).statistic),
    ):
        found = METRICS["ricci_distribution"].bind()(x, y, shares=SHARES, of=of, distance=distance)
        assert found == pytest.approx(np.mean([function(a, b) for a, b in pairs]), abs=1e-9)


def test_moments_are_a_mean_over_orders_and_places():
    x, y, _ = patterns(40)
    options = {**METRICS["shape_moments"].options, "moments": 4}
    method = Moments(options)
    every = np.arange(len(x))
    pair = method.of(x, every), method.of(y, every)
    found = method.compare(pair[:1], pair[1:])[0, 0]
    generator = np.random.default_rng([0x6D6F6D65, len(x)])
    orders = [every, *(generator.permutation(len(x)) for _ in range(3))]
    a, b = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))
    one, other = (moment_similarity(*z, n_moments=4) for z in ((x, y), (y, x)))
    gamma = (one.coefficients + other.coefficients) / 2
    mu = np.mean([eigenmoments(p[np.ix_(o, o)], q[np.ix_(o, o)], 4) for o in orders for p, q in ((a, b), (b, a))], axis=0)
    power = np.sqrt(np.trace(a) * np.trace(b)) / len(x)
    expected = sum(g * m / one.scale ** (2 * k) for k, (g, m) in enumerate(zip(gamma, mu, strict=True), start=1))
    assert found == pytest.approx(expected * one.scale / power, abs=1e-9)


def test_noisy_shapes_are_gaussians_on_principal_axes():
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=(12, 1, p)) + rng.normal(size=(12, 10, p)) @ rng.normal(size=(p, p)) / 3 for p in (6, 8))

    def brought(trials, dims=5):
        flat = trials.reshape(-1, trials.shape[2])
        axes = np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:dims].T
        moved = (trials - flat.mean(0)) @ axes
        moved = moved - moved.mean(1).mean(0)
        moved = moved / np.sqrt((moved.mean(1) ** 2).sum(1).mean())
        return Gaussians(moved.mean(1), np.stack([np.cov(one.T) for one in moved]))

    expected = gaussian_shape(brought(x), brought(y), starts=4).distance
    assert METRICS["stochastic_shape"].bind()(x, y, starts=4) == pytest.approx(expected, abs=1e-6)
