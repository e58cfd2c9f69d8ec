"""Ridge regression of many worlds, against one neuroid, layer and penalty after another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from isocortex.identification import Known, Plan, Point, RegionNoise, by_kind
from isocortex.identification.ridge import Ridge
from isocortex.identification.worlds import Block, Response, Simulator, drawn_truths

POWERS = np.linspace(-6, 2, 12)


def _worlds(known: list[Known], noise: RegionNoise) -> tuple[Block, list[Response]]:
    kinds, plan = by_kind(known), Plan(worlds=4)
    simulator = Simulator(kinds, noise, plan, drawn_truths(kinds, plan))
    point = Point("measured", 1.0, 48, 1.0, 10, 4)
    block = simulator.blocks(point)[0]
    return block, [simulator.response(w, point, block.rows) for w in range(4)]


def _naive_layer(x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of generalised cross-validation by explicit hat matrices, as parts of variance, and held-out correlations."""
    mean, spread = x[train].mean(0), x[train].std(0)
    a, b = (x[train] - mean) / spread, (x[test] - mean) / spread
    n, grid = len(train), np.linalg.eigvalsh(a @ a.T).max() * 10.0**POWERS
    errors, r = [], []
    for v in range(y.shape[1]):
        own = y[train, v] - y[train, v].mean()
        tried = []
        for alpha in grid:
            hat = a @ np.linalg.solve(a.T @ a + alpha * np.eye(a.shape[1]), a.T) + 1.0 / n
            tried.append(n * np.sum((y[train, v] - hat @ y[train, v]) ** 2) / np.trace(np.eye(n) - hat) ** 2)
        alpha = grid[int(np.argmin(tried))]
        predicted = b @ np.linalg.solve(a.T @ a + alpha * np.eye(a.shape[1]), a.T @ own)
        errors.append(min(tried) / np.sum(own**2))
        r.append(np.corrcoef(predicted, y[test, v])[0, 1])
    return np.array(errors), np.array(r)


def _naive(layers: list[np.ndarray], block: Block, world: Response, folds: int) -> float:
    fisher = []
    for train, test in block.folds(folds):
        tried = [_naive_layer(x.astype(float), world.patterns, train, test) for x in layers]
        best = int(np.argmin([errors[world.kept].mean() for errors, _ in tried]))
        fisher.append(np.arctanh(tried[best][1]))
    return float(np.sort(np.tanh(np.mean(fisher, axis=0))[world.kept])[(world.kept.sum() - 1) // 2])


@pytest.mark.parametrize("p", [20, 70], ids=["fewer units", "more units"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)], ids=["float64", "float32"])
def test_many_worlds_are_as_one_after_another(
    p: int, precision: str, tolerance: float, models: Callable[..., list[Known]], noise: RegionNoise
) -> None:
    silent = RegionNoise(np.where(np.arange(10) < 3, 0.0, noise.signal_sd), noise.residuals, noise.dof, 4.0, 48, noise.mean)
    block, worlds = _worlds(models(p=p), silent)
    # A little of each unit's own, so that no layer is of low rank.
    rng = np.random.default_rng(0)
    layers = [x + 0.1 * rng.standard_normal(x.shape) for x in models(p=p, layers=3)[2].layers.values()]
    scorer = Ridge({"folds": 3, "precision": precision}, block, torch.device("cpu"))
    found = scorer.scored(scorer.candidate(layers), scorer.responses(worlds), np.array([3, 0]))
    expected = [_naive(layers, block, worlds[w], 3) for w in (3, 0)]
    assert np.abs(found - expected).max() < tolerance


def test_constant_neuroids_do_not_count_and_none_gives_nothing(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    block, worlds = _worlds(models(), noise)
    scorer = Ridge({}, block, torch.device("cpu"))
    layers = scorer.candidate(list(models()[0].layers.values()))
    y = worlds[0].patterns
    flat = [Response(np.where(np.arange(10) < k, 3.3, y), w.kept, w.simulator, 0, w.point, w.rows) for k, w in
            zip((0, 4, 10), worlds, strict=False)]  # fmt: skip
    some = [Response(y[:, 4:], w.kept[4:], w.simulator, 0, w.point, w.rows) for w in worlds[:1]]
    found = scorer.scored(layers, scorer.responses(flat), np.arange(3))
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2])
    # The layer is chosen by the neuroids that count, so that the rest are scored as if alone.
    assert found[1] == pytest.approx(scorer.scored(layers, scorer.responses(some), np.arange(1))[0], abs=1e-5)


def test_penalties_that_are_given_are_the_ones_that_are_tried(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    block, worlds = _worlds(models(), noise)
    layers = [x.astype(float) for x in models()[2].layers.values()]
    found = []
    for alphas in ([1e-3], [1e3], [1e-3, 1e3]):
        scorer = Ridge({"folds": 3, "precision": "float64", "alphas": alphas}, block, torch.device("cpu"))
        found.append(scorer.scored(scorer.candidate(layers[:1]), scorer.responses(worlds), np.arange(4)))
    expected = [_with_penalty(layers[0], block, world, 1e3) for world in worlds]
    assert np.allclose(found[1], expected, atol=1e-9)
    assert not np.allclose(found[0], found[1], atol=1e-3)


def _with_penalty(x: np.ndarray, block: Block, world: Response, alpha: float) -> float:
    fisher = []
    for train, test in block.folds(3):
        mean, spread = x[train].mean(0), x[train].std(0)
        a, b = (np.nan_to_num((x[part] - mean) / np.where(spread > 0, spread, np.inf)) for part in (train, test))
        y = world.patterns[train] - world.patterns[train].mean(0)
        predicted = b @ np.linalg.solve(a.T @ a + alpha * np.eye(a.shape[1]), a.T @ y)
        fisher.append([np.arctanh(np.corrcoef(predicted[:, v], world.patterns[test, v])[0, 1]) for v in range(y.shape[1])])
    return float(np.sort(np.tanh(np.mean(fisher, axis=0))[world.kept])[(world.kept.sum() - 1) // 2])
