"""An array that can be sliced is never read whole."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from isocortex.errors import DataError
from isocortex.recordings import axes
from isocortex.recordings.adapters import patterns
from isocortex.recordings.adapters.patterns import load
from isocortex.recordings.axes import Axes


class Source:
    """An array that counts the bytes that are taken from it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype, self.taken, self.most = values, values.shape, values.dtype, 0, 0

    def __getitem__(self, index: tuple) -> np.ndarray:
        assert all(isinstance(one, slice) for one in index)
        found = self.values[index]
        self.taken += found.nbytes
        self.most = max(self.most, found.nbytes)
        return found


VALUES = np.random.default_rng(0).normal(size=(20, 3, 8, 5)).astype(np.float32)
DIMS = ("stimulus", "repeat", "neuroid", "time")


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_a_block_reads_its_own_stimuli_and_neuroids(order):
    source = Source(VALUES.transpose(order))
    found = Axes(source, [DIMS[axis] for axis in order], "here")
    flat = VALUES.reshape(60, 8, 5)
    assert found.shape == (60, 8, 5)
    np.testing.assert_array_equal(found.read(np.arange(6, 12), np.arange(8)), flat[6:12])
    assert source.taken == VALUES[2:4].nbytes
    np.testing.assert_array_equal(found.read(np.array([5, 4, 10]), np.array([6, 2])), flat[[5, 4, 10]][:, [6, 2]])
    assert source.taken == VALUES[2:4].nbytes + VALUES[1:4, :, 2:7].nbytes


def test_presentations_are_read_as_they_stand():
    source = Source(VALUES.reshape(60, 40))
    found = Axes(source, ["presentation", "neuroid"], "here")
    np.testing.assert_array_equal(found.read(np.array([7]), np.array([3])), VALUES.reshape(60, 40)[7:8, 3:4])
    assert source.taken == 4
    assert found.read(np.array([], dtype=np.int64), np.arange(40)).shape == (0, 40)


def test_what_took_place_is_found_block_by_block(monkeypatch):
    values = VALUES.copy()
    values[3, 1], values[4, 0, 1:] = np.nan, np.nan
    source = Source(values)
    monkeypatch.setattr(axes, "SCAN_BYTES", 2000)
    occurred = Axes(source, DIMS, "here").occurred()
    assert np.flatnonzero(~occurred).tolist() == [10]
    assert source.most == 4 * values[0].nbytes  # 12 rows of 160 bytes, which are four stimuli
    values[0, 0, 0, 0] = values[19, 2, 7, 4] = np.inf
    with pytest.raises(DataError, match="here: found 2 infinite values, expected numbers or NaN; mark them as NaN"):
        Axes(source, DIMS, "here").occurred()


def _write(kind: str, path: Path, values: np.ndarray) -> None:
    if kind == "npy":
        np.save(path, values)
    elif kind == "npz":
        np.savez(path, y=values)
    elif kind == "zarr":
        zarr.open_group(path, mode="w").create_array("y", data=values)
    else:
        with h5py.File(path, "w", userblock_size=512 if kind == "mat" else 0) as file:
            node = file.create_dataset("y", data=values.T if kind == "mat" else values)
            node.attrs["MATLAB_class"] = np.bytes_("single")


@pytest.mark.parametrize(
    ("kind", "adapter"), [("npy", "npz"), ("npz", "npz"), ("zarr", "zarr"), ("hdf5", "hdf5"), ("mat", "mat")]
)
def test_files_that_can_be_sliced_are(kind, adapter, tmp_path, monkeypatch):
    values = VALUES[..., 0].copy()
    values[0, 2] = np.nan
    _write(kind, tmp_path / f"x.{kind}", values)
    sources: list = []
    opened = patterns.open_response
    monkeypatch.setattr(patterns, "open_response", lambda *args: Counted(opened(*args), sources))
    table = pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(20)]})
    found = load({"adapter": adapter, "path": f"x.{kind}", "key": "y", "dims": list(DIMS[:3])}, tmp_path, table)
    (source,) = sources
    source.taken = 0
    np.testing.assert_array_equal(found["response"][3:5, 2:4], values.reshape(60, 8)[[4, 5]][:, 2:4])
    assert source.taken == values[1:2, :, 2:4].nbytes


class Counted:
    """An opened file's array, whose parts are counted; `sources` gets it."""

    def __init__(self, array: Any, sources: list) -> None:
        assert not isinstance(array, np.ndarray)
        self.array, self.shape, self.dtype, self.taken = array, array.shape, array.dtype, 0
        sources.append(self)

    def __getitem__(self, index: tuple) -> np.ndarray:
        found = np.asarray(self.array[index])
        self.taken += found.nbytes
        return found


def test_whole_numbers_are_not_looked_through_for_missing_ones() -> None:
    from isocortex.recordings.axes import Axes

    class Unread:
        shape, dtype = (5, 2, 3), np.dtype(np.uint8)

        def __getitem__(self, index: Any) -> Any:
            raise AssertionError("read")

    assert Axes(Unread(), ["stimulus", "repeat", "neuroid"], "here").occurred().tolist() == [True] * 10
