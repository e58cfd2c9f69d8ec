"""Readouts against other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.readouts.fwrf import search
from isocortex.encoding.readouts.head_factorized import FactorizedHead, penalty_l1, read_out
from isocortex.encoding.readouts.head_gaussian import GaussianHead
from isocortex.encoding.readouts.head_semantic import SemanticHead
from isocortex.encoding.readouts.maps import as_maps
from isocortex.encoding.readouts.pooled_ridge import Pooled
from isocortex.encoding.readouts.pooling_fields import gaussian_mass
from isocortex.encoding.readouts.sampling import sample
from isocortex.encoding.readouts.semantic import masked_losses
from isocortex.encoding.readouts.start import lengths_one
from isocortex.encoding.readouts.warps import read_warped, warped


@pytest.fixture
def load(oracles):
    def load(name):
        with np.load(oracles / "encoders" / f"{name}.npz") as file:
            return {key.partition("_")[2]: torch.as_tensor(file[key]) for key in file.files}

    return load


def test_factorized(load):
    ref = load("factorized_readout_a")
    state = {"mask": ref["spatial"], "features": ref["features"], "bias": ref["bias"]}
    np.testing.assert_allclose(FactorizedHead()(ref["x"], state), ref["y"], rtol=1e-9, atol=1e-10)
    wide = ref["x"].repeat(1, 20, 1, 1)  # more channels than pixels: the other contraction
    repeated = read_out(wide, lengths_one(ref["spatial"]), ref["features"].repeat(1, 20) / 20, ref["bias"])
    np.testing.assert_allclose(repeated, ref["y"], rtol=1e-9, atol=1e-10)
    # neuralpredictors multiplies every mask's norm with every feature norm (a broadcast of (v, 1) with (v,)); ours pairs them.
    masks, weights = lengths_one(ref["spatial"]).flatten(1).abs().sum(1), ref["features"].abs().sum(1)
    assert float((masks[:, None] * weights).sum()) == pytest.approx(float(ref["l1"]), rel=1e-9)
    assert float(penalty_l1(lengths_one(ref["spatial"]), ref["features"]).sum()) == pytest.approx(float(masks @ weights))


@pytest.mark.parametrize("mixed_up_to", [0, 10_000])
@pytest.mark.parametrize(("name", "align_corners"), [("gaussian_readout_a", True), ("gaussian_readout_b", False)])
def test_gaussian(load, monkeypatch, name, align_corners, mixed_up_to):
    """Both ways to read a map."""
    monkeypatch.setattr("isocortex.encoding.readouts.sampling.MIXED_UP_TO", mixed_up_to)
    ref = load(name)
    head = GaussianHead({"align_corners": align_corners, "sparsity": 1.0, "l2": 0.0})
    state = {"position": ref["mu"], "features": ref["features"].T, "bias": ref["bias"]}
    np.testing.assert_allclose(head(ref["x"], state), ref["y"], rtol=1e-9, atol=1e-10)
    assert float(head.penalty(state).sum()) == pytest.approx(float(ref["l1"]), rel=1e-9)
    points = ref["mu"].clamp(-1, 1).expand(len(ref["x"]), -1, -1)
    np.testing.assert_allclose(sample(ref["x"], points, ref["features"].T, align_corners) + ref["bias"], ref["y"], rtol=1e-9)


def test_fwrf(load):
    """The search as the authors' code makes it, with its leak: statistics of all rows, and a penalised intercept."""
    ref = load("fwrf_a")
    models, y, alphas = (ref[key].double() for key in ("models", "Y", "lambdas"))
    masses = gaussian_mass(models, 12, 12)
    for mass, expected in ((masses[0], ref["pf0"]), (masses[-1], ref["pf_last"])):
        np.testing.assert_allclose(mass, expected, rtol=0.002, atol=1e-6)
    n = len(y)
    rows = torch.arange(n - n // 5), torch.arange(n - n // 5, n)
    maps = as_maps(ref["fmaps"])
    loss, best, penalty = search(maps, models, y, rows, alphas, compat=True)
    assert best.tolist() == ref["true_model"].tolist()
    assert penalty.tolist() == ref["lambda_index"].tolist()
    np.testing.assert_allclose(loss * len(rows[1]), ref["loss"], rtol=0.002, atol=0.002)
    np.testing.assert_allclose(models[best], ref["rf"], rtol=1e-6)
    raw = torch.einsum("nchw,vhw->vnc", ref["fmaps"].double(), masses[best])
    pooled = Pooled.of(raw, rows[0], scale_by_all=True, penalised=True)
    for name, found in (("mean", pooled.mean), ("std", pooled.scale)):
        np.testing.assert_allclose(found[:, 0], ref[name], rtol=0.002, atol=0.002)
    for neuroid, x in enumerate(pooled.x[:, rows[0]]):
        normal = x.T @ x + alphas[penalty[neuroid]] * torch.eye(x.shape[1], dtype=x.dtype)
        solution = torch.linalg.solve(normal, x.T @ y[rows[0], neuroid])
        np.testing.assert_allclose(solution[:-1], ref["weights"][neuroid], rtol=0.002, atol=0.002)
        np.testing.assert_allclose(solution[-1], ref["bias"][neuroid], rtol=0.002, atol=0.002)
    leakless, _, _ = search(maps, models, y - y[rows[0]].mean(0), rows, alphas)
    assert not torch.equal(leakless, loss)


@pytest.mark.parametrize("piece", [1, 1 << 28])
def test_semantic_spatial_transformer(load, monkeypatch, piece):
    """With all neuroids at once, and one at a time."""
    monkeypatch.setattr("isocortex.encoding.readouts.warps.PIECE_BYTES", piece)
    ref = load("semantic_spatial_transformer_a")
    masks = lengths_one(ref["spatial"].clamp(min=0))
    np.testing.assert_allclose(warped(masks, ref["theta"]), ref["mask"], rtol=1e-9, atol=1e-10)
    made = read_warped(ref["x"], masks, ref["theta"], ref["features"]) + ref["bias"]
    np.testing.assert_allclose(made, ref["y"], rtol=1e-9, atol=1e-10)
    wide = read_warped(ref["x"].repeat(1, 20, 1, 1), masks, ref["theta"], ref["features"].repeat(1, 20) / 20) + ref["bias"]
    np.testing.assert_allclose(wide, ref["y"], rtol=1e-9, atol=1e-10)
    state = {"mask": ref["spatial"], "features": ref["features"], "bias": ref["bias"]}
    twin = SemanticHead({"warp": "none"})
    np.testing.assert_allclose(twin(ref["x"], state), ref["y_identity"], rtol=1e-9, atol=1e-10)
    still = twin.theta(ref["x"], state)
    same = read_warped(ref["x"], masks, still, ref["features"]) + ref["bias"]
    np.testing.assert_allclose(same, ref["y_identity"], rtol=1e-9, atol=1e-10)


def test_masked_losses(load):
    ref = load("masked_ccc_loss_a")
    target = torch.where(ref["target"] <= -900, torch.nan, ref["target"])
    assert 0 < int(target.isnan().sum()) < target.numel()
    error, discord = masked_losses(ref["output"], target)
    assert float(error) == pytest.approx(float(ref["mse"]), rel=1e-6, abs=1e-8)
    assert float(discord) == pytest.approx(float(ref["one_minus_ccc"]), rel=1e-6, abs=1e-8)
