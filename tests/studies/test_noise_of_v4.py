"""Noise of V4's single neurons, on the recording: correlations that are small and reliable, and what distances make of them."""

import numpy as np
import pytest
import torch

from isocortex.similarity.metrics import METRICS
from isocortex.similarity.stochastic_shape.rows import Stochastic, _noise_test
from isocortex.similarity.trials import Trials, halves_of_trials, shuffled_per_unit


@pytest.fixture(scope="module")
def trials(mirror):
    """(640 images, 10 repeats, 50 neurons), NaN where a repeat is missing."""
    return np.load(mirror / "cowley2023_v4" / "responses_raw" / "responses_210325.npy").transpose(1, 2, 0)


def correlations(values):
    """Of pairs of neurons, about the mean response to each image."""
    left = values - np.nanmean(values, axis=1, keepdims=True)
    flat = left.reshape(-1, left.shape[2])
    flat = flat[np.isfinite(flat).all(axis=1)]
    return np.corrcoef(flat.T)[np.triu_indices(left.shape[2], 1)]


def test_noise_correlations_are_as_seen_and_shuffling_takes_them_away(trials):
    found = correlations(trials)
    assert found.mean() == pytest.approx(0.03, abs=0.005)
    assert found.std() == pytest.approx(0.04, abs=0.005)
    order = np.random.default_rng(0).permutation(len(trials))
    halves = [correlations(trials[rows]) for rows in (order[:320], order[320:])]
    assert np.corrcoef(*halves)[0, 1] == pytest.approx(0.70, abs=0.03)
    whole = Trials(trials, None, torch.device("cpu"))
    shuffled = correlations(shuffled_per_unit(whole, np.random.default_rng(0)).values)
    assert abs(shuffled.mean()) < 0.005
    assert abs(np.corrcoef(found, shuffled)[0, 1]) < 0.15


def test_what_neurons_share_sets_them_apart_from_a_system_with_independent_noise(trials):
    """The mean responses themselves stand for a perfect network: noise alone is left to tell."""
    some = trials[np.isfinite(trials).all(axis=2).sum(axis=1) >= 8]
    brain = Trials(some, None, torch.device("cpu"))
    method = Stochastic(METRICS["stochastic_shape"].options).fitted_to([brain])
    perfect = torch.as_tensor(np.nanmean(some, axis=1))
    null, p = _noise_test(method, perfect, brain, 0, 1)
    assert p == pytest.approx(0.01)
    alike = shuffled_per_unit(brain, np.random.default_rng(1))
    assert _noise_test(method, perfect, alike, 0, 1)[1] > 0.05
    every = np.arange(len(some))
    own = method.compare([method.of(perfect, every)], [method.of(brain, every)])[0, 0]
    assert own > null.max()
    halves = halves_of_trials(brain, 5, 0)
    apart = [method.compare([method.of(a, every)], [method.of(b, every)])[0, 0] for a, b in halves]
    assert min(apart) > 0
