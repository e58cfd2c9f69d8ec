"""Patterns of 0 and 1: as labels of volumes and as a stimulus set; Miyawaki et al. (2008) in miniature by its entry."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nibabel import Nifti1Image
from nilearn.glm.first_level import compute_regressor

from isocortex.errors import DataError
from isocortex.recordings.adapters.nifti import load
from isocortex.recordings.fmri.events import labels_of_volumes
from isocortex.recordings.stimuli import make_table
from isocortex.storage.images import ImageReader, image_digest
from isocortex.study import Study
from isocortex.study.adapters.glm import Events
from isocortex.study.datasets import StimulusSet

SHAPE, TR, VOLUMES, BASE = (4, 3, 2), 2.0, 30, 10_000
STARTS = (3, 12)  # volumes; a pattern stays for three
VOXELS = [(0, 0, 1), (1, 2, 0), (3, 1, 1)]
AREAS = ["V1d", "V1v", "V2d", "V2v", "V3", "V3A", "VP", "V4v"]


def table(root: Path, *names: str, n: int, shape: tuple[int, int] = (2, 2)) -> Any:
    entry = StimulusSet.model_validate({"n": n, "patterns": {"shape": list(shape), "files": [{"path": one} for one in names]}})
    return make_table(entry.model_dump(), root, "set")


def test_patterns_in_the_order_of_their_first_appearance(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("-1,-1,-1,-1\n0,1,1,0\n0,1,1,0\n-1,-1,-1,-1\n1,0,0,0\n")
    (tmp_path / "b.csv").write_text("0,1,1,0\n0,0,1,0\n")
    found = table(tmp_path, "a.csv", "b.csv", n=3)
    third = hashlib.sha256(b"0010").hexdigest()[:12]
    # printf 0110 | sha256sum
    assert found["stimulus_id"].tolist() == ["pa5c3dd48facf", "p405101758459", f"p{third}"]
    # Pixels go down the columns: the second value is row 1, column 0.
    pictures = np.array([[[0, 255], [255, 0]], [[255, 0], [0, 0]], [[0, 255], [0, 0]]])
    with ImageReader(tmp_path) as reader:
        read = [reader.read(path, row) for path, row in zip(found["path"], found["row"], strict=True)]
    for ours, picture, digest in zip(read, pictures, found["digest"], strict=True):
        np.testing.assert_array_equal(ours, np.stack([picture] * 3, axis=-1))
        assert image_digest(ours) == digest
    assert found.columns[-4:].tolist() == ["pixel_0_0", "pixel_0_1", "pixel_1_0", "pixel_1_1"]
    assert found[["pixel_0_0", "pixel_0_1", "pixel_1_0", "pixel_1_1"]].to_numpy().tolist() == [
        [0, 1, 1, 0],
        [1, 0, 0, 0],
        [0, 1, 0, 0],
    ]


def test_the_same_patterns_have_one_array_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0,1,1,0\n")
    (tmp_path / "b.csv").write_text("1,0,0,0\n")
    paths = [table(tmp_path, name, n=1)["path"].tolist() for name in ("a.csv", "a.csv", "b.csv")]
    assert paths[0] == paths[1] != paths[2]
    assert len(list((tmp_path / "made").iterdir())) == 2


def test_a_row_that_is_not_square(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,0,0,0,1,1\n")
    found = table(tmp_path, "a.csv", n=1, shape=(2, 3))
    assert [int(found[f"pixel_{row}_{column}"].iloc[0]) for row in (0, 1) for column in (0, 1, 2)] == [1, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "n", "said"),
    [
        ("0,1,1,0\n0,2,1,0\n", 1, "set patterns a.csv: a.csv, line 2, pixel 2 is 2, expected 0 or 1, or -1 in the whole line"),
        ("0,1,-1,0\n", 1, "a.csv, line 1, pixel 3 is -1, expected 0 or 1, or -1 in the whole line (rest); replace the file"),
        ("0,1,x,0\n", 1, "a.csv, line 1, pixel 3 is x, expected 0 or 1"),
        ("0,1,,0\n", 1, "a.csv, line 1, pixel 3 is nan, expected 0 or 1"),
        ("0,1,1\n", 1, "a.csv: found 3 pixels in a line, expected 4, height x width; correct shape, or replace the file"),
        ("0,1\n0,1,1,0\n", 1, "a.csv: a.csv is not a readable table (Error tokenizing data"),
        ("", 1, "a.csv: a.csv is not a readable table (No columns to parse from file); replace it"),
        ("-1,-1,-1,-1\n", 1, "stimulus set patterns: 1 files hold rest only, expected patterns; name other files"),
        ("0,1,1,0\n", 2, "set: found 1 stimuli, expected 2; correct n, or the files"),
    ],
)
def test_files_of_another_form(tmp_path: Path, text: str, n: int, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(said)):
        table(tmp_path, "a.csv", n=n)
    with pytest.raises(DataError, match=r"set patterns: 'b\.csv' is not in .*; list it under 'files' of the data set"):
        table(tmp_path, "b.csv", n=1)


def test_labels_of_volumes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-1;-1;-1;-1\n0;1;1;0\n")
    assert labels_of_volumes(tmp_path / "a.txt", "run", "*", ";") == ["", "pa5c3dd48facf"]
    (tmp_path / "l.txt").write_text("labels chunks\nrest 0\nface 0\n")
    assert labels_of_volumes(tmp_path / "l.txt", "run", "labels", " ") == ["rest", "face"]


def test_a_whole_row_is_the_label_of_a_volume_only() -> None:
    assert Events.model_validate({"path": "a.csv", "per": "volume", "column": "*"}).column == "*"
    with pytest.raises(ValueError, match=r'column: found "\*" with per: event, expected per: volume, where a row may be a'):
        Events.model_validate({"path": "a.csv", "column": "*"})
    with pytest.raises(ValueError, match="at least 2 items"):
        StimulusSet.model_validate({"n": 1, "patterns": {"files": [{"path": "a.csv"}], "shape": [2]}})


@pytest.fixture(scope="module")
def study(repository: Path) -> Study:
    mapping = {"study": "s", "dataset": "miyawaki2008", "models": {"m": {"source": "pixels"}}}
    return Study.from_mapping(mapping, catalogue=repository / "config/catalogue")


def save(file: Path, values: np.ndarray, affine: np.ndarray) -> None:
    Nifti1Image(values.astype(np.int16), affine).to_filename(file)


def make(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """The folder with two patterns per run; the patterns (run, 2, 100) and the changes that they make (run, 2, voxel)."""
    rng, folder, affine = np.random.default_rng(4), root / "miyawaki2008", np.eye(4)
    for name in ("func", "label", "mask"):
        (folder / name).mkdir(parents=True)
    patterns, change = rng.integers(0, 2, size=(20, 2, 100)), rng.integers(1, 9, size=(20, 2, 3)) * 50.0
    for run in range(20):
        rows, signal = np.full((VOLUMES, 100), -1), np.full((VOLUMES, 3), float(BASE))
        for start, pattern, size in zip(STARTS, patterns[run], change[run], strict=True):
            rows[start : start + 3] = pattern
            block = np.array([[start * TR], [3 * TR], [1.0]])
            signal += compute_regressor(block, "glover", np.arange(VOLUMES) * TR)[0] * size
        np.savetxt(folder / f"label/data_random_run{run + 1:02d}_label.csv", rows, fmt="%d", delimiter=",")
        bold = np.zeros((*SHAPE, VOLUMES))
        for voxel, values in zip(VOXELS, signal.T, strict=True):
            bold[voxel] = np.round(values)
        save(folder / f"func/data_random_run{run + 1:02d}.nii.gz", bold, affine)
    for name in ("mask", *(f"{side}H{area}" for side in "LR" for area in AREAS)):
        mask = np.zeros(SHAPE)
        for voxel in VOXELS if name == "mask" else VOXELS[:1] if name[0] == "L" else VOXELS[1:]:
            mask[voxel] = 1
        save(folder / f"mask/{name}.nii.gz", mask, affine)
    return patterns, change


def test_twenty_runs_of_random_patterns(study: Study, tmp_path: Path) -> None:
    patterns, change = make(tmp_path)
    stimuli = make_table({**study.dataset_entry["stimuli"]["random"], "n": 40}, tmp_path, "set")
    names = ["p" + hashlib.sha256("".join(map(str, row)).encode()).hexdigest()[:12] for row in patterns.reshape(40, 100)]
    assert stimuli["stimulus_id"].tolist() == names
    assert stimuli.loc[7, "pixel_4_2"] == patterns[3, 1, 4 + 10 * 2]
    with ImageReader(tmp_path) as reader:
        picture = reader.read(stimuli["path"].iloc[7], int(stimuli["row"].iloc[7]))
    np.testing.assert_array_equal(picture[:, :, 0], 255 * patterns[3, 1].reshape(10, 10).T)
    found = load({**study.subjects["S1"], "subject": "S1"}, tmp_path, stimuli)
    assert found["stimulus_id"].values.tolist() == names
    assert found["run"].values.tolist() == np.repeat(range(1, 21), 2).tolist()
    assert set(found["repeat"].values.tolist()) == {0}
    means = np.array([[BASE + 0.0] * 3] * 20)
    for run in range(20):
        for start, size in zip(STARTS, change[run], strict=True):
            block = np.array([[start * TR], [3 * TR], [1.0]])
            means[run] += compute_regressor(block, "glover", np.arange(VOLUMES) * TR)[0].mean() * size
    np.testing.assert_allclose(found["response"], (100 * change / means[:, None]).reshape(40, 3), atol=0.03)
    assert found["neuroid_id"].values.tolist() == ["0_0_1", "1_2_0", "3_1_1"]
    assert found["LHV1d"].values.tolist() == ["1", "0", "0"]
    assert found["RHV4v"].values.tolist() == ["0", "1", "1"]


def test_the_entry_names_each_run_with_its_own_patterns(study: Study) -> None:
    runs = study.subjects["S1"]["runs"]
    assert [run["run"] for run in runs] == list(range(1, 21))
    for number, run in enumerate(runs, start=1):
        assert run["bold"]["path"] == f"miyawaki2008/func/data_random_run{number:02d}.nii.gz"
        assert run["events"]["path"] == f"miyawaki2008/label/data_random_run{number:02d}_label.csv"
    listed = study.dataset_entry["stimuli"]["random"]["patterns"]["files"]
    assert [item["path"] for item in listed] == [run["events"]["path"] for run in runs]
    assert {name for name in study.regions if name != "visual"} == {f"{side}H{area}" for side in "LR" for area in AREAS}
