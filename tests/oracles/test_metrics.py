"""Our numbers beside those of other implementations, stored with their inputs."""

import json

import numpy as np
import pytest
import torch

from isocortex.geometry import participation_ratio, spectrum
from isocortex.inference import ceilings
from isocortex.inference.fdr import benjamini_hochberg
from isocortex.similarity import rdm

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


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("ours", ["pearson", "cosine", "spearman", "rho_a", "tau_a"])
def test_noise_ceilings_of_rsatoolbox(load, letter, ours):
    data, close = load(f"rsa_noiseceil_fixed_{letter}")
    low, high = data[f"out_nc_{'corr' if ours == 'pearson' else ours}"]
    found = ceilings.leave_one_subject_out(torch.as_tensor(data["in_data"]), ours, 0)
    assert found.low.mean() == pytest.approx(low, **close)
    assert found.high.mean() == pytest.approx(high, **close)


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
