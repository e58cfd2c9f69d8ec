"""Reliability and explained variance against reference values, naive loops and known signals."""

from __future__ import annotations

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.recordings import explained, reliability

TOLERANCE = {"rtol": 1e-6, "atol": 1e-8}


def load(oracles, name):
    with np.load(oracles / "encoders" / f"{name}.npz", allow_pickle=False) as archive:
        return dict(archive)


@pytest.mark.parametrize("name", ["nsd_ncsnr_a", "nsd_ncsnr_b"])
def test_ncsnr_and_ceilings(oracles, name):
    case = load(oracles, name)
    snr = reliability.ncsnr(case["in_trials"].transpose(1, 0, 2))
    np.testing.assert_allclose(snr, case["exp_ncsnr"], **TOLERANCE)
    np.testing.assert_allclose(100 * reliability.noise_ceiling(snr, np.ones(5)), case["exp_nc1"], **TOLERANCE)
    np.testing.assert_allclose(100 * reliability.noise_ceiling(snr, np.full(5, 3)), case["exp_nc3"], **TOLERANCE)
    if "exp_nc_mixed" in case:
        counts = np.repeat([1, 2, 3], [100, 50, 350])
        np.testing.assert_allclose(100 * reliability.noise_ceiling(snr, counts), case["exp_nc_mixed"], **TOLERANCE)


def test_split_half_oracle(oracles):
    case = load(oracles, "splithalf_sb_a")
    data, half = case["in_data"], case["in_data"].shape[0] // 2
    pairs = [(data[p[:half]].mean(axis=0), data[p[half : 2 * half]].mean(axis=0)) for p in case["in_perms"]]
    r = np.stack([reliability._correlate(a, b) for a, b in pairs])
    np.testing.assert_allclose(r, case["exp_r_half"], **TOLERANCE)
    corrected = reliability.spearman_brown(r)
    np.testing.assert_allclose(corrected, case["exp_r_sb"], **TOLERANCE)
    np.testing.assert_allclose(corrected.mean(axis=0), case["exp_ceiling_mean"], **TOLERANCE)
    # Random splits of the same data agree with the ten of the reference where there is signal.
    mean = reliability.reliability(data.transpose(1, 0, 2), n_splits=200)
    np.testing.assert_allclose(mean, case["exp_ceiling_mean"], atol=0.08)


@pytest.mark.parametrize(("name", "both"), [("explainable_variance_a", True), ("explainable_variance_b", False)])
def test_explainable_variance(oracles, name, both):
    case = load(oracles, name)
    found = explained.explainable_variance(case["in_data"].transpose(1, 0, 2), bias_correction=both, standardize=both)
    np.testing.assert_allclose(found, case["exp_ev"], **TOLERANCE)


def test_fev_and_normalized_correlation(oracles):
    case = load(oracles, "fev_ccnorm_a")
    trials, prediction = case["in_data"], case["in_pred"]
    np.testing.assert_allclose(explained.fraction_explainable(trials), case["exp_explainable_var"], **TOLERANCE)
    np.testing.assert_allclose(explained.signal_power(trials), case["exp_signal_power"], **TOLERANCE)
    np.testing.assert_allclose(explained.cc_norm(trials, prediction), case["exp_cc_norm"], **TOLERANCE)
    np.testing.assert_allclose(explained.cc_max(trials), case["exp_cc_max"], **TOLERANCE)
    # Without explainable variance the quotient means nothing, and ours is missing.
    expected = np.where(case["exp_explainable_var"] > 0, case["exp_feve"], np.nan)
    np.testing.assert_allclose(explained.fev(trials, prediction), expected, **TOLERANCE)


def ragged(rng, n_stimuli=30, n_repeats=5, n_neuroids=6, noise=1.0):
    signal = rng.normal(size=(n_stimuli, 1, n_neuroids))
    trials = signal + noise * rng.normal(size=(n_stimuli, n_repeats, n_neuroids))
    counts = rng.integers(1, n_repeats + 1, n_stimuli)
    trials[np.arange(n_repeats)[None, :] >= counts[:, None]] = np.nan
    return trials, counts


def naive_split(trials, first, second):
    """One split of one neuroid, by loops; `first` and `second` are lists of repeats per stimulus."""
    rows = [s for s in range(len(trials)) if first[s]]
    a = [np.mean([trials[s, k] for k in first[s]]) for s in rows]
    b = [np.mean([trials[s, k] for k in second[s]]) for s in rows]
    r = np.corrcoef(a, b)[0, 1]
    counts = [int(np.isfinite(row).sum()) for row in trials]
    factor = np.mean([1 / (counts[s] // 2) for s in rows]) / np.mean([1 / c for c in counts if c])
    return factor * r / (1 + (factor - 1) * abs(r))


def test_ragged_splits_equal_loops():
    trials, counts = ragged(np.random.default_rng(1))
    repeated = counts >= 2
    first, second = reliability.half_weights(np.isfinite(trials[repeated][:, :, 0]), 4, np.random.default_rng(7))
    found = reliability.split_half(trials, n_splits=4, seed=7)
    for split in range(4):
        a, b = ([[] for _ in counts] for _ in range(2))
        for position, stimulus in enumerate(np.flatnonzero(repeated)):
            a[stimulus] = np.flatnonzero(first[position, split]).tolist()
            b[stimulus] = np.flatnonzero(second[position, split]).tolist()
            assert not set(a[stimulus]) & set(b[stimulus])
            assert len(a[stimulus]) == len(b[stimulus]) == counts[stimulus] // 2
        expected = [naive_split(trials[:, :, n], a, b) for n in range(trials.shape[2])]
        np.testing.assert_allclose(found[split], expected, rtol=1e-10)


def test_neuroids_with_their_own_missing_trials(monkeypatch):
    trials, _ = ragged(np.random.default_rng(2), n_stimuli=20)
    trials[3, 0, 2] = np.nan
    trials[:, :, 4] = np.nan
    together = reliability.split_half(trials, 3, seed=1)
    apart = np.hstack([reliability.split_half(trials[:, :, [n]], 3, seed=1) for n in range(6)])
    np.testing.assert_allclose(together, apart)
    assert np.isnan(together[:, 4]).all()
    monkeypatch.setattr(reliability, "BLOCK_BYTES", 1)
    np.testing.assert_allclose(reliability.split_half(trials, 3, seed=1), together)


@pytest.mark.parametrize("noise", [0.7, 1.5])
def test_recovers_the_reliability_of_the_mean(noise):
    rng = np.random.default_rng(3)
    trials, counts = ragged(rng, n_stimuli=400, n_repeats=7, n_neuroids=40, noise=noise)
    truth = 1 / (1 + noise**2 * np.mean(1 / counts))
    assert reliability.reliability(trials, 20).mean() == pytest.approx(truth, abs=0.03)
    assert reliability.noise_ceiling(reliability.ncsnr(trials), counts).mean() == pytest.approx(truth, abs=0.03)


def test_noise_averages_to_zero():
    trials = np.random.default_rng(4).normal(size=(40, 4, 300))
    assert abs(reliability.reliability(trials, 10).mean()) < 0.03
    assert abs(reliability.split_half(trials, 10)).max() <= 1


def test_degenerate_input_has_defined_values():
    rng = np.random.default_rng(5)
    assert np.isnan(reliability.reliability(rng.normal(size=(20, 1, 3)))).all()
    assert np.isnan(reliability.reliability(rng.normal(size=(2, 4, 3)))).all()
    for constant in (1.0, 0.1, 1e6 + 0.1, 0.0):
        assert np.isnan(reliability.reliability(np.full((20, 4, 3), constant))).all()
    assert np.isnan(reliability.ncsnr(rng.normal(size=(20, 1, 3)))).all()
    assert np.isnan(reliability.ncsnr(np.ones((20, 4, 3)))).all()
    clean = np.repeat(rng.normal(size=(20, 1, 3)), 4, axis=1)
    np.testing.assert_allclose(reliability.reliability(clean), 1)
    np.testing.assert_allclose(reliability.noise_ceiling(np.array([np.inf]), np.ones(3)), 1)
    assert np.isnan(explained.cc_norm(np.ones((20, 4, 3)), rng.normal(size=(20, 3)))).all()
    assert np.isnan(explained.signal_power(rng.normal(size=(20, 1, 3)))).all()


def test_negative_halves_may_be_missing_instead():
    trials, _ = ragged(np.random.default_rng(7), noise=2.0)
    continued, missing = (reliability.split_half(trials, 40, 0, negative) for negative in ("continued", "missing"))
    assert (continued < 0).any()
    assert (continued > 0).any(axis=0).all()
    np.testing.assert_array_equal(missing, np.where(continued >= 0, continued, np.nan))
    np.testing.assert_allclose(reliability.reliability(trials, 40, 0, "missing"), np.nanmean(missing, axis=0))
    opposed = np.stack([(y := np.random.default_rng(8).normal(size=(20, 3))), -y], axis=1)
    assert np.isnan(reliability.reliability(opposed, 5, 0, "missing")).all()
    np.testing.assert_allclose(reliability.reliability(opposed, 5, 0), -1)
    with pytest.raises(DataError, match="found negative 'nan', expected continued or missing"):
        reliability.split_half(trials, 2, 0, "nan")


def test_noise_corrected_is_missing_without_reliability():
    assert reliability.noise_corrected(0.4, 0.5) == pytest.approx(0.4 / np.sqrt(2 / 3))
    assert reliability.noise_corrected(0.4, 0.5, 1 / 3) == pytest.approx(0.4 / np.sqrt(2 / 3 * 1 / 2))
    found = reliability.noise_corrected(np.full(4, 0.4), np.array([0.0, -0.1, np.nan, 1.0]))
    np.testing.assert_allclose(found, [np.nan, np.nan, np.nan, 0.4])


SINGLE_TRIAL = {
    "noise variance": lambda trials, _: reliability.noise_variance(trials),
    "ncsnr": lambda trials, _: reliability.ncsnr(trials),
    "reliability": lambda trials, _: reliability.reliability(trials, 5),
    "explainable": lambda trials, _: explained.explainable_variance(trials),
    "explainable, raw": lambda trials, _: explained.explainable_variance(trials, bias_correction=False, standardize=False),
    "fraction": lambda trials, _: explained.fraction_explainable(trials),
    "fev": explained.fev,
    "signal power": lambda trials, _: explained.signal_power(trials),
    "cc_max": lambda trials, _: explained.cc_max(trials),
    "cc_norm": explained.cc_norm,
    "jackknife": lambda trials, _: explained.oracle_jackknife(trials),
    "conservative": lambda trials, _: explained.oracle_conservative(trials),
}


@pytest.mark.parametrize("name", SINGLE_TRIAL)
def test_each_number_is_missing_where_it_has_no_meaning(name):
    """One repeat, a constant and an empty neuroid are NaN, silently; and they leave the neuroid beside them as it was."""
    rng, call = np.random.default_rng(9), SINGLE_TRIAL[name]
    trials = rng.normal(size=(30, 1, 4)) + 0.5 * rng.normal(size=(30, 6, 4))
    prediction = trials.mean(axis=1)
    alone = call(trials[:, :, :1], prediction[:, :1])
    assert np.isfinite(alone).all()
    assert np.isnan(call(trials[:, :1], prediction)).all()
    spoilt = trials.copy()
    spoilt[:, :, 1], spoilt[:, :, 2], spoilt[:, :, 3] = np.nan, 0.1, 1e6 + 0.1
    found = call(spoilt, prediction)
    np.testing.assert_allclose(found[0], alone[0], rtol=1e-12)
    assert np.isnan(found[1])
    if name in ("noise variance", "signal power"):
        np.testing.assert_array_equal(found[2:], 0)
    else:
        assert np.isnan(found[2:]).all()


def test_ragged_oracles_equal_loops():
    trials, _ = ragged(np.random.default_rng(10), n_stimuli=12)
    trials[4, :, 1] = np.nan
    trials[7, 1, 2] = np.nan
    jackknife, conservative = [], []
    for neuroid in range(trials.shape[2]):
        rows = [row[np.isfinite(row)] for row in trials[:, :, neuroid]]
        rows = [row for row in rows if len(row) >= 2]
        pairs = [(np.delete(row, k).mean(), row[k]) for row in rows for k in range(len(row))]
        jackknife.append(np.corrcoef(*np.transpose(pairs))[0, 1])
        between, within = np.var([row.mean() for row in rows]), np.mean([row.var() for row in rows])
        conservative.append(np.sqrt(between / (between + within)))
    np.testing.assert_allclose(explained.oracle_jackknife(trials), jackknife, rtol=1e-10)
    np.testing.assert_allclose(explained.oracle_conservative(trials), conservative, rtol=1e-10)


def test_oracles_on_noise_and_with_few_stimuli():
    trials = np.random.default_rng(11).normal(size=(300, 4, 20))
    assert abs(explained.oracle_jackknife(trials).mean()) < 0.03
    assert explained.oracle_conservative(trials).mean() == pytest.approx(0.5, abs=0.02)  # 1/√R
    for oracle in (explained.oracle_jackknife, explained.oracle_conservative):
        assert np.isnan(oracle(trials[:2])).all()


def test_ragged_signal_power_takes_the_first_of_each_neuroid():
    trials = np.random.default_rng(12).normal(size=(40, 1, 3)) + np.random.default_rng(13).normal(size=(40, 5, 3))
    trials[3, 1, 0] = trials[5, [0, 2], 1] = np.nan
    for neuroid, n in enumerate((4, 3, 5)):
        first = np.array([row[np.isfinite(row)][:n] for row in trials[:, :, neuroid]])
        power = (first.sum(1).var(ddof=1) - first.var(axis=0, ddof=1).sum()) / (n * (n - 1))
        assert explained.signal_power(trials)[neuroid] == pytest.approx(power, rel=1e-12)


def test_explainable_variance_needs_every_repeat():
    trials = np.random.default_rng(14).normal(size=(30, 4, 2))
    trials[5, 2, 1] = np.nan
    assert np.isfinite(explained.explainable_variance(trials)).tolist() == [True, False]


def test_seeds_decide():
    trials, _ = ragged(np.random.default_rng(6))
    np.testing.assert_array_equal(reliability.split_half(trials, 3, 1), reliability.split_half(trials, 3, 1))
    assert not np.array_equal(reliability.split_half(trials, 3, 1), reliability.split_half(trials, 3, 2))
