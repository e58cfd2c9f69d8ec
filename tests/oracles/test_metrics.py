"""Our numbers beside those of other implementations, stored with their inputs."""

import json

import numpy as np
import pytest
import torch

from isocortex.geometry import participation_ratio, spectrum
from isocortex.inference import ceilings
from isocortex.inference.fdr import benjamini_hochberg
from isocortex.inference.intervals import dual_variance
from isocortex.similarity import compare_rdms, rdm
from isocortex.similarity.comparators.resampled import weighted_scores

LETTERS = ["a", "b", "c"]


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


@pytest.mark.parametrize("letter", LETTERS)
def test_rdms_of_rsatoolbox(load, letter):
    data, close = load(f"rsa_rdms_{letter}")
    means = data["in_Y"].mean(0)
    assert rdm(means, "euclidean") == pytest.approx(data["out_euclidean"], **close)
    assert rdm(means, "correlation") == pytest.approx(data["out_correlation"], **close)


@pytest.mark.parametrize("name", ["notie", "ties", "n30"])
@pytest.mark.parametrize("ours", ["pearson", "cosine", "spearman", "rho_a", "tau_a"])
def test_comparators_of_rsatoolbox(load, name, ours):
    data, close = load(f"rsa_compare_{name}")
    theirs = data[f"out_{'corr' if ours == 'pearson' else ours}"]
    assert compare_rdms(data["in_A"], data["in_B"], ours) == pytest.approx(theirs, **close)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("ours", ["pearson", "cosine", "spearman", "rho_a", "tau_a"])
def test_noise_ceilings_of_rsatoolbox(load, letter, ours):
    data, close = load(f"rsa_noiseceil_fixed_{letter}")
    low, high = data[f"out_nc_{'corr' if ours == 'pearson' else ours}"]
    found = ceilings.leave_one_subject_out(torch.as_tensor(data["in_data"]), ours, 0)
    assert found.low.mean() == pytest.approx(low, **close)
    assert found.high.mean() == pytest.approx(high, **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_the_dual_bootstrap_of_rsatoolbox(load, letter):
    data, close = load(f"rsa_dualboot_{letter}")
    brain, models = torch.as_tensor(data["in_data"]), torch.as_tensor(data["in_models"])
    n_subjects, n = len(brain), data["in_pattern_idx"].shape[1]
    counts = np.stack([np.bincount(row, minlength=n) for row in data["in_pattern_idx"]])
    who = np.stack([np.bincount(row, minlength=n_subjects) for row in data["in_rdm_idx"]]) / n_subjects
    drawn = weighted_scores(brain, models, torch.as_tensor(counts), "pearson").numpy()
    whole = compare_rdms(data["in_data"], data["in_models"], "pearson")
    both, subjects, stimuli = np.einsum("ds,dsm->dm", who, drawn), who @ whole, drawn.mean(1)
    theirs = data["out_evaluations"]
    assert both == pytest.approx(theirs[:, :, 0], **close)
    assert subjects == pytest.approx(theirs[:, :, 1], **close)
    assert stimuli == pytest.approx(theirs[:, :, 2], **close)
    sizes = {"n_subjects": n_subjects, "n_stimuli": n}
    correction = len(both) / (len(both) - 1)  # their covariances divide by one less than the draws
    parts = [values.var(axis=0) * correction for values in (both, subjects, stimuli)]
    assert dual_variance(*parts, **sizes) == pytest.approx(data["out_model_var"], **close)
    pairs = [(0, 1), (0, 2), (1, 2)]
    gaps = [
        np.stack([values[:, a] - values[:, b] for a, b in pairs], 1).var(axis=0) * correction
        for values in (both, subjects, stimuli)
    ]
    assert dual_variance(*gaps, **sizes) == pytest.approx(data["out_diff_var"], **close)


@pytest.mark.parametrize("letter", ["a", "b"])
def test_spectral_dimensions_of_brute_force(load, letter):
    data, close = load(f"dim_spectral_{letter}")
    assert participation_ratio(data["in_X"]) == pytest.approx(float(data["out_participation_ratio"]), **close)
    shares = spectrum(data["in_X"])
    assert np.exp(-(shares * np.log(shares)).sum()) == pytest.approx(float(data["out_eig_entropy_dim"]), **close)
    assert 1 / shares[0] == pytest.approx(float(data["out_stable_rank"]), **close)
    assert np.searchsorted(np.cumsum(shares), 0.95) + 1 == int(data["out_dims_95var"])


def test_false_discovery_rates_of_statsmodels(oracles):
    with np.load(oracles / "encoders" / "fdr_perm_a.npz") as data:
        assert benjamini_hochberg(data["in_p"]) == pytest.approx(data["exp_bh"], rel=1e-10)
        assert benjamini_hochberg(data["exp_perm_p"]) == pytest.approx(data["exp_perm_bh"], rel=1e-10)
