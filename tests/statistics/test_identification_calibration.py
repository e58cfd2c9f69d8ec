"""Known models in 200 simulated worlds: the limits of identification, its stated probabilities, and its intervals.

Kinds share a part of what they compute, and instances have a part of their own, so that at the noise of the region some worlds
are told apart and some are not.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from isocortex.identification import Known, Plan, RegionNoise, identify_models, region_noise
from isocortex.identification.calibration import calibrate
from isocortex.identification.rates import rate_of

KINDS, INSTANCES, LAYERS, STIMULI, UNITS, INPUTS = 8, 2, 3, 150, 80, 40
NEUROIDS, REPEATS = 30, 3
METHODS = ("rsa", "ridge", "cka", "shape")
SEEDS = (0, 1, 2)

pytestmark = pytest.mark.slow


def known_models(seed: int, n: int = STIMULI) -> list[Known]:
    """Networks of one hidden layer per layer: its weights half those of all kinds, read out by an instance's own."""
    rng = np.random.default_rng([seed, 0])
    shown = rng.standard_normal((n, INPUTS))
    common = rng.standard_normal((LAYERS, INPUTS, INPUTS)) / 6
    found = []
    for kind in range(KINDS):
        own = np.random.default_rng([seed, 1, kind]).standard_normal((LAYERS, INPUTS, INPUTS)) / 6
        for instance in range(INSTANCES):
            rng, layers = np.random.default_rng([seed, 2, kind, instance]), {}
            for layer in range(LAYERS):
                hidden = np.tanh(shown @ (common[layer] + 0.6 * own[layer]))
                read, other = rng.standard_normal((2, INPUTS, UNITS)) / 6
                layers[f"layer{layer}"] = np.maximum(hidden @ read + 0.5 * np.tanh(shown @ other), 0.0).astype(np.float32)
            found.append(Known(f"kind{kind}", f"seed{instance}", layers))
    return found


def region(seed: int, n: int = STIMULI) -> RegionNoise:
    """Neuroids of different signal, whose noise is shared."""
    rng = np.random.default_rng([seed, 3])
    signal = 0.7 * rng.standard_normal((n, 1, NEUROIDS)) * rng.uniform(0.2, 1.5, NEUROIDS)
    mixing = rng.standard_normal((NEUROIDS, NEUROIDS)) / np.sqrt(NEUROIDS)
    shared = rng.standard_normal((n, REPEATS, NEUROIDS)) @ mixing
    return region_noise(signal + shared + 0.3 * rng.standard_normal((n, REPEATS, NEUROIDS)))


@pytest.fixture(scope="module")
def results() -> list[xr.Dataset]:
    """Of each seed 200 worlds at the region's noise, and of every method without noise and with nothing else."""
    found = []
    for seed in SEEDS:
        plan = Plan(200, stimuli=(0.25,), noise=(0.0, float("inf")), neuroids=(0.5,), seed=seed)
        found.append(identify_models(known_models(seed), region(seed), {name: {} for name in METHODS}, plan).to_dataset())
    print("\nseed method  rate [95 %]        no noise  noise alone  ¼ stimuli  ½ neuroids   ECE  if it holds (95 %)  verdict")
    for seed, table in zip(SEEDS, found, strict=True):
        for method in METHODS:
            own = table.sel({"method": method})
            quarter, clean, pure, half = (float(x) for x in own.sweep_rate)
            print(
                f"{seed:4d} {method:6s}  {float(own.rate):.3f} [{float(own.rate_low):.3f}, {float(own.rate_high):.3f}]"
                f"    {clean:.2f}       {pure:.2f}         {quarter:.2f}        {half:.2f}      {float(own.ece):.3f}"
                f"    {float(own.ece_expected):.3f} ({float(own.ece_limit):.3f})     {own.verdict.item()}"
            )
    return found


def _pooled(results: list[xr.Dataset], method: str, place: int) -> tuple[float, int]:
    """Truths that were named, and worlds, of all seeds at one point of the sweeps."""
    own = [table.sel({"method": method}).isel(sweep=place) for table in results]
    return sum(float(x.sweep_rate * x.sweep_n) for x in own), sum(int(x.sweep_n) for x in own)


@pytest.mark.parametrize("method", METHODS, ids=METHODS)
def test_without_noise_nearly_all_are_named(method: str, results: list[xr.Dataset]) -> None:
    hits, n = _pooled(results, method, 1)
    assert hits / n > 0.93


@pytest.mark.parametrize("method", METHODS, ids=METHODS)
def test_of_noise_alone_as_many_are_named_as_by_chance(method: str, results: list[xr.Dataset]) -> None:
    hits, n = _pooled(results, method, 2)
    # Three standard errors of chance.
    assert abs(hits / n - 1 / KINDS) < 3 * np.sqrt((1 / KINDS) * (1 - 1 / KINDS) / n)


@pytest.mark.parametrize("method", METHODS, ids=METHODS)
def test_fewer_stimuli_tell_less(method: str, results: list[xr.Dataset]) -> None:
    hits, n = _pooled(results, method, 0)
    assert hits / n < np.mean([float(table.sel({"method": method}).rate) for table in results]) - 0.1


def test_stated_probabilities_hold(results: list[xr.Dataset]) -> None:
    """Errors of calibration are those of probabilities that hold: on average, and beyond their 95 % no more than by chance."""
    error = np.concatenate([table.ece.values for table in results])
    expected, limit = (np.concatenate([table[name].values for table in results]) for name in ("ece_expected", "ece_limit"))
    print(f"\nexpected calibration error {error.mean():.3f}, of probabilities that hold {expected.mean():.3f}; "
          f"{int((error > limit).sum())} of {len(error)} beyond their limit")  # fmt: skip
    assert error.mean() < expected.mean() + 0.015
    # Of 12, three or more beyond a limit of 5 % have a chance of 2 %.
    assert (error > limit).sum() <= 2


def test_intervals_cover_the_rate_of_many_worlds_and_probabilities_hold_within_a_measurement() -> None:
    """4000 worlds in samples of 100: intervals hold the rate of all as often as they say."""
    plan = Plan(4000, (), (), (), seed=5)
    scores = identify_models(known_models(5, 60), region(5, 60), {"rsa": {}}, plan).to_dataset()
    kinds = list(scores.kind.values)
    truth = np.array([kinds.index(kind) for kind in scores.world_kind.values])
    parts = [rate_of(scores.score.values[0, k : k + 100], truth[k : k + 100]) for k in range(0, 4000, 100)]
    rate = float(scores.rate[0])
    covered = np.mean([part.low <= rate <= part.high for part in parts])
    error, expected = float(scores.ece[0]), float(scores.ece_expected[0])
    print(f"\nrate {rate:.3f}; covered by {covered:.3f} of 40 intervals of 95 %")
    print(f"expected calibration error {error:.3f} ({expected:.3f} if probabilities hold)")
    # 95 % less two standard errors of 40 samples.
    assert covered >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 40)
    assert np.mean([part.high - part.low for part in parts]) < 0.25
    # Measurements differ in how much scores tell, which one temperature for all does not know: so many worlds show it. Where
    # they do not differ, what is stated holds.
    assert error > float(scores.ece_limit[0])
    for measurement in scores.measurement.values:
        rows = np.flatnonzero(scores.world_measurement.values == measurement)
        groups = [(int(truth[row]), str(scores.world_instance.values[row])) for row in rows]
        own = calibrate(scores.score.values[0, rows], truth[rows], groups)
        assert own.ece <= own.ece_limit
