"""Trials from presentations, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.recordings import repeats


def test_trials_equal_loops():
    rng = np.random.default_rng(0)
    shown = [f"s{i}" for i in rng.integers(0, 6, 40)]
    response = rng.normal(size=(40, 3)).astype(np.float32)
    response[4, 1] = np.nan
    ids = ["s5", "s0", "s3"]
    found = repeats.trials(response, shown, ids)
    assert found.dtype == np.float32
    for row, name in enumerate(ids):
        expected = [response[i] for i, other in enumerate(shown) if other == name]
        np.testing.assert_array_equal(found[row, : len(expected)], expected)
        assert np.isnan(found[row, len(expected) :]).all()
    numbers = repeats.repeat_numbers(np.asarray(shown))
    assert numbers.tolist() == [shown[:i].count(name) for i, name in enumerate(shown)]


def test_average_counts_valid_repeats():
    trials = np.array([[[1, np.nan], [3, np.nan]], [[np.nan, 2], [5, 4]]], dtype=np.float32)
    mean, counts = repeats.average(trials)
    np.testing.assert_array_equal(mean, [[2, np.nan], [5, 3]])
    np.testing.assert_array_equal(counts, [[2, 0], [1, 2]])
    assert mean.dtype == np.float32


def test_presented_keeps_the_order_of_the_set():
    assert repeats.presented(["a", "b", "c"], ["c", "a", "c"]) == ["a", "c"]


@pytest.mark.parametrize("ids", [["a", "z"], []])
def test_a_stimulus_that_was_never_shown(ids):
    with pytest.raises(DataError, match="no presentation of stimulus"):
        repeats.trials(np.ones((2, 1)), ["a", "a"], ids)
