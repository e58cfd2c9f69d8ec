"""THINGS-fMRI in miniature: the frame of responses in pandas' fixed format, and its tables of trials and voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.recordings.stimuli import make_table
from isocortex.storage.lazy import open_recording, write_recording
from isocortex.study import Study
from isocortex.study.adapters.things import ThingsSubject
from isocortex.study.datasets import StimulusSet
from isocortex.study.parts import parts

FOLDER = "derivatives/ICA-betas/sub-01/voxel-metadata/sub-01_task-things_"
RESPONSES, TRIALS, VOXELS = (
    f"{FOLDER}{name}" for name in ("voxel-wise-responses.h5", "stimulus-metadata.tsv", "voxel-metadata.tsv")
)
# As in the files: not sorted by time here, so that the order is seen to be made.
NAMES = ["dog_12s", "candelabra_14s", "mango_12s", "candelabra_14s", "panda_12s"]


def values() -> np.ndarray:
    """Voxel 100 + v and trial t (column of the file) have 10 v + t + 0.5."""
    return 10.0 * np.arange(4)[:, None] + np.arange(5)[None] + 0.5


def make(root: Path, ids: list[int] | None = None, responses: np.ndarray | None = None, **columns: Any) -> None:
    (root / RESPONSES).parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(root / RESPONSES, "w") as opened:
        opened["ResponseData/block0_values"] = values() if responses is None else responses
        opened["ResponseData/block1_values"] = np.asarray(ids or [100, 101, 102, 103])[:, None]
        # A pickled name of columns, which must not be run.
        opened["ResponseData/block0_items"] = np.frombuffer(b"\x80\x04cbuiltins\nexit\n(tR.", dtype=np.uint8)
    trials = {
        "trial_type": ["train", "test", "train", "test", "train"],
        "session": [1, 1, 2, 2, 1],
        "run": [1, 2, 1, 1, 1],
        "subject_id": 1,
        "trial_id": [0, 0, 1, 0, 1],
        "stimulus": [f"{name}.jpg" for name in NAMES],
        "concept": [name.split("_")[0] for name in NAMES],
        **columns,
    }
    pd.DataFrame(trials).to_csv(root / TRIALS, index=False)  # commas, whatever the name says
    pd.DataFrame({
        "voxel_id": [100, 101, 102, 103],
        "subject_id": 1,
        "voxel_x": [1, 2, 3, 4],
        "voxel_y": 39,
        "voxel_z": 33,
        "nc_testset": [0.0, 11.5, 20.25, 3.0],
        "prf-size": [0.0, 1.5, 2.0, 0.0],
        "V1": [0, 1, 1, 0],
        "LO1 (prf)": [1, 1, 0, 0],
        "glasser-p9-\\n46v": [0, 0, 0, 1],
    }).to_csv(root / VOXELS, index=False)  # fmt: skip


def spec(**change: Any) -> dict[str, Any]:
    given = {"adapter": "things", "stimuli": "s1", "number": 1, "rois": ["V1", "LO1"], **change}
    return {**ThingsSubject.model_validate(given).model_dump(), "subject": "S1"}


def table(root: Path) -> pd.DataFrame:
    entry = StimulusSet.model_validate({"n": 4, "shown": {"path": TRIALS, "labels": ["concept", "trial_type"]}}).model_dump()
    return make_table(entry, root, "set")


def load(root: Path, **change: Any) -> xr.Dataset:
    return bind(ADAPTERS, "things", "x")(spec(**change), root, table(root))


def test_values_are_those_of_voxel_and_trial_in_time(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path)
    assert found["neuroid_id"].values.tolist() == ["100", "101", "102"]
    columns = [0, 4, 1, 3, 2]  # by session, run, trial_id
    assert found["stimulus_id"].values.tolist() == [NAMES[k] for k in columns]
    expected = [[10 * v + t + 0.5 for v in (0, 1, 2)] for t in columns]
    np.testing.assert_array_equal(found["response"].values, np.asarray(expected, dtype=np.float32))
    np.testing.assert_array_equal(found["response"][[3, 1], [2]].values, [[23.5], [24.5]])
    assert found["repeat"].values.tolist() == [0, 0, 0, 1, 0]
    assert found["session"].values.tolist() == ["1", "1", "1", "2", "2"]
    assert found["run"].values.tolist() == [1, 1, 2, 1, 1]


def test_voxels_have_regions_and_numbers(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path)
    assert found["V1"].values.tolist() == ["0", "1", "1"]
    assert found["LO1"].values.tolist() == ["1", "1", "0"]
    assert found["nc_testset"].values.tolist() == [0.0, 11.5, 20.25]
    assert found["prf-size"].values.tolist() == [0.0, 1.5, 2.0]
    assert found["voxel_x"].values.tolist() == [1, 2, 3]
    assert np.isnan(found["x"]).all()
    assert load(tmp_path, rois=["glasser-p9-46v"])["neuroid_id"].values.tolist() == ["103"]


def test_a_store_takes_the_names_of_regions(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path, rois=["V1", "LO1", "glasser-p9-46v"])
    write_recording(found, tmp_path / "s1.json", {"version": 1}, lambda rows, block: None, dict)
    again = open_recording(tmp_path / "s1.json")
    np.testing.assert_array_equal(again["response"].values, found["response"].values)
    assert again["LO1"].values.tolist() == ["1", "1", "0", "0"]
    assert again["glasser-p9-46v"].values.tolist() == ["0", "0", "0", "1"]
    assert again["nc_testset"].values.tolist() == [0.0, 11.5, 20.25, 3.0]


def test_the_set_has_each_image_once_with_its_picture(tmp_path: Path) -> None:
    make(tmp_path)
    for name in set(NAMES) | {"zebra_01b"}:
        folder = tmp_path / "images" / name.split("_")[0]
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4), (len(name), 0, 0)).save(folder / f"{name}.jpg")
    entry = {"n": 4, "shown": {"path": TRIALS, "labels": ["concept"]}, "images": {"path": "images"}}
    found = make_table(StimulusSet.model_validate(entry).model_dump(), tmp_path, "set")
    assert found["stimulus_id"].tolist() == ["candelabra_14s", "dog_12s", "mango_12s", "panda_12s"]
    assert found["path"].tolist()[0] == "images/candelabra/candelabra_14s.jpg"
    assert found["concept"].tolist() == ["candelabra", "dog", "mango", "panda"]
    with pytest.raises(DataError, match=r"^set: no column 'animacy', found trial_type, session"):
        make_table({"n": 4, "shown": {"path": TRIALS, "labels": ["animacy"]}}, tmp_path, "set")


def test_files_of_the_two_archives() -> None:
    files = spec(number=3, layout="figshare")["files"]
    assert files["responses"] == {"path": "betas_csv/sub-03_ResponseData.h5"}
    assert files["trials"] == {"path": "betas_csv/sub-03_StimulusMetadata.csv"}
    assert files["voxels"] == {"path": "betas_csv/sub-03_VoxelMetadata.csv"}
    assert spec()["files"]["voxels"] == {"path": VOXELS}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"responses": values()[:, :4]},
            r"responses have shape \(4, 4\), expected \(4, 5\), voxels × trials of the two tables",
        ),
        ({"ids": [1, 2, 3, 4]}, r"its voxel_id differ from those of the table of voxels"),
        ({"run": ["a"] * 5}, r"session, run or trial_id of a trial is no number"),
        ({"stimulus": ["dog.jpg", "", "a.jpg", "b.jpg", "c.jpg"]}, r"trial 2 names no image"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    make(tmp_path, **change)
    known = pd.DataFrame({"stimulus_id": NAMES})
    with pytest.raises(DataError, match=rf"THINGS subject 1, {FOLDER}.*{text}"):
        bind(ADAPTERS, "things", "x")(spec(), tmp_path, known)


def test_unknown_names(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=r"no column 'V9', found voxel_id, .*V1.*; correct rois"):
        load(tmp_path, rois=["V9"])
    with pytest.raises(DataError, match=r"THINGS subject 1: 1 images are not in the stimulus set \(first 'mango_12s'\)"):
        bind(ADAPTERS, "things", "x")(spec(), tmp_path, table(tmp_path).query("stimulus_id != 'mango_12s'"))
    with h5py.File(tmp_path / RESPONSES, "w") as opened:
        opened["other"] = [1]
    with pytest.raises(DataError, match=r"no ResponseData/block0_values and block1_values, found other"):
        load(tmp_path)


def test_the_catalogue_names_what_is_fetched(repository: Path) -> None:
    mapping = {"study": "x", "dataset": "things_fmri", "models": {"gabor": {"source": "gabor"}}}
    study = Study.from_mapping(mapping, catalogue=repository / "config/catalogue")
    found = parts(study.dataset_entry)
    assert found["subject-sub-01"][RESPONSES]["url"] == f"openneuro://ds004192/{RESPONSES}"
    every = {path: file for files in found.values() for path, file in files.items()}
    assert every[TRIALS]["url"] == f"openneuro://ds004192/{TRIALS}"
    assert "osf.io/jum2f" in every["images"]["manual"]
