"""Planted receptive fields: their centre and their size, in image widths, y upwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.readouts.factorized import fit_factorized
from isocortex.encoding.readouts.fields import fields_of_masks
from isocortex.encoding.readouts.fwrf import fit_fwrf
from isocortex.encoding.readouts.gaussian import fit_gaussian
from isocortex.encoding.readouts.head_gaussian import GaussianHead
from isocortex.encoding.readouts.pooling_fields import gaussian_mass, pyramid
from isocortex.encoding.ridge import ridge_cv
from isocortex.encoding.scores import pearson
from isocortex.study.options.readouts import Fwrf


@pytest.fixture(scope="module")
def large(make_fields):
    return make_fields(n=900, noise=0.3, seed=3)


# Pixels that a centre may be off, in the median and at most; and the least r on new stimuli. The Gaussian readout sees a field
# as the best of all points between four pixels, of which a wide one has many; candidates of the fwRF lie a σ apart, here up to
# two pixels.
FITS = [
    (fit_factorized, {"nonnegative": "masks"}, 0.35, 0.9, 0.97),
    (fit_gaussian, {}, 0.6, 1.6, 0.75),
    (fit_fwrf, {}, 0.5, 1.2, 0.98),
]


@pytest.mark.parametrize(("fit", "options", "median", "most", "score"), FITS)
def test_planted_fields_are_recovered(large, fit, options, median, most, score):
    made = fit(large.maps[:700], large.y[:700], np.arange(140), options)
    r = pearson(made.predict(large.maps[700:]), large.clean[700:])
    assert np.median(r) > score
    off = np.hypot(made.fields.x - large.centres[:, 0], made.fields.y - large.centres[:, 1]) * large.size
    assert np.median(off) < median
    assert off.max() < most
    # Better than features that know no place.
    pooled = large.maps.mean((2, 3))
    blind = pearson(ridge_cv(pooled[:700], large.y[:700]).predict(pooled[700:]), large.clean[700:])
    assert (r > blind)[large.sizes < 0.2].all()
    if fit is not fit_gaussian:  # which learns a place and no size
        by_size = [np.median(made.fields.size[large.sizes == size]) for size in (0.1, 0.16, 0.22)]
        assert by_size == sorted(by_size)
        np.testing.assert_allclose(by_size, [0.1, 0.16, 0.22], rtol=0.3)


def test_moments_of_masks():
    """A Gaussian mask has its own centre and standard deviation, whatever its scale; noise hardly moves it; zeros have none."""
    at = torch.tensor([[0.1, -0.2, 0.08], [-0.15, 0.05, 0.12]], dtype=torch.float64)
    masks = gaussian_mass(at, 40, 40)
    found = fields_of_masks(torch.cat([masks, -3 * masks, torch.zeros(1, 40, 40)]))
    for rows in (slice(0, 2), slice(2, 4)):
        np.testing.assert_allclose(torch.stack([found.x, found.y, found.size], 1)[rows], at, atol=2e-3)
    assert bool(found.x[4:].isnan().all() & found.size[4:].isnan().all())
    noise = torch.randn(2, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noisy = fields_of_masks(masks + 0.02 * masks.amax() * noise)
    np.testing.assert_allclose(noisy.x, at[:, 0], atol=0.01)


def test_corners_of_the_image():
    """The first row is the top, the first column the left."""
    masks = torch.zeros(2, 4, 5)
    masks[0, 0, 0] = masks[1, 3, 4] = 1.0
    found = fields_of_masks(masks)
    np.testing.assert_allclose(found.x, [-0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(found.y, [0.375, -0.375], atol=1e-6)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("covariance", ["full", "uncorrelated", "isotropic"])
def test_places_of_the_gaussian_readout(align_corners, covariance):
    """A place on a pixel is that pixel's place; the spread is that of N(μ, Σ)."""
    head = GaussianHead({"align_corners": align_corners, "covariance": covariance, "spread": 0.2})
    maps = torch.zeros(30, 1, 5, 5)
    maps[:, 0, 1, 3] = torch.arange(30.0) - 14.5
    y = maps[:, 0, 1, 3:4] / maps[:, 0, 1, 3:4].std()
    state = head.start(maps, y, torch.Generator())
    fields = head.fields(state, (5, 5))
    assert (float(fields.x), float(fields.y)) == pytest.approx((0.2, 0.2), abs=1e-6)
    assert float(fields.size) == pytest.approx(0.2 * (0.4 if align_corners else 0.5))
    assert head.masks(state, (5, 5))[0].flatten().tolist() == pytest.approx(torch.eye(25)[8].tolist(), abs=1e-6)


def test_the_pyramid_and_its_masses():
    fields = pyramid(Fwrf(), 28, 28)
    sizes = np.unique(fields[:, 2])
    assert len(sizes) == 8
    np.testing.assert_allclose(np.diff(np.log(sizes)), np.log(sizes[1] / sizes[0]))
    assert (sizes[0], sizes[-1]) == pytest.approx((0.03, 0.4))
    for size in sizes:
        x = np.unique(fields[fields[:, 2] == size, 0])
        assert np.diff(x).mean() == pytest.approx(size, rel=0.25)
        assert x[-1] - x[0] == pytest.approx(1.1, abs=1.3 * size)
    # In the middle of the map nothing falls beside it.
    small = fields[(fields[:, :2].abs().amax(1) < 0.25) & (fields[:, 2] < 0.08)]
    np.testing.assert_allclose(gaussian_mass(small, 28, 28).sum((1, 2)), 1, atol=0.02)
    coarse = pyramid(Fwrf(), 7, 7)
    assert float(coarse[:, 2].min()) == pytest.approx(0.5 / 7)
    assert len(coarse) < len(fields) / 2
    finer = np.linspace(-0.5, 0.5, 4001)
    middle = (finer[1:] + finer[:-1]) / 2
    at = torch.tensor([[0.03, -0.06, 0.05]], dtype=torch.float64)  # narrower than a pixel of 4: the exact integral
    for axis, centre in ((0, 0.03), (1, -0.06)):
        density = np.exp(-((middle - centre) ** 2) / 2 / 0.05**2) / (0.05 * np.sqrt(2 * np.pi)) / 4000
        along = density.reshape(4, 1000).sum(1)
        ours = gaussian_mass(at, 4, 4)[0].sum(axis).numpy()
        np.testing.assert_allclose(ours if axis == 0 else ours[::-1], along, atol=1e-6)
