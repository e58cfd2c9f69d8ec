"""Regions by place: masks, atlases, spheres and bounds at the neuroids' positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.places import in_places, nearest, told
from isocortex.recordings.regions import EmptyRegionError, Selection, build_patterns, select

POINTS = np.array([[0.0, 0, 0], [2, 0, 0], [4, 2, 0], [6, 6, 6], [30, 0, 0], [np.nan, 0, 0]])
AFFINE = np.diag([2.0, 2, 2, 1])


def recording(points: np.ndarray = POINTS, **attrs: str) -> xr.Dataset:
    n = len(points)
    values = np.random.default_rng(0).normal(size=(6, n)).astype(np.float32)
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), values)},
        coords={
            "stimulus_id": ("presentation", [f"s{k}" for k in range(6)]),
            "neuroid_id": ("neuroid", [f"n{k}" for k in range(n)]),
            "ncsnr": ("neuroid", ["0.1", "0.2", "0.3", "", "0.5", "0.6"][:n]),
            "side": ("neuroid", ["l", "r", "l", "r", "l", "r"][:n]),
            **{axis: ("neuroid", points[:, k]) for k, axis in enumerate("xyz")},
        },
        attrs=attrs,
    )


def volume(path: Path, voxels: dict[tuple[int, int, int], float], affine: np.ndarray = AFFINE, shape=(5, 5, 5)) -> dict:
    values = np.zeros(shape, dtype=np.float32)
    for voxel, value in voxels.items():
        values[voxel] = value
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return {"file": str(path)}


def mask(image: dict, **rest) -> dict:
    return {"kind": "mask", "image": image, "threshold": 0, "space": None, **rest}


def fits(found: xr.Dataset, *clauses: dict) -> list[int]:
    every = np.ones(found.sizes["neuroid"], dtype=bool)
    return np.flatnonzero(in_places(found, clauses, every, "region R, subject S")).tolist()


def test_mask_holds_the_neuroids_at_its_voxels(tmp_path):
    image = volume(tmp_path / "m.nii.gz", {(0, 0, 0): 1, (2, 1, 0): 0.4, (3, 3, 3): 1})
    assert fits(recording(), mask(image)) == [0, 2, 3]
    assert fits(recording(), mask(image, threshold=0.5)) == [0, 3]


def test_mask_of_another_grid_is_read_through_its_affine(tmp_path):
    shifted = np.array([[-1.0, 0, 0, 4], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])  # 1 mm, x turned round, y and z swapped
    image = volume(tmp_path / "m.nii", {(4, 0, 0): 1, (0, 0, 2): 1}, shifted)  # x 0; x 4, y 2
    assert fits(recording(), mask(image)) == [0, 2]


def test_nearest_voxels_are_those_of_nilearn(tmp_path):
    from nilearn.image import resample_to_img

    rng = np.random.default_rng(3)
    labels = np.zeros((12, 13, 14), dtype=np.int16)
    labels[2:-2, 2:-2, 2:-2] = rng.integers(0, 5, size=(8, 9, 10))
    turned = np.array([[2.0, 0.3, 0, -12], [-0.3, 2.0, 0.1, -9], [0, -0.1, 2.1, -13], [0, 0, 0, 1]])
    source = nibabel.Nifti1Image(labels, turned)
    grid = np.array([[3.0, 0, 0, -14], [0, 3, 0, -10], [0, 0, 3, -16], [0, 0, 0, 1]])
    target = nibabel.Nifti1Image(np.zeros((9, 9, 11), dtype=np.int16), grid)
    resampled: Any = resample_to_img(source, target, interpolation="nearest", copy_header=True, force_resample=True)
    expected = resampled.get_fdata()
    ijk = np.stack(np.meshgrid(*map(np.arange, (9, 9, 11)), indexing="ij"), axis=-1).reshape(-1, 3)
    voxels, within = nearest(ijk @ grid[:3, :3].T + grid[:3, 3], turned, labels.shape)
    found = np.where(within, labels[tuple(voxels.T)], 0)
    assert (found > 0).sum() > 100
    np.testing.assert_array_equal(found, expected.ravel())


def test_points_outside_or_unknown_are_in_no_voxel():
    points = np.array([[-0.9, 0, 0], [-1.1, 0, 0], [9, 0, 0], [8.9, 0, 0], [np.nan, 0, 0]])
    voxels, within = nearest(points, AFFINE, (5, 5, 5))
    assert within.tolist() == [True, False, False, True, False]
    assert voxels[[0, 3], 0].tolist() == [0, 4]


def test_atlas_by_names_and_by_numbers(tmp_path):
    image = volume(tmp_path / "a.nii.gz", {(0, 0, 0): 7, (1, 0, 0): 12, (2, 1, 0): 12, (3, 3, 3): 3})
    (tmp_path / "names.tsv").write_text("number\tlabel\n0\tBackground\n7\tV1\n12\tV2\n3\tV1\n")
    table = {"place": {"file": str(tmp_path / "names.tsv")}, "index": "number", "name": "label"}
    atlas = {"kind": "atlas", "image": image, "table": table, "space": None}
    assert fits(recording(), {**atlas, "labels": ["V1"]}) == [0, 3]
    assert fits(recording(), {**atlas, "labels": ["V2"]}) == [1, 2]
    assert fits(recording(), {**atlas, "table": None, "labels": ["7", "12"]}) == [0, 1, 2]
    with pytest.raises(DataError, match=r"the atlas has no label 'V9', expected some of Background, V1, V2; correct labels"):
        fits(recording(), {**atlas, "labels": ["V9"]})
    with pytest.raises(DataError, match=r"a\.nii\.gz has no voxel of label '5', expected some; correct labels or table"):
        fits(recording(), {**atlas, "table": None, "labels": ["5"]})
    with pytest.raises(DataError, match=r"names\.tsv has no column 'index', found number, label"):
        fits(recording(), {**atlas, "table": {**table, "index": "index"}, "labels": ["V1"]})
    parts = volume(tmp_path / "p.nii.gz", {(0, 0, 0): 0.25})
    with pytest.raises(DataError, match=r"p\.nii\.gz holds no whole numbers, expected a label image"):
        fits(recording(), {**atlas, "image": parts, "labels": ["V1"]})


def test_spheres_bounds_and_their_intersection():
    spheres = {"kind": "spheres", "spheres": [{"center": [1, 0, 0], "radius": 1}, {"center": [6, 6, 5], "radius": 1.5}]}
    low, high = {"kind": "at_least", "bounds": {"ncsnr": 0.2}}, {"kind": "at_most", "bounds": {"ncsnr": 0.5, "x": 10}}
    assert fits(recording(), spheres) == [0, 1, 3]
    assert fits(recording(), low) == [1, 2, 4, 5]  # an empty value is not known, so not in
    assert fits(recording(), high) == [0, 1, 2]
    assert fits(recording(), low, high, spheres) == [1]
    assert told([low, spheres]) == "ncsnr at least 0.2 and 1 mm around [1, 0, 0] or 1.5 mm around [6, 6, 5]"


@pytest.mark.parametrize("own", ["T1w", "MNI152NLin6Asym", ""])
def test_spaces_must_agree(tmp_path, own):
    image, found = volume(tmp_path / "m.nii", {(0, 0, 0): 1}), recording(**({"space": own} if own else {}))
    assert fits(found, mask(image)) == fits(found, mask(image, space="any")) == [0]
    if own == "MNI152NLin6Asym":
        assert fits(found, mask(image, space=own)) == [0]
        return
    said = "the recording is in T1w" if own else "the recording's space is not known"
    with pytest.raises(DataError, match=rf"region R, subject S: m\.nii is in MNI152NLin6Asym, and {said}, expected the same;"):
        fits(found, mask(image, space="MNI152NLin6Asym"))


def test_what_cannot_be_a_place(tmp_path):
    image = volume(tmp_path / "m.nii", {(0, 0, 0): 1})
    with pytest.raises(DataError, match=r"m\.nii needs positions, and no neuroid has x, y and z; give them to the recording"):
        fits(recording(np.full((2, 3), np.nan)), mask(image))
    with pytest.raises(DataError, match=r"m\.nii has no voxel above 1; correct mask or threshold"):
        fits(recording(), mask(image, threshold=1))
    with pytest.raises(DataError, match=r"gone\.nii is missing; put it there, or fetch the data set again"):
        fits(recording(), mask({"file": str(tmp_path / "gone.nii")}))
    (tmp_path / "text.nii").write_text("no volume")
    with pytest.raises(DataError, match=r"text\.nii is not readable as a volume \(ImageFileError\); replace it"):
        fits(recording(), mask({"file": str(tmp_path / "text.nii")}))
    four = nibabel.Nifti1Image(np.ones((2, 2, 2, 3), dtype=np.float32), AFFINE)
    nibabel.save(four, tmp_path / "four.nii")
    with pytest.raises(DataError, match=r"four\.nii has shape \(2, 2, 2, 3\), expected a volume of three dimensions"):
        fits(recording(), mask({"file": str(tmp_path / "four.nii")}))
    with pytest.raises(DataError, match=r"at_least: coordinate 'side' is text \(first 'l'\), expected numbers; use where"):
        fits(recording(), {"kind": "at_least", "bounds": {"side": 1}})
    with pytest.raises(DataError, match=r"no neuroid coordinate 'snr', found ncsnr, neuroid_id, side, x, y, z; correct"):
        fits(recording(), {"kind": "at_most", "bounds": {"snr": 1}})


def selection(anywhere: list, places: list) -> Selection:
    return Selection("R", "S", "all", [f"s{k}" for k in range(6)], anywhere, places=places)


def test_a_region_joins_places_and_cuts_values(tmp_path):
    image = volume(tmp_path / "m.nii", {(0, 0, 0): 1, (1, 0, 0): 1})
    chosen = selection([{"side": ["l"]}, {}], [[mask(image)], [{"kind": "at_least", "bounds": {"x": 5}}]])
    assert select(recording(), chosen).tolist() == [0, 3, 4]
    assert build_patterns(recording(), chosen)["neuroid_id"].values.tolist() == ["n0", "n3", "n4"]


def test_an_empty_place_says_how_far_it_is(tmp_path):
    image = volume(tmp_path / "far.nii", {(0, 4, 4): 1})
    text = r"no neuroid of 6 lies in the mask far\.nii \(they lie at x 0 to 30, y 0 to 6, z 0 to 6 mm\)"
    with pytest.raises(EmptyRegionError, match=text):
        select(recording(), selection([{}], [[mask(image)]]))


def test_what_lies_outside_an_image_is_in_no_mask_and_of_no_label(tmp_path):
    low = volume(tmp_path / "low.nii.gz", dict.fromkeys(np.ndindex(5, 5, 5), -5.0) | {(0, 0, 0): 1})
    assert fits(recording(), mask(low, threshold=-1)) == [0]  # 30 mm away and of no position: not 0, which is above -1
