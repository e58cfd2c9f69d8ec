"""BOLD5000 in miniature: regions in NPY files, the list of images, repeated images with a prefix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.recordings.stimuli import make_table
from isocortex.study import Study
from isocortex.study.adapters.bold5000 import Bold5000Subject
from isocortex.study.parts import parts

FOLDER = "betas/BOLD5000_GLMsingle_ROI_betas/py/CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_allses_"
SHOWN = {0: "COCO_train2014_000000420713.jpg", 5: "rep_homeoffice3.jpg", 40: "homeoffice3.jpg", 73: "n01833805_8139.JPEG"}


def names(n: int = 74) -> list[str]:
    return [SHOWN.get(trial, f"scene{trial}.jpg") for trial in range(n)]


def values(n: int, voxels: int, start: float) -> np.ndarray:
    return start + np.arange(n)[:, None] + np.arange(voxels)[None] / 4


def make(root: Path, n: int = 74, **arrays: np.ndarray) -> None:
    (root / FOLDER).parent.mkdir(parents=True, exist_ok=True)
    for roi, array in {"LHEarlyVis": values(n, 3, 0.0), "RHPPA": values(n, 2, 1000.0), **arrays}.items():
        np.save(root / f"{FOLDER}{roi}.npy", array)
    (root / "CSI1_imgnames.txt").write_text("\n".join(names(n)) + "\n", encoding="utf-8")


def load(root: Path, **change: Any) -> xr.Dataset:
    given = {"adapter": "bold5000", "stimuli": "CSI1", "name": "CSI1", "rois": ["LHEarlyVis", "RHPPA"], **change}
    spec = {**Bold5000Subject.model_validate(given).model_dump(), "subject": "CSI1"}
    table = make_table({"n": None, "shown": {"path": "CSI1_imgnames.txt"}}, root, "set")
    return bind(ADAPTERS, "bold5000", "x")(spec, root, table)


def test_values_stand_in_the_order_of_the_list(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path)
    assert found["neuroid_id"].values.tolist() == ["LHEarlyVis-0", "LHEarlyVis-1", "LHEarlyVis-2", "RHPPA-0", "RHPPA-1"]
    assert found["roi"].values.tolist() == ["EarlyVis"] * 3 + ["PPA"] * 2
    assert found["hemisphere"].values.tolist() == ["L"] * 3 + ["R"] * 2
    assert found["response"].values[[0, 5, 73]].tolist() == [
        [0, 0.25, 0.5, 1000, 1000.25],
        [5, 5.25, 5.5, 1005, 1005.25],
        [73, 73.25, 73.5, 1073, 1073.25],
    ]
    np.testing.assert_array_equal(found["response"][[73, 1], [4, 0]].values, [[1073.25, 73], [1001.25, 1]])


def test_repeated_images_have_one_id(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path)
    ids = found["stimulus_id"].values.tolist()
    assert (ids[0], ids[5], ids[40], ids[73]) == ("COCO_train2014_000000420713", "homeoffice3", "homeoffice3", "n01833805_8139")
    assert found["repeat"].values[[0, 5, 40]].tolist() == [0, 0, 1]


def test_runs_have_37_trials(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path)
    assert found["run"].values[[0, 36, 37, 73]].tolist() == [1, 1, 2, 2]
    assert set(found["session"].values) == {""}
    found = load(tmp_path, runs=[1, 1])
    assert found["run"].values[[0, 36, 37, 73]].tolist() == [1, 1, 1, 1]
    assert found["session"].values[[0, 36, 37, 73]].tolist() == ["01", "01", "02", "02"]


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=r"BOLD5000 CSI1, runs: found 3 in all, expected 2 \(74 trials of 37\)"):
        load(tmp_path, runs=[2, 1])
    with pytest.raises(DataError, match=r"allses_LHLOC\.npy' is not in"):
        load(tmp_path, rois=["LHLOC"])
    make(tmp_path, LHEarlyVis=values(73, 3, 0.0))
    with pytest.raises(DataError, match=r"LHEarlyVis\.npy: found float64 \(73, 3\), expected numbers \(74, voxels\)"):
        load(tmp_path)
    make(tmp_path, n=73)
    with pytest.raises(DataError, match=r"list of images: found 73 trials, expected a multiple of 37"):
        load(tmp_path)


def test_unknown_regions_and_images(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="LHEarlyVis"):
        Bold5000Subject.model_validate({"adapter": "bold5000", "stimuli": "s", "name": "CSI1", "rois": ["LHV1"]})
    make(tmp_path)
    spec = Bold5000Subject.model_validate({"adapter": "bold5000", "stimuli": "s", "name": "CSI1"}).model_dump()
    assert len(spec["files"]["rois"]) == 10
    table = make_table({"n": None, "shown": {"path": "CSI1_imgnames.txt"}}, tmp_path, "set")
    with pytest.raises(DataError, match=r"BOLD5000 CSI1: 1 images are not in the stimulus set \(first 'scene1'\)"):
        bind(ADAPTERS, "bold5000", "x")(spec, tmp_path, table.query("stimulus_id != 'scene1'"))
    with pytest.raises(DataError, match=r"found \.doc, expected one of \.csv, \.tsv, \.txt, \.h5"):
        (tmp_path / "list.doc").write_text("x")
        make_table({"n": None, "shown": {"path": "list.doc"}}, tmp_path, "set")


def test_the_catalogue_names_what_is_fetched(repository: Path) -> None:
    mapping = {"study": "x", "dataset": "bold5000", "models": {"gabor": {"source": "gabor"}}}
    study = Study.from_mapping(mapping, catalogue=repository / "config/catalogue")
    every = {path: file for files in parts(study.dataset_entry).values() for path, file in files.items()}
    assert every["betas"]["url"] == "figshare://14456124/BOLD5000_GLMsingle_ROI_betas.zip?version=2"
    assert every["CSI2_imgnames.txt"]["url"] == "figshare://14456124/CSI2_imgnames.txt?version=2"
    assert not any(path.endswith(".npy") for path in every)  # they are in the folder `betas`
