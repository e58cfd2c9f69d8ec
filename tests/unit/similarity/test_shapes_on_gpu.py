"""Shapes on a CUDA device: the same numbers as on the CPU, and tensors stay where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.similarity.metrics import METRICS
from isocortex.similarity.shape import factor, factor_distances, frechet_mean, moment_similarity, pairwise
from isocortex.similarity.shape.rows import Moments, Rotated
from isocortex.similarity.stochastic_shape import energy_shape, fit_gaussians, gaussian_distances

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def systems(n=40, p=7, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    return [x @ rng.normal(size=(p, p)) + 0.3 * rng.normal(size=(n, p)) for _ in range(3)]


def moved(arrays, device):
    return [torch.as_tensor(x, device=device) for x in arrays]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.0])
def test_shape_distances(device, alpha):
    expected = pairwise([factor(x, alpha) for x in systems()])
    found = pairwise([factor(x, alpha) for x in moved(systems(), device)])
    assert found.device.type == device
    assert found.cpu().numpy() == pytest.approx(expected.numpy(), abs=1e-7)
    made = [factor(x, alpha) for x in moved(systems(), device)]
    assert factor_distances(made[:1], made[1:]).cpu().numpy() == pytest.approx(expected[:1, 1:].numpy(), abs=1e-7)
    mean = frechet_mean(made)
    assert mean.factor.device.type == device
    assert mean.dispersion == pytest.approx(frechet_mean([factor(x, alpha) for x in systems()]).dispersion, abs=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_moments_and_rows(device):
    x, y, _ = systems()
    a, b, _ = moved(systems(), device)
    assert moment_similarity(a, b).estimate == pytest.approx(moment_similarity(x, y).estimate, abs=1e-4)
    every, order = np.arange(len(x)), np.random.default_rng(1).permutation(len(x))
    for name, make in (("shape", Rotated), ("shape_moments", Moments)):
        values = []
        for pair in ((torch.as_tensor(x), torch.as_tensor(y)), (a, b)):
            method = make(METRICS[name].options)
            one, other = (method.of(system, every) for system in pair)
            values.append([method.compare([z], [other])[0, 0] for z in (one, method.permuted(one, order))])
        assert values[1] == pytest.approx(values[0], abs=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_noisy_shapes(device):
    rng = np.random.default_rng(2)
    trials = [rng.normal(size=(6, 1, 3)) + rng.normal(size=(6, 12, 3)) @ rng.normal(size=(3, 3)) / 2 for _ in range(3)]
    expected = gaussian_distances([fit_gaussians(trials[0])], [fit_gaussians(t) for t in trials[1:]])
    there = moved(trials, device)
    found = gaussian_distances([fit_gaussians(there[0])], [fit_gaussians(t) for t in there[1:]])
    assert found.device.type == device
    assert found.cpu().numpy() == pytest.approx(np.asarray(expected), abs=1e-5)
    assert energy_shape(there[0], there[1]).distance == pytest.approx(energy_shape(trials[0], trials[1]).distance, abs=1e-4)
