"""Per-run preprocessing and the folds of a time series, against loops, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from isocortex.encoding.blocks import beyond, block_labels, blocked_folds, leave_runs_out, rows_by_run
from isocortex.encoding.runs import detrend_runs, trim_runs, zscore_runs
from isocortex.errors import DataError

RUNS = ["b"] * 5 + ["a"] * 4 + ["b"] * 2 + ["c"]


def test_rows_of_runs_in_the_order_of_their_first_row():
    assert [rows.tolist() for rows in rows_by_run(RUNS, 12)] == [[0, 1, 2, 3, 4, 9, 10], [5, 6, 7, 8], [11]]
    assert [rows.tolist() for rows in rows_by_run(None, 3)] == [[0, 1, 2]]


@pytest.mark.parametrize("ddof", [0, 1])
def test_z_scores_equal_loops(ddof):
    x = np.random.default_rng(0).normal(5, 3, size=(12, 3))
    found = zscore_runs(x, RUNS, ddof)
    for name in "ba":
        rows = [row for row in range(12) if RUNS[row] == name]
        for column in range(3):
            part = x[rows, column]
            sd = np.sqrt(((part - part.mean()) ** 2).sum() / (len(part) - ddof))
            np.testing.assert_allclose(found[rows, column], (part - part.mean()) / sd, rtol=1e-12)
    assert (found[11] == 0).all()  # a run of one row has no variance
    np.testing.assert_allclose(zscore_runs(x), (x - x.mean(0)) / x.std(0), rtol=1e-12)


def test_constant_and_missing_columns_of_a_run():
    x = np.random.default_rng(0).normal(size=(12, 4))
    x[:5, 0] = x[9:11, 0] = 0.1
    x[6, 1] = np.nan
    x[:, 2] = 1e6 + 0.1
    found = zscore_runs(x, RUNS)
    assert (found[[0, 1, 2, 3, 4, 9, 10], 0] == 0).all()
    assert np.abs(found[5:9, 0]).min() > 0
    assert np.isnan(found[:, 1]).tolist() == [run == "a" for run in RUNS]
    assert (found[:, 2] == 0).all()


def test_float32_and_tensors():
    x = np.random.default_rng(0).normal(1000, 1, size=(12, 3))
    single = zscore_runs(torch.as_tensor(x, dtype=torch.float32), RUNS)
    assert single.dtype == torch.float32
    # 1000 ± 1 in float32 is known to 6e-5 of its spread.
    np.testing.assert_allclose(single.numpy(), zscore_runs(x, RUNS), atol=2e-4)
    drift = detrend_runs(torch.as_tensor(x), None, tr=2.0, window_s=10)
    np.testing.assert_array_equal(drift.numpy(), detrend_runs(x, None, tr=2.0, window_s=10))
    assert zscore_runs(np.arange(6).reshape(3, 2)).dtype == np.float64


def test_drift_is_that_of_the_filter_run_by_run():
    rng = np.random.default_rng(0)
    y, runs = rng.normal(size=(200, 4)).cumsum(0), np.repeat([1, 2], 100)
    found = detrend_runs(y, runs, tr=2.0)
    for run in (1, 2):
        part = y[runs == run]
        # 120 s at 2 s are 60 samples; the nearest odd number above is 61.
        np.testing.assert_allclose(found[runs == run], part - scipy.signal.savgol_filter(part, 61, 3, axis=0), rtol=1e-12)
    slow = np.linspace(-1, 1, 100)[:, None] ** np.arange(4)
    np.testing.assert_allclose(detrend_runs(slow, tr=2.0), 0, atol=1e-12)  # a cubic is all drift


@pytest.mark.parametrize("n", [21, 60])
def test_a_run_shorter_than_the_window_loses_a_polynomial(n):
    y = np.random.default_rng(n).normal(size=(n, 3)).cumsum(0)
    times = np.arange(n)
    expected = np.stack([column - np.polyval(np.polyfit(times, column, 3), times) for column in y.T], axis=1)
    found = detrend_runs(y, tr=2.0, window_s=122)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    if n % 2:  # where the window is the run, the filter is that polynomial
        np.testing.assert_allclose(detrend_runs(y, tr=1.0, window_s=n), found, atol=1e-9)


def test_missing_samples_spoil_their_own_run_and_column_only():
    y = np.random.default_rng(0).normal(size=(150, 2)).cumsum(0)
    runs = np.repeat([1, 2], [100, 50])
    clean = detrend_runs(y, runs, tr=2.0)
    y[3, 0] = y[120, 1] = np.nan
    found = detrend_runs(y, runs, tr=2.0)
    expected = clean.copy()
    expected[:100, 0] = expected[100:, 1] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_trimming():
    x = np.arange(24).reshape(12, 2)
    runs = ["a"] * 7 + ["b"] * 5
    kept, labels = trim_runs(x, runs, 2, 1)
    assert kept[:, 0].tolist() == [4, 6, 8, 10, 18, 20]
    assert labels.tolist() == ["a"] * 4 + ["b"] * 2
    tensor, none = trim_runs(torch.as_tensor(x), None, 1)
    assert none is None
    assert tensor[:, 0].tolist() == list(range(2, 24, 2))


def test_every_run_is_left_out_equally_often():
    runs = np.repeat(list("abcd"), [3, 1, 4, 2])
    for n_out in (1, 2, 3):
        masks = leave_runs_out(runs, n_out, seed=5)
        assert masks.shape == (4, 10)
        assert (masks.sum(0) == n_out).all()
        for mask in masks:
            assert len(set(runs[mask])) == n_out
            assert not set(runs[mask]) & set(runs[~mask])
    order = np.random.RandomState(5).permutation(4)
    assert ["abcd".index(runs[mask][0]) for mask in leave_runs_out(runs, 1, seed=5)] == order.tolist()
    assert [runs[mask][0] for mask in leave_runs_out(runs)] == list("abcd")


@pytest.mark.parametrize(("n", "folds"), [(20, 4), (23, 5), (7, 7)])
def test_blocks_without_gap_are_those_of_scikit_learn(n, folds):
    for (train, test), (wanted, held) in zip(blocked_folds(n, folds), KFold(folds).split(np.zeros(n)), strict=True):
        assert (train.tolist(), test.tolist()) == (wanted.tolist(), held.tolist())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("ab"), min_size=8, max_size=40), st.integers(2, 4), st.integers(0, 3))
def test_gaps_part_a_block_from_its_training_rows(runs, folds, gap):
    try:
        parts = blocked_folds(runs, folds, gap)
    except DataError as error:
        assert "leaves no training row" in str(error)  # noqa: PT017
        return
    place = [runs[:row].count(runs[row]) for row in range(len(runs))]
    assert sorted(row for _, test in parts for row in test) == list(range(len(runs)))
    for train, test in parts:
        held = set(test.tolist())
        near = {
            row
            for row in range(len(runs))
            for other in held
            if runs[row] == runs[other] and abs(place[row] - place[other]) <= gap
        }
        assert train.tolist() == [row for row in range(len(runs)) if row not in near | held]


def test_a_gap_stays_within_its_run():
    runs = ["a"] * 4 + ["b"] * 4
    assert beyond(np.arange(4, 8), np.array([3]), runs, 8, 2).tolist() == [4, 5, 6, 7]
    assert beyond(np.arange(4, 8), np.array([3]), None, 8, 2).tolist() == [6, 7]


def test_labels_of_blocks_restart_with_each_run():
    assert block_labels(["a"] * 5 + ["b"] * 3, 8, 2).tolist() == [0, 0, 1, 1, 2, 3, 3, 4]
    assert block_labels(None, 4, 10).tolist() == [0, 0, 0, 0]


Y = np.zeros((10, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zscore_runs(Y, ["a"]), r"runs: found labels of shape \(1,\), expected 10, one per row"),
        (lambda: detrend_runs(Y, tr=2.0, window_s=6), "found a window of 6 s, 3 samples of 2 s, expected more than order"),
        (lambda: detrend_runs(Y, tr=0.0), "found a window of 120 s, 0 samples of 0 s"),
        (lambda: detrend_runs(Y, ["a"] * 7 + ["b"] * 3, tr=2.0), "run b has 3 samples, expected more than order"),
        (lambda: trim_runs(Y, None, 5, 5), "found a run of 10 rows, expected more than start . end = 10"),
        (lambda: trim_runs(Y, None, -1), "found start -1 and end 0, expected numbers of rows from 0"),
        (
            lambda: leave_runs_out(["a", "a", "b"], 2),
            "found 2 runs of which 2 are to be left out, expected from 1 to all but one",
        ),
        (lambda: leave_runs_out(["a", "b"], 0), "found 2 runs of which 0 are to be left out"),
        (lambda: blocked_folds(3, 4), "found 4 folds of 3 rows, expected from 2"),
        (lambda: blocked_folds(6, 2, 3), "a gap of 3 rows leaves no training row of 6"),
        (lambda: block_labels(None, 3, 0), "found a length of 0 rows, expected at least 1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
