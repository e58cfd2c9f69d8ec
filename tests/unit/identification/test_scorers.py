"""Metrics that score many worlds at once, against loops over worlds and layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.identification import Known, Plan, Point, RegionNoise, by_kind
from isocortex.identification.identify import method_of
from isocortex.identification.levels import LEVELS
from isocortex.identification.scorers import cross_fitted, world_rdm
from isocortex.identification.worlds import Block, Response, Simulator, drawn_truths
from isocortex.similarity.comparators import compare_rdms
from isocortex.similarity.metrics import METRICS
from isocortex.similarity.rdm import brain_rdm, rdm

CPU = torch.device("cpu")


def _worlds(known: list[Known], noise: RegionNoise) -> tuple[Block, list[Response]]:
    kinds, plan = by_kind(known), Plan(worlds=6)
    simulator = Simulator(kinds, noise, plan, drawn_truths(kinds, plan))
    point = Point("measured", 1.0, 48, 1.0, 10, 6)
    block = simulator.blocks(point)[0]
    return block, [simulator.response(w, point, block.rows) for w in range(6)]


def _scores(
    name: str, options: Mapping[str, Any], block: Block, worlds: list[Response], layers: list[np.ndarray]
) -> np.ndarray:
    scorer = method_of(name, options, CPU).made(block)
    return scorer.scored(scorer.candidate(layers), scorer.responses(worlds), np.array([4, 1, 2]))


def _naive(
    value: Callable[[np.ndarray, Response, np.ndarray], list[float]], block: Block, world: Response, layers: list[np.ndarray]
) -> float:
    """The mean of both halves' values of what is best on the other half; `value` has one for each comparator."""
    found = [[np.array([value(x, world, half) for x in layers]).ravel()] for half in block.halves]
    first, second = found[0][0], found[1][0]
    return 0.5 * (first[np.argmax(second)] + second[np.argmax(first)])


@pytest.mark.parametrize("kind", ["correlation", "euclidean", "crossnobis"], ids=str)
def test_rdms_of_all_worlds_are_those_of_each(kind: str, models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    block, worlds = _worlds(models(layers=3), noise)
    layers = list(models(layers=3)[0].layers.values())
    model = "euclidean" if kind == "crossnobis" else kind

    def value(x: np.ndarray, world: Response, half: np.ndarray) -> list[float]:
        whole = torch.zeros(48, 48, dtype=torch.float64)
        upper = np.triu_indices(48, 1)
        whole[upper] = torch.as_tensor(brain_rdm(world.patterns, kind, world.trials, "shrinkage_diag"))
        own = whole[np.ix_(half, half)][np.triu_indices(len(half), 1)].numpy()
        return [float(compare_rdms(rdm(x[half].astype(float), model), own, "rho_a"))]

    found = _scores("rsa", {"rdm": kind}, block, worlds, layers)
    assert np.allclose(found, [_naive(value, block, worlds[w], layers) for w in (4, 1, 2)], atol=1e-10)


def test_thresholds_are_chosen_as_layers_are(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    block, worlds = _worlds(models(), noise)
    layers = list(models()[0].layers.values())
    options = {"thresholds": "topology", "step": 0.3}
    compared = METRICS["trsa"].comparators({**METRICS["trsa"].options, **options})
    assert len(compared) > 1

    def value(x: np.ndarray, world: Response, half: np.ndarray) -> list[float]:
        pair = rdm(x[half].astype(float)), rdm(world.patterns[half])
        return [float(compare_rdms(*pair, c)) for c in compared]

    found = _scores("trsa", options, block, worlds, layers)
    assert np.allclose(found, [_naive(value, block, worlds[w], layers) for w in (4, 1, 2)], atol=1e-10)


@pytest.mark.parametrize("name", ["shape", "ricci", "cka", "soft_matching", "shape:again"], ids=str)
def test_summaries_of_all_worlds_are_the_metric_of_each(
    name: str, models: Callable[..., list[Known]], noise: RegionNoise
) -> None:
    block, worlds = _worlds(models(), noise)
    layers = list(models()[0].layers.values())
    metric = METRICS[name.partition(":")[0]]
    sign = 1.0 if metric.higher_is_closer else -1.0

    def value(x: np.ndarray, world: Response, half: np.ndarray) -> list[float]:
        return [sign * metric.bind()(x[half].astype(float), world.patterns[half])]

    expected = [_naive(value, block, worlds[w], layers) for w in (4, 1, 2)]
    assert np.allclose(_scores(name, {}, block, worlds, layers), expected, atol=1e-8)


def test_a_layer_without_a_system_is_never_chosen(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    block, worlds = _worlds(models(), noise)
    layers = list(models()[0].layers.values())
    flat = np.ones((48, 5), dtype=np.float32)
    for name in ("rsa", "cka", "ridge"):
        expected = _scores(name, {}, block, worlds, layers)
        assert np.allclose(_scores(name, {}, block, worlds, [layers[0], flat, layers[1]]), expected, atol=1e-12)
        assert np.isnan(_scores(name, {}, block, worlds, [flat])).all()


def test_the_layer_is_chosen_on_the_other_half() -> None:
    values = np.array([[[0.1, 0.5, np.nan], [0.3, 0.2, 0.9]], [[0.7, 0.6, np.nan], [np.nan, 0.4, 0.3]]])
    # World 0: half 0 chooses layer 1, half 1 chooses layer 0. World 1: layer 2, and layer 1.
    assert np.allclose(cross_fitted(values), [(0.1 + 0.6) / 2, (0.2 + 0.3) / 2])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pls", {}, "identification: pls: this encoder has no fast form for many worlds; ridge stands for encoders"),
        ("nothing", {}, "identification: found method 'nothing', expected a metric or ridge; correct it or leave it out"),
        ("deconfounded_cka", {}, "identification: deconfounded_cka: a confounder is not simulated"),
        ("rsa", {"model": "weighted"}, "identification: rsa: model: weighted mixes layers, and single layers are asked"),
    ],
    ids=["encoder", "unknown", "confounder", "weighted"],
)
def test_methods_that_cannot_be_asked_say_why(name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError) as found:
        method_of(name, options, CPU)
    assert str(found.value) == message


def test_what_sees_trials_takes_their_mean_for_everything(models: Callable[..., list[Known]], noise: RegionNoise) -> None:
    _, worlds = _worlds(models(), RegionNoise(noise.signal_sd, noise.residuals, noise.dof, 1.4, 48, noise.mean))
    world = worlds[0]
    mean = world.trials.mean(axis=1)
    assert not np.allclose(mean, world.patterns)
    settings = {"rdm": "correlation", "noise": "none", "splits": 1}
    found = world_rdm(world, settings, CPU, of_trials=True)
    assert np.allclose(found, brain_rdm(mean, "correlation"), atol=1e-12)
    assert np.allclose(world_rdm(world, settings, CPU), brain_rdm(world.patterns, "correlation"), atol=1e-12)
    upper = np.triu_indices(48, 1)
    halved = LEVELS["halves"].world(world, settings, CPU)
    assert np.allclose(np.asarray(halved.whole)[upper], found, atol=1e-12)
