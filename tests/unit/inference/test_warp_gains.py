"""What a warp adds: against loops in float64, its two tests, and their mean over subjects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray

from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.intervals import two_sided_p
from isocortex.inference.resampling import stimulus_counts
from isocortex.inference.warp_gains import FEWEST, ORDERS, Pair, WarpGain, guide_orders, warp_gain, with_gains

N, V = 40, 5
IDS = [f"s{k:02d}" for k in range(N)]
SETTINGS = Settings(draws=300)


def world(signal: float = 0.5, seed: int = 0) -> tuple[Pair, np.ndarray]:
    """Responses, predictions that have all of them but noise, and ones that have less of them, with one constant neuroid."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(N, V))
    moved = signal * y + rng.normal(size=(N, V))
    plain = 0.2 * y + rng.normal(size=(N, V))
    y[:, -1] = 1.0
    return Pair(IDS, *(torch.as_tensor(part) for part in (y, moved, plain))), moved


def r_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([np.corrcoef(x, y)[0, 1] if np.ptp(y) > 0 else np.nan for x, y in zip(a.T, b.T, strict=True)])


def test_gain_draws_and_null_are_those_of_loops() -> None:
    pair, moved = world()
    orders = guide_orders(N, SETTINGS, 1.0)
    found = warp_gain(pair, lambda order: torch.as_tensor(moved[order]), orders, SETTINGS)
    y, warped, plain = (part.numpy() for part in (pair.observed, pair.warped, pair.plain))
    gain = r_of(warped, y) - r_of(plain, y)
    np.testing.assert_allclose(found.neuroids, gain, atol=1e-12)
    assert np.isnan(found.neuroids[-1])
    assert found.median == pytest.approx(np.nanmedian(gain), abs=1e-12)
    counts = stimulus_counts(IDS, 300, 0)
    for k in (0, 17, 299):
        rows = np.repeat(np.arange(N), counts[k])
        drawn = r_of(warped[rows], y[rows]) - r_of(plain[rows], y[rows])
        assert found.draws[k] == pytest.approx(np.nanmedian(drawn), abs=1e-6)
    for k in (0, 100):
        assert found.null[k] == pytest.approx(np.nanmedian(r_of(moved[orders[k]], y) - r_of(plain, y)), abs=1e-12)


def test_orders_are_as_many_as_can_be_afforded() -> None:
    assert len(guide_orders(N, SETTINGS, 1.0)) == ORDERS
    assert len(guide_orders(N, SETTINGS, 1e12)) == 20
    assert len(guide_orders(N, SETTINGS, 1e15)) == FEWEST
    assert len(guide_orders(N, Settings(permutations=50), 1.0)) == 50
    assert len(guide_orders(N, Settings(permutations=5), 1e15)) == 5
    assert all(sorted(order) == list(range(N)) for order in guide_orders(N, SETTINGS, 1.0))


def test_samples_in_time_keep_their_neighbours() -> None:
    runs = ["1"] * 25 + ["2"] * 15
    for order in guide_orders(N, Settings(permutations=20), 1.0, runs):
        for part in (order[:25], order[25:]):
            steps = np.diff(part) % len(part)
            assert (steps == 1).sum() >= len(part) - 1
        assert set(order[:25]) == set(range(25))


def cell_of(gains: dict[str, WarpGain], generalise: str = "auto") -> xarray.Dataset:
    total = sum(len(gain.neuroids) for gain in gains.values())
    empty = xarray.Dataset({"r": ("neuroid", np.zeros(total))}, coords={"subject": [*gains, "all"]})
    return with_gains(empty, gains, SETTINGS, generalise)


def test_one_subject_is_its_own_mean() -> None:
    pair, moved = world()
    gain = warp_gain(pair, lambda order: torch.as_tensor(moved[order]), guide_orders(N, SETTINGS, 1.0), SETTINGS)
    cell = cell_of({"S1": gain})
    for key in ("median", "ci_low", "ci_high", "p", "p_guide", "n_guide"):
        assert cell[f"warp_{key}"].values[0] == cell[f"warp_{key}"].values[1] == cell["warp_gain"].attrs[key]
    about = cell["warp_gain"].attrs
    variance = np.nanvar(gain.draws) * N / (N - 1)
    assert about["p"] == pytest.approx(two_sided_p(gain.median, variance, N - 1))
    assert about["ci_low"] < about["median"] < about["ci_high"]
    assert about["p_guide"] == (1 + (gain.null >= gain.median).sum()) / (1 + ORDERS)


def test_subjects_are_averaged_value_by_value() -> None:
    rng = np.random.default_rng(1)
    gains = {
        f"S{k}": WarpGain(np.full(2, 0.1 * k), 0.1 * k, 0.1 * k + 0.02 * rng.normal(size=300), 0.01 * rng.normal(size=n), N)
        for k, n in ((1, 60), (2, 40), (3, 50))
    }
    about = cell_of(gains)["warp_gain"].attrs
    assert about["median"] == pytest.approx(0.2)
    assert about["n_guide"] == 40
    drawn = np.mean([gain.draws for gain in gains.values()], axis=0)
    assert about["p"] == pytest.approx(two_sided_p(0.2, drawn.var() * N / (N - 1), N - 1))
    assert about["p_guide"] == 1 / 41


def test_nothing_is_said_of_nothing() -> None:
    gain = WarpGain(np.full(2, np.nan), float("nan"), np.full(300, np.nan), np.full(20, np.nan), N)
    about = cell_of({"S1": gain})["warp_gain"].attrs
    assert np.isnan([about[key] for key in ("median", "ci_low", "ci_high", "p", "p_guide")]).all()
    assert about["n_guide"] == 0


def test_both_tests_hold_their_level() -> None:
    """Predictions that know nothing: the gain is zero, and so is what the localiser's images tell."""
    p, p_guide = [], []
    for seed in range(120):
        pair, moved = world(signal=0.2, seed=seed)
        settings = Settings(draws=200, permutations=39)
        orders = guide_orders(N, settings, 1.0)
        rng = np.random.default_rng([seed, 1])
        noise = torch.as_tensor(rng.normal(size=(N, V)))
        p.append(
            cell_of({"S1": warp_gain(pair, lambda _, m=moved: torch.as_tensor(m), orders, settings)})["warp_gain"].attrs["p"]
        )
        blind = Pair(IDS, pair.observed, noise, pair.plain)
        told = warp_gain(blind, lambda order, x=noise: x[torch.as_tensor(order)], orders, settings)
        p_guide.append(cell_of({"S1": told})["warp_gain"].attrs["p_guide"])
    # Of 120 tests at .05 no more than 13 reject in 99 % of the cases.
    assert 0 < sum(value < 0.05 for value in p) <= 13
    assert 0 < sum(value <= 0.05 for value in p_guide) <= 13
