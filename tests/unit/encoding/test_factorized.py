"""The factorised readout: planted fields are found, pooled features are not enough, both contractions agree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.readouts.factorized import fit_factorized, normalize, read_out
from isocortex.encoding.ridge import ridge_cv
from isocortex.encoding.scores import pearson
from isocortex.errors import DataError

SIZE, CHANNELS, NEUROIDS = 7, 4, 8


@pytest.fixture(scope="module")
def planted():
    """Maps that are smooth over space, responses with a Gaussian field each, noise of half their sd."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(300, CHANNELS, SIZE + 2, SIZE + 2)).astype("f4")
    maps = sum(maps[:, :, dy : dy + SIZE, dx : dx + SIZE] for dy in range(3) for dx in range(3)) / 3 + 2
    centres = rng.integers(1, SIZE - 1, size=(NEUROIDS, 2))
    y, x = np.mgrid[:SIZE, :SIZE]
    masks = np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2) for cy, cx in centres])
    weights = rng.normal(size=(NEUROIDS, CHANNELS))
    clean = np.einsum("nchw,vhw,vc->nv", maps, masks, weights)
    clean = 3 * clean / clean.std(0) + 10
    return maps, clean, clean + 1.5 * rng.normal(size=clean.shape), centres


def test_planted_fields_are_recovered_and_beat_pooled_features(planted):
    maps, clean, noisy, centres = planted
    fit = fit_factorized(maps[:220], noisy[:220], np.arange(40))
    r = pearson(fit.predict(maps[220:]).astype(float), clean[220:])
    assert np.median(r) > 0.93
    pooled = maps.mean((2, 3))
    baseline = pearson(ridge_cv(pooled[:220], noisy[:220]).predict(pooled[220:]), clean[220:])
    assert (r > baseline + 0.1).all()
    peaks = np.stack(np.unravel_index(fit.spatial.reshape(NEUROIDS, -1).argmax(1), (SIZE, SIZE)), 1)
    assert (np.abs(peaks - centres).max(1) <= 1).mean() >= 0.85
    np.testing.assert_allclose(np.linalg.norm(fit.spatial.reshape(NEUROIDS, -1), axis=1), 1, rtol=1e-4)


def test_same_seed_same_fit_and_torch_stays_torch(planted):
    maps, _, noisy, _ = planted
    options = {"epochs": 3, "seed": 1}
    first = fit_factorized(maps[:80], noisy[:80], np.arange(20), options)
    second = fit_factorized(torch.as_tensor(maps[:80]), torch.as_tensor(noisy[:80]), np.arange(20), options)
    assert isinstance(second.spatial, torch.Tensor)
    np.testing.assert_array_equal(first.spatial, second.spatial.numpy())
    other = fit_factorized(maps[:80], noisy[:80], np.arange(20), {"epochs": 3, "seed": 2})
    assert not np.array_equal(first.features, other.features)


def test_constant_neuroids_and_channels(planted):
    maps, _, noisy, _ = planted
    maps, noisy = maps[:80].copy(), noisy[:80].copy()
    maps[:, 1], noisy[:, 2], noisy[3, 4] = 5.0, 1.0, np.nan
    fit = fit_factorized(maps, noisy, np.arange(20), {"epochs": 3})
    assert np.flatnonzero(np.isnan(fit.bias)).tolist() == [2, 4]
    assert (fit.features[0, 1]) == 0
    assert np.isfinite(fit.predict(maps)[:, [0, 1, 3]]).all()


def test_penalty_thins_masks(planted):
    maps, _, noisy, _ = planted
    thin, full = (
        fit_factorized(maps[:150], noisy[:150], np.arange(30), {"epochs": 40, "sparsity": sparsity}) for sparsity in (0.1, 0.0)
    )
    assert np.abs(thin.spatial).sum() < np.abs(full.spatial).sum()


def test_both_contractions_agree():
    rng = torch.Generator().manual_seed(0)
    for channels in (3, 60):
        maps = torch.randn(5, channels, 4, 5, generator=rng, dtype=torch.float64)
        spatial = normalize(torch.randn(6, 4, 5, generator=rng, dtype=torch.float64))
        features, bias = torch.randn(6, channels, generator=rng, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
        expected = torch.einsum("nchw,vhw,vc->nv", maps, spatial, features) + bias
        torch.testing.assert_close(read_out(maps, spatial, features, bias), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": np.zeros((10, 3))}, r"found maps \(10, 3\) and responses \(10, 2\)"),
        ({"maps": np.full((10, 2, 3, 3), np.nan)}, "found NaN or infinity in the feature maps"),
        ({"options": {"epochs": 0}}, "epochs, batch, patience > 0"),
        ({"options": {"speed": 1}}, "found option 'speed'"),
    ],
)
def test_refusals(change, message):
    arguments = {"maps": np.ones((10, 2, 3, 3)), "y": np.ones((10, 2)), "validation": [0, 1], "options": {}, **change}
    with pytest.raises(DataError, match=message):
        fit_factorized(**arguments)
