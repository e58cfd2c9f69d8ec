"""The encoders on a CUDA device: the same numbers as on the CPU (`make test-gpu`)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding import READOUTS
from isocortex.encoding.algorithms import ALGORITHMS
from isocortex.encoding.banded import banded_ridge_cv
from isocortex.encoding.encoders.fractional import fit_fractional
from isocortex.encoding.encoders.pls import fit_pls
from isocortex.encoding.kernels import z_scored
from isocortex.encoding.nested import fit_permuted, outer_kernel
from isocortex.encoding.pls import pls
from isocortex.encoding.ridge import fit_outer, ridge_cv
from isocortex.encoding.scores import pearson
from isocortex.encoding.splits import make_splits
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.encoders import Predictions, evaluate
from isocortex.inference.layer_fits import collect
from isocortex.stages.encode import bind

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda")


def data(n=120, p=200, v=40, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.randn(n, p, generator=generator), torch.randn(n, v, generator=generator)
    return x.to(dtype), (x[:, :v] + noise).to(dtype)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 2e-3)])
def test_ridge(algorithm, dtype, tolerance):
    x, y = data(dtype=dtype)
    here, there = (ridge_cv(x.to(device), y.to(device), 5, algorithm=algorithm) for device in ("cpu", CUDA))
    assert there.coef.device.type == "cuda"
    np.testing.assert_allclose(there.predict(x.to(CUDA)).cpu(), here.predict(x), atol=tolerance)


def test_pls_and_banded_ridge():
    x, y = data()
    here, there = (pls(x.to(device), y.to(device), 5).predict(x.to(device)).cpu() for device in ("cpu", CUDA))
    np.testing.assert_allclose(there, here, atol=1e-8)
    gammas = torch.tensor([[0.5, 0.5], [0.9, 0.1]], dtype=torch.float64)
    made = [
        banded_ridge_cv([x[:, :100].to(device), x[:, 100:].to(device)], y.to(device), 5, [1.0, 10.0, 100.0], gammas.to(device))
        for device in ("cpu", CUDA)
    ]
    np.testing.assert_allclose(made[1].deltas.cpu(), made[0].deltas, rtol=1e-9)


@pytest.mark.parametrize(("fit", "options"), [(fit_outer, {}), (fit_pls, {"components": 4}), (fit_fractional, {})])
def test_a_nested_fit_and_its_inference(fit, options):
    x, y = data()
    ids = [f"s{index}" for index in range(len(x))]
    outer = make_splits(ids, test=0.25, folds=4)["outer"]
    z, _ = z_scored(x, torch.as_tensor(outer[0]["train"]))
    results, moments = [], []
    for device in ("cpu", CUDA):
        kernel = outer_kernel((z @ z.T).numpy(), outer[0], device=device)
        responses = y.to(device)
        made = collect([fit(kernel, responses, options)], responses, outer[0], ids, Settings(draws=100, permutations=199))
        trials = np.repeat(y.numpy()[outer[0]["test"], None], 2, axis=1).astype(np.float32)
        results.append(evaluate(Predictions(ids, responses, trials, outer, [[made]]), Settings(draws=100, permutations=199)))
        orders = np.stack([np.random.default_rng(number).permutation(len(y)) for number in range(3)])
        moments.append(fit_permuted(fit, kernel, responses, orders, options, together=fit is fit_pls)[1])
    assert results[1].score == pytest.approx(results[0].score, abs=1e-6)
    np.testing.assert_allclose(results[1].neuroids["p"], results[0].neuroids["p"], atol=0.011)
    np.testing.assert_allclose(moments[1], moments[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", READOUTS)
@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_readouts(name, precision, planted):
    """The start, the order and the noise are the same on both devices; what rounding does to training is small."""
    trained = name in ("factorized", "gaussian", "semantic")
    options = {"epochs": 20, "precision": precision} if trained else {}
    train, held = bind(READOUTS, name), np.arange(40)
    maps, late = (torch.as_tensor(part) for part in (planted.maps[:240], planted.maps[240:]))
    here = train(maps, planted.y[:240], held, {**options, **({"precision": "float32"} if trained else {})}, guide=maps)
    there = train(maps, planted.y[:240], held, options, device=CUDA, guide=maps)
    assert there.validation.device.type == "cuda"
    r = [
        pearson(made.predict(late.to(made.validation.device), late).cpu().numpy(), planted.clean[240:])
        for made in (here, there)
    ]
    np.testing.assert_allclose(r[1], r[0], atol=0.03 if trained else 1e-3)
    if precision == "float32":
        np.testing.assert_allclose(there.loss.cpu(), here.loss, rtol=0.02 if trained else 1e-3)
        np.testing.assert_allclose(there.fields.x.cpu(), here.fields.x, atol=0.02)
