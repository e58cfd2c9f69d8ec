"""Linear and fwRF readouts against naive versions in float64, neuroid by neuroid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.readouts import linear
from isocortex.encoding.readouts.fwrf import fit_fwrf, penalties
from isocortex.encoding.readouts.linear import fit_linear
from isocortex.encoding.readouts.pooling_fields import gaussian_mass, pyramid
from isocortex.study.options.readouts import Fwrf

VALIDATION = np.array([3, 50, 7, 21, 30, 31, 32, 33, 60, 61])
N = 90
SMALL = {"sizes": 2, "smallest": 0.15, "largest": 0.3}


def ridge(x, y, alpha):
    """Weights and intercept of the normal equations."""
    mean, middle = x.mean(0), y.mean()
    weights = np.linalg.solve((x - mean).T @ (x - mean) + alpha * np.eye(x.shape[1]), (x - mean).T @ (y - middle))
    return weights, middle - mean @ weights


def z_scored(x, rows):
    mean, sd = x[rows].mean(0), x[rows].std(0)
    return (x - mean) / np.where(sd > 1e-6 * np.abs(x[rows]).max(0), sd, np.inf)


def inside():
    return np.setdiff1d(np.arange(N), VALIDATION)


def naive_linear(maps, y, alphas):
    """Choice by the validation error, then all rows; predictions of validation rows and of new maps, per neuroid."""
    every, n = z_scored(maps.reshape(len(maps), -1).astype(float), np.arange(N)), inside()
    every[N:] = np.clip(every[N:], -np.sqrt(N - 1), np.sqrt(N - 1))
    for column in y.T:
        fits = [ridge(every[n], column[n], alpha) for alpha in alphas]
        errors = [((every[VALIDATION] @ weights + bias - column[VALIDATION]) ** 2).mean() for weights, bias in fits]
        best = int(np.argmin(errors))
        weights, bias = ridge(every[:N], column, alphas[best])
        yield alphas[best], every[VALIDATION] @ fits[best][0] + fits[best][1], every[N:] @ weights + bias, weights


@pytest.mark.parametrize("dual", [False, True])
def test_linear(planted, monkeypatch, dual):
    """In one block and in several; with weights, and with the training maps in their place where neuroids are many."""
    monkeypatch.setattr(linear, "COLUMNS", 100)
    monkeypatch.setattr(linear, "STRIP", 13)
    monkeypatch.setattr(linear, "EXACT", 0.0 if dual else 1e12)
    monkeypatch.setattr(linear, "BLOCK_BYTES", 2 * 40 * planted.maps[0].nbytes)
    maps, y = planted.maps[:120, :3], planted.y[:N]
    y = np.tile(y, (1, 11)) if dual else y
    alphas = [1.0, 30.0, 1000.0]
    made = fit_linear(maps[:N], y, VALIDATION, {"alphas": alphas})
    assert (made.weights is None) == dual
    tested = made.predict(maps[N:])
    for neuroid, (alpha, validation, predicted, weights) in enumerate(naive_linear(maps, y[:, :9], alphas)):
        assert made.alphas[neuroid] == alpha
        np.testing.assert_allclose(made.validation[:, neuroid], validation, rtol=1e-4)
        np.testing.assert_allclose(tested[:, neuroid], predicted, rtol=1e-4)
        mask = np.linalg.norm(weights.reshape(3, 9, 9), axis=0)
        np.testing.assert_allclose(made.masks[neuroid], mask / np.linalg.norm(mask), atol=1e-4)


def test_linear_by_itself_spans_its_grid(planted):
    made = fit_linear(planted.maps[:N], planted.y[:N], VALIDATION)
    assert len(np.unique(made.alphas)) > 1
    assert ((made.validation - planted.y[VALIDATION]) ** 2).mean() < planted.y[VALIDATION].var(0).mean()


@pytest.mark.parametrize("nonlinearity", ["none", "log"])
@pytest.mark.parametrize("channels", [3, 120])
def test_fwrf(planted, monkeypatch, nonlinearity, channels):
    """One candidate and one penalty at a time; more channels than stimuli, too; candidates in batches."""
    monkeypatch.setattr("isocortex.encoding.readouts.fwrf.BATCH_BYTES", 3 << 20)
    rng = np.random.default_rng(0)
    maps = np.einsum("nchw,cd->ndhw", planted.maps[:120, :3], rng.normal(size=(3, channels))).astype("f4")
    maps += 0.1 * rng.normal(size=maps.shape).astype("f4")
    y, n = planted.y[:N], inside()
    made = fit_fwrf(maps[:N], y, VALIDATION, {**SMALL, "nonlinearity": nonlinearity, "alphas": [0.5, 20.0, 500.0]})
    candidates = pyramid(Fwrf(**SMALL), 9, 9)
    pooled = np.einsum("nchw,khw->knc", maps.astype(float), gaussian_mass(candidates, 9, 9).numpy())
    pooled = np.log1p(np.abs(pooled)) * np.tanh(pooled) if nonlinearity == "log" else pooled
    tested = made.predict(maps[N:])
    for neuroid in range(4):
        errors = np.empty((len(candidates), 3))
        for number, raw in enumerate(pooled):
            x = z_scored(raw, n)
            for place, alpha in enumerate((0.5, 20.0, 500.0)):
                weights, bias = ridge(x[n], y[n, neuroid], alpha)
                errors[number, place] = ((x[VALIDATION] @ weights + bias - y[VALIDATION, neuroid]) ** 2).mean()
        best, place = np.unravel_index(errors.argmin(), errors.shape)
        alpha = (0.5, 20.0, 500.0)[place]
        at = made.fields.x[neuroid], made.fields.y[neuroid], made.fields.size[neuroid]
        np.testing.assert_allclose(at, candidates[best], rtol=1e-6)
        assert made.alphas[neuroid] == alpha
        assert made.loss[neuroid] == pytest.approx(errors.min() / y[n, neuroid].var(), rel=1e-3)
        x = z_scored(pooled[best], n)
        weights, bias = ridge(x[n], y[n, neuroid], alpha)
        np.testing.assert_allclose(made.validation[:, neuroid], x[VALIDATION] @ weights + bias, rtol=1e-3)
        x = z_scored(pooled[best], np.arange(N))
        weights, bias = ridge(x[:N], y[:, neuroid], alpha)
        np.testing.assert_allclose(tested[:, neuroid], x[N:] @ weights + bias, rtol=1e-3)


def test_the_held_rows_say_nothing_of_the_search(planted):
    """Statistics are of training rows: values of held maps change the errors, not what is fitted. `compat` leaks them."""
    from isocortex.encoding.readouts.pooled_ridge import Pooled

    raw = torch.as_tensor(planted.maps[:N]).flatten(2).mean(2)[None].double()
    other = raw.clone()
    other[:, VALIDATION] *= 5
    rows = torch.as_tensor(inside())
    assert torch.equal(Pooled.of(raw, rows).mean, Pooled.of(other, rows).mean)
    assert not torch.equal(Pooled.of(raw, rows, scale_by_all=True).mean, Pooled.of(other, rows, scale_by_all=True).mean)


def test_penalties_grow_with_the_stimuli():
    assert float(penalties("auto", 200)[0]) == pytest.approx(0.2)
    assert penalties([3.0, 1.0], 200).tolist() == [1.0, 3.0]
