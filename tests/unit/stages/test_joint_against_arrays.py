"""joint.nc against the same fits on arrays: a naive loop over features, and stacked ridge regressions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from joint_world import made, run, shares
from sklearn.linear_model import Ridge

from isocortex.encoding.banded import banded_ridge_cv
from isocortex.encoding.dirichlet import candidates
from isocortex.encoding.nested import outer_kernel
from isocortex.encoding.ridge import fit_outer
from isocortex.encoding.stacking import stack
from isocortex.storage.atomic import read_json
from isocortex.storage.store import Store
from isocortex.storage.tables import read_tree


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def z_scored(x, train):
    return (x - x[train].mean(0)) / x[train].std(0)


def data(world, subject="S1"):
    """Responses, and the rows of the first outer split."""
    y = read_tree("brain.nc")[subject]["response"].transpose("stimulus", "neuroid").values.astype(np.float64)
    outer = read_json(f"splits-{subject}.json")["outer"][0]
    return y, np.array(outer["train"]), np.array(outer["test"]), [np.array(part) for part in outer["inner"]]


def naive(world, options):
    """From features: test predictions, R² of all, without and alone, products; one loop, float64."""
    y, train, test, inner = data(world)
    scaled = {
        f"{model}/{layer}": z_scored(x.astype("f4").astype(np.float64), train) / x.shape[1] ** 0.5
        for model, layers in world.features.items()
        for layer, x in layers.items()
    }
    folds = [np.searchsorted(train, part) for part in inner]

    def fit(names):
        gammas = candidates(options["candidates"] if len(names) > 1 else 1, len(names), options["seed"])
        spaces = [scaled[name] for name in names]
        found = banded_ridge_cv([x[train] for x in spaces], y[train], folds, options["alphas"], gammas, standardize=False)
        return found, found.predict([x[test] for x in spaces]), gammas

    def r2(predicted):
        return 1 - ((y[test] - predicted) ** 2).sum(0) / ((y[test] - y[train].mean(0)) ** 2).sum(0)

    names = list(scaled)
    found, predicted, gammas = fit(names)
    members = [[name for name in names if name.startswith(group)] for group in ("low", "high")]
    alone = np.stack([r2(fit(some)[1]) for some in members])
    without = np.stack([r2(fit([name for name in names if name not in some])[1]) for some in members])
    centred, total = y[test] - y[train].mean(0), ((y[test] - y[train].mean(0)) ** 2).sum(0)
    split = found.predict_split([scaled[name][test] for name in names])
    product = []
    for some in members:
        part = sum(split[names.index(name)] for name in some)
        product.append((part * (2 * centred - (predicted - y[train].mean(0)))).sum(0) / total)
    gamma = gammas[found.gamma_index].T
    held = np.empty_like(y[train])
    for column in range(y.shape[1]):
        x = np.hstack([scaled[name][train] * gamma[number, column] ** 0.5 for number, name in enumerate(names)])
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(train)), fold)
            model = Ridge(alpha=found.alphas[column], solver="svd").fit(x[rest], y[train][rest, column])
            held[fold, column] = model.predict(x[fold])
    return predicted, r2(predicted), without, alone, np.stack(product), gamma, held, folds


def test_banded_equals_a_naive_loop_over_features(here):
    world = made(neuroids=5)
    options = {"candidates": 5, "alphas": "auto", "seed": 3}
    cell = run(world, methods={"banded": options})
    predicted, r2, without, alone, product, gamma, held, folds = naive(world, options)
    y, train, test, _ = data(world)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, y[test].T, strict=True)]
    np.testing.assert_allclose(cell["r"].values[0], r, rtol=1e-6)
    np.testing.assert_allclose(cell["r2"].values[0], r2, rtol=1e-6)
    np.testing.assert_allclose(cell["joint_neuroid"].values[0], r2, rtol=1e-6)
    np.testing.assert_allclose(cell["unique_neuroid"].values[0], r2 - without, atol=1e-6)
    np.testing.assert_allclose(cell["shared_neuroid"].values[0], r2 - (r2 - without).sum(0), atol=1e-6)
    np.testing.assert_allclose(cell["alone_neuroid"].values[0], alone, atol=1e-6)
    np.testing.assert_allclose(cell["shared_neuroid"].values[0], alone.sum(0) - r2, atol=1e-6)
    np.testing.assert_allclose(cell["product_neuroid"].values[0], product, atol=1e-6)
    np.testing.assert_allclose(cell["weight"].values[0], gamma, atol=1e-6)
    np.testing.assert_allclose(cell["unique"].values[0, 0], np.median(r2 - without, axis=1), atol=1e-6)
    moments = np.zeros((3, y.shape[1]))
    for fold in folds:
        a, b = held[fold] - held[fold].mean(0), y[train][fold] - y[train][fold].mean(0)
        moments += np.stack([(a * b).sum(0), (a * a).sum(0), (b * b).sum(0)])
    np.testing.assert_allclose(cell["cv_r_layer"].values[0, 0], moments[0] / np.sqrt(moments[1] * moments[2]), rtol=1e-5)


def test_stacking_equals_its_parts_and_is_no_worse_than_the_best_model(here):
    world = made(neuroids=5)
    cell = run(world, methods={"stacking": {}})
    split, outer = read_json("splits-S1.json"), read_json("splits-S1.json")["outer"][0]
    y, train, test, _ = data(world)
    stores = [(Store("low.json"), "000"), (Store("high.json"), "000"), (Store("high.json"), "001")]
    grams = [store.read(group, f"z_{split['digest'][:8]}_0") for store, group in stores]
    fits = [fit_outer(outer_kernel(gram, outer), torch.as_tensor(y), {}) for gram in grams]
    weights = stack(np.stack([fit.oof.numpy() for fit in fits]), y[train])
    np.testing.assert_allclose(cell["weight"].values[0], weights, atol=1e-6)
    predicted = (weights[:, None] * np.stack([fit.test.numpy() for fit in fits])).sum(0)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, y[test].T, strict=True)]
    np.testing.assert_allclose(cell["r"].values[0], r, rtol=1e-6)
    assert shares(cell, "joint", "stacking") > shares(cell, "alone", "stacking").max()
    assert np.isnan(cell["penalty"]).all()
