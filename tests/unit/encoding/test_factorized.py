"""The factorised readout: what it learns, its options, and both contractions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.readouts.factorized import fit_factorized
from isocortex.encoding.readouts.head_factorized import FactorizedHead, penalty_l1, read_out
from isocortex.encoding.readouts.start import lengths_one, spectral_start
from isocortex.encoding.scores import pearson

VALIDATION = np.arange(40)


def test_parameters_are_those_of_the_prediction(planted):
    """By hand, from masks, features and bias of z-scored maps and responses."""
    maps, y, inside = planted.maps[:200], planted.y[:200], slice(40, 200)
    made = fit_factorized(maps, y, VALIDATION, {"epochs": 20})
    state = made.state()
    mean, sd = (part[None, :, None, None] for part in (maps[inside].mean((0, 2, 3)), maps[inside].std((0, 2, 3))))
    masks = state["mask"] / np.linalg.norm(state["mask"].reshape(9, -1), axis=1)[:, None, None]
    scores = (
        np.einsum("nchw,vhw,vc->nv", (planted.maps[200:] - mean) / sd, masks, state["features"], optimize=True) + state["bias"]
    )
    expected = scores * y[inside].std(0) + y[inside].mean(0)
    np.testing.assert_allclose(made.predict(planted.maps[200:]), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(made.masks, masks, atol=1e-5)
    assert np.median(pearson(expected, planted.clean[200:])) > 0.9


def test_penalty_thins_masks(planted):
    thin, full = (
        fit_factorized(planted.maps[:150], planted.y[:150], VALIDATION, {"epochs": 40, "sparsity": sparsity})
        for sparsity in (0.1, 0.0)
    )
    assert np.abs(thin.masks).sum() < np.abs(full.masks).sum()


@pytest.mark.parametrize(
    ("kind", "signed"), [("none", {"mask", "features"}), ("masks", {"features"}), ("features", {"mask"}), ("both", set())]
)
def test_weights_without_sign(planted, kind, signed):
    """A weight that was put back to zero is not lost: the fit is as good as it can be without negative ones."""
    made = fit_factorized(planted.maps[:200], planted.y[:200], VALIDATION, {"epochs": 30, "nonnegative": kind})
    state = made.state()
    assert {name for name in ("mask", "features") if (state[name] < 0).any()} == signed
    assert (made.masks >= 0).all() or "mask" in signed
    if kind == "masks":
        assert np.median(pearson(made.predict(planted.maps[200:]), planted.clean[200:])) > 0.95
        assert (state["mask"] == 0).any()
        assert (state["mask"] > 0).any(axis=(1, 2)).all()


def test_a_weight_at_zero_can_rise():
    head = FactorizedHead({"nonnegative": "masks", "l2": 0.0})
    state = {"mask": torch.tensor([[[1.0, 0.0]]], requires_grad=True), "features": torch.ones(1, 1), "bias": torch.zeros(1)}
    head(torch.tensor([[[[0.0, 1.0]]]]), state).sum().backward()
    assert float(state["mask"].grad[0, 0, 1]) > 0


def test_the_start_is_the_covariance_of_rank_one():
    """Against a singular value decomposition; responses that are missing count as the mean."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(60, 5, 3, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(60, 7, generator=generator, dtype=torch.float64)
    y[3, 2] = torch.nan
    for layout in (maps, maps.contiguous(memory_format=torch.channels_last)):
        masks, features = spectral_start(layout, y, rounds=3000)
        for neuroid in range(7):
            covariance = torch.einsum("nchw,n->chw", maps, y[:, neuroid].nan_to_num()).flatten(1) / 60
            left, values, right = torch.linalg.svd(covariance)
            product = features[neuroid][:, None] * masks[neuroid].flatten()
            np.testing.assert_allclose(product, values[0] * left[:, :1] @ right[:1], atol=1e-5)
            assert float(masks[neuroid].sum()) >= 0


def test_both_contractions_agree():
    rng = torch.Generator().manual_seed(0)
    for channels in (3, 60):
        maps = torch.randn(5, channels, 4, 5, generator=rng, dtype=torch.float64)
        masks = lengths_one(torch.randn(6, 4, 5, generator=rng, dtype=torch.float64))
        features, bias = torch.randn(6, channels, generator=rng, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
        expected = torch.einsum("nchw,vhw,vc->nv", maps, masks, features) + bias
        torch.testing.assert_close(read_out(maps, masks, features, bias), expected)
        last = maps.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(read_out(last, masks, features, bias), expected)
        by_hand = [float(mask.abs().sum() * feature.abs().sum()) for mask, feature in zip(masks, features, strict=True)]
        assert penalty_l1(masks, features).tolist() == pytest.approx(by_hand)
