"""The table of estimators, and a region's RDM with the noise of its repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.similarity.rdm import (
    ESTIMATORS,
    NOISES,
    RDMS,
    brain_rdm,
    crossnobis,
    noise_precision,
    poisson,
    poisson_cv,
    rdm,
    residuals_of_repeats,
)


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.uniform(1, 9, size=(7, 1, 5)), size=(7, 4, 5)).astype(float)


def test_every_estimator_says_what_it_needs_and_what_a_model_has_instead():
    others = {"mahalanobis", "crossnobis", "poisson", "poisson_cv"}
    assert set(ESTIMATORS) == {"correlation", "euclidean", "cosine", "heat_geodesic", *others}
    for name, estimator in ESTIMATORS.items():
        assert estimator.name == name
        assert estimator.needs in ("patterns", "trials")
        assert estimator.model in RDMS
        assert estimator.model == (name if name in RDMS else "euclidean")
    assert {name for name, e in ESTIMATORS.items() if e.noise} == {"mahalanobis", "crossnobis"}


def test_each_method_is_its_function_with_the_noise_of_the_repeats(trials):
    means = trials.mean(1)
    metric = noise_precision(*residuals_of_repeats(trials))
    for method in ("correlation", "euclidean", "cosine", "heat_geodesic"):
        assert np.array_equal(brain_rdm(means, method), rdm(means, method))
    assert np.array_equal(brain_rdm(means, "mahalanobis", trials), rdm(means, "mahalanobis", metric))
    assert np.array_equal(brain_rdm(None, "crossnobis", trials), crossnobis(trials, metric))
    assert np.array_equal(brain_rdm(means, "poisson", prior_rate=2.0), poisson(means, 2.0))
    assert np.array_equal(brain_rdm(None, "poisson_cv", trials, prior_weight=0.3), poisson_cv(trials, 1.0, 0.3))
    assert np.array_equal(brain_rdm(means, "mahalanobis", noise="none"), rdm(means, "euclidean"))
    assert np.array_equal(brain_rdm(None, "crossnobis", trials, noise="none"), crossnobis(trials))


@pytest.mark.parametrize("noise", [name for name in NOISES if name != "none"])
def test_the_noise_can_be_chosen(trials, noise):
    residuals, dof = residuals_of_repeats(trials)
    assert dof == 21
    metric = noise_precision(residuals, dof, noise)
    assert brain_rdm(trials.mean(1), "mahalanobis", trials, noise) == pytest.approx(rdm(trials.mean(1), "mahalanobis", metric))


@pytest.mark.parametrize("method", ["correlation", "mahalanobis", "poisson"])
def test_halves_of_the_repeats_go_through_at_once(trials, method):
    halves = np.stack([np.stack([trials[:, :2].mean(1), trials[:, 2:].mean(1)]), trials[:, :2].swapaxes(0, 1)])
    found = brain_rdm(torch.as_tensor(halves), method, trials)
    assert isinstance(found, torch.Tensor)
    assert found.shape == (2, 2, 21)
    assert found[1, 0].numpy() == pytest.approx(brain_rdm(trials[:, 0], method, trials), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("method", ["mahalanobis", "crossnobis", "poisson_cv"])
def test_methods_that_need_repeats_say_so(trials, method):
    message = f"rdm {method}: found 1 repeat of the stimuli, expected at least 2; choose rdm: euclidean"
    with pytest.raises(DataError, match=message):
        brain_rdm(trials.mean(1), method)
    with pytest.raises(DataError, match=message):
        brain_rdm(trials.mean(1), method, trials[:, :1])


@pytest.mark.parametrize("method", ["crossnobis", "poisson_cv"])
def test_stimuli_shown_once_are_counted_and_refused_or_missing(trials, method):
    trials[[1, 4], 1:] = np.nan
    message = (
        rf"rdm {method}: found 11 pairs of stimuli of 21 without two repeats in common \(2 of 7 stimuli have none with any"
    )
    with pytest.raises(DataError, match=message):
        brain_rdm(None, method, trials)
    assert np.isnan(brain_rdm(None, method, trials, whole=False)).sum() == 11
    whole = brain_rdm(np.nanmean(trials, axis=1), "mahalanobis", trials)  # needs noise only
    assert np.isfinite(whole).all()


def test_unknown_names_are_refused(trials):
    with pytest.raises(ValueError, match="found method 'manhattan', expected one of"):
        brain_rdm(trials.mean(1), "manhattan")
    with pytest.raises(ValueError, match="found noise 'white', expected one of"):
        brain_rdm(trials.mean(1), "mahalanobis", trials, "white")
    with pytest.raises(DataError, match="found no responses averaged over repeats"):
        brain_rdm(None, "euclidean", trials)
