"""Delays, per-run z-scores and runs left out against the voxelwise tutorials of the Gallant lab."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isocortex.encoding.blocks import leave_runs_out
from isocortex.encoding.delays import delayed, delayed_gram
from isocortex.encoding.runs import zscore_runs

TOLERANCE = {"rtol": 1e-6, "atol": 1e-8}


@pytest.fixture
def case(oracles):
    with np.load(oracles / "encoders" / "delayer_runs_a.npz") as file:
        found = dict(file)
    ends = [*found["in_run_onsets"][1:], len(found["in_X"])]
    found["runs"] = np.searchsorted(ends, np.arange(len(found["in_X"])), side="right")
    return found


def test_delays_of_one_run(case):
    x, delays = case["in_X"], case["in_delays"].tolist()
    np.testing.assert_allclose(delayed(x, delays), case["exp_delayed"], **TOLERANCE)
    np.testing.assert_allclose(delayed(x, delays, np.zeros(len(x))), case["exp_delayed"], **TOLERANCE)
    np.testing.assert_allclose(delayed(torch.as_tensor(x), delays).numpy(), case["exp_delayed"], **TOLERANCE)
    single = delayed(x.astype(np.float32), delays)
    np.testing.assert_allclose(single, case["exp_delayed"], rtol=1e-6, atol=1e-6)  # the rounding of the input
    gram = case["exp_delayed"] @ case["exp_delayed"].T
    np.testing.assert_allclose(delayed_gram(x @ x.T, delays), gram, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(delayed_gram(torch.as_tensor(x @ x.T), delays).numpy(), gram, rtol=1e-12, atol=1e-12)


def test_with_runs_only_the_leaking_rows_differ(case):
    """The reference pads the start of the array only, so its rows after an onset hold the end of the run before."""
    found = delayed(case["in_X"], case["in_delays"].tolist(), case["runs"])
    differs = np.abs(found - case["exp_delayed"]).max(1) > 1e-8
    after = np.concatenate([onset + np.arange(4) for onset in case["in_run_onsets"][1:]])
    assert np.flatnonzero(differs).tolist() == after.tolist()
    for delay in range(4):
        columns = slice(3 * delay, 3 * (delay + 1))
        for onset in case["in_run_onsets"][1:]:
            assert not found[onset : onset + case["in_delays"][delay], columns].any()


def test_z_scores_of_runs(case):
    np.testing.assert_allclose(zscore_runs(case["in_X"], case["runs"]), case["exp_zscored"], **TOLERANCE)
    np.testing.assert_allclose(
        zscore_runs(torch.as_tensor(case["in_X"]), case["runs"]).numpy(), case["exp_zscored"], **TOLERANCE
    )


def test_runs_left_out_come_in_the_order_of_the_reference(case):
    np.testing.assert_array_equal(leave_runs_out(case["runs"], 1, seed=211), case["exp_val_mask"])
