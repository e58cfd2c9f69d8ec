"""Recordings from arrays in every order, and matrices."""

from __future__ import annotations

import itertools
from pathlib import Path

import numcodecs
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind

IDS = ["s0", "s1", "s2"]
TRIALS = np.arange(3 * 2 * 4, dtype=np.float64).reshape(3, 2, 4)
TRIALS[1, 0] = np.nan  # stimulus s1 was shown once


def load(spec: dict, root: Path, ids=IDS) -> xr.Dataset:
    return bind(ADAPTERS, spec["adapter"], "subject")(spec, root, pd.DataFrame({"stimulus_id": ids}))


def spec(**rest) -> dict:
    return {"adapter": "npz", "path": "x.npz", "key": "y", "dims": ["stimulus", "repeat", "neuroid"], **rest}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_dims_in_any_order(tmp_path, order):
    dims = [("stimulus", "repeat", "neuroid")[axis] for axis in order]
    np.savez(tmp_path / "x.npz", y=TRIALS.transpose(order))
    found = load(spec(dims=dims), tmp_path)
    assert found["response"].dims == ("presentation", "neuroid")
    assert found["response"].dtype == np.float32
    assert found["stimulus_id"].values.tolist() == ["s0", "s0", "s1", "s2", "s2"]
    assert found["repeat"].values.tolist() == [0, 1, 0, 0, 1]
    np.testing.assert_array_equal(found["response"], TRIALS.reshape(6, 4)[[0, 1, 3, 4, 5]])
    assert np.isnan(found["x"]).all()
    assert found["neuroid_id"].values.tolist() == ["0", "1", "2", "3"]


def test_npy_without_repeats(tmp_path):
    np.save(tmp_path / "x.npy", TRIALS[:, 1].T)
    found = load(spec(path="x.npy", key=None, dims=["neuroid", "stimulus"]), tmp_path)
    np.testing.assert_array_equal(found["response"], TRIALS[:, 1])
    assert found["stimulus_id"].values.tolist() == IDS


def test_labels_positions_sessions_and_runs(tmp_path):
    np.savez(tmp_path / "x.npz", y=TRIALS, area=np.array([b"V1", b"V1", b"V2", b"V2"]), depth=[1, 2, 3, 4], run=[[1, 2]] * 3)
    pd.DataFrame({"name": list("abcd"), "mm": [0.5, 1, 1.5, 2]}).to_csv(tmp_path / "n.csv", index=False)
    np.save(tmp_path / "z.npy", np.arange(4.0))
    neuroid = {
        "area": {"key": "area"},
        "animal": {"value": "M1"},
        "neuroid_id": {"path": "n.csv", "key": "name"},
        "depth": {"key": "depth"},
        "z": {"path": "z.npy"},
    }
    found = load(spec(neuroid=neuroid, session={"value": "day1"}, run={"key": "run"}), tmp_path)
    assert found["area"].values.tolist() == ["V1", "V1", "V2", "V2"]
    assert found["depth"].values.tolist() == ["1", "2", "3", "4"]
    assert found["animal"].values.tolist() == ["M1"] * 4
    assert found["neuroid_id"].values.tolist() == list("abcd")
    assert found["z"].values.tolist() == [0, 1, 2, 3]
    assert found["session"].values.tolist() == ["day1"] * 5
    assert found["run"].values.tolist() == [1, 2, 2, 1, 2]


def test_presentations_in_the_order_shown(tmp_path):
    np.savez(tmp_path / "x.npz", y=np.eye(4)[:, :2] + 1, ids=["s2", "s0", "s2", "s0"], run=["b", "b", "a", "a"])
    found = load(spec(dims=["presentation", "neuroid"], stimulus_id={"key": "ids"}, run={"key": "run"}), tmp_path)
    assert found["stimulus_id"].values.tolist() == ["s2", "s0", "s2", "s0"]
    assert found["repeat"].values.tolist() == [0, 0, 1, 1]
    assert found["run"].values.tolist() == [1, 1, 0, 0]


def test_every_container_gives_the_same(tmp_path):
    np.savez(tmp_path / "x.npz", y=TRIALS, area=np.array(["a", "b", "c", "d"]))
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    group.create_array("y", shape=TRIALS.shape, dtype="f8")[...] = TRIALS
    group.create_array("area", shape=(4,), dtype="U1")[...] = np.array(["a", "b", "c", "d"])
    dataset = xr.Dataset({"y": (("s", "r", "n"), TRIALS), "area": ("n", np.array(["a", "b", "c", "d"]))})
    dataset.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    files = {"npz": "x.npz", "zarr": "x.zarr", "netcdf": "x.nc"}
    found = [load(spec(adapter=name, path=path, neuroid={"area": {"key": "area"}}), tmp_path) for name, path in files.items()]
    for other in found[1:]:
        xr.testing.assert_identical(found[0], other)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"path": "gone.npz"}, "'gone.npz' is not in"),
        ({"key": "nope"}, "nope"),
        ({"path": "../x.npz"}, "expected one inside the folder"),
        ({"dims": ["stimulus", "neuroid"]}, "found an array of shape (3, 2, 4), expected 2 dimensions (stimulus, neuroid)"),
        ({"dims": ["stimulus", "time", "time"]}, "found dims stimulus, time, time, expected stimulus, neuroid"),
        ({"dims": ["neuroid", "repeat", "stimulus"]}, "found 4 stimuli, expected 3 as in the stimulus set"),
        ({"key": "inf"}, "found 1 infinite values"),
        ({"key": "nan"}, "found no finite response"),
        ({"key": "text"}, "expected real numbers"),
        ({"key": "complex"}, "expected real numbers"),
        ({"key": "empty"}, "found an empty array of shape (3, 2, 0)"),
        ({"adapter": "zarr"}, "adapter 'zarr' reads .zarr"),
        ({"neuroid": {"a": {"key": "three"}}}, "neuroid a: found shape (3,), expected (4,), one value per neuroid"),
        ({"neuroid": {"x": {"key": "names"}}}, "expected numbers (a position)"),
        ({"neuroid": {"neuroid_id": {"key": "names"}}}, "some ids occur twice"),
        ({"run": {"key": "three"}}, "run: found shape (3,), expected one value per stimulus × repeat"),
        ({"key": "flat", "dims": ["presentation", "neuroid"]}, "stimulus_id is not given"),
        ({"key": "flat", "dims": ["presentation", "neuroid"], "stimulus_id": {"key": "three"}}, "expected (6,), one id per"),
        ({"key": "flat", "dims": ["presentation", "neuroid"], "stimulus_id": {"key": "six"}}, "(first 'q')"),
    ],
)
def test_refusals(tmp_path, change, text):
    infinite = TRIALS.copy()
    infinite[0, 0, 0] = np.inf
    np.savez(
        tmp_path / "x.npz",
        y=TRIALS,
        inf=infinite,
        nan=np.full((3, 2, 4), np.nan),
        text=np.full((3, 2, 4), "a"),
        complex=TRIALS + 1j,
        empty=np.empty((3, 2, 0)),
        three=np.arange(3),
        names=np.array(["a", "a", "b", "c"]),
        flat=np.ones((6, 4)),
        six=np.array(["s0", "s1", "s2", "s0", "s1", "q"]),
    )
    with pytest.raises(DataError) as error:
        load(spec(**change), tmp_path)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_pickles_are_never_loaded(tmp_path):
    np.savez(tmp_path / "x.npz", y=np.array([[1, None]], dtype=object))
    with pytest.raises(DataError, match=r"subject array x\.npz"):
        load(spec(), tmp_path)
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    group.create_array("y", shape=(3, 4), dtype="f8", compressors=numcodecs.Pickle())
    with pytest.raises(DataError, match=r"subject array x\.zarr: .*pickle"):
        load(spec(adapter="zarr", path="x.zarr", dims=["stimulus", "neuroid"]), tmp_path)


def test_unknown_adapter():
    with pytest.raises(DataError, match=r"subject: found 'edf', expected one of .*hdf5, .*, mat, .*npz, .*, steinmetz, .*zarr"):
        bind(ADAPTERS, "edf", "subject")


def matrices(n: int = 3) -> np.ndarray:
    values = np.random.default_rng(0).random((2, n, n))
    values = values + values.transpose(0, 2, 1)
    values[:, np.arange(n), np.arange(n)] = 0
    return values


def rdm_spec(**place) -> dict:
    return {"adapter": "rdm", "rdms": {"EVC": {"path": "r.npz", "key": "rdm", "index": 1, **place}}}


def test_rdms(tmp_path):
    np.savez(tmp_path / "r.npz", rdm=matrices(), one=matrices()[0])
    found = load(
        {"adapter": "rdm", "rdms": {"EVC": {"path": "r.npz", "key": "rdm", "index": 1}, "IT": {"path": "r.npz", "key": "one"}}},
        tmp_path,
    )
    assert found["rdm"].dims == ("region", "stimulus", "stimulus_")
    assert found["region"].values.tolist() == ["EVC", "IT"]
    assert found["stimulus_id"].values.tolist() == IDS
    np.testing.assert_array_equal(found["rdm"], matrices()[[1, 0]])


def _broken(kind: str) -> np.ndarray:
    values = matrices()
    if kind == "asymmetric":
        values[1, 0, 1] += 0.5
    if kind == "diagonal":
        values[1, 0, 0] = 0.5
    if kind == "similarity":
        values[1, [0, 1, 2], [0, 1, 2]] = 1
    if kind == "nan":
        values[1, 0, 1] = values[1, 1, 0] = np.nan
    return {"oblong": values[:, :2], "large": matrices(4), "text": values.astype(str)}.get(kind, values)


@pytest.mark.parametrize(
    ("kind", "place", "text"),
    [
        ("fine", {"index": None}, "found shape (2, 3, 3), expected a square matrix (3, 3); say which one with 'index'"),
        ("fine", {"index": 2}, "index is 2 and the array has shape (2, 3, 3)"),
        ("asymmetric", {}, "not symmetric (largest difference 0.5)"),
        ("diagonal", {}, "the diagonal is up to 0.5, expected 0; correct the matrix"),
        ("similarity", {}, "it looks like similarities: say similarity: correlation"),
        ("nan", {}, "2 values that are not finite"),
        ("oblong", {}, "found shape (2, 3), expected a square matrix"),
        ("large", {}, "found 4 stimuli, expected 3"),
        ("text", {}, "expected real numbers"),
    ],
)
def test_rdm_refusals(tmp_path, kind, place, text):
    np.savez(tmp_path / "r.npz", rdm=_broken(kind))
    with pytest.raises(DataError) as error:
        load(rdm_spec(**place), tmp_path)
    assert text in str(error.value)
    assert str(error.value).startswith("RDM of EVC in r.npz")


def test_sessions_of_another_shape_are_not_shuffled(tmp_path):
    """One value per repeat and stimulus, in an array whose dims are stimulus and repeat."""
    np.savez(tmp_path / "x.npz", y=TRIALS, session=[[1, 1, 1], [2, 2, 2]])
    with pytest.raises(DataError, match=r"session: found shape \(2, 3\), expected one value per stimulus × repeat"):
        load(spec(session={"key": "session"}), tmp_path)
    dims = ["repeat", "stimulus", "neuroid"]
    np.savez(tmp_path / "x.npz", y=TRIALS.transpose(1, 0, 2), session=[[1, 1, 1], [2, 2, 2]])
    assert load(spec(dims=dims, session={"key": "session"}), tmp_path)["session"].values.tolist() == ["1", "2", "2", "1", "2"]
