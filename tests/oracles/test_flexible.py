"""Fitted RDM models beside those of rsatoolbox and of SciPy's non-negative least squares."""

import json

import numpy as np
import pytest
import torch

from isocortex.similarity.flexible import fit_interpolation, fit_weights

COMPARISONS = {"corr": "pearson", "cosine": "cosine", "corr_cov": "whitened_pearson", "cosine_cov": "whitened_cosine"}
LETTERS = ["a", "b", "c"]


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(letter):
        name = f"rsa_flexible_{letter}"
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}

    return read


def expected(data):
    """Each reference with the arguments that should give it; the reference's own solver did not always end."""
    for theirs, ours in COMPARISONS.items():
        yield f"out_regress_{theirs}", {"compare": ours, "nonnegative": False}
        yield f"out_regress_nn_{theirs}", {"compare": ours}
        yield f"out_scipy_nnls_{theirs}", {"compare": ours}
    yield "out_regress_nn_corr_ridge1", {"compare": "pearson", "ridge": 1.0}


@pytest.mark.parametrize("letter", LETTERS)
def test_weights_of_rsatoolbox_and_scipy(load, letter):
    data, close = load(letter)
    checked = 0
    for name, arguments in expected(data):
        if name in data:
            found = fit_weights(data["in_model_rdms"], data["in_data"], **arguments)
            assert found == pytest.approx(data[name], **close), name
            assert np.linalg.norm(found) == pytest.approx(1)
            checked += 1
    assert checked == sum(name.startswith(("out_regress", "out_scipy")) for name in data)


@pytest.mark.parametrize("letter", LETTERS)
def test_scipy_gives_the_same_weights_to_all_digits(load, letter):
    data, _ = load(letter)
    for theirs in ("corr", "cosine"):
        found = fit_weights(data["in_model_rdms"], data["in_data"], COMPARISONS[theirs])
        assert found == pytest.approx(data[f"out_scipy_nnls_{theirs}"], abs=1e-9)


@pytest.mark.parametrize("letter", LETTERS)
def test_interpolations_of_rsatoolbox(load, letter):
    data, close = load(letter)
    found = fit_interpolation(data["in_model_rdms"], data["in_data"])
    assert found == pytest.approx(data["out_interpolate_corr"], **close)


@pytest.mark.parametrize("letter", LETTERS)
def test_tensors_of_single_precision_give_the_same(load, letter):
    data, close = load(letter)
    layers, target = (torch.as_tensor(data[name], dtype=torch.float32) for name in ("in_model_rdms", "in_data"))
    assert fit_weights(layers, target).numpy() == pytest.approx(data["out_scipy_nnls_corr"], **close)
    assert fit_interpolation(layers, target).numpy() == pytest.approx(data["out_interpolate_corr"], **close)
