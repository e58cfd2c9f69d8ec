"""Stacking weights against an enumeration of all supports, with a certificate; degenerate encoders."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from isocortex.encoding.stacking import combine, duality_gap, residual_products, simplex_weights, stack
from isocortex.errors import DataError


def encoders(g=4, n=50, v=40, seed=0):
    """Out-of-fold predictions of different noise and gain, and what they predict."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, v))
    made = y * rng.uniform(0.1, 1.0, size=(g, 1, v)) + rng.normal(size=(g, n, v)) * rng.uniform(0.2, 2, size=(g, 1, v))
    return made + 0.5 * rng.normal(size=(n, v)), y


def enumerated(q):
    """The minimum over every support, each in closed form: (weights, loss)."""
    g = len(q)
    best = (np.zeros(g), np.inf)
    for size in range(1, g + 1):
        for support in combinations(range(g), size):
            ratio = np.linalg.solve(q[np.ix_(support, support)], np.ones(size))
            if (ratio >= 0).all():
                w = np.zeros(g)
                w[list(support)] = ratio / ratio.sum()
                best = min(best, (w, w @ q @ w), key=lambda pair: pair[1])
    return best


@pytest.mark.parametrize("g", [1, 2, 3, 6])
def test_against_enumeration(g):
    predictions, y = encoders(g)
    weights = stack(predictions, y)
    sizes = set()
    for column in range(y.shape[1]):
        residual = predictions[:, :, column] - y[:, column]
        q = np.array([[np.mean(a * b) for b in residual] for a in residual])
        expected, loss = enumerated(q)
        np.testing.assert_allclose(weights[:, column], expected, atol=1e-9)
        assert weights[:, column] @ q @ weights[:, column] == pytest.approx(loss, rel=1e-12)
        sizes.add(int((expected > 0).sum()))
    assert len(sizes) > 1 or g == 1  # supports of several sizes were met


@pytest.mark.parametrize("g", [2, 10])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_certificate_of_optimality(g, scale):
    predictions, y = encoders(g, v=300, seed=g)
    q = residual_products(predictions, y) * scale
    weights = simplex_weights(q)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    assert duality_gap(q, weights).max() < 1e-10 * q.max()
    wrong = np.roll(weights, 1, axis=1)
    assert duality_gap(q, wrong).max() > 1e-2 * q.max()


def test_ill_conditioned_encoders():
    rng = np.random.default_rng(1)
    y, base = rng.normal(size=(2, 60, 200))
    nearly = np.stack([base + 10.0**-power * rng.normal(size=base.shape) for power in (0, 2, 4, 6, 8, 10, 12)])
    q = residual_products(nearly, y)
    weights = simplex_weights(q)
    assert np.isfinite(weights).all()
    assert duality_gap(q, weights).max() < 1e-10 * q.max()


def test_the_best_of_two_uncorrelated_encoders_by_precision():
    variances = np.array([1.0, 4.0])
    weights = simplex_weights(np.diag(variances)[None])[0]
    np.testing.assert_allclose(weights, (1 / variances) / (1 / variances).sum(), rtol=1e-10)


def test_identical_encoders_leave_the_weight_to_the_first():
    predictions, y = encoders(2)
    twice = np.concatenate([predictions, predictions])
    weights = stack(twice, y)
    assert (weights[2:] == 0).all()
    np.testing.assert_allclose(weights[:2], stack(predictions, y), atol=1e-10)


def test_a_perfect_encoder_takes_all():
    predictions, y = encoders(3)
    predictions[1] = y
    np.testing.assert_allclose(stack(predictions, y), np.tile([[0.0], [1.0], [0.0]], y.shape[1]), atol=1e-12)
    np.testing.assert_allclose(stack(np.stack([y, y]), y)[0], 1)


def test_stacked_predictions_are_no_worse_than_the_best_encoder():
    predictions, y = encoders(5)
    stacked = combine(stack(predictions, y), predictions)
    errors = ((predictions - y) ** 2).mean(1)
    assert (((stacked - y) ** 2).mean(0) <= errors.min(0) + 1e-12).all()
    np.testing.assert_allclose(combine(np.full((5, 40), 0.2), predictions), predictions.mean(0))


def test_constant_and_missing_neuroids_come_back_as_nan():
    predictions, y = encoders()
    whole = stack(predictions, y)
    y[:, 1], y[3, 4], predictions[2, 0, 6] = 2.0, np.nan, np.nan
    weights = stack(predictions, y)
    bad = np.isin(np.arange(y.shape[1]), [1, 4, 6])
    np.testing.assert_array_equal(np.isnan(weights).all(0), bad)
    np.testing.assert_allclose(weights[:, ~bad], whole[:, ~bad], rtol=1e-12)


def test_torch_and_float32():
    predictions, y = encoders()
    expected = stack(predictions, y)
    found = stack(torch.as_tensor(predictions), torch.as_tensor(y))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    narrow = stack(predictions.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(narrow, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: stack(np.ones((2, 5, 3)), np.ones((5, 2))),
            r"found predictions \(2, 5, 3\) and y \(5, 2\), expected \(encoders",
        ),
        (lambda: stack(np.ones((0, 5, 3)), np.ones((5, 3))), r"found predictions \(0, 5, 3\)"),
        (lambda: simplex_weights(np.ones((4, 2, 3))), r"found products \(4, 2, 3\), expected \(neuroids, encoders, encoders\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
