"""Recordings in HDF5 files, and time in arrays of any kind."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

from isocortex.errors import DataError
from isocortex.recordings.adapters.patterns import load
from isocortex.study.adapters import ADAPTERS
from isocortex.study.adapters.arrays import ArraySubject

IDS = ["s0", "s1"]
COUNTS = np.arange(2 * 2 * 3 * 4).reshape(2, 2, 3, 4)  # stimulus, repeat, neuroid, time


def recording(root: Path, **rest) -> xr.Dataset:
    given = {
        "adapter": "hdf5",
        "stimuli": "all",
        "path": "x.h5",
        "key": "session/counts",
        "dims": ["stimulus", "repeat", "neuroid"],
    }
    entry = ADAPTERS["hdf5"](**{**given, **rest}).model_dump()
    return load(entry, root, pd.DataFrame({"stimulus_id": IDS}))


def write(root: Path, **more) -> None:
    with h5py.File(root / "x.h5", "w") as file:
        file["session/counts"] = COUNTS
        file["session/area"] = ["VISp", "VISl", "CA1"]
        for name, values in more.items():
            file[f"session/{name}"] = values


TIMED = {"dims": ["stimulus", "repeat", "neuroid", "time"], "over_time": "sum"}


def test_groups_and_text(tmp_path):
    write(tmp_path, rates=COUNTS[..., 0].astype(np.int8))
    found = recording(tmp_path, key="session/rates", neuroid={"area": {"key": "session/area"}})
    np.testing.assert_array_equal(found["response"], COUNTS[..., 0].reshape(4, 3))
    assert found["response"].dtype == np.float32
    assert found["area"].values.tolist() == ["VISp", "VISl", "CA1"]
    assert "time" not in found.coords
    assert not found.attrs


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_time_in_any_place(order, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["session/counts"] = COUNTS.transpose(order)
    dims = [TIMED["dims"][axis] for axis in order]
    found = recording(tmp_path, dims=dims, over_time="sum", time={"start": -0.1, "step": 0.05})
    assert found["response"].dims == ("presentation", "neuroid", "time")
    np.testing.assert_array_equal(found["response"], COUNTS.reshape(4, 3, 4))
    np.testing.assert_allclose(found["time"], [-0.1, -0.05, 0, 0.05], atol=1e-15)
    np.testing.assert_allclose(found["time_end"], [-0.05, 0, 0.05, 0.1], atol=1e-15)
    assert found.attrs["over_time"] == "sum"


@pytest.mark.parametrize(
    ("values", "start", "end"),
    [
        ([0, 1, 3, 4], [0, 1, 3, 4], [1, 3, 4, 5]),
        ([0, 1, 3, 4, 9], [0, 1, 3, 4], [1, 3, 4, 9]),
        ([[0, 2], [1, 3], [2, 4], [3, 5]], [0, 1, 2, 3], [2, 3, 4, 5]),
    ],
)
def test_starts_edges_or_both(values, start, end, tmp_path):
    write(tmp_path, time=values)
    found = recording(tmp_path, **TIMED, time={"key": "session/time"})
    assert found["time"].values.tolist() == start
    assert found["time_end"].values.tolist() == end


def test_a_presentation_that_never_was_is_nan_at_all_times(tmp_path):
    values = COUNTS.astype(float)
    values[0, 1], values[1, 0, :, 1:] = np.nan, np.nan
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["session/counts"] = values
    found = recording(tmp_path, **TIMED, time={"start": 0, "step": 1.0})
    np.testing.assert_array_equal(found["response"], values.reshape(4, 3, 4)[[0, 2, 3]])
    assert found["stimulus_id"].values.tolist() == ["s0", "s1", "s1"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 1, 1, 2], "found bins that do not increase, expected start < end, one after the other"),
        ([0.0, 2, 1, 3], "found bins that do not increase"),
        ([0.0, 1, np.nan, 3], "found bins that do not increase"),
        ([0.0, 1, 2], r"time: found shape \(3,\), expected \(4,\) starts, \(5,\) edges or \(4, 2\)"),
        (["a", "b", "c", "d"], r"time: found <U1, expected numbers \(seconds after the stimulus\)"),
    ],
)
def test_times_that_are_refused(values, message, tmp_path):
    write(tmp_path, time=values)
    with pytest.raises(DataError, match=message):
        recording(tmp_path, **TIMED, time={"key": "session/time"})


def test_one_bin_needs_its_edges(tmp_path):
    write(tmp_path, one=COUNTS[..., :1], start=[0.0], edges=[0.0, 0.4])
    with pytest.raises(DataError, match="one bin needs its two edges"):
        recording(tmp_path, **TIMED, key="session/one", time={"key": "session/start"})
    found = recording(tmp_path, **TIMED, key="session/one", time={"key": "session/edges"})
    assert (found["time"].item(), found["time_end"].item()) == (0, 0.4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"dims": TIMED["dims"]},
            r"dims has time, expected time: \{key: …\} or \{start: 0, step: 0.01\} \(seconds\)",
        ),
        ({"dims": TIMED["dims"], "time": {"key": "t"}}, "over_time: sum"),
        ({"over_time": "sum"}, "found time or over_time and dims .*, expected time among dims"),
        ({"dims": ["presentation", "repeat", "neuroid"]}, "expected repeat beside stimulus only"),
        ({"dims": TIMED["dims"], "over_time": "sum", "time": {"start": 0.0}}, "expected {key: …}, the starts or edges"),
        ({"dims": TIMED["dims"], "over_time": "sum", "time": {"key": "t", "start": 0.0, "step": 1.0}}, "expected {key: …}"),
        ({"dims": TIMED["dims"], "over_time": "most", "time": {"key": "t"}}, "'sum' or 'mean'"),
    ],
)
def test_options_that_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        ArraySubject(**{"adapter": "hdf5", "stimuli": "all", "path": "x.h5", "dims": ["stimulus", "neuroid"], **change})
