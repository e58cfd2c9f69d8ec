"""Counts and means in bins after onsets, against loops over spikes and samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from isocortex.errors import DataError
from isocortex.recordings.neural.bins import bin_edges, check_width, in_runs, mean_in_bins, time_coords
from isocortex.recordings.neural.presentations import identify, in_order, run_numbers, select
from isocortex.recordings.neural.sorted_times import SortedTimes
from isocortex.recordings.neural.spikes import count_spikes, covered


def test_counts_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(0, 20, 400).round(2))  # many at one time, many at an edge
    onsets = rng.uniform(-1, 21, 30).round(2)
    edges = np.array([-0.25, 0.0, 0.125, 0.5])
    found = count_spikes(times, onsets, edges)
    assert found.shape == (30, 3)
    for row, onset in enumerate(onsets):
        for k in range(3):
            assert found[row, k] == sum(onset + edges[k] <= time < onset + edges[k + 1] for time in times)
    assert found.sum() > 100


def test_no_spikes_are_no_counts() -> None:
    assert count_spikes(np.array([]), np.array([0.5, 1.0]), np.array([0.0, 0.1, 0.2])).tolist() == [[0, 0], [0, 0]]
    assert count_spikes(np.array([1.0]), np.array([]), np.array([0.0, 0.1])).shape == (0, 1)


def test_a_spike_at_an_edge_is_of_the_later_bin() -> None:
    assert count_spikes(np.array([1.0, 1.5, 2.0]), np.array([1.0]), np.array([0.0, 0.5, 1.0])).tolist() == [[1, 1]]


def test_a_presentation_is_covered_by_one_interval_alone() -> None:
    intervals = np.array([[0.0, 1.0], [1.0, 2.0], [5.0, 6.0]])
    onsets = np.array([0.0, 0.5, 0.75, 1.5, 5.2, 5.6, 9.0])
    assert covered(intervals, onsets, np.array([0.0, 0.25, 0.5])).tolist() == [True, True, False, True, True, False, False]
    assert covered(np.empty((0, 2)), onsets, np.array([0.0, 0.5])).tolist() == [False] * 7


def test_edges_fill_the_window() -> None:
    assert bin_edges([0.0, 0.3], 0.1).tolist() == [0.0, 0.1, 0.2, 0.3]
    assert bin_edges([-0.1, 0.4], None).tolist() == [-0.1, 0.4]
    assert bin_edges([0.0, 0.4], 0.01).tolist() == [round(k / 100, 9) for k in range(41)]
    coords = time_coords(np.array([0.0, 0.5, 1.0]))
    assert coords["time"][1].tolist() == [0.0, 0.5]
    assert coords["time_end"][1].tolist() == [0.5, 1.0]


def test_means_are_those_of_a_loop_and_missing_where_there_is_no_sample() -> None:
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0, 2, 50))
    values = rng.normal(size=(50, 3))
    edges = np.array([-0.5, 0.0, 0.7, 0.9, 1.5, 2.5])
    found = mean_in_bins(values, times, edges)
    assert np.isnan(found[:, 0]).all()
    for k in range(1, 5):
        mine = [row for row, time in zip(values, times, strict=True) if edges[k] <= time < edges[k + 1]]
        for channel in range(3):
            np.testing.assert_allclose(found[channel, k], sum(row[channel] for row in mine) / len(mine))
    values[np.searchsorted(times, 0.71), 1] = np.nan
    assert np.isnan(mean_in_bins(values, times, edges)[:, 2]).tolist() == [False, True, False]


def test_bins_narrower_than_a_sample_are_refused() -> None:
    check_width(np.array([0.0, 0.1, 0.2]), 0.1, "here")
    with pytest.raises(
        DataError, match=r"^here: bins are 0\.1 s wide and samples 0\.11 s apart, .*; set bin to 0\.11 or more$"
    ):
        check_width(np.array([0.0, 0.1, 0.2]), 0.11, "here")


def test_rows_are_read_in_stretches_of_time() -> None:
    start = np.array([0.0, 50.0, 10.0, 52.0, 400.0, 9.0])
    found = in_runs(np.array([1, 2, 3, 4, 5]), start, start + 5, 20)
    assert [group.tolist() for group in found] == [[4, 1], [0, 2], [3]]
    assert sorted(np.concatenate(found).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("times", "strict", "place"),
    [([1.0, 1.0, 2.0], False, None), ([1.0, 1.0, 2.0], True, 1), ([1.0, 3.0, 2.0], False, 2), ([1.0, np.nan, 2.0], False, 1)],
)
def test_disorder_is_found_at_its_place(times: list[float], strict: bool, place: int | None) -> None:
    assert SortedTimes(np.array([9.0, *times, 0.0]), 1, 4, strict=strict).disorder == place


def test_disorder_between_pieces_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isocortex.recordings.neural.sorted_times.STEP", 2)
    times = np.array([1.0, 2.0, 1.5, 3.0])
    index = SortedTimes(times)
    assert index.disorder == 2
    assert index.within(times, 0.0, 9.0)[1].tolist() == [1.0, 1.5, 2.0, 3.0]
    assert SortedTimes(np.array([])).within(np.array([]), 0.0, 1.0)[1].tolist() == []


def test_only_the_spikes_around_what_is_asked_for_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isocortex.recordings.neural.sorted_times.STEP", 10)
    times = np.arange(1000) / 100
    index = SortedTimes(times)
    for begin, end in [(0.0, 0.05), (3.333, 3.5), (9.99, 20.0), (-5.0, -1.0), (50.0, 60.0)]:
        first, found = index.within(times, begin, end)
        np.testing.assert_array_equal(found, times[first : first + len(found)])
        assert set(times[(times >= begin) & (times <= end)]) <= set(found)
        assert len(found) <= (end - begin) * 100 + 30


def test_stimuli_are_known_by_ids_numbers_or_labels() -> None:
    table = pd.DataFrame({"stimulus_id": ["01", "02", "cat"], "contrast": [0.5, 1.0, 1.0], "side": ["left", "left", "right"]})
    assert identify({"f": np.array([2.0, 1.0])}, "f", table, "t").tolist() == ["02", "01"]
    assert identify({"f": np.array(["cat", "1"])}, "f", table, "t").tolist() == ["cat", "01"]
    told = {"contrast": np.array([1, 1, 0.5]), "side": np.array(["right", "left", "left"])}
    assert identify(told, ["contrast", "side"], table, "t").tolist() == ["cat", "02", "01"]
    with pytest.raises(DataError, match=r"^t: 1 presentations are of .* \(first: contrast 0\.5, side right\); add them to it"):
        identify({"contrast": np.array([0.5]), "side": np.array(["right"])}, ["contrast", "side"], table, "t")


def test_ids_that_differ_by_zeros_alone_stay_apart() -> None:
    table = pd.DataFrame({"stimulus_id": ["1", "01"]})
    with pytest.raises(DataError, match="2 presentations are of stimuli"):
        identify({"f": np.array(["001", "0001"])}, "f", table, "t")
    assert identify({"f": np.array(["1", "1"])}, "f", table, "t").tolist() == ["1", "1"]


def test_long_numbers_are_told_apart() -> None:
    table = pd.DataFrame({"stimulus_id": ["12345678901234567", "1_0", "0.50"]})
    assert identify({"f": np.array(["0.5", "012345678901234567"])}, "f", table, "t").tolist() == ["0.50", "12345678901234567"]
    for strange in ("12345678901234568", "10"):
        with pytest.raises(DataError, match=rf"\(first: f {strange}\)"):
            identify({"f": np.array([strange])}, "f", table, "t")


def test_rows_are_kept_by_value() -> None:
    columns = {"kind": np.array(["a", "b", "a"]), "frame": np.array([-1.0, 0.0, 3.0])}
    assert select(columns, {"kind": ["a"]}, {"frame": [-1]}).tolist() == [False, False, True]
    assert select(columns, {}, {}).tolist() == [True] * 3


def test_presentations_stand_in_order_of_time() -> None:
    found = in_order(np.array([3.0, 1.0, 2.0]), np.array(["c", "a", "a"]), np.array(["s"] * 3), np.array(["2", "1", "1"]), "t")
    assert found.onset.tolist() == [1.0, 2.0, 3.0]
    coords = found.coords()
    assert coords["stimulus_id"][1].tolist() == ["a", "a", "c"]
    assert coords["repeat"][1].tolist() == [0, 1, 0]
    assert coords["run"][1].tolist() == [1, 1, 2]
    assert run_numbers(np.array(["early", "late", "early"])).tolist() == [0, 1, 0]
