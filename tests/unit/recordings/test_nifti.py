"""NIfTI images made here, with every value known: estimates, runs, time series, masks and labels."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nibabel import Nifti1Image
from nifti_files import AFFINE, MASKED, SHAPE, TR, at, bold, load, mask_of, run, save

from isocortex.errors import DataError
from isocortex.recordings.fmri.glm import estimates
from isocortex.study.adapters import ADAPTERS as OPTIONS
from isocortex.study.parts import named_paths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    mask_of(tmp_path)
    return tmp_path


def test_a_volume_per_trial_with_ids_of_a_table(root: Path) -> None:
    raw = np.arange(np.prod(SHAPE) * 5, dtype=np.int16).reshape(*SHAPE, 5)
    save(root, "betas.nii.gz", raw)
    pd.DataFrame({"image": ["b", "a", "b", "c", "a"]}).to_csv(root / "trials.csv", index=False)
    found = load(
        root, ["a", "b", "c"], betas={"path": "betas.nii.gz", "ids": {"path": "trials.csv", "column": "image"}}, scale=300.0
    )
    assert found["stimulus_id"].values.tolist() == ["b", "a", "b", "c", "a"]
    assert found["repeat"].values.tolist() == [0, 0, 1, 0, 1]
    assert found["response"].dtype == np.float32
    np.testing.assert_allclose(found["response"], at(raw) / 300, rtol=1e-6)
    np.testing.assert_allclose(found["response"][[3, 1]][:, [2, 0]], (at(raw) / 300)[[3, 1]][:, [2, 0]], rtol=1e-6)
    assert found["neuroid_id"].values.tolist() == ["0_0_1", "1_2_0", "3_1_1"]
    assert found["x"].values.tolist() == [3.0, 1.0, -3.0]
    assert found["y"].values.tolist() == [-5.5, -8.0, -5.5]
    assert found["z"].values.tolist() == [1.0, 5.0, 3.0]
    np.testing.assert_array_equal(np.reshape(json.loads(found.attrs["affine"]), (4, 4)), AFFINE)
    assert json.loads(found.attrs["shape"]) == list(SHAPE)


def test_the_header_scales_and_files_follow_one_another(root: Path) -> None:
    raw = [np.random.default_rng(k).integers(-90, 90, size=(*SHAPE, n)).astype(np.int16) for k, n in ((0, 2), (1, 3))]
    for number, values in enumerate(raw):
        path = save(root, f"s{number}.nii", values)
        data = bytearray((root / path).read_bytes())
        data[112:120] = np.array([0.5, 2.0], dtype="<f4").tobytes()  # scl_slope, scl_inter
        (root / path).write_bytes(data)
    single = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    save(root, "c.nii", single)
    np.save(root / "ids.npy", np.array([7, 8, 9]))
    betas = [
        {"path": "s0.nii", "stimulus_id": "8", "session": "1", "run": 2},
        {"path": "s1.nii", "ids": {"path": "ids.npy"}, "session": "2", "volumes": [1, 3]},
        {"path": "c.nii", "stimulus_id": "c", "session": "2"},
    ]
    found = load(root, ["7", "8", "9", "c"], betas=betas, space="T1w")
    assert found["stimulus_id"].values.tolist() == ["8", "8", "8", "9", "c"]
    assert found["session"].values.tolist() == ["1", "1", "2", "2", "2"]
    assert found["run"].values.tolist() == [2, 2, 0, 0, 0]
    expected = np.concatenate([at(raw[0]) / 2 + 2, at(raw[1])[1:] / 2 + 2, at(single[..., None])])
    np.testing.assert_allclose(found["response"], expected, rtol=1e-6)
    assert found.attrs["space"] == "T1w"


def test_without_a_mask_voxels_that_vary_are_neuroids(root: Path) -> None:
    values = np.zeros((*SHAPE, 3), dtype=np.float32)
    values[0, 1, 0], values[2, 2, 1], values[3, 0, 0] = [1, 1, 2], [4, 4, 4], [0, np.nan, 5]
    save(root, "b.nii.gz", values)
    found = load(root, ["a"], mask=None, betas={"path": "b.nii.gz", "stimulus_id": "a"})
    assert found["neuroid_id"].values.tolist() == ["0_1_0", "3_0_0"]
    save(root, "b.nii.gz", np.full((*SHAPE, 3), 4.0, dtype=np.float32))
    with pytest.raises(
        DataError, match=r"^betas b\.nii\.gz: no voxel varies, expected some; name another file, or give a mask"
    ):
        load(root, ["a"], mask=None, betas={"path": "b.nii.gz", "stimulus_id": "a"})


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_runs_become_estimates_in_the_order_of_time(root: Path, suffix: str) -> None:
    runs = [run(root, 1, ["b", "rest", "a", "b"], suffix=suffix), run(root, 2, ["a", "b", "rest"], suffix=suffix)]
    glm = {"model": "lsa", "noise": "ols", "leave_out": ["rest"]}
    found = load(root, ["a", "b"], runs=runs, glm=glm)
    assert found["stimulus_id"].values.tolist() == ["b", "a", "b", "a", "b"]
    assert found["repeat"].values.tolist() == [0, 0, 1, 1, 2]
    assert found["run"].values.tolist() == [1, 1, 1, 2, 2]
    assert set(found["session"].values) == {"one"}
    first = pd.DataFrame({"onset": [4.0, 36.0, 52.0], "duration": 4.0, "trial_type": ["b", "a", "b"]})
    second = pd.DataFrame({"onset": [4.0, 20.0], "duration": 4.0, "trial_type": ["a", "b"]})
    expected = [estimates(at(bold(k)), events, TR, glm, None, "run") for k, events in ((1, first), (2, second))]
    np.testing.assert_allclose(found["response"], np.concatenate(expected), rtol=1e-5)
    conditions = load(root, ["a", "b"], runs=runs, glm={**glm, "model": "condition"})
    assert conditions["stimulus_id"].values.tolist() == ["b", "a", "a", "b"]


def test_confounds_of_a_run_and_a_repetition_time_of_milliseconds(root: Path) -> None:
    one = run(root, 1, ["a", "b"], tr=2000.0, unit="msec")
    motion = np.random.default_rng(3).normal(size=40)
    table = pd.DataFrame({"x": motion, "fd": [np.nan, *np.abs(np.diff(motion))]})
    table.to_csv(root / "c.tsv", sep="\t", index=False, na_rep="n/a")
    found = load(root, ["a", "b"], runs=[{**one, "confounds": {"path": "c.tsv", "columns": ["x", "fd"]}}], glm={})
    events = pd.DataFrame({"onset": [4.0, 20.0], "duration": 4.0, "trial_type": ["a", "b"]})
    table.loc[0, "fd"] = table.loc[1, "fd"]
    np.testing.assert_allclose(found["response"], estimates(at(bold(1)), events, TR, {}, table, "run"), rtol=1e-4)


def test_labels_of_volumes_and_runs_that_are_parts_of_one_file(root: Path) -> None:
    save(root, "all.nii.gz", bold(5, 80))
    labels = ["rest"] * 4 + ["a"] * 4 + ["rest"] * 20 + ["b"] * 4 + ["rest"] * 8
    pd.DataFrame({"labels": labels + labels[::-1], "chunks": [0] * 40 + [1] * 40}).to_csv(root / "l.txt", sep=" ", index=False)
    events = {"path": "l.txt", "column": "labels", "per": "volume", "separator": " "}
    runs = [{"bold": {"path": "all.nii.gz", "volumes": [k, k + 40]}, "events": events, "run": k // 40} for k in (0, 40)]
    glm = {"model": "condition", "leave_out": ["rest"]}
    found = load(root, ["a", "b"], runs=runs, glm=glm)
    assert found["stimulus_id"].values.tolist() == ["a", "b", "b", "a"]
    assert found["run"].values.tolist() == [0, 0, 1, 1]
    second = pd.DataFrame({"onset": [16.0, 64.0], "duration": 8.0, "trial_type": ["b", "a"]})
    expected = estimates(at(bold(5, 80))[40:], second, TR, glm, None, "run")
    np.testing.assert_allclose(found["response"][2:], expected, rtol=1e-4)
    pd.DataFrame({"labels": labels[:30]}).to_csv(root / "l.txt", sep=" ", index=False)
    with pytest.raises(
        DataError, match=r"events l\.txt: found 30 rows, expected 40, one per volume; name the table of this run"
    ):
        load(root, ["a", "b"], runs=runs, glm=glm)


def test_series_are_samples_in_the_order_of_the_stimulus_set(root: Path) -> None:
    runs = [{"bold": {"path": save(root, f"f{k}.nii.gz", bold(k, n))}, "run": k} for k, n in ((1, 4), (2, 3))]
    ids = [f"t{k}" for k in range(7)]
    found = load(root, ids, runs=runs, series=True)
    assert found["stimulus_id"].values.tolist() == ids
    assert found["run"].values.tolist() == [1] * 4 + [2] * 3
    np.testing.assert_array_equal(found["response"], np.concatenate([at(bold(1, 4)), at(bold(2, 3))]))
    with pytest.raises(DataError, match=r"2 runs have 7 volumes, expected 6, one per stimulus; correct runs or stimuli"):
        load(root, ids[:6], runs=runs, series=True)


def test_smoothing_is_that_of_nilearn(root: Path) -> None:
    from nilearn.image import smooth_img

    values = bold(3, 2).astype(np.float32)
    save(root, "b.nii.gz", values)
    found = load(root, ["a"], betas={"path": "b.nii.gz", "stimulus_id": "a"}, smoothing=4.0)
    expected: Any = smooth_img(Nifti1Image(values.astype(np.float64), AFFINE), 4.0)
    np.testing.assert_allclose(found["response"], at(expected.get_fdata()), rtol=1e-5)
    assert np.abs(found["response"].values - at(values)).max() > 1


def test_masks_and_label_images_are_coordinates(root: Path) -> None:
    save(root, "b.nii.gz", bold(1, 2))
    mask_of(root, "half.nii.gz", [MASKED[0], (2, 2, 1)])
    atlas = np.zeros(SHAPE, dtype=np.uint8)
    atlas[MASKED[1]], atlas[MASKED[2]], atlas[0, 1, 0] = 3, 12, 99  # 99 lies outside the mask
    save(root, "atlas.nii.gz", atlas)
    pd.DataFrame({"number": [3, 12], "area": ["V1", "V2"]}).to_csv(root / "areas.tsv", sep="\t", index=False)
    labels: dict[str, Any] = {
        "half": {"path": "half.nii.gz"},
        "number": {"path": "atlas.nii.gz"},
        "named": {"path": "atlas.nii.gz", "names": {3: "hV4", 12: "LO"}},
        "area": {"path": "atlas.nii.gz", "table": {"path": "areas.tsv", "index": "number", "name": "area"}},
    }
    betas = {"path": "b.nii.gz", "stimulus_id": "a"}
    found = load(root, ["a"], betas=betas, labels=labels)
    assert found["half"].values.tolist() == ["1", "0", "0"]
    assert found["number"].values.tolist() == ["0", "3", "12"]
    assert found["named"].values.tolist() == ["0", "hV4", "LO"]
    assert found["area"].values.tolist() == ["0", "V1", "V2"]
    pd.DataFrame({"number": [3], "area": ["V1"]}).to_csv(root / "areas.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match=r"^labels atlas\.nii\.gz: label 12 has no name \(1 of 3 have none\); add it"):
        load(root, ["a"], betas=betas, labels=labels)
    with pytest.raises(DataError, match=r"table areas\.tsv: no column 'index', found number, area; correct the name"):
        load(root, ["a"], betas=betas, labels={"a": {"path": "atlas.nii.gz", "table": {"path": "areas.tsv"}}})
    (root / "gap.tsv").write_text("index\tname\n1\tV1\n\tV2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"table gap\.tsv: row 2 has the index nan, expected a whole number; correct the table"):
        load(root, ["a"], betas=betas, labels={"a": {"path": "atlas.nii.gz", "table": {"path": "gap.tsv"}}})
    mask_of(root, "half.nii.gz", [(2, 2, 1)])
    with pytest.raises(DataError, match=r"labels half\.nii\.gz: no voxel of the mask has a label, expected some"):
        load(root, ["a"], betas=betas, labels=labels)
    mask_of(root, "half.nii.gz", value=0.4)
    with pytest.raises(DataError, match=r"found values that are no whole numbers, expected labels or 0 and 1; threshold"):
        load(root, ["a"], betas=betas, labels=labels)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_parts_are_read_in_any_order(root: Path, suffix: str) -> None:
    raw = bold(6, 9)
    save(root, f"b{suffix}", raw)
    found = load(root, ["a"], betas={"path": f"b{suffix}", "stimulus_id": "a", "volumes": [1, 9]})
    for rows in (slice(0, 3), slice(3, 5), slice(5, 8), slice(2, 4), slice(4, 8), slice(0, 1)):
        np.testing.assert_array_equal(found["response"][rows], at(raw)[1:][rows])
    np.testing.assert_array_equal(found["response"][[7, 0, 3], 1], at(raw)[1:][[7, 0, 3], 1])


def test_what_is_read_is_what_is_asked_for(tmp_path: Path) -> None:
    shape = (60, 60, 40, 30)  # 17 MB as int16, 35 MB as float32
    values = np.random.default_rng(0).integers(0, 99, size=shape).astype(np.int16)
    save(tmp_path, "b.nii", values, np.eye(4))
    inside = np.zeros(shape[:3], dtype=np.uint8)
    inside[5, 5:25, 7] = 1
    save(tmp_path, "mask.nii.gz", inside, np.eye(4))
    tracemalloc.start()
    found = load(tmp_path, ["a"], betas={"path": "b.nii", "stimulus_id": "a"})
    read = found["response"].values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(read, values[5, 5:25, 7].T)
    assert peak < 8e6


def test_every_file_is_named_by_a_path() -> None:
    spec = OPTIONS["nifti"].model_validate(
        {
            "adapter": "nifti",
            "stimuli": "all",
            "mask": {"path": "1"},
            "labels": {"a": {"path": "2", "table": {"path": "3"}}},
            "runs": [{"bold": {"path": "4"}, "events": {"path": "5"}, "confounds": {"path": "6", "columns": ["x"]}}],
            "glm": {},
        }
    )
    assert sorted(named_paths(spec.model_dump())) == list("123456")
