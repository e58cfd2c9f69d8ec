"""Recordings in MAT files: MATLAB's shapes, columns of text, numbers that are all floating, axes left out at the end."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters.patterns import load
from isocortex.recordings.stimuli import make_table

IDS = ["s0", "s1", "s2"]
TRIALS = np.arange(24.0).reshape(3, 2, 4)
TRIALS[1, 0] = np.nan
DIMS = ["stimulus", "repeat", "neuroid"]


def spec(**rest) -> dict:
    return {"adapter": "mat", "path": "x.mat", "key": "betas", "dims": DIMS, **rest}


def recording(root: Path, **rest) -> xr.Dataset:
    return load(spec(**rest), root, pd.DataFrame({"stimulus_id": IDS}))


def column(words: list[str]) -> np.ndarray:
    """A MATLAB column of text: a cell array (n, 1)."""
    cells = np.empty((len(words), 1), dtype=object)
    cells[:, 0] = words
    return cells


def newer(path: Path, **arrays: np.ndarray) -> None:
    """Numbers in a MAT file of version 7.3, which is HDF5 with the axes in reverse."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=np.atleast_2d(values).T).attrs["MATLAB_class"] = np.bytes_("double")


def test_version_5(tmp_path):
    volume = {"affine": np.diag([2.0, 2, 2, 1]), "shape": np.array([[5.0, 6, 7]])}
    labels = {"roi": column(["V1", "V1", "V2", "V4"]), "x": [[1.5], [2], [2.5], [3]], "run": [[1, 2]] * 3}
    scipy.io.savemat(tmp_path / "x.mat", {"data": {"betas": TRIALS, **labels}, **volume})
    found = recording(
        tmp_path, key="data.betas", neuroid={"roi": {"key": "data.roi"}, "x": {"key": "data.x"}}, run={"key": "data.run"},
        affine={"key": "affine"}, shape={"key": "shape"},
    )  # fmt: skip
    np.testing.assert_array_equal(found["response"], TRIALS.reshape(6, 4)[[0, 1, 3, 4, 5]])
    assert found["roi"].values.tolist() == ["V1", "V1", "V2", "V4"]
    assert found["x"].values.tolist() == [1.5, 2, 2.5, 3]
    assert found["run"].values.tolist() == [1, 2, 2, 1, 2]
    assert json.loads(found.attrs["shape"]) == [5, 6, 7]
    assert json.loads(found.attrs["affine"])[:6] == [2, 0, 0, 0, 0, 2]


def test_version_73_has_the_same_axes(tmp_path):
    newer(tmp_path / "x.mat", betas=TRIALS, run=np.array([[1, 2]] * 3))
    found = recording(tmp_path, run={"key": "run"})
    np.testing.assert_array_equal(found["response"], TRIALS.reshape(6, 4)[[0, 1, 3, 4, 5]])
    assert found["run"].values.tolist() == [1, 2, 2, 1, 2]
    newer(tmp_path / "x.mat", betas=TRIALS.transpose(2, 0, 1))
    found = recording(tmp_path, dims=["neuroid", "stimulus", "repeat"])
    np.testing.assert_array_equal(found["response"], TRIALS.reshape(6, 4)[[0, 1, 3, 4, 5]])


def older(path: Path, **arrays: np.ndarray) -> None:
    scipy.io.savemat(path, arrays)


@pytest.mark.parametrize("write", [older, newer])
def test_axes_of_length_one_that_matlab_leaves_out_at_the_end(write, tmp_path):
    write(tmp_path / "x.mat", betas=TRIALS[:, 1].T)  # of (neuroid, stimulus, repeat), the third
    found = recording(tmp_path, dims=["neuroid", "stimulus", "repeat"])
    np.testing.assert_array_equal(found["response"], TRIALS[:, 1])
    write(tmp_path / "x.mat", betas=TRIALS[:, 1, :1])
    np.testing.assert_array_equal(recording(tmp_path, dims=["stimulus", "neuroid"])["response"], TRIALS[:, 1, :1])


def test_presentations_with_ids_in_a_column(tmp_path):
    ids = column(["s2", "s0", "s2"])
    scipy.io.savemat(tmp_path / "x.mat", {"betas": np.eye(3)[:, :2] + 1, "ids": ids, "number": [[3.0, 1.0, 3.0]]})
    found = recording(tmp_path, dims=["presentation", "neuroid"], stimulus_id={"key": "ids"})
    assert found["stimulus_id"].values.tolist() == ["s2", "s0", "s2"]
    assert found["repeat"].values.tolist() == [0, 0, 1]
    table = pd.DataFrame({"stimulus_id": ["1", "2", "3"]})
    found = load(spec(dims=["presentation", "neuroid"], stimulus_id={"key": "number"}), tmp_path, table)
    assert found["stimulus_id"].values.tolist() == ["3", "1", "3"]


def test_stimuli_are_named_by_a_mat_file(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"names": column(["a", "b"])})
    table = make_table({"n": 2, "ids": {"path": "x.mat", "key": "names"}}, tmp_path, "stimulus set all")
    assert table["stimulus_id"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"key": "names"}, r"found values of type <U1, expected real numbers; check 'key'"),
        ({"key": "gone"}, "found keys betas, names, expected 'gone'"),
        ({"adapter": "hdf5"}, "adapter 'hdf5' reads .h5 and .hdf5 and .hdf; choose the adapter that fits the file"),
        ({"dims": ["stimulus", "neuroid"]}, r"found an array of shape \(3, 2, 4\), expected 2 dimensions"),
    ],
)
def test_refusals(change, text, tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"betas": TRIALS, "names": column(["a", "b"])})
    with pytest.raises(DataError, match=text) as caught:
        recording(tmp_path, **change)
    assert str(caught.value).startswith("subject array x.mat")
