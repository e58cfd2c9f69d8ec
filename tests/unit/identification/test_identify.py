"""Identification as a whole: its limits, its dataset, and that nothing but the plan decides it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from isocortex.errors import DataError
from isocortex.identification import Identified, Known, Plan, Point, RegionNoise, by_kind, identify_models, region_noise
from isocortex.identification.identify import bytes_of, method_of
from isocortex.identification.worlds import Simulator, drawn_truths

METHODS: dict[str, dict[str, Any]] = {"rsa": {}, "ridge": {}, "shape": {}, "ricci": {"shares": (0.2,)}, "pls": {}}
PLAN = Plan(worlds=48, stimuli=(0.5,), noise=(0.0, float("inf")), neuroids=(0.5, 1.0))
Models = Callable[..., list[Known]]


@pytest.fixture(scope="module")
def known(models: Models) -> list[Known]:
    """Four kinds, of which one has a single instance."""
    return [model for model in models(kinds=4) if (model.kind, model.instance) != ("kind3", "seed1")]


@pytest.fixture(scope="module")
def region(trials: Callable[..., np.ndarray]) -> RegionNoise:
    """Little noise."""
    return region_noise(trials(signal=2.0, v=12))


@pytest.fixture(scope="module")
def found(known: list[Known], region: RegionNoise) -> Identified:
    """What methods find."""
    return identify_models(known, region, METHODS, PLAN)


@pytest.fixture(scope="module")
def table(found: Identified) -> xr.Dataset:
    """The same as a dataset."""
    return found.to_dataset()


def test_without_noise_nearly_all_are_named_and_of_noise_alone_as_many_as_by_chance(table: xr.Dataset) -> None:
    sweep = table.set_index(sweep=["axis", "level"])
    clean, pure = sweep.sel(axis="noise", level=0.0), sweep.sel(axis="noise", level=np.inf)
    assert (clean.sweep_rate.sel({"method": ["rsa", "ridge"]}) > 0.9).all()
    assert (pure.sweep_low < 0.25).all()
    assert (pure.sweep_high > 0.25).all()
    # Of four kinds three can be the truth.
    assert float(table.chance) == pytest.approx(1 / 3)


def test_every_number_of_the_dataset_follows_from_the_scores(table: xr.Dataset, found: Identified) -> None:
    kinds = list(table.kind.values)
    for method, worlds in zip(["rsa", "ridge", "shape", "ricci"], [48, 48, 24, 6], strict=True):
        own = table.sel({"method": method})
        scores = own.score.values[:worlds]
        truth = np.array([kinds.index(k) for k in table.world_kind.values[:worlds]])
        hit = scores.argmax(axis=1) == truth
        assert int(own.n_worlds) == worlds
        assert np.isnan(own.score.values[worlds:]).all()
        assert float(own.rate) == pytest.approx(hit.mean())
        assert float(own.rate_low) < float(own.rate) <= float(own.rate_high) + 1e-12
        assert float(own.same_kind) == pytest.approx(scores[np.arange(worlds), truth].mean())
        for kind in table.truth.values:
            mine = table.world_kind.values[:worlds] == kind
            named = np.bincount(scores[mine].argmax(axis=1), minlength=4) / mine.sum()
            assert np.allclose(own.confusion.sel(truth=kind), named)
        how = table.world_measurement.values[:worlds]
        assert np.allclose(own.measured_rate, [hit[how == m].mean() for m in table.measurement.values])
        assert np.nansum(own.bin_worlds) == worlds
    assert list(table.truth.values) == ["kind0", "kind1", "kind2"]
    assert json.loads(table.attrs["skipped"]) == found.skipped
    assert list(found.skipped) == ["pls"]
    assert "kind3" not in set(table.world_kind.values)


def test_the_very_network_is_nearer_than_its_kin(table: xr.Dataset) -> None:
    near = table.sel({"method": ["rsa", "ridge"]})
    assert (near.itself > near.same_kind).all()
    assert (near.same_kind > near.other_kinds).all()
    assert (near.rate_itself >= near.rate - 0.05).all()
    assert set(near.verdict.values) == {"can tell"}


def test_sweeps_have_the_measured_point_and_a_quarter_of_the_worlds(table: xr.Dataset) -> None:
    assert list(zip(table.axis.values, table.number.values, strict=True)) == [
        ("stimuli", 24.0), ("noise", 0.0), ("noise", np.inf), ("neuroids", 6.0), ("neuroids", 12.0),
    ]  # fmt: skip
    assert np.array_equal(table.sweep_n.sel({"method": "rsa"}), [12, 12, 12, 12, 48])
    assert np.array_equal(table.sweep_rate[:, -1], table.rate)


def test_results_are_a_function_of_the_seed_and_not_of_memory(
    known: list[Known], region: RegionNoise, table: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isocortex.identification.identify.STEP_BYTES", 1)
    monkeypatch.setattr("isocortex.identification.identify.KEEP_BYTES", 0)
    monkeypatch.setattr("isocortex.identification.worlds.KEEP_BYTES", 0)
    again = identify_models(known, region, {"rsa": {}, "shape": {}}, PLAN).to_dataset()
    some = table.sel({"method": ["rsa", "shape"]})
    assert np.allclose(again.score, some.score, rtol=0, atol=1e-12, equal_nan=True)
    assert np.array_equal(again.sweep_rate, some.sweep_rate)
    assert list(again.world_layer.values) == list(table.world_layer.values)
    other = identify_models(known, region, {"rsa": {}}, Plan(8, (), (), (), seed=1)).to_dataset()
    assert not np.allclose(other.score[0], some.score[0, :8])


def test_trials_are_simulated_for_methods_that_need_them(known: list[Known], region: RegionNoise) -> None:
    methods = {"noise_corrected_rsa": {"splits": 2}, "rsa:crossnobis": {"rdm": "crossnobis"}, "stochastic_shape": {}}
    made = identify_models(known, region, methods, Plan(8, (), (), ()))
    assert made.skipped == {}
    assert np.isfinite(made.outcomes["rsa:crossnobis"][0].scores).all()
    assert list(made.outcomes) == list(methods)


def test_many_stimuli_are_thinned_for_methods_that_take_fewer(known: list[Known], region: RegionNoise) -> None:
    methods = {"rsa": {}, "rsa:fewer": {"max_stimuli": 20}, "rsa:all": {"max_stimuli": 48}}
    made = identify_models(known, region, methods, Plan(8, (), (), ())).outcomes
    assert np.array_equal(made["rsa"][0].scores, made["rsa:all"][0].scores)
    assert not np.allclose(made["rsa"][0].scores, made["rsa:fewer"][0].scores)


def test_a_region_without_signal_gives_no_score_or_chance(known: list[Known], region: RegionNoise) -> None:
    silent = RegionNoise(np.zeros(12), region.residuals, region.dof, 4.0, 48)
    made = identify_models(known, silent, {"rsa": {}, "ridge": {}}, Plan(48, (), (0.0,), ())).to_dataset()
    assert (made.rate_low < 0.25).all()
    assert set(made.verdict.values) == {"cannot tell"}
    # Without noise either, all responses are the same: no world has a score.
    assert np.isnan(made.sweep_rate).all()
    assert (made.sweep_n == 0).all()


def test_no_method_leaves_an_empty_dataset(known: list[Known], region: RegionNoise) -> None:
    made = identify_models(known, region, {"pls": {}}, Plan(4, (), (), ())).to_dataset()
    assert made.sizes["method"] == 0
    assert made.sizes["kind"] == 4


def test_unknown_measurements_are_refused(known: list[Known], region: RegionNoise) -> None:
    with pytest.raises(DataError, match="found measurements none, expected some of units, voxels, nonlinear; correct them"):
        identify_models(known, region, {}, Plan(measurements=()))
    with pytest.raises(DataError, match="found measurements units, spikes, expected some of units, voxels, nonlinear"):
        identify_models(known, region, {}, Plan(measurements=("units", "spikes")))


def test_noise_alone_is_asked_of_all_but_dear_methods(table: xr.Dataset) -> None:
    assert list(table.alone_n.values) == [12, 12, 0, 0]
    assert np.isnan(table.alone_rate.values[2:]).all()
    assert (table.alone_low[:2] < 1 / 3).all()
    assert "alone" not in table.axis.values


def test_what_is_fitted_to_worlds_does_not_depend_on_how_many_are_held(
    known: list[Known], region: RegionNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(12, (0.5,), (0.0,), (0.25,))
    whole = identify_models(known, region, {"stochastic_shape": {}}, plan).outcomes["stochastic_shape"]
    monkeypatch.setattr("isocortex.identification.identify.STEP_BYTES", 1)
    monkeypatch.setattr("isocortex.identification.identify.KEEP_BYTES", 0)
    again = identify_models(known, region, {"stochastic_shape": {}}, plan).outcomes["stochastic_shape"]
    for first, second in zip(whole, again, strict=True):
        assert np.allclose(first.scores, second.scores, rtol=0, atol=1e-12, equal_nan=True)
    # A point is as if it were alone: no fit of another is left over.
    quiet = Plan(8, (), (0.0,), ())
    monkeypatch.undo()
    fewer = identify_models(known, region, {"stochastic_shape": {}}, quiet).outcomes["stochastic_shape"]
    direct = _direct(known, region, quiet, noise=0.0)
    assert np.allclose(fewer[1].scores[0], direct, atol=1e-10)


def _direct(known: list[Known], region: RegionNoise, plan: Plan, noise: float) -> np.ndarray:
    """Scores of the first world by a method made for its point and nothing else."""
    kinds = by_kind(known)
    simulator = Simulator(kinds, region, plan, drawn_truths(kinds, plan))
    point = Point("noise", noise, 48, noise, 12, 1)
    (block,) = simulator.blocks(point)
    worlds = [simulator.response(0, point, block.rows)]
    method = method_of("stochastic_shape", {}, torch.device("cpu"))
    scorer = method.made(block.thinned(method.most)).fitted(worlds)
    found = [
        scorer.candidate([x[block.rows] for x in kinds.members[kind][instance].layers.values()])
        for kind, instance in enumerate(simulator.truths[0].stands)
    ]
    return np.array([scorer.scored(one, scorer.responses(worlds), np.array([0]))[0] for one in found])


def test_what_is_kept_is_measured() -> None:
    x = np.zeros((10, 3))
    assert bytes_of([x, (x, {"y": torch.zeros(7, dtype=torch.float64)})]) == 240 + 56
    assert bytes_of(Known("k", "i", {"a": x, "b": np.zeros(2, dtype=np.float32)})) == 248


def test_what_a_method_departs_in_is_told_and_delays_are_refused(known: list[Known], region: RegionNoise) -> None:
    methods: dict[str, dict[str, Any]] = {"rsa": {}, "ridge": {"alphas": [1.0]}, "ridge:delayed": {"delays": [1, 2]}}
    made = identify_models(known, region, methods, Plan(4, (), (), ()))
    assert list(made.notes) == ["ridge"]
    assert "its 4 folds of stimuli are its own, penalties are those of the study" in made.notes["ridge"]
    assert made.skipped == {"ridge:delayed": "identification: ridge:delayed: features with delays are not simulated"}
