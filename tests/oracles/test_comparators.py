"""Comparators, dual bootstrap and its noise ceilings beside those of rsatoolbox 0.3.2, stored with their inputs."""

import json

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import cg

from isocortex.inference.intervals import dual_variance
from isocortex.similarity import compare_rdms
from isocortex.similarity.comparators.bures import bures_metric
from isocortex.similarity.comparators.resampled import weighted_ceilings, weighted_scores
from isocortex.similarity.comparators.whitened import whitened_table

NAMES = ["notie", "ties", "n30"]
LETTERS = ["a", "b", "c"]
THEIRS = {"pearson": "corr", "tau_b": "kendall", "whitened_cosine": "cosine_cov", "whitened_pearson": "corr_cov"}
OURS = ["bures", "cosine", "rho_a", "spearman", "tau_a", *THEIRS]


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ours", OURS)
def test_comparators_of_rsatoolbox(load, name, ours):
    data, close = load(f"rsa_compare_{name}")
    expected = data[f"out_{THEIRS.get(ours, ours)}"]
    assert compare_rdms(data["in_A"], data["in_B"], ours) == pytest.approx(expected, **close)
    tensors = torch.as_tensor(data["in_A"]), torch.as_tensor(data["in_B"])
    assert compare_rdms(*tensors, ours).numpy() == pytest.approx(expected, **close)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ours", ["pearson", "cosine", "whitened_cosine", "whitened_pearson", "rho_a", "tau_a"])
def test_comparators_of_rsatoolbox_in_single_precision(load, name, ours):
    data, close = load(f"rsa_compare_{name}")
    found = compare_rdms(data["in_A"].astype(np.float32), data["in_B"].astype(np.float32), ours)
    # Rounding the inputs to seven digits moves no rank, and products by some of the seventh digit.
    exact = {"rel": close["rel"], "abs": 1e-6}
    assert found == pytest.approx(data[f"out_{THEIRS.get(ours, ours)}"], **exact)


@pytest.mark.parametrize("name", NAMES)
def test_bures_distances_of_rsatoolbox(load, name):
    data, close = load(f"rsa_compare_{name}")
    assert bures_metric(data["in_A"], data["in_B"]) == pytest.approx(data["out_bures_metric"], **close)


def conjugate_gradients(a, b, sigma, rtol):
    """The whitened cosine by solving with V written out, to a residual of `rtol`."""
    first, second = np.triu_indices(len(sigma), 1)
    rows = np.arange(len(first))
    c = np.zeros((len(first), len(sigma)))
    c[rows, first], c[rows, second] = 1, -1
    spread = csr_matrix(c) @ csr_matrix(sigma) @ csr_matrix(c).T
    v = spread.multiply(spread).tocsc()
    x, y = (np.array([cg(v, row, rtol=rtol, atol=0.0)[0] for row in rows]) for rows in (a, b))
    return (a @ y.T) / np.sqrt(np.outer((a * x).sum(1), (b * y).sum(1)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["cosine_cov", "corr_cov"])
def test_whitening_by_a_covariance_of_rsatoolbox(load, name, method):
    """The stored values are those of a solver that stops at a residual of 1e-5; ours are where it goes when it does not stop.

    How far it has come by then depends on rounding: by 4e-7 between machines, more than the tolerance of values near zero.
    """
    data, close = load(f"rsa_compare_{name}")
    centre = method == "corr_cov"
    a, b = (v - v.mean(1, keepdims=True) if centre else v for v in (data["in_A"], data["in_B"]))
    sigma = data["in_sigma_full"]
    stopped = conjugate_gradients(a, b, sigma, 1e-5)
    assert stopped == pytest.approx(data[f"out_{method}_fullsigma"], rel=close["rel"], abs=1e-6)
    found = whitened_table(data["in_A"], data["in_B"], sigma, centre=centre)
    assert found == pytest.approx(conjugate_gradients(a, b, sigma, 1e-13), rel=1e-10, abs=1e-10)
    assert found == pytest.approx(data[f"out_{method}_fullsigma"], abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["cosine_cov", "corr_cov"])
def test_whitening_by_variances_of_rsatoolbox(load, name, method):
    data, close = load(f"rsa_compare_{name}")
    vectors, centre = (data["in_A"], data["in_B"], data["in_sigma_diag"]), method == "corr_cov"
    shortcut = whitened_table(*vectors, centre=centre, compat=True)
    assert shortcut == pytest.approx(data[f"out_{method}_diagsigma"], **close)
    # The reference's shortcut is not the covariance that it stands for.
    assert np.abs(whitened_table(*vectors, centre=centre) - shortcut).max() > 1e-4


def multiplicities(data):
    n, n_subjects = data["in_pattern_idx"].shape[1], len(data["in_data"])
    stimuli = np.stack([np.bincount(row, minlength=n) for row in data["in_pattern_idx"]])
    subjects = np.stack([np.bincount(row, minlength=n_subjects) for row in data["in_rdm_idx"]])
    return stimuli, subjects


def kinds(data):
    """Evaluations (D, M) with both resampled, subjects only and stimuli only."""
    stimuli, subjects = multiplicities(data)
    brain, models = torch.as_tensor(data["in_data"]), torch.as_tensor(data["in_models"])
    drawn = weighted_scores(brain, models, torch.as_tensor(stimuli), "pearson").numpy()
    who = subjects / subjects.sum(1, keepdims=True)
    whole = compare_rdms(data["in_data"], data["in_models"], "pearson")
    return np.einsum("ds,dsm->dm", who, drawn), who @ whole, drawn.mean(1)


def ceilings(data):
    """Lower and upper ceilings (D, 2) of the same three kinds."""
    stimuli, subjects = (torch.as_tensor(counts) for counts in multiplicities(data))
    brain = torch.as_tensor(data["in_data"])
    both, of_stimuli = weighted_ceilings(brain, stimuli, torch.stack([subjects, torch.ones_like(subjects)]), "pearson")
    of_subjects = weighted_ceilings(brain, torch.ones_like(stimuli[:1]), subjects, "pearson")
    return both.numpy(), of_subjects.numpy(), of_stimuli.numpy()


def combined(parts, data):
    """The dual variance; their covariances divide by one less than the draws."""
    correction = len(parts[0]) / (len(parts[0]) - 1)
    sizes = {"n_subjects": len(data["in_data"]), "n_stimuli": data["in_pattern_idx"].shape[1]}
    return dual_variance(*(values.var(axis=0) * correction for values in parts), **sizes)


@pytest.mark.parametrize("letter", LETTERS)
def test_the_dual_bootstrap_of_rsatoolbox(load, letter):
    data, close = load(f"rsa_dualboot_{letter}")
    found = kinds(data)
    for k, values in enumerate(found):
        assert values == pytest.approx(data["out_evaluations"][:, :, k], **close)
    assert combined(found, data) == pytest.approx(data["out_model_var"], **close)
    pairs = [(0, 1), (0, 2), (1, 2)]
    gaps = [np.stack([values[:, a] - values[:, b] for a, b in pairs], 1) for values in found]
    assert combined(gaps, data) == pytest.approx(data["out_diff_var"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_the_noise_ceilings_of_draws_of_rsatoolbox(load, letter):
    data, close = load(f"rsa_dualboot_{letter}")
    found, scores = ceilings(data), kinds(data)
    for k, values in enumerate(found):
        assert values == pytest.approx(data["out_noise_ceiling"][:, :, k].T, **close)
    for side in (0, 1):
        gaps = [model - ceiling[:, side, None] for model, ceiling in zip(scores, found, strict=True)]
        assert combined(gaps, data) == pytest.approx(data["out_nc_var"][:, side], **close)
