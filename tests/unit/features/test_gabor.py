from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from isocortex.errors import StudyError
from isocortex.features.model import Context
from isocortex.features.sources import build
from isocortex.features.sources.gabor import GaborPyramid, gabor_kernels

SIZE, ORIENTATIONS, SCALES = 96, 8, 4


def grating(cycles: float, angle: float, phase: float) -> torch.Tensor:
    """A grating of `cycles` per image whose wave vector points at `angle`, as (1, 3, SIZE, SIZE) in 0-1."""
    axis = (torch.arange(SIZE) + 0.5) / SIZE
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    light = 0.5 + 0.4 * torch.cos(2 * math.pi * cycles * (x * math.cos(angle) + y * math.sin(angle)) + phase)
    return light.expand(1, 3, SIZE, SIZE)


def mean_energy(image: torch.Tensor) -> torch.Tensor:
    """(scale, orientation) energy averaged over positions."""
    pyramid = GaborPyramid(ORIENTATIONS, SCALES)
    parts = pyramid(image)[0].split([ORIENTATIONS * pyramid.grid(scale) ** 2 for scale in range(SCALES)])
    return torch.stack([part.reshape(ORIENTATIONS, -1).mean(1) for part in parts])


def test_kernels_have_no_mean_and_unit_norm():
    kernels = gabor_kernels(6).to(torch.float64)
    assert kernels.shape[:2] == (6, 2)
    torch.testing.assert_close(kernels.sum((2, 3)), torch.zeros(6, 2, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(kernels.square().sum((2, 3)), torch.ones(6, 2, dtype=torch.float64))


def test_the_pair_is_in_quadrature():
    even, odd = gabor_kernels(5).unbind(1)
    torch.testing.assert_close(even, even.flip(1, 2))
    torch.testing.assert_close(odd, -odd.flip(1, 2))
    assert (even * odd).sum((1, 2)).abs().max() < 1e-6


@pytest.mark.parametrize("scale", range(SCALES))
@pytest.mark.parametrize("orientation", [0, 3, 5])
def test_energy_peaks_at_the_scale_and_orientation_of_a_grating(scale, orientation):
    energy = mean_energy(grating(SIZE / 4 / 2**scale, math.pi * orientation / ORIENTATIONS, 0.3))
    assert divmod(int(energy.argmax()), ORIENTATIONS) == (scale, orientation)
    others = energy[scale].clone()
    others[orientation] = 0
    assert energy[scale, orientation] > 1.15 * others.max()


def test_energy_does_not_follow_the_phase_but_simple_cells_do():
    pyramid = GaborPyramid(ORIENTATIONS, SCALES)
    simple: list[torch.Tensor] = []
    pyramid.simple.register_forward_hook(lambda _module, _inputs, output: simple.append(output))
    # At the second scale: a grating at the finest one's Nyquist quarter is sampled too coarsely for a smooth drift.
    start = ORIENTATIONS * pyramid.grid(0) ** 2
    width = pyramid.grid(1) ** 2
    energies = torch.stack(
        [pyramid(grating(SIZE / 8, 0.0, phase))[0, start : start + width] for phase in np.arange(8) * math.pi / 4]
    )
    inner = energies.reshape(8, pyramid.grid(1), pyramid.grid(1))[:, 1:-1, 1:-1]
    assert inner.std(0).max() / inner.mean() < 0.02
    # The pooled response of one kernel to one position of a small patch does change with the phase.
    small = torch.stack([pyramid.filtered(grating(SIZE / 4, 0.0, phase)[:, :1])[0, 0, 0, 48, 48] for phase in (0.0, math.pi)])
    assert small[0] * small[1] < 0
    assert (simple[0] >= 0).all()


def test_uniform_light_has_no_energy():
    for light in (0.0, 0.5, 1.0):
        assert mean_energy(torch.full((1, 3, SIZE, SIZE), light)).max() < 1e-5


def test_layers_and_their_sizes():
    model = build({"source": "gabor"}, Context(Path()))
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    (batch,) = model.features([image], model.layers)
    grids = [8, 6, 4, 3, 2]
    assert model.layers == ("energy", "energy_color")
    assert batch["energy"]["activation"].shape == (1, 8 * sum(grid**2 for grid in grids))
    np.testing.assert_array_equal(batch["energy_color"]["activation"][:, :-192], batch["energy"]["activation"])


def test_more_scales_than_the_image_holds_are_refused():
    with pytest.raises(StudyError, match=r"models\.v1\.scales: found 5, expected at most 4 for size 32; lower it"):
        build({"source": "gabor", "size": 32}, Context(Path(), model="v1"))
