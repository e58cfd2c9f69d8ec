"""GLMsingle's outputs: both orders of axes, value by value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import glmsingle
from isocortex.study.adapters.glmsingle import GlmsingleSubject

SHAPE = (3, 4, 2)
BETAS = np.random.default_rng(0).normal(size=(*SHAPE, 5)).astype(np.float32)
AFFINE = np.diag([2.0, 2, 3, 1])
MASK = np.zeros(SHAPE, dtype=np.uint8)
MASK[0, 1, 1] = MASK[2, 3, 0] = MASK[2, 0, 1] = 1


def write(file: Path, values: np.ndarray, key: str = "betasmd") -> None:
    with h5py.File(file, "w") as opened:
        opened[key] = values


def image(file: Path, values: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), file)


def load(root: Path, **rest: Any) -> xr.Dataset:
    pd.DataFrame({"image": [3, 1, 3, 2, 1], "ses": list("aabbb"), "run": [1, 2, 1, 2, 3]}).to_csv(root / "t.csv", index=False)
    entry = {"path": "b.hdf5", "ids": {"path": "t.csv", "column": "image"}, "repeats": 2, **rest}
    spec = GlmsingleSubject(adapter="glmsingle", stimuli="all", **entry).model_dump()
    return glmsingle.load({**spec, "subject": "s"}, root, pd.DataFrame({"stimulus_id": ["1", "2", "3"]}))


@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize(("name", "transposed"), [("b.hdf5", False), ("b.mat", True)])
def test_voxels_of_a_mask(tmp_path: Path, name: str, transposed: bool, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glmsingle, "STEP_BYTES", step)
    write(tmp_path / name, BETAS.T if transposed else BETAS)
    image(tmp_path / "m.nii.gz", MASK)
    image(tmp_path / "roi.nii.gz", (MASK * np.arange(24).reshape(SHAPE)).astype(np.int16))
    found = load(
        tmp_path,
        path=name,
        mask={"path": "m.nii.gz"},
        labels={"roi": {"path": "roi.nii.gz", "names": {3: "V1", 17: "V2", 22: "V3"}}},
        session={"path": "t.csv", "column": "ses"},
        run={"path": "t.csv", "column": "run"},
        space="T1w",
    )
    expected = np.stack([BETAS[0, 1, 1], BETAS[2, 0, 1], BETAS[2, 3, 0]], axis=1)
    np.testing.assert_array_equal(found["response"], expected)
    np.testing.assert_array_equal(found["response"][3:1:-1, [2, 0]], expected[3:1:-1][:, [2, 0]])
    assert found["neuroid_id"].values.tolist() == ["0_1_1", "2_0_1", "2_3_0"]
    assert found["roi"].values.tolist() == ["V1", "V2", "V3"]
    assert found["x"].values.tolist() == [0, 4, 4]
    assert found["y"].values.tolist() == [2, 0, 6]
    assert found["z"].values.tolist() == [3, 3, 0]
    assert found["stimulus_id"].values.tolist() == ["3", "1", "3", "2", "1"]
    assert found["repeat"].values.tolist() == [0, 0, 1, 0, 1]
    assert found["session"].values.tolist() == list("aabbb")
    assert found["run"].values.tolist() == [1, 2, 1, 2, 3]
    assert json.loads(found.attrs["shape"]) == [3, 4, 2]
    assert found.attrs["space"] == "T1w"


@pytest.mark.parametrize("shape", [(6, 1, 1, 5), (6, 5)])
def test_units_without_a_volume(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = BETAS.reshape(-1, 5)[:6].copy()
    values[2] = np.nan
    write(tmp_path / "b.hdf5", values.reshape(shape))
    found = load(tmp_path)
    np.testing.assert_array_equal(found["response"], values[[0, 1, 3, 4, 5]].T)
    assert found["neuroid_id"].values.tolist() == ["0", "1", "3", "4", "5"]
    assert np.isnan(found["x"]).all()


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "b.hdf5", BETAS)
    write(tmp_path / "other.hdf5", BETAS, "R2")
    write(tmp_path / "flat.hdf5", BETAS[0, 0, 0])
    write(tmp_path / "matlab.hdf5", BETAS.T)
    np.save(tmp_path / "b.npy", np.array({"betasmd": BETAS}, dtype=object), allow_pickle=True)
    (tmp_path / "old.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    image(tmp_path / "m.nii.gz", MASK[:2])
    for rest, text in (
        ({"path": "b.npy"}, r"GLMsingle b\.npy: a pickled Python object, which is never opened; save it as HDF5"),
        ({"path": "old.mat"}, r"old\.mat: no HDF5 file, expected \.hdf5, or \.mat saved with -v7\.3"),
        ({"path": "other.hdf5"}, r"no array 'betasmd', found R2; correct key"),
        ({"path": "flat.hdf5"}, r"betasmd has shape \(5,\), expected \(x, y, z, trials\) or \(units, trials\)"),
        ({"path": "matlab.hdf5"}, r"ids: found 5 values, expected 3, one per trial .*: say order"),
        ({"mask": {"path": "m.nii.gz"}}, r"mask m\.nii\.gz has 2 × 4 × 2 voxels, expected 3 × 4 × 2; correct mask or order"),
        ({"ids": {"value": "9"}}, r"1 ids are not in the stimulus set \(first '9'\)"),
        ({"run": {"path": "t.csv", "column": "ses"}}, r"run: found 'a', expected whole numbers"),
    ):
        with pytest.raises(DataError, match=text) as caught:
            load(tmp_path, **rest)
        assert "\n" not in str(caught.value)
    assert load(tmp_path, path="matlab.hdf5", order="matlab").sizes == {"presentation": 5, "neuroid": 24}
