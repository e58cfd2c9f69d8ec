import numpy as np
import pytest
import torch

from isocortex.inference.rdm_crossfit import cross_fit, cross_fit_null
from isocortex.inference.resampling import halves
from isocortex.similarity import compare_rdms, to_square, to_vector

N = 14
IDS = [f"s{k}" for k in range(N)]


def made(seed=0, n_layers=3):
    rng = np.random.default_rng(seed)
    pairs = N * (N - 1) // 2
    return torch.as_tensor(rng.random(pairs)), torch.as_tensor(rng.random((n_layers, pairs))), rng


def naive(brain, layers, masks, method):
    """Loops over splits: choose on one half, score on the other, both ways."""
    square_brain, square_layers = to_square(brain.numpy()), to_square(layers.numpy())
    values = []
    for mask in masks:
        scores = []
        for keep in (mask, ~mask):
            b = to_vector(square_brain[np.ix_(keep, keep)])
            scores.append([float(compare_rdms(b, to_vector(m[np.ix_(keep, keep)]), method)) for m in square_layers])
        values += [scores[1][int(np.argmax(scores[0]))], scores[0][int(np.argmax(scores[1]))]]
    return np.mean(values)


@pytest.mark.parametrize("method", ["pearson", "cosine", "rho_a", "tau_a"])
def test_the_cross_fitted_score_equals_loops(method):
    brain, layers, _ = made()
    masks = halves(IDS, 5, 0)
    once = torch.ones((1, N), dtype=torch.int64)
    value, shares = cross_fit(brain, layers, once, masks, np.arange(5)[None], method)
    assert value[0] == pytest.approx(naive(brain, layers, masks, method))
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", ["pearson", "cosine"])
def test_the_null_equals_the_score_of_permuted_layers(method):
    brain, layers, rng = made(1)
    masks = halves(IDS, 4, 0)
    orders = np.argsort(rng.random((6, N)), axis=1)
    observed, null = cross_fit_null(brain, layers, masks, orders, method)
    assert observed == pytest.approx(naive(brain, layers, masks, method))
    for order, value in zip(orders, null, strict=True):
        moved = to_vector(to_square(layers)[:, order][:, :, order])
        assert value == pytest.approx(naive(brain, moved, masks, method))


@pytest.mark.parametrize("method", ["spearman", "rho_a", "tau_a"])
def test_the_tested_statistic_of_ranks_is_nearly_the_score(method):
    brain, layers, rng = made(2)
    layers[1] = brain + 0.3 * layers[1]
    masks = halves(IDS, 2, 0)
    observed, null = cross_fit_null(brain, layers, masks, np.argsort(rng.random((50, N)), axis=1), method)
    assert observed == pytest.approx(naive(brain, layers, masks, method), abs=0.03)
    assert null.max() < observed
