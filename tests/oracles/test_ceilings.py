"""Oracle correlations, CC_abs and noise-corrected RSA against neuralpredictors, Schoppe et al. and brainmodel_utils.

The other ceilings are checked in tests/unit/recordings/test_reliability.py (ncsnr, noise ceilings, split halves, explainable
variance, FEV, signal power, CC_max, CC_norm) and tests/oracles/test_encoders.py (FEV and Spearman-Brown of the encoders).
"""

from __future__ import annotations

import numpy as np
import pytest

from isocortex.encoding.scores import pearson
from isocortex.recordings import explained, reliability
from isocortex.similarity.rdm import rdm

TOLERANCE = {"rtol": 1e-6, "atol": 1e-8}


@pytest.fixture
def load(oracles):
    def load(name):
        with np.load(oracles / "encoders" / f"{name}.npz") as file:
            return dict(file)

    return load


@pytest.mark.parametrize(("dtype", "looser"), [(np.float64, {}), (np.float32, {"rtol": 1e-5, "atol": 1e-5})])
def test_oracle_correlations(load, dtype, looser):
    case = load("fev_ccnorm_a")
    trials = case["in_data"].astype(dtype)
    # The reference adds 1e-8 to its standard deviations, which is within the tolerance.
    np.testing.assert_allclose(explained.oracle_jackknife(trials), case["exp_oracle_jackknife"], **{**TOLERANCE, **looser})
    np.testing.assert_allclose(
        explained.oracle_conservative(trials), case["exp_oracle_conservative"], **{**TOLERANCE, **looser}
    )


def test_absolute_correlation(load):
    case = load("fev_ccnorm_a")
    trials, prediction = case["in_data"], case["in_pred"]
    np.testing.assert_allclose(pearson(prediction, trials.mean(axis=1)), case["exp_cc_abs"], **TOLERANCE)
    product = explained.cc_norm(trials, prediction) * explained.cc_max(trials)
    signal = case["exp_signal_power"] > 0
    assert signal.sum() == 8
    np.testing.assert_allclose(product[signal], case["exp_cc_abs"][signal], **TOLERANCE)
    assert np.isnan(product[~signal]).all()


def test_fraction_explainable_is_what_the_reference_calls_fev(load):
    """Its `fev` takes no prediction; `feve`, which does, is our `fev`."""
    case = load("fev_ccnorm_a")
    np.testing.assert_allclose(explained.fraction_explainable(case["in_data"]), case["exp_fev"], **TOLERANCE)


def test_negative_halves_of_the_reference_are_corrected_or_missing(load):
    case = load("splithalf_sb_a")
    r, corrected = case["exp_r_half"], reliability.spearman_brown(case["exp_r_half"])
    np.testing.assert_allclose(corrected, case["exp_r_sb"], **TOLERANCE)
    assert (r < 0).any(axis=0).tolist() == [False, False, False, True, False, False, False, False]
    kept = ~(r < 0).any(axis=0)
    mean = np.nanmean(np.where(r < 0, np.nan, corrected), axis=0)
    np.testing.assert_allclose(mean[kept], case["exp_ceiling_mean"][kept], **TOLERANCE)


def test_noise_corrected_rsa(load):
    case = load("noise_corrected_rsa_a")
    source, target, perms = case["in_source"], case["in_target"], case["in_perms"]

    def correlate(a, b):
        return float(pearson(a[:, None], b[:, None])[0])

    def halves(trials):
        return np.array([
            correlate(*(rdm(trials[part].mean(axis=0)) for part in np.split(order, 2))) for order in perms
        ])  # fmt: skip

    rxx, ryy = halves(source), halves(target)
    rxy = correlate(rdm(source.mean(axis=0)), rdm(target.mean(axis=0)))
    for found, key in ((rxx, "rxx"), (ryy, "ryy"), (rxy, "rxy")):
        np.testing.assert_allclose(np.broadcast_to(found, 6), case[f"exp_{key}"], **TOLERANCE)
    np.testing.assert_allclose(reliability.noise_corrected(rxy, rxx, ryy), case["exp_corrected"], **TOLERANCE)
    model = correlate(rdm(case["in_model"]), rdm(target.mean(axis=0)))
    np.testing.assert_allclose(reliability.noise_corrected(model, half_y=ryy), case["exp_corrected_model"], **TOLERANCE)
