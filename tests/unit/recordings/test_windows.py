"""Responses in bins of time, and the window that a region is taken of."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings import windows
from isocortex.recordings.regions import Selection, build_patterns


def recording(values: np.ndarray, over_time: str = "sum", start: float = -0.1, width: float = 0.05) -> xr.Dataset:
    edges = start + width * np.arange(values.shape[2] + 1)
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), values.astype(np.float32))},
        coords={
            "stimulus_id": ("presentation", [f"s{i // 2}" for i in range(len(values))]),
            "session": ("presentation", ["a", "b"] * (len(values) // 2)),
            "neuroid_id": ("neuroid", [str(i) for i in range(values.shape[1])]),
            "time": ("time", edges[:-1]),
            "time_end": ("time", edges[1:]),
        },
        attrs={"over_time": over_time},
    )


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(1).poisson(3, size=(8, 3, 6)).astype(float)


@pytest.mark.parametrize("over_time", ["sum", "mean"])
@pytest.mark.parametrize(("window", "bins"), [(None, slice(0, 6)), ((-0.1, 0.0), slice(0, 2)), ((0.05, 0.2), slice(3, 6))])
def test_bins_of_the_window_are_taken_together(values, over_time, window, bins, monkeypatch):
    monkeypatch.setattr(windows, "row_blocks", lambda shape: [slice(0, 3), slice(3, 8)])
    found = windows.in_window(recording(values, over_time), window, "here")
    expected = getattr(values[:, :, bins], over_time)(axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


def test_a_missing_bin_is_a_missing_window(values):
    values[2, 1, 4] = np.nan
    found = windows.in_window(recording(values), (0.05, 0.2), "here")
    assert np.isnan(found[2, 1])
    assert np.isfinite(windows.in_window(recording(values), (-0.1, 0.05), "here")).all()


@pytest.mark.parametrize("window", [(-0.2, 0.0), (0.0, 0.25), (0.01, 0.05), (0.0, 0.01), (0.3, 0.4)])
def test_counts_are_of_whole_bins_that_were_recorded(values, window):
    text = rf"region V1: window is \[{window[0]:g}, {window[1]:g}\] s, expected edges of bins, recorded from -0\.1 to 0\.2 s in"
    with pytest.raises(DataError, match=text):
        windows.in_window(recording(values), window, "region V1")


def test_a_mean_needs_no_edges(values):
    found = windows.in_window(recording(values, "mean"), (-0.03, 0.12), "here")
    np.testing.assert_allclose(found, values[:, :, 2:4].mean(axis=2), rtol=1e-6)
    with pytest.raises(DataError, match="expected edges of bins"):
        windows.in_window(recording(values, "mean"), (-0.3, 0.12), "here")


def test_a_window_of_what_has_no_time(values):
    flat = recording(values).isel(time=0, drop=True)
    with pytest.raises(DataError, match=r"here: window is \[0\.0, 0\.1\] s, but the recording has no bins of time"):
        windows.in_window(flat, (0.0, 0.1), "here")


def test_a_region_is_of_one_window_and_says_so(values):
    ids = [f"s{i}" for i in range(4)]
    part = build_patterns(recording(values), Selection("V1", "S1", "all", ids, [], window=(0.0, 0.1)))
    np.testing.assert_allclose(part["trials"], values[:, :, 2:4].sum(axis=2).reshape(4, 2, 3), rtol=1e-6)
    assert {name: part.attrs[name] for name in ("time_start", "time_end", "n_bins", "over_time")} == {
        "time_start": pytest.approx(0.0),
        "time_end": pytest.approx(0.1),
        "n_bins": 2,
        "over_time": "sum",
    }
    assert part["trial_session"].to_numpy().tolist() == [["a", "b"]] * 4
    assert "trial_run" not in part


def test_bins_that_do_not_meet_are_no_window(values):
    apart = recording(values).isel(time=[0, 2, 3])
    text = r"here: bins of the window do not meet: one ends at -0\.05 s, the next starts at (-?0|-?\d\.\d+e-1\d) s"
    with pytest.raises(DataError, match=text):
        windows.in_window(apart, None, "here")
    np.testing.assert_allclose(windows.in_window(apart, (0.0, 0.1), "here"), values[:, :, 2:4].sum(axis=2), rtol=1e-6)
    ends = recording(values)["time_end"].to_numpy() + 0.05
    overlapping = recording(values).assign_coords(time_end=("time", ends))
    with pytest.raises(DataError, match="bins of the window do not meet"):
        windows.in_window(overlapping, None, "here")


def test_a_mean_counts_bins_by_their_width(values):
    uneven = recording(values, "mean").isel(time=[0, 1])
    uneven = uneven.assign_coords(time=("time", [0.0, 0.1]), time_end=("time", [0.1, 0.4]))
    np.testing.assert_allclose(
        windows.in_window(uneven, None, "here"), 0.25 * values[:, :, 0] + 0.75 * values[:, :, 1], rtol=1e-6
    )
