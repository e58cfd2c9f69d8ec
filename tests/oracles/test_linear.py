"""Canonical correlations beside google/svcca, Procrustes distances beside resi, predictions beside NeuroAIMetrics."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.model_selection import KFold

from isocortex.similarity.cca import canonical_correlations, cca, projection_weighted, svcca
from isocortex.similarity.comparators import compare_rdms
from isocortex.similarity.predictivity.scores import column_r
from isocortex.similarity.procrustes import procrustes
from isocortex.similarity.rdm import rdm
from isocortex.similarity.shape import shape_distance


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}, index[name]["params"]

    return read


@pytest.mark.parametrize("name", ["cca_a", "cca_b"])
def test_canonical_correlations_of_svcca(load, name):
    data, close, _ = load(name)
    x, y = data["in_X"], data["in_Y"]
    theirs = data["out_cca_coefs"]
    assert canonical_correlations(x, y) == pytest.approx(theirs, **close)
    assert cca(x, y) == pytest.approx((theirs**2).mean(), **close)
    # Their mean is of the coefficients up to 98 % of their sum.
    some = int((theirs.cumsum() < 0.98 * theirs.sum()).sum()) + 1
    found = canonical_correlations(torch.as_tensor(x), torch.as_tensor(y)).numpy()
    assert found[:some].mean() == pytest.approx(float(data["out_cca_mean_thr098"]), **close)
    assert projection_weighted(x, y) == pytest.approx(float(data["out_pwcca_paper"]), **close)


@pytest.mark.parametrize("name", ["cca_a", "cca_b"])
def test_principal_components_of_svcca(load, name):
    data, close, params = load(name)
    theirs = data["out_svcca_coefs"]
    x, y = data["in_X"], data["in_Y"]
    found = {how: svcca(x, y, how, components=params["svd_dims"]) for how in ("mean", "square")}
    assert found["mean"] == pytest.approx(theirs.mean(), **close)
    assert found["square"] == pytest.approx((theirs**2).mean(), **close)


def test_mean_squares_of_kornblith(load):
    data, close, _ = load("cka_a")
    found = canonical_correlations(data["in_X"], data["in_Y"])
    assert (found**2).mean() == pytest.approx(float(data["out_cca_meansq"]), **close)


def test_mean_squares_of_more_units_than_stimuli(load):
    """They divide by units, and count the dimension that centring leaves empty: 15 stimuli, 40 units."""
    data, close, _ = load("cka_wide")
    found = canonical_correlations(data["in_X"], data["in_Y"])
    assert found == pytest.approx(np.ones(14), **close)
    assert ((found**2).sum() + 1) / 40 == pytest.approx(float(data["out_cca_meansq"]), **close)


@pytest.mark.parametrize("name", ["match_a", "match_rect"])
def test_procrustes_distances_of_resi(load, name):
    data, close, _ = load(name)
    x, y = data["in_X"], data["in_Y"]
    assert procrustes(x, y) == pytest.approx(float(data["out_procrustes_norm"]), **close)
    assert procrustes(x, y, "size_and_shape") == pytest.approx(float(data["out_procrustes_size_shape"]), **close)
    assert 2 * np.arcsin(procrustes(x, y) / 2) == pytest.approx(float(data["out_angular_orth"]), **close)
    assert shape_distance(x, y) == pytest.approx(float(data["out_angular_orth"]), **close)


def scored(x):
    return (x - x.mean(0)) / (x.std(0) + 1e-8)


def their_predictions(x, y):
    """By hand: one penalty for all targets by leave-one-out, test features z-scored by themselves."""
    for train, test in KFold(5, shuffle=True, random_state=42).split(x):
        known, new, mean = scored(x[train]), scored(x[test]), y[train].mean(0)
        errors = []
        for alpha in np.logspace(-8, 8, 17):
            weights = known @ np.linalg.solve(known.T @ known + alpha * np.eye(x.shape[1]), known.T)
            hat = weights + 1 / len(train)
            errors.append(np.mean(((y[train] - hat @ y[train]) / (1 - np.diag(hat))[:, None]) ** 2))
        alpha = np.logspace(-8, 8, 17)[int(np.argmin(errors))]
        weights = np.linalg.solve(known.T @ known + alpha * np.eye(x.shape[1]), known.T @ (y[train] - mean))
        yield new @ weights + mean, y[test]


@pytest.mark.parametrize("name", ["linpred_a", "linpred_b"])
@pytest.mark.parametrize("direction", ["linear_pred", "reverse"])
def test_predictions_of_neuroaimetrics(load, name, direction):
    """Their folds and z-scores, by hand; correlations and RDMs of the predictions by ours."""
    data, close, _ = load(name)
    pair = (data["in_X"], data["in_Y"]) if direction == "linear_pred" else (data["in_Y"], data["in_X"])
    made = [tuple(torch.as_tensor(z) for z in one) for one in their_predictions(*pair)]
    assert [float(column_r(*one).mean()) for one in made] == pytest.approx(data[f"out_{direction}_folds"].tolist(), **close)
    if direction == "linear_pred":
        found = [float(compare_rdms(*(rdm(z) for z in one), "tau_b")) for one in made]
        assert found == pytest.approx(data["out_versa_folds"].tolist(), **close)
        assert float(rdm(made[0][0])[0]) == pytest.approx(pdist(made[0][0].numpy(), "correlation")[0], abs=1e-9)
