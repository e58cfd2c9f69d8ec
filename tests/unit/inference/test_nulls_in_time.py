"""Nulls that keep neighbours in time together: valid orders, kept autocorrelation, and false positives under slow drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from isocortex.encoding.blocks import block_labels
from isocortex.errors import DataError
from isocortex.inference.nulls import block_permutations, p_value, permutations


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=20), st.sampled_from(["shift", "permute_blocks"]))
def test_every_row_is_an_order_of_the_rows(labels, kind):
    try:
        orders = block_permutations(len(labels), 12, 3, labels, kind)
    except DataError as error:
        assert "nothing to permute" in str(error)  # noqa: PT017
        assert max(map(labels.count, labels)) == 1 if kind == "shift" else len(set(labels)) == 1
        return
    assert orders.shape == (12, len(labels))
    assert (np.sort(orders, axis=1) == np.arange(len(labels))).all()


def test_a_shift_turns_each_run_in_a_circle():
    runs = np.array(list("aaaaabbbbbbbaa"))
    orders = block_permutations(14, 300, 0, runs)
    steps = {"a": set(), "b": set()}
    for order in orders:
        assert (runs[order] == runs).all()
        for name in "ab":
            rows = np.flatnonzero(runs == name)
            step = int(np.flatnonzero(order[rows] == rows[0])[0])
            assert order[rows].tolist() == np.roll(rows, step).tolist()
            steps[name].add(step)
    assert steps == {"a": set(range(7)), "b": set(range(7))}
    assert len(np.unique(orders, axis=0)) > 40  # of 49: the runs turn independently


def test_blocks_come_whole():
    labels = np.repeat([0, 1, 2, 3], [3, 3, 3, 2])
    orders = block_permutations(11, 200, 0, labels, "permute_blocks")
    assert len(np.unique(orders, axis=0)) == 24
    for order in orders:
        blocks = labels[order]
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        assert len(starts) == 4
        for start in starts:
            rows = np.flatnonzero(labels == blocks[start])
            assert order[start : start + len(rows)].tolist() == rows.tolist()


@pytest.mark.parametrize("kind", ["shift", "permute_blocks"])
def test_orders_are_the_same_however_many_are_asked_and_differ_by_seed(kind):
    labels = np.repeat([0, 1, 2], 10)
    many = block_permutations(30, 50, 1, labels, kind)
    np.testing.assert_array_equal(block_permutations(30, 7, 1, labels, kind), many[:7])
    assert not np.array_equal(block_permutations(30, 50, 2, labels, kind), many)


def drifting(rng, n_series, n_runs, length, rho):
    """AR(1) within runs, stationary, centred per run: (n_series, n_runs · length)."""
    noise = rng.normal(size=(n_series, n_runs, length + 200))
    series = lfilter([1], [1, -rho], noise, axis=-1)[..., 200:]
    return (series - series.mean(-1, keepdims=True)).reshape(n_series, -1)


def autocorrelation(series, n_runs):
    parts = series.reshape(*series.shape[:-1], n_runs, -1)
    return (parts[..., 1:] * parts[..., :-1]).sum((-1, -2)) / (parts**2).sum((-1, -2))


def test_autocorrelation_is_kept_by_blocks_and_lost_by_free_orders():
    series = drifting(np.random.default_rng(0), 1, 4, 100, 0.9)[0]
    runs = np.repeat(np.arange(4), 100)
    real = autocorrelation(series, 4)
    # A circle's seam, or the seams between blocks, are a few of 400 neighbours.
    assert np.abs(autocorrelation(series[block_permutations(400, 200, 0, runs)], 4) - real).max() < 0.05
    blocks = block_labels(runs, 400, 50)
    assert np.abs(autocorrelation(series[block_permutations(400, 200, 0, blocks, "permute_blocks")], 4) - real).max() < 0.1
    assert np.abs(autocorrelation(series[permutations(400, 200, 0, runs)], 4)).max() < 0.25


def test_false_positives_under_slow_drift():
    """Two unrelated AR(1) series (.9, four runs of 100): r in time is far wider than freely permuted r, not than shifted r."""
    rng, runs, n_simulations = np.random.default_rng(0), np.repeat(np.arange(4), 100), 2000
    shifts, free = block_permutations(400, 199, 0, runs), permutations(400, 199, 0, runs)
    shifted, permuted = [], []
    for _ in range(n_simulations):
        x, y = (series / np.linalg.norm(series) for series in drifting(rng, 2, 4, 100, 0.9))
        shifted.append(p_value(x @ y, x[shifts] @ y))
        permuted.append(p_value(x @ y, x[free] @ y))
    assert 0.03 <= np.mean(np.array(shifted) <= 0.05) <= 0.06
    assert np.mean(np.array(permuted) <= 0.05) > 0.2


def test_a_real_response_is_still_found():
    """A shared component in two drifting series is seen by the shift null in most data sets."""
    rng, runs = np.random.default_rng(1), np.repeat(np.arange(4), 100)
    shifts, found = block_permutations(400, 199, 0, runs), []
    for _ in range(100):
        shared, x, y = drifting(rng, 3, 4, 100, 0.5)
        found.append(p_value(float((x + 0.6 * shared) @ (y + 0.6 * shared)), (x + 0.6 * shared)[shifts] @ (y + 0.6 * shared)))
    assert np.mean(np.array(found) <= 0.05) > 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: block_permutations(4, 9, 0, None, "turn"), "found kind 'turn', expected one of shift, permute_blocks"),
        (lambda: block_permutations(3, 9, 0, list("abc")), "nothing to permute in 3 rows, expected a run of at least 2 rows"),
        (lambda: block_permutations(3, 9, 0, None, "permute_blocks"), "in 3 rows, expected at least 2 blocks"),
        (lambda: block_permutations(3, 9, 0, ["a"]), r"runs: found labels of shape \(1,\), expected 3"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(DataError, match=message):
        call()
