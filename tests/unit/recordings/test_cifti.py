"""Grayordinates: dscalar, dtseries and dlabel files, column by column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis, ParcelsAxis, ScalarAxis, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage

from isocortex.errors import DataError
from isocortex.recordings.adapters.cifti import load as load_cifti
from isocortex.study.adapters.surface import CiftiSubject

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
LEFT, RIGHT, VOXELS = [0, 2, 3], [1, 4], [[1, 2, 3], [4, 5, 6]]
IDS = [
    "CORTEX_LEFT_0", "CORTEX_LEFT_2", "CORTEX_LEFT_3", "CORTEX_RIGHT_1", "CORTEX_RIGHT_4",
    "THALAMUS_LEFT_1_2_3", "THALAMUS_LEFT_4_5_6",
]  # fmt: skip
VALUES = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)


def grid(left: list[int] = LEFT, n: int = 6, affine: np.ndarray = AFFINE) -> BrainModelAxis:
    return (
        BrainModelAxis.from_surface(np.asarray(left), n, name="CORTEX_LEFT")
        + BrainModelAxis.from_surface(np.asarray(RIGHT), 6, name="CORTEX_RIGHT")
        + BrainModelAxis("THALAMUS_LEFT", voxel=np.asarray(VOXELS), affine=affine, volume_shape=(91, 109, 91))
    )


def cortex(left: list[int] = LEFT, n: int = 6) -> BrainModelAxis:
    return BrainModelAxis.from_surface(np.asarray(left), n, name="CORTEX_LEFT")


def write(file: Path, rows: Any, values: np.ndarray, columns: Any = None) -> None:
    nibabel.save(Cifti2Image(values, (rows, grid() if columns is None else columns)), file)


def series(file: Path, values: np.ndarray, unit: str = "SECOND") -> None:
    write(file, SeriesAxis(0, 1.5, len(values), unit), values)


def load(root: Path, known: list[str], **rest: Any) -> xr.Dataset:
    spec = CiftiSubject(adapter="cifti", stimuli="all", **rest).model_dump()
    return load_cifti({**spec, "subject": "s"}, root, pd.DataFrame({"stimulus_id": known}))


def test_maps_are_conditions_and_columns_are_grayordinates(tmp_path: Path) -> None:
    write(tmp_path / "b.dscalar.nii", ScalarAxis(["face", "house", "face"]), VALUES)
    points = np.arange(18.0).reshape(6, 3)
    nibabel.save(
        GiftiImage(darrays=[GiftiDataArray(points.astype(np.float32), intent="NIFTI_INTENT_POINTSET")]),
        tmp_path / "R.surf.gii",
    )
    found = load(
        tmp_path,
        ["face", "house"],
        betas=[{"path": "b.dscalar.nii", "session": "1", "run": 4}],
        repeats=2,
        space="fsLR",
        geometry={"right": {"path": "R.surf.gii"}},
    )
    np.testing.assert_array_equal(found["response"], VALUES)
    np.testing.assert_array_equal(found["response"][[2, 0], [6, 1]], VALUES[[2, 0]][:, [6, 1]])
    assert found["stimulus_id"].values.tolist() == ["face", "house", "face"]
    assert found["repeat"].values.tolist() == [0, 0, 1]
    assert found["neuroid_id"].values.tolist() == IDS
    assert found["structure"].values.tolist() == ["CORTEX_LEFT"] * 3 + ["CORTEX_RIGHT"] * 2 + ["THALAMUS_LEFT"] * 2
    assert found["hemisphere"].values.tolist() == list("LLLRRLL")
    np.testing.assert_array_equal(found["x"], [np.nan, np.nan, np.nan, 3, 12, 88, 82])
    np.testing.assert_array_equal(found["y"], [np.nan, np.nan, np.nan, 4, 13, -122, -116])
    np.testing.assert_array_equal(found["z"], [np.nan, np.nan, np.nan, 5, 14, -66, -60])
    assert found.attrs["space"] == "fsLR"


def dlabel(file: Path, numbers: list[list[int]], columns: BrainModelAxis, names: list[str]) -> None:
    table = {0: ("???", (0, 0, 0, 0)), 1: ("L_V1_ROI", (1, 0, 0, 1)), 2: ("L_V2_ROI", (0, 1, 0, 1))}
    write(file, LabelAxis(names, [table] * len(names)), np.asarray(numbers, dtype=np.float32), columns)


def test_labels_of_some_structures_lie_on_the_grid(tmp_path: Path) -> None:
    write(tmp_path / "b.dscalar.nii", ScalarAxis(list("abc")), VALUES)
    # Of the left cortex only, with vertices that the values lack.
    dlabel(tmp_path / "g.dlabel.nii", [[1, 0, 2, 1], [2, 2, 2, 2]], cortex([0, 1, 2, 3]), ["Glasser", "other"])
    rest = {"betas": [{"path": "b.dscalar.nii"}]}
    labels = {"glasser": {"path": "g.dlabel.nii", "map": "Glasser"}, "second": {"path": "g.dlabel.nii", "map": 1}}
    found = load(tmp_path, list("abc"), labels=labels, **rest)
    assert found["glasser"].values.tolist() == ["L_V1_ROI", "L_V2_ROI", "L_V1_ROI", "", "", "", ""]
    assert found["second"].values.tolist() == ["L_V2_ROI"] * 3 + [""] * 4
    with pytest.raises(DataError, match=r"g\.dlabel\.nii has the maps Glasser, other, found map None; say map"):
        load(tmp_path, list("abc"), labels={"glasser": {"path": "g.dlabel.nii"}}, **rest)


def test_mask_and_structures_choose_columns(tmp_path: Path) -> None:
    write(tmp_path / "b.dscalar.nii", ScalarAxis(list("abc")), VALUES)
    write(tmp_path / "m.dscalar.nii", ScalarAxis(["mask"]), np.array([[0, 1, 1, 0, 1, 1, 0]], np.float32))
    rest = {"betas": [{"path": "b.dscalar.nii"}], "mask": {"path": "m.dscalar.nii"}}
    found = load(tmp_path, list("abc"), structures=["CORTEX_LEFT", "THALAMUS_LEFT"], **rest)
    np.testing.assert_array_equal(found["response"], VALUES[:, [1, 2, 5]])
    assert found["neuroid_id"].values.tolist() == [IDS[1], IDS[2], IDS[5]]
    with pytest.raises(DataError, match="no structure CEREBELLUM, found CORTEX_LEFT, CORTEX_RIGHT, THALAMUS_LEFT; correct"):
        load(tmp_path, list("abc"), structures=["CEREBELLUM"], **rest)


def test_series_run_by_run(tmp_path: Path) -> None:
    series(tmp_path / "1.dtseries.nii", VALUES[:2])
    series(tmp_path / "2.dtseries.nii", VALUES[2:])
    runs = [{"path": f"{n}.dtseries.nii", "run": n, "session": "a"} for n in (1, 2)]
    found = load(tmp_path, ["t0", "t1", "t2"], runs=runs, series=True)
    np.testing.assert_array_equal(found["response"], VALUES)
    assert found["run"].values.tolist() == [1, 1, 2]


def test_a_glm_takes_the_repetition_time_of_the_series(tmp_path: Path) -> None:
    from nilearn.glm.first_level import compute_regressor

    times, truth = np.arange(50) * 1.5, VALUES[:2].astype(float)
    columns = [compute_regressor(np.array([[t], [3.0], [1.0]]), "spm", times)[0][:, 0] for t in (3.0, 30.0)]
    values = (np.stack(columns, axis=1) @ truth + 10).astype(np.float32)
    series(tmp_path / "1.dtseries.nii", values)
    series(tmp_path / "hz.dtseries.nii", values, "HERTZ")
    table = pd.DataFrame({"onset": [3.0, 30.0], "duration": 3.0, "trial_type": ["b", "a"]})
    table.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    glm = {"hrf": "spm", "drift": None, "standardize": "none", "noise": "ols"}
    found = load(tmp_path, ["a", "b"], runs=[{"path": "1.dtseries.nii", "events": {"path": "e.tsv"}}], glm=glm)
    assert found["stimulus_id"].values.tolist() == ["b", "a"]
    np.testing.assert_allclose(found["response"], truth, atol=1e-3)
    with pytest.raises(DataError, match=r"run hz\.dtseries\.nii: the file says no repetition time"):
        load(tmp_path, ["a", "b"], runs=[{"path": "hz.dtseries.nii", "events": {"path": "e.tsv"}}], glm=glm)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (cortex([0, 1, 2, 3], 7), r"glasser: g\.dlabel\.nii has CORTEX_LEFT on a surface of 7 vertices, expected 6"),
        (cortex([0, 2, 4, 5]), r"glasser: g\.dlabel\.nii lacks CORTEX_LEFT at \(3,\), which the values have"),
        (
            BrainModelAxis.from_surface(np.arange(4), 6, name="CEREBELLUM"),
            r"g\.dlabel\.nii has CEREBELLUM, expected a structure of the values",
        ),
    ],
)
def test_labels_of_another_grid_are_refused(tmp_path: Path, columns: BrainModelAxis, text: str) -> None:
    write(tmp_path / "b.dscalar.nii", ScalarAxis(list("abc")), VALUES)
    dlabel(tmp_path / "g.dlabel.nii", [[1, 0, 2, 1]], columns, ["Glasser"])
    with pytest.raises(DataError, match=text) as caught:
        load(tmp_path, list("abc"), betas=[{"path": "b.dscalar.nii"}], labels={"glasser": {"path": "g.dlabel.nii"}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "values", "text"),
    [
        (grid([0, 2]), VALUES[:, 1:], r"CIFTI 2\.dscalar\.nii: CORTEX_LEFT has 2 grayordinates, expected 3 as in the first"),
        (grid([0, 2, 4]), VALUES, r"CORTEX_LEFT has other vertices or voxels than in the first file"),
        (grid(affine=AFFINE + np.eye(4, k=3)), VALUES, r"THALAMUS_LEFT has other vertices or voxels than in the first file"),
    ],
)
def test_files_of_another_grid_are_refused(tmp_path: Path, columns: Any, values: np.ndarray, text: str) -> None:
    write(tmp_path / "1.dscalar.nii", ScalarAxis(list("abc")), VALUES)
    write(tmp_path / "2.dscalar.nii", ScalarAxis(list("abc")), values, columns)
    with pytest.raises(DataError, match=text):
        load(tmp_path, list("abc"), betas=[{"path": "1.dscalar.nii"}, {"path": "2.dscalar.nii"}], repeats=2)


def test_files_that_are_not_dense_are_refused(tmp_path: Path) -> None:
    parcels = ParcelsAxis.from_brain_models([("V1", cortex())])
    write(tmp_path / "p.pscalar.nii", ScalarAxis(["a"]), np.ones((1, 1), np.float32), parcels)
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.float32), np.eye(4)), tmp_path / "v.nii")
    (tmp_path / "broken.dscalar.nii").write_bytes(b"not a file")
    for name, text in (
        ("p.pscalar.nii", "has axes scalar × parcels, expected maps or time × grayordinates"),
        ("v.nii", r"v\.nii is no CIFTI-2 file, expected \.dscalar\.nii"),
        ("broken.dscalar.nii", r"broken\.dscalar\.nii could not be read \(.*\); make or fetch the file again"),
    ):
        with pytest.raises(DataError, match=text):
            load(tmp_path, ["a"], betas=[{"path": name}])


def test_a_label_file_as_mask_leaves_out_what_has_no_label(tmp_path: Path) -> None:
    write(tmp_path / "b.dscalar.nii", ScalarAxis(list("abc")), VALUES)
    names = {0: ("???", (0, 0, 0, 0)), 1: ("cortex", (1, 0, 0, 1))}
    write(tmp_path / "m.dlabel.nii", LabelAxis(["mask"], names), np.array([[0, 1, 1, 0, 1, 1, 0]], np.float32))
    found = load(tmp_path, list("abc"), betas=[{"path": "b.dscalar.nii"}], mask={"path": "m.dlabel.nii"})
    np.testing.assert_array_equal(found["response"], VALUES[:, [1, 2, 4, 5]])
