"""RDM estimators and noise covariances beside rsatoolbox's, stored with their inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from isocortex.similarity.rdm import crossnobis, noise_covariance, noise_precision, poisson, rdm

LETTERS = ["a", "b", "c"]
KINDS = {"numpy": np.asarray, "torch": torch.as_tensor}


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rtol": index[name]["rtol"], "atol": index[name]["atol"]}, index[name]["params"]

    return read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("letter", LETTERS)
def test_rdms(load, letter, kind):
    data, close, _ = load(f"rsa_rdms_{letter}")
    make = KINDS[kind]
    trials, means = make(data["in_Y"].swapaxes(0, 1).copy()), make(data["in_Y"].mean(0))
    precision, per_run = make(data["in_prec"]), [make(one) for one in data["in_precs_per_run"]]
    found = {
        "euclidean": rdm(means, "euclidean"),
        "euclidean_remove_mean": rdm(means, "euclidean", remove_mean=True),
        "correlation": rdm(means, "correlation"),
        "mahalanobis": rdm(means, "mahalanobis", precision),
        "crossnobis": crossnobis(trials, precision),
        "crossnobis_eye": crossnobis(trials),
        "crossnobis_listnoise": crossnobis(trials, per_run),
    }
    assert {f"out_{name}" for name in found} == {name for name in data if name.startswith("out_")}
    for name, vector in found.items():
        np.testing.assert_allclose(np.asarray(vector), data[f"out_{name}"], **close, err_msg=name)


@pytest.mark.parametrize("letter", LETTERS)
def test_the_precision_that_the_rdms_were_made_with(load, letter):
    data, close, _ = load(f"rsa_rdms_{letter}")
    np.testing.assert_allclose(noise_precision(data["in_residuals"], int(data["in_dof"])), data["in_prec"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_repeat_that_is_missing_leaves_the_others(load, letter):
    data, close, _ = load(f"rsa_rdms_{letter}")
    trials = data["in_Y"].swapaxes(0, 1)
    padded = np.concatenate([trials, np.full_like(trials[:, :1], np.nan)], axis=1)
    np.testing.assert_allclose(crossnobis(padded, data["in_prec"]), data["out_crossnobis"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_float32(load, letter):
    data, _, _ = load(f"rsa_rdms_{letter}")
    trials = data["in_Y"].swapaxes(0, 1).astype(np.float32)
    # Inputs of seven digits; what is computed with them is float64.
    scale = np.abs(data["out_crossnobis"]).max()
    np.testing.assert_allclose(crossnobis(trials, data["in_prec"]), data["out_crossnobis"], rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("shrinkage", ["full", "diag", "shrinkage_diag", "shrinkage_eye"])
def test_noise_covariances(load, letter, shrinkage, kind):
    data, close, params = load(f"rsa_noisecov_{letter}")
    found = noise_covariance(KINDS[kind](data["in_residuals"]), params["dof"], shrinkage)
    np.testing.assert_allclose(np.asarray(found), data[f"out_{shrinkage}"], **close)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("letter", LETTERS)
def test_poisson_distances(load, letter, kind):
    data, close, params = load(f"rsa_poisson_{letter}")
    means = KINDS[kind](data["in_counts"].mean(0))
    prior = {"prior_rate": params["prior_lambda"], "prior_weight": params["prior_weight"]}
    np.testing.assert_allclose(np.asarray(poisson(means, **prior)), data["out_poisson"], **close)
    np.testing.assert_allclose(np.asarray(poisson(means, 2.0, 0.5)), data["out_poisson_prior_2_05"], **close)
