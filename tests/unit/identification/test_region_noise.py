"""The noise of a region: its covariance, its shrinkage, and the signal over it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.identification import RegionNoise, region_noise
from isocortex.similarity.rdm import noise_covariance, residuals_of_repeats

Trials = Callable[..., np.ndarray]


@pytest.mark.parametrize(("n", "v"), [(30, 8), (6, 40)], ids=["more trials", "more neuroids"])
def test_drawn_noise_has_the_shrunk_covariance_of_the_trials(n: int, v: int, trials: Trials) -> None:
    recorded = trials(n=n, v=v)
    noise = region_noise(recorded)
    expected = noise_covariance(*residuals_of_repeats(recorded), "shrinkage_diag")
    sample = noise_covariance(*residuals_of_repeats(recorded), "full")
    made = (1 - noise.shrinkage) * noise.factor.T @ noise.factor + noise.shrinkage * np.diag(noise.noise_sd**2)
    assert np.allclose(noise.factor.T @ noise.factor, sample, atol=1e-12)
    assert np.allclose(made, expected, atol=1e-12)
    assert 0 < noise.shrinkage < 1
    assert len(noise.factor) == min(n * 4, v)


def test_draws_vary_as_the_covariance_says(trials: Trials) -> None:
    noise = region_noise(trials(n=20, v=5))
    expected = noise_covariance(noise.residuals, noise.dof, "shrinkage_diag")
    columns = np.array([3, 0, 4])
    drawn = noise.draw(200_000, columns, np.random.default_rng(0))
    spread = np.sqrt(np.diag(expected))[columns]
    # Standard errors of covariances from so many draws are below 0.0032 of the product of spreads: five of them.
    assert np.abs((drawn.T @ drawn / len(drawn) - expected[np.ix_(columns, columns)]) / np.outer(spread, spread)).max() < 0.016


def test_signal_and_noise_are_those_that_made_the_trials() -> None:
    rng = np.random.default_rng(1)
    signal, spread = np.linspace(0.2, 2.0, 40), np.linspace(3.0, 0.5, 40)
    recorded = signal * rng.standard_normal((3000, 1, 40)) + spread * rng.standard_normal((3000, 4, 40)) + 7.0
    noise = region_noise(recorded)
    assert np.allclose(noise.noise_sd, spread, rtol=0.05)
    assert np.allclose(noise.signal_sd**2, signal**2, atol=0.25)
    assert np.allclose(noise.reliability, signal**2 / (signal**2 + spread**2 / 4), atol=0.06)
    assert noise.n_repeats == 4
    assert (noise.n_stimuli, noise.n_neuroids) == (3000, 40)
    assert np.allclose(noise.offset, 7.0, atol=0.2)


def test_little_signal_is_not_made_more_by_negative_variances_that_are_cut_off() -> None:
    """Variances cut off at 0 one by one add up to too much; scaled to their sum before, they add up to what is there."""
    rng = np.random.default_rng(2)
    total, cut = [], []
    for _ in range(200):
        recorded = np.sqrt(0.1) * rng.standard_normal((20, 1, 50)) + rng.standard_normal((20, 3, 50))
        noise = region_noise(recorded)
        total.append(np.sum(noise.signal_sd**2 / noise.noise_sd**2))
        found = recorded.mean(axis=1).var(axis=0, ddof=1) / noise.noise_sd**2 - 1 / 3
        cut.append(np.maximum(found, 0).sum())
    error = np.std(total) / np.sqrt(200)
    # A ratio to a variance with 40 degrees of freedom is 40/38 of what it is to the variance, but for its own part of noise.
    expected = 50 * ((0.1 + 1 / 3) * 40 / 38 - 1 / 3)
    assert abs(np.mean(total) - expected) < 4 * error
    assert np.mean(cut) > expected + 4 * error


def test_missing_repeats_count_as_their_harmonic_mean(trials: Trials) -> None:
    recorded = trials(n=10, repeats=4, v=3)
    recorded[:5, 2:] = np.nan
    recorded[9] = np.nan
    noise = region_noise(recorded)
    assert noise.n_stimuli == 9
    assert noise.n_repeats == pytest.approx(9 / (5 / 2 + 4 / 4))
    assert noise.dof == 5 * 1 + 4 * 3


def test_reliability_follows_its_definition_and_is_missing_for_a_constant() -> None:
    noise = RegionNoise(np.array([1.0, 0.0, 0.0]), np.array([[1.0, 2.0, 0.0], [-1.0, -2.0, 0.0]]), 1, 2.0, 5)
    assert np.allclose(noise.reliability[:2], [0.5, 0.0])
    assert np.isnan(noise.reliability[2])
    assert np.array_equal(noise.offset, np.zeros(3))


def test_trials_without_repeats_or_stimuli_are_refused() -> None:
    with pytest.raises(DataError, match="found at most 1 valid repeats of a stimulus, expected 2"):
        region_noise(np.zeros((10, 1, 3)))
    with pytest.raises(DataError, match="found 2 stimuli with a whole repeat, expected at least 3; add stimuli"):
        region_noise(np.random.default_rng(0).standard_normal((2, 3, 3)))
