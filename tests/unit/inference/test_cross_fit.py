import numpy as np
import pytest
import torch

from isocortex.inference.crossfit import cross_fit, cross_fit_null
from isocortex.inference.rdm_tables import RdmTable
from isocortex.inference.resampling import halves
from isocortex.similarity import compare_rdms, to_square, to_vector
from isocortex.similarity.comparators import comparator

N = 14
IDS = [f"s{k}" for k in range(N)]


def made(seed=0, n_layers=3):
    rng = np.random.default_rng(seed)
    pairs = N * (N - 1) // 2
    return torch.as_tensor(rng.random(pairs)), torch.as_tensor(rng.random((n_layers, pairs))), rng


def table(brain, layers, method):
    return RdmTable(brain[None], layers, (comparator(method),))


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
    once = np.ones((1, N), dtype=np.int64)
    found = cross_fit(table(brain, layers, method), once, masks)
    assert found.values[0] == pytest.approx(naive(brain, layers, masks, method))
    assert found.votes.sum() == pytest.approx(1)
    assert cross_fit(table(brain, layers, method), once, masks, found.chosen).fixed == pytest.approx(found.values)


@pytest.mark.parametrize("method", ["pearson", "cosine"])
def test_the_null_equals_the_score_of_permuted_layers(method):
    brain, layers, rng = made(1)
    masks = halves(IDS, 4, 0)
    orders = np.argsort(rng.random((6, N)), axis=1)
    observed, null = cross_fit_null(table(brain, layers, method), masks, orders)
    assert observed == pytest.approx(naive(brain, layers, masks, method))
    for order, value in zip(orders, null, strict=True):
        moved = to_vector(to_square(layers)[:, order][:, :, order])
        assert value == pytest.approx(naive(brain, moved, masks, method))


@pytest.mark.parametrize("method", ["tau_a", "whitened_cosine", "whitened_pearson", "bures"])
def test_the_null_of_what_is_no_sum_of_pairs_is_made_anew_in_every_half(method):
    brain, layers, rng = made(3)
    masks = halves(IDS, 2, 0)
    orders = np.argsort(rng.random((3, N)), axis=1)
    observed, null = cross_fit_null(table(brain, layers, method), masks, orders)
    assert observed == pytest.approx(naive(brain, layers, masks, method))
    for order, value in zip(orders, null, strict=True):
        moved = to_vector(to_square(layers)[:, order][:, :, order])
        assert value == pytest.approx(naive(brain, moved, masks, method))


@pytest.mark.parametrize("method", ["spearman", "rho_a", "tau_a"])
def test_the_tested_statistic_of_ranks_is_nearly_the_score(method):
    brain, layers, rng = made(2)
    layers[1] = brain + 0.3 * layers[1]
    masks = halves(IDS, 2, 0)
    observed, null = cross_fit_null(table(brain, layers, method), masks, np.argsort(rng.random((50, N)), axis=1))
    assert observed == pytest.approx(naive(brain, layers, masks, method), abs=0.03)
    assert null.max() < observed
