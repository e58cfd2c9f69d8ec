"""What the NIfTI adapter refuses, and how it says so: grids that differ, files, events and entries that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nifti_files import AFFINE, SHAPE, at, bold, load, mask_of, run, save

from isocortex.errors import DataError
from isocortex.study.adapters import ADAPTERS as OPTIONS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    mask_of(tmp_path)
    return tmp_path


def test_an_image_of_another_grid_is_refused_or_resampled(root: Path) -> None:
    save(root, "b.nii.gz", bold(1, 2))
    betas = {"path": "b.nii.gz", "stimulus_id": "a"}
    # Twice as fine along the first index: voxel 2k of it has the centre of voxel k.
    fine, half = np.zeros((8, 3, 2), dtype=np.uint8), AFFINE @ np.diag([0.5, 1, 1, 1])
    fine[2, 2, 0], fine[6, 1, 1], fine[5, 0, 0] = 1, 1, 1
    save(root, "mask.nii.gz", fine, half)
    with pytest.raises(
        DataError, match=r"^mask mask\.nii\.gz: found 8 × 3 × 2 voxels, expected 4 × 3 × 2, as the data have; say"
    ):
        load(root, ["a"], betas=betas)
    found = load(root, ["a"], betas=betas, resample="nearest")
    kept = found["neuroid_id"].values.tolist()
    assert {"1_2_0", "3_1_1"} <= set(kept)
    assert set(kept) <= {"1_2_0", "3_1_1", "2_0_0", "3_0_0"}  # (5, 0, 0) lies between the centres of two voxels
    save(root, "mask.nii.gz", np.ones(SHAPE, dtype=np.uint8), AFFINE + np.eye(4)[:, [3, 3, 3, 0]] * [0, 0, 0, 500])
    with pytest.raises(DataError, match=r"found an affine that differs by 500 mm, expected at most 0\.001, as the data have"):
        load(root, ["a"], betas=betas)
    with pytest.raises(
        DataError, match=r"no voxel is left on the grid of the data, and 24 on its own, expected some; name another"
    ):
        load(root, ["a"], betas=betas, resample="nearest")
    nearly = AFFINE.copy()
    nearly[0, 3] += 5e-4
    save(root, "mask.nii.gz", np.ones(SHAPE, dtype=np.uint8), nearly)
    assert load(root, ["a"], betas=betas).sizes["neuroid"] == 24


def test_runs_of_different_grids_are_refused_by_name(root: Path) -> None:
    moved = AFFINE.copy()
    moved[1, 3] += 3
    runs = [run(root, 1, ["a", "b"]), run(root, 2, ["a", "b"], affine=moved)]
    text = r"^run run2\.nii\.gz: found an affine that differs by 3 mm, expected at most 0\.001, as run1\.nii\.gz has; resample"
    with pytest.raises(DataError, match=text):
        load(root, ["a", "b"], runs=runs, glm={})


def spoil_events(root: Path, **columns: Any) -> None:
    table = pd.read_csv(root / "run1.tsv", sep="\t")
    table = table.drop(columns=[name for name, value in columns.items() if value is None])
    table.assign(**{name: value for name, value in columns.items() if value is not None}).to_csv(
        root / "run1.tsv", sep="\t", index=False, na_rep="n/a"
    )


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"onset": None}, r"^run run1\.nii\.gz, events run1\.tsv: no column 'onset', found duration, trial_type"),
        ({"onset": [4.0, np.nan]}, r"run1\.tsv: event 2 has onset nan, expected seconds"),
        ({"onset": [4.0, 80.0]}, r"run1\.tsv: event 'b' starts at 80 s, expected before 80 s, the end of the run \(40 volumes"),
        (
            {"trial_type": ["a", "z"]},
            r"^run run1\.nii\.gz: event 'z' is no stimulus of the set \(1 of 2 events are none\); add it",
        ),
    ],
)
def test_events_that_do_not_fit_are_refused(root: Path, columns: Mapping[str, Any], text: str) -> None:
    one = run(root, 1, ["a", "b"])
    spoil_events(root, **columns)
    with pytest.raises(DataError, match=text):
        load(root, ["a", "b"], runs=[one], glm={})


def test_runs_that_do_not_fit_are_refused(root: Path) -> None:
    one = run(root, 1, ["a", "b"], tr=0.0)
    with pytest.raises(
        DataError, match=r"^run run1\.nii\.gz: the header has no repetition time, expected seconds between volumes"
    ):
        load(root, ["a", "b"], runs=[one], glm={})
    assert load(root, ["a", "b"], runs=[{**one, "tr": 2.0}], glm={}).sizes["presentation"] == 2
    pd.DataFrame({"x": np.arange(39.0)}).to_csv(root / "c.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match=r"run1\.nii\.gz, confounds c\.tsv: found 39 rows, expected 40, one per volume"):
        load(root, ["a", "b"], runs=[{**one, "tr": 2.0, "confounds": {"path": "c.tsv", "columns": ["x"]}}], glm={})
    with pytest.raises(DataError, match=r"volumes are 30 to 41, expected at most 40, which the file has; correct volumes"):
        load(root, ["a", "b"], runs=[{**one, "bold": {"path": "run1.nii.gz", "volumes": [30, 41]}}], glm={})
    save(root, "run1.nii.gz", np.full((*SHAPE, 40), np.nan, dtype=np.float32))
    found = load(root, ["a", "b"], runs=[one], glm={})
    with pytest.raises(DataError, match=r"^run run1\.nii\.gz: all values are NaN, expected numbers; leave the run out"):
        found["response"].load()


def test_files_that_are_no_images_are_refused(root: Path) -> None:
    betas = {"path": "b.nii.gz", "stimulus_id": "a"}
    (root / "b.nii.gz").write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"^betas b\.nii\.gz: b\.nii\.gz is not a readable image \(.*make or fetch the file again"
    ):
        load(root, ["a"], betas=betas)
    save(root, "b.nii", bold(1, 3))
    (root / "b.nii").write_bytes((root / "b.nii").read_bytes()[:-10])
    found = load(root, ["a"], betas={**betas, "path": "b.nii"})
    np.testing.assert_array_equal(found["response"][:2], at(bold(1, 3))[:2])
    with pytest.raises(DataError, match=r"betas b\.nii: the values are not readable, perhaps the file is cut short"):
        found["response"].load()
    save(root, "b.nii.gz", bold(1, 3))
    np.save(root / "ids.npy", np.array(["a", "a"]))
    with pytest.raises(
        DataError, match=r"betas b\.nii\.gz: ids have shape \(2,\), expected \(3,\), one id per volume; correct ids"
    ):
        load(root, ["a"], betas={"path": "b.nii.gz", "ids": {"path": "ids.npy"}})
    with pytest.raises(DataError, match=r"1 ids are not in the stimulus set \(first 'q'\)"):
        load(root, ["a"], betas={"path": "b.nii.gz", "stimulus_id": "q"})
    mask_of(root, voxels=[])
    with pytest.raises(DataError, match=r"^mask mask\.nii\.gz: no voxel is left, expected some; name another mask"):
        load(root, ["a"], betas=betas)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "found neither betas and runs, expected one of them"),
        ({"betas": {"path": "b.nii"}}, "expected one of stimulus_id"),
        ({"runs": [{"bold": {"path": "r.nii"}}]}, "expected either glm: {…}, or series: true"),
        ({"runs": [{"bold": {"path": "r.nii"}}], "glm": {}}, "r.nii has no events, which a GLM needs"),
        ({"betas": {"path": "b.nii", "stimulus_id": "a"}, "series": True}, "found glm or series beside them"),
        ({"betas": {"path": "b.nii", "stimulus_id": "a", "volumes": [3, 3]}}, "expected the first and one more than the last"),
        ({"runs": [{"bold": {"path": "r.nii"}}], "glm": {"hrf": "gamma"}}, "glm.hrf"),
    ],
)
def test_entries_that_say_too_little_or_too_much(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        OPTIONS["nifti"].model_validate({"adapter": "nifti", "stimuli": "all", **change})
