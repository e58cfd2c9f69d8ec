"""Generic Object Decoding in miniature: a bdpy file with voxels, regions, stimuli and kinds of trials as columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.recordings.stimuli import make_table
from isocortex.study import Study
from isocortex.study.adapters.god import GodSubject
from isocortex.study.parts import parts

# Columns: three voxels, DataType, Run, stimulus_id; rows: two training trials, three of test, one imagined.
DATA = np.array([
    [0.5, 1.5, 2.5, 1, 1, 1518878.010042],
    [10.5, 11.5, 12.5, 1, 2, 1518878.005958],
    [20.5, 21.5, 22.5, 2, 1, 1943899.024131],
    [30.5, 31.5, 32.5, 2, 1, 1976957.013223],
    [40.5, 41.5, 42.5, 2, 2, 1943899.024131],
    [50.5, 51.5, 52.5, 3, 1, 1943899.0],
])  # fmt: skip
NAN = np.nan
METADATA = {
    "VoxelData": [1, 1, 1, NAN, NAN, NAN],
    "ROI_V1": [1, 0, 0, NAN, NAN, NAN],
    "ROI_VC": [1, NAN, 1, NAN, NAN, NAN],
    "voxel_x": [-3.0, 0, 3, NAN, NAN, NAN],
    "voxel_y": [-90.0, -87, -84, NAN, NAN, NAN],
    "voxel_z": [6.0, 9, 12, NAN, NAN, NAN],
    "DataType": [0, NAN, 0, 1, NAN, NAN],
    "Run": [0, NAN, 0, NAN, 1, NAN],
    "stimulus_id": [0, NAN, 0, NAN, NAN, 1],
}
IDS = ["n01518878_10042", "n01518878_5958", "n01943899_24131", "n01976957_13223", "n01943899_24131"]


def make(root: Path, names: tuple[str, str] = ("dataset", "metadata"), drop: str = "", columns: int = 6) -> None:
    kept = {key: values for key, values in METADATA.items() if key != drop}
    with h5py.File(root / "Subject1.h5", "w") as opened:
        opened[names[0]] = DATA
        opened[f"{names[1]}/key"] = [key.encode() for key in kept]
        opened[f"{names[1]}/description"] = [b"" for _ in kept]
        opened[f"{names[1]}/value"] = np.array(list(kept.values()), dtype=np.float64)[:, :columns]


def load(root: Path, table: pd.DataFrame | None = None, **change: Any) -> xr.Dataset:
    given = {"adapter": "god", "stimuli": "all", "number": 1, "repeats": 2, **change}
    spec = {**GodSubject.model_validate(given).model_dump(), "subject": "S1"}
    known = make_table({"n": 4, "shown": {"path": "Subject1.h5"}}, root, "set") if table is None else table
    return bind(ADAPTERS, "god", "x")(spec, root, known)


@pytest.mark.parametrize("names", [("dataset", "metadata"), ("dataSet", "metaData")])
def test_seen_trials_with_their_values(tmp_path: Path, names: tuple[str, str]) -> None:
    make(tmp_path, names)
    found = load(tmp_path)
    np.testing.assert_array_equal(found["response"].values, DATA[:5, :3].astype(np.float32))
    np.testing.assert_array_equal(found["response"][[4, 1], [2]].values, [[42.5], [12.5]])
    assert found["stimulus_id"].values.tolist() == IDS
    assert found["repeat"].values.tolist() == [0, 0, 0, 0, 1]
    assert found["session"].values.tolist() == ["training"] * 2 + ["test"] * 3
    assert found["run"].values.tolist() == [1, 2, 1, 1, 2]


def test_voxels_have_regions_and_positions(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path)
    assert found["V1"].values.tolist() == ["1", "0", "0"]
    assert found["VC"].values.tolist() == ["1", "0", "1"]
    assert found["x"].values.tolist() == [-3, 0, 3]
    assert found["y"].values.tolist() == [-90, -87, -84]
    assert found["z"].values.tolist() == [6, 9, 12]


def test_kinds_of_trials_are_chosen(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path, trials=["test"])
    np.testing.assert_array_equal(found["response"].values, DATA[2:5, :3].astype(np.float32))
    imagined = load(tmp_path, pd.DataFrame({"stimulus_id": ["n01943899"]}), trials=["imagery"])
    assert imagined["stimulus_id"].values.tolist() == ["n01943899"]
    np.testing.assert_array_equal(imagined["response"].values, [[50.5, 51.5, 52.5]])


def test_the_set_holds_what_was_seen(tmp_path: Path) -> None:
    make(tmp_path)
    table = make_table({"n": 4, "shown": {"path": "Subject1.h5"}}, tmp_path, "set")
    assert table["stimulus_id"].tolist() == sorted(set(IDS))


@pytest.mark.parametrize("key", ["VoxelData", "DataType", "Run", "stimulus_id"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    make(tmp_path, drop=key)
    with pytest.raises(DataError, match=rf"GOD subject 1, Subject1\.h5: no key '{key}', found .*another data set"):
        load(tmp_path, pd.DataFrame({"stimulus_id": IDS}))


def test_files_of_another_form(tmp_path: Path) -> None:
    make(tmp_path, names=("data", "meta"))
    with pytest.raises(DataError, match=r"Subject1\.h5: found data, meta, expected dataset and metadata"):
        load(tmp_path)
    make(tmp_path, columns=5)
    with pytest.raises(DataError, match=r"metadata have shape \(9, 5\), expected \(9, 6\), keys × columns"):
        load(tmp_path)
    make(tmp_path)
    with pytest.raises(DataError, match=r"1 images are not in the stimulus set \(first 'n01976957_13223'\)"):
        load(tmp_path, pd.DataFrame({"stimulus_id": [name for name in IDS if name != "n01976957_13223"]}))
    (tmp_path / "Subject1.h5").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"Subject1\.h5: not readable as HDF5"):
        load(tmp_path, pd.DataFrame({"stimulus_id": IDS}))


def test_the_catalogue_names_what_is_fetched(repository: Path) -> None:
    mapping = {"study": "x", "dataset": "god", "models": {"gabor": {"source": "gabor"}}}
    study = Study.from_mapping(mapping, catalogue=repository / "config/catalogue")
    every = {path: file for files in parts(study.dataset_entry).values() for path, file in files.items()}
    assert every["Subject3.h5"]["url"] == "figshare://7387130/Subject3.h5"
    assert "forms.gle" in every["images"]["manual"]
