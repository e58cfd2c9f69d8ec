"""Poisson deviance against scikit-learn; folds pooled; what has no deviance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

from isocortex.encoding.deviance import FLOOR, deviance_explained, poisson_deviance
from isocortex.errors import DataError


def counts(n=40, v=5, seed=0):
    """Rates with signal, and counts drawn from them; the last neuroid is an average over four repeats."""
    rng = np.random.default_rng(seed)
    rates = np.exp(rng.normal(size=(n, v)) * 0.7)
    drawn = rng.poisson(rates).astype(float)
    drawn[:, -1] = rng.poisson(rates[:, -1], size=(4, n)).mean(0)
    return rates, drawn


def test_deviance_is_scikit_learns():
    rates, drawn = counts()
    expected = [mean_poisson_deviance(drawn[:, v], rates[:, v]) for v in range(5)]
    np.testing.assert_allclose(poisson_deviance(rates, drawn), expected, rtol=1e-12)
    level = rates.mean(0)
    expected = [mean_poisson_deviance(drawn[:, v], np.full(40, level[v])) for v in range(5)]
    np.testing.assert_allclose(poisson_deviance(level, drawn), expected, rtol=1e-12)


def test_explained_is_scikit_learns_where_the_training_mean_is_that_of_the_test():
    rates, drawn = counts()
    expected = [d2_tweedie_score(drawn[:, v], rates[:, v], power=1) for v in range(5)]
    assert max(expected) > 0.2
    np.testing.assert_allclose(deviance_explained([rates], [drawn], [drawn.mean(0)]), expected, rtol=1e-10)


def test_folds_are_pooled_about_their_own_training_means():
    rates, drawn = counts()
    folds = np.array_split(np.arange(40), 3)
    means = [np.delete(drawn, part, axis=0).mean(0) for part in folds]
    left, total = np.zeros(5), np.zeros(5)
    for part, mean in zip(folds, means, strict=True):
        for v in range(5):
            left[v] += len(part) * mean_poisson_deviance(drawn[part, v], rates[part, v])
            total[v] += len(part) * mean_poisson_deviance(drawn[part, v], np.full(len(part), mean[v]))
    found = deviance_explained([rates[part] for part in folds], [drawn[part] for part in folds], means)
    np.testing.assert_allclose(found, 1 - left / total, rtol=1e-12)


def test_one_is_perfect_zero_is_the_training_mean_and_worse_is_negative():
    _, drawn = counts()
    level = drawn.mean(0)
    np.testing.assert_allclose(deviance_explained([np.maximum(drawn, 1e-300)], [drawn], [level], floor=1e-300), 1)
    np.testing.assert_allclose(deviance_explained([np.tile(level, (40, 1))], [drawn], [level]), 0, atol=1e-12)
    assert (deviance_explained([np.tile(5 * level, (40, 1))], [drawn], [level]) < 0).all()


def test_rates_below_the_floor_are_raised_to_it():
    _, drawn = counts()
    low = np.where(np.arange(40)[:, None] % 2, -3.0, 1.0) * np.ones(5)
    expected = [mean_poisson_deviance(drawn[:, v], np.maximum(low[:, v], FLOOR)) for v in range(5)]
    np.testing.assert_allclose(poisson_deviance(low, drawn), expected, rtol=1e-12)
    silent = deviance_explained([np.ones_like(drawn)], [drawn], [np.zeros(5)])  # silent on the training rows, not on these
    raised = deviance_explained([np.ones_like(drawn)], [drawn], [np.full(5, FLOOR)])
    np.testing.assert_array_equal(silent, raised)
    assert np.isfinite(silent).all()


def test_constant_neuroids_and_those_with_nan_are_nan():
    rates, drawn = counts()
    drawn[:, 0], drawn[:, 1], drawn[4, 2] = 0, 2, np.nan
    found = deviance_explained([rates[:20], rates[20:]], [drawn[:20], drawn[20:]], [rates.mean(0)] * 2)
    assert np.isnan(found).tolist() == [True, True, True, False, False]
    rates[3, 3] = np.nan
    assert np.isnan(deviance_explained([rates], [drawn], [drawn.mean(0)])).tolist() == [True, True, True, True, False]
    one = deviance_explained([rates[:, 4:]], [drawn[:, 4:]], [rates[:, 4:].mean(0)])
    assert one.shape == (1,)


def test_torch_stays_torch_and_integers_and_float32_count():
    rates, drawn = counts()
    drawn = np.round(drawn)
    expected = deviance_explained([rates], [drawn], [drawn.mean(0)])
    found = deviance_explained([torch.as_tensor(rates)], [torch.as_tensor(drawn)], [torch.as_tensor(drawn.mean(0))])
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    np.testing.assert_array_equal(deviance_explained([rates], [drawn.astype(int)], [drawn.mean(0)]), expected)
    single = deviance_explained([rates.astype(np.float32)], [drawn.astype(np.float32)], [drawn.mean(0)])
    np.testing.assert_allclose(single, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"observed": -np.eye(3)},
            r"deviance: found 3 negative counts, first -1 at \[0, 0\], expected spike counts from 0; Poisson",
        ),
        (
            {"predicted": np.ones((3, 2))},
            r"deviance: found predictions \(3, 2\) and counts \(3, 3\), expected \(stimuli, neuroids\)",
        ),
        ({"floor": 0.0}, "deviance: floor, found 0.0, expected above 0; a rate of zero has no deviance from a spike"),
    ],
)
def test_refusals(change, message):
    given = {"predicted": np.ones((3, 3)), "observed": np.eye(3), "floor": FLOOR} | change
    with pytest.raises(DataError, match=message):
        poisson_deviance(**given)
    with pytest.raises(DataError, match=message):
        deviance_explained([given["predicted"]], [given["observed"]], [np.ones(3)], given["floor"])


def test_refusals_of_folds():
    for folds in (0, 1):
        with pytest.raises(
            DataError, match=f"deviance: found {folds} predictions, 0 responses and 0 means, expected one of each"
        ):
            deviance_explained([np.ones((3, 3))] * folds, [], [])
