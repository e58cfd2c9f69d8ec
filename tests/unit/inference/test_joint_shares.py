"""Shares of a joint encoder: values, draws and noise correction against arrays; subjects together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray

from isocortex.encoding.partition import partition_intervals, product_measure, r2_draws, unique_shared
from isocortex.inference import joint
from isocortex.inference.encoder_nulls import Settings
from isocortex.inference.joint import SHARES, HeldOut, shares_of
from isocortex.inference.joint_cells import Judged, Parts, with_shares
from isocortex.inference.resampling import stimulus_counts

SETTINGS = Settings(draws=150, seed=4)
PARTS = Parts(["a/1", "a/2", "b/1", "c/1"], ["a", "b", "c"], [0, 0, 1, 2])


def made_up(seed=0, n=40, v=7):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, v)) + 1
    parts = 0.2 * (y - 1) + 0.3 * rng.normal(size=(3, n, v))
    mean = np.full(v, 0.9)
    joint_ = parts.sum(0) + mean
    arrays = [y, mean, joint_, parts, joint_ - 0.5 * parts, parts + mean, rng.dirichlet(np.ones(4), v).T]
    y, mean, joint_, parts, without, alone, weights = map(torch.as_tensor, arrays)
    return HeldOut([f"s{k}" for k in range(n)], y, mean, joint_, parts, without, alone, weights)


def test_shares_against_the_partition_of_arrays(monkeypatch):
    one = made_up()
    reliability = np.linspace(-0.1, 0.9, 7)
    found = shares_of(one, reliability, SETTINGS)
    counts = stimulus_counts(one.ids, 150, 4)
    expected = partition_intervals(one.y, one.joint, one.without, counts, one.mean, torch.as_tensor(reliability))
    split = np.concatenate([found[name].neuroids for name in ("joint", "unique", "shared")])
    np.testing.assert_allclose(split, expected.value, rtol=1e-12)
    corrected = np.concatenate([found[name].corrected for name in ("joint", "unique", "shared")])
    np.testing.assert_allclose(corrected, expected.region, rtol=1e-12)
    draws = np.concatenate([found[name].corrected_draws for name in ("joint", "unique", "shared")])
    np.testing.assert_allclose(np.quantile(draws, 0.025, axis=1), expected.region_low, rtol=1e-9)
    for share in found.values():
        np.testing.assert_allclose(share.value, np.median(share.neuroids, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found["product"].neuroids, product_measure(one.y, one.parts, one.mean), rtol=1e-12)
    whole = np.ones((1, 40))
    r2 = r2_draws(one.y, torch.cat([one.joint[None], one.without]), whole, one.mean)[:, 0]
    parts = unique_shared(r2[0], r2[1:], r2_draws(one.y, one.alone, whole, one.mean)[:, 0])
    np.testing.assert_allclose(found["alone"].neuroids, parts.overlap + parts.unique, rtol=1e-9)
    # The draw by hand: rows repeated as often as they were drawn.
    rows = np.repeat(np.arange(40), counts[3])
    y, mean, without, all_ = (part.numpy() for part in (one.y, one.mean, one.without, one.joint))
    total = ((y[rows] - mean) ** 2).sum(0)
    unique = (((y[rows] - without[1][rows]) ** 2).sum(0) - ((y[rows] - all_[rows]) ** 2).sum(0)) / total
    assert found["unique"].draws[1, 3] == pytest.approx(np.median(unique), rel=1e-5)
    monkeypatch.setattr(joint, "BLOCK_BYTES", 1)
    single = shares_of(one, reliability, SETTINGS)
    for name in SHARES:
        # Differences of shares of order one, which may themselves be next to nothing: rounding is that of one.
        np.testing.assert_allclose(single[name].corrected_draws, found[name].corrected_draws, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(single[name].draws, found[name].draws)


def test_without_a_ceiling_and_with_neuroids_that_are_nan():
    one = made_up()
    plain = shares_of(one, None, SETTINGS)
    assert all(np.isnan(share.corrected).all() and np.isnan(share.corrected_draws).all() for share in plain.values())
    one.joint[:, 2] = torch.nan
    one.parts[:, :, 2] = torch.nan
    one.without[:, :, 2] = torch.nan
    one.alone[:, :, 2] = torch.nan
    found = shares_of(one, np.full(7, 0.5), SETTINGS)
    for name, share in found.items():
        others = np.delete(plain[name].neuroids, 2, axis=1)
        assert np.isnan(share.neuroids[:, 2]).all()
        np.testing.assert_allclose(share.value, np.median(others, axis=1))
        np.testing.assert_allclose(share.corrected, others.sum(1) / 3)


def test_subjects_together():
    subjects = ("S1", "S2", "S3")
    made = {name: made_up(seed) for seed, name in enumerate(subjects)}
    judged = {
        name: Judged(shares_of(one, None if name == "S3" else np.full(7, 0.8), SETTINGS), one.weights.numpy())
        for name, one in made.items()
    }
    base = xarray.Dataset(coords={"method": ["banded"], "subject": [*subjects, "all"]})
    cell = with_shares(base, {"banded": judged}, PARTS, SETTINGS)
    assert cell.sizes == {"method": 1, "subject": 4, "group": 3, "neuroid": 21, "space": 4}
    assert cell["space_group"].values.tolist() == ["a", "a", "b", "c"]
    values = np.stack([judged[name].shares["unique"].value for name in subjects])
    np.testing.assert_allclose(cell["unique"][0], np.vstack([values, values.mean(0)]))
    known = np.stack([judged[name].shares["unique"].corrected for name in subjects[:2]])
    np.testing.assert_allclose(cell["unique_corrected"][0, 3], known.mean(0))
    assert np.isnan(cell["unique_corrected"][0, 2]).all()
    draws = np.mean([judged[name].shares["shared"].draws[0] for name in subjects], axis=0)
    assert cell["shared_low"].values[0, 3] == pytest.approx(np.quantile(draws, 0.025))
    assert cell["shared_high"].values[0, 3] == pytest.approx(np.quantile(draws, 0.975))
    weights = [one.weights.numpy().mean(1) for one in made.values()]
    expected = np.stack([[w[0] + w[1], w[2], w[3]] for w in weights])
    np.testing.assert_allclose(cell["group_weight"][0], np.vstack([expected, expected.mean(0)]))
    np.testing.assert_allclose(cell["weight"][0, :, 7:14], made["S2"].weights, rtol=1e-6)
