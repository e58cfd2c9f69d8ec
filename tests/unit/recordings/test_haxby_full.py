"""The layout of Haxby et al. (2001) as nilearn fetches it, in miniature, read by the catalogue's entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel import Nifti1Image
from nilearn.glm.first_level import compute_regressor

from isocortex.errors import DataError
from isocortex.recordings.adapters.nifti import load
from isocortex.recordings.stimuli import make_table
from isocortex.study import Study

SHAPE, TR, VOLUMES, BASE = (4, 3, 2), 2.5, 121, 10_000
CATEGORIES = ["face", "house", "cat", "bottle", "scissors", "shoe", "chair", "scrambledpix"]
BRAIN = [(0, 0, 1), (1, 2, 0), (2, 1, 1), (3, 1, 1)]
MASKS = {
    "mask4_vt": BRAIN[:3],
    "mask8_face_vt": BRAIN[:2],
    "mask8_house_vt": BRAIN[1:3],
    "mask8b_face_vt": BRAIN[:1],
    "mask8b_house_vt": BRAIN[2:3],
}
# Change per category and voxel of the brain, in units of the scanner.
CHANGE = 50.0 * np.random.default_rng(0).permutation(32).reshape(8, 4)


@pytest.fixture(scope="module")
def study(repository: Path) -> Study:
    mapping = {"study": "s", "dataset": "haxby2001", "models": {"m": {"source": "precomputed", "path": "m.npy"}}}
    return Study.from_mapping(mapping, catalogue=repository / "config/catalogue")


def shown(run: int) -> list[str]:
    """The order of categories in a run (from 1): another one in each."""
    return [CATEGORIES[(run + k) % 8] for k in range(8)]


def labels(run: int) -> list[str]:
    found = ["rest"] * VOLUMES
    for k, name in enumerate(shown(run)):
        found[6 + 14 * k : 15 + 14 * k] = [name] * 9
    return found


def signal(run: int) -> np.ndarray:
    """(volume, voxel): what the brain's voxels do in a run."""
    times, change = np.arange(VOLUMES) * TR, np.zeros((VOLUMES, 4))
    for k, name in enumerate(shown(run)):
        block = np.array([[(6 + 14 * k) * TR], [9 * TR], [1.0]])
        change += compute_regressor(block, "glover", times)[0] * CHANGE[CATEGORIES.index(name)]
    return np.round(BASE + change + 3 * run)


def save(file: Path, values: np.ndarray) -> None:
    Nifti1Image(values.astype(np.int16), np.diag([3.5, 3.75, 3.75, 1])).to_filename(file)


def make(root: Path, number: int, corrupted: int | None = None) -> None:
    """The folder of one subject; the run `corrupted` is noise, and labelled rest."""
    folder = root / f"subject{number}/subj{number}"
    folder.mkdir(parents=True)
    bold, names = np.zeros((*SHAPE, 12 * VOLUMES)), []
    for run in range(1, 13):
        one = signal(run) if run != corrupted else np.random.default_rng(9).normal(5, 99, size=(VOLUMES, 4))
        for voxel, values in zip(BRAIN, one.T, strict=True):
            bold[(*voxel, slice((run - 1) * VOLUMES, run * VOLUMES))] = values
        names += labels(run) if run != corrupted else ["rest"] * VOLUMES
    save(folder / "bold.nii.gz", bold)
    chunks = np.repeat(np.arange(12), VOLUMES)
    pd.DataFrame({"labels": names, "chunks": chunks}).to_csv(folder / "labels.txt", sep=" ", index=False)
    for name, voxels in {"../mask": BRAIN, **MASKS}.items():
        mask = np.zeros(SHAPE)
        mask[tuple(zip(*voxels, strict=True))] = 1
        save(folder / f"{name}.nii.gz", mask)


def read(study: Study, root: Path, subject: str, **other: Any) -> xr.Dataset:
    table = make_table(study.dataset_entry["stimuli"]["categories"], root, "set")
    return load({**study.subjects[subject], "subject": subject, **other}, root, table)


@pytest.mark.parametrize(("number", "corrupted"), [(2, None), (5, 9)])
def test_every_run_of_a_subject(study: Study, tmp_path: Path, number: int, corrupted: int | None) -> None:
    make(tmp_path, number, corrupted)
    found = read(study, tmp_path, f"S{number}")
    runs = [run for run in range(1, 13) if run != corrupted]
    assert found["run"].values.tolist() == np.repeat(runs, 8).tolist()
    assert found["stimulus_id"].values.tolist() == [name for run in runs for name in shown(run)]
    assert found["repeat"].values.max() + 1 == study.subjects[f"S{number}"]["repeats"] == len(runs)
    expected = [CHANGE[CATEGORIES.index(name)] / signal(run).mean(axis=0) for run in runs for name in shown(run)]
    np.testing.assert_allclose(found["response"], 100 * np.stack(expected), atol=0.02)
    assert found["neuroid_id"].values.tolist() == ["0_0_1", "1_2_0", "2_1_1", "3_1_1"]
    assert found["y"].values.tolist() == [0.0, 7.5, 3.75, 3.75]
    masks = {name: found[name].values.tolist() for name in ("vt", "face", "house", "face_small", "house_small")}
    assert masks == {
        "vt": ["1", "1", "1", "0"],
        "face": ["1", "1", "0", "0"],
        "house": ["0", "1", "1", "0"],
        "face_small": ["1", "0", "0", "0"],
        "house_small": ["0", "0", "1", "0"],
    }


def test_the_corrupted_run_would_be_refused(study: Study, tmp_path: Path) -> None:
    make(tmp_path, 5, 9)
    runs = [{**run, "bold": {**run["bold"], "volumes": [968, 1089]}} for run in study.subjects["S5"]["runs"][:1]]
    with pytest.raises(DataError, match=r"events subject5/subj5/labels\.txt: no event is left of 1, expected some"):
        read(study, tmp_path, "S5", runs=runs)


def test_the_entry_takes_each_volume_once(study: Study) -> None:
    assert list(study.subjects) == ["S1", "S2", "S3", "S4", "S5", "S6"]
    for number, subject in enumerate(study.subjects.values(), start=1):
        volumes = [volume for run in subject["runs"] for volume in range(*run["bold"]["volumes"])]
        left_out = set(range(968, 1089)) if number == 5 else set()
        assert volumes == sorted(set(range(1452)) - left_out)
        assert {run["bold"]["path"] for run in subject["runs"]} == {f"subject{number}/subj{number}/bold.nii.gz"}
        assert {run["events"]["path"] for run in subject["runs"]} == {f"subject{number}/subj{number}/labels.txt"}
        assert all(run["bold"]["volumes"][0] == 121 * (run["run"] - 1) for run in subject["runs"])
    table = make_table(study.dataset_entry["stimuli"]["categories"], Path(), "set")
    assert table["stimulus_id"].tolist() == CATEGORIES
    assert table["small"].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
