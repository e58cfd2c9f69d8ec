"""The Natural Scenes Dataset in miniature: names, axis order, integer scale and 1-based numbers as in the public bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError
from scipy.io import savemat

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.recordings.stimuli import make_table
from isocortex.storage.images import image_digest, read_image
from isocortex.study import Study
from isocortex.study.adapters.nsd import NsdSubject
from isocortex.study.datasets import StimulusSet
from isocortex.study.parts import parts

SHAPE = (3, 4, 5)  # X, Y, Z
AFFINE = np.array([[1.8, 0, 0, -10], [0, 1.8, 0, -20], [0, 0, 1.8, 5], [0, 0, 0, 1.0]])
N_IMAGES, NUMBER = 500, 2
BETAS = "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR"
ROI = "nsddata/ppdata/subj02/func1pt8mm/roi"
DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"


def save_volume(root: Path, path: str, values: dict[tuple[int, int, int], float], shape: tuple[int, ...] = SHAPE) -> None:
    volume = np.zeros(shape, dtype=np.float32)
    for index, value in values.items():
        volume[index] = value
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(volume, AFFINE).to_filename(root / path)


def betas(session: int) -> np.ndarray:
    """Whole numbers (750, Z, Y, X) that tell session, trial and voxel apart."""
    trial, z, y, x = np.ogrid[:750, :5, :4, :3]
    return (session * 10000 + trial * 12 + z * 100 - y * 7 + x - 300).astype(np.int16)


def save_betas(root: Path, session: int, values: np.ndarray, key: str = "betas") -> None:
    file = root / BETAS / f"betas_session{session:02d}.hdf5"
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as opened:
        opened.create_dataset(key, data=values, chunks=(len(values), 1, 1, 1))


def save_design(root: Path, **change: Any) -> dict[str, np.ndarray]:
    """Images of subject 2 are 501 to 900 and, shared, 1 to 100; its first trials show the images 7, 7, 250 (1-based)."""
    own = np.concatenate([np.arange(1, 101), np.arange(501, 901)])
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(1, N_IMAGES + 1), 3))
    order[:3] = (7, 7, 250)
    arrays = {
        "masterordering": order[None].astype(np.float64),
        "subjectim": np.stack([own + 1000 * (k != 1) for k in range(8)]).astype(np.float64),
        "sharedix": np.arange(1, 101)[None].astype(np.float64),
        **change,
    }
    (root / DESIGN).parent.mkdir(parents=True, exist_ok=True)
    savemat(root / DESIGN, {key: value for key, value in arrays.items() if value is not None})
    return arrays


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nsd")
    save_design(root)
    for session in (1, 2):
        values = betas(session)
        if session == 2:
            values[:, 4, 1, 2] = 0  # outside of this session's volume
        save_betas(root, session, values)
    save_volume(root, f"{ROI}/nsdgeneral.nii.gz", {(0, 1, 2): 1, (2, 1, 4): 1, (2, 3, 2): 1, (1, 1, 1): -1})
    save_volume(root, f"{ROI}/prf-visualrois.nii.gz", {(0, 1, 2): 1, (2, 1, 4): 7, (2, 3, 2): -1})
    save_volume(root, f"{ROI}/streams.nii.gz", {(0, 1, 2): 0, (2, 1, 4): 1, (2, 3, 2): 5})
    save_volume(root, f"{ROI}/HCP_MMP1.nii.gz", {(0, 1, 2): 4, (2, 1, 4): 180})
    save_volume(root, f"{BETAS}/ncsnr.nii.gz", {(0, 1, 2): 0.25, (2, 1, 4): 0.5, (2, 3, 2): 1.5})
    return root


def spec(**change: Any) -> dict[str, Any]:
    rois = ["prf-visualrois", "streams", "HCP_MMP1"]
    given = {"adapter": "nsd", "stimuli": "s2", "number": NUMBER, "sessions": [1, 2], "rois": rois, **change}
    return {**NsdSubject.model_validate(given).model_dump(), "subject": "subj02"}


def all_images() -> pd.DataFrame:
    return pd.DataFrame({"stimulus_id": [f"nsd{k:05d}" for k in range(1, 1001)]})


def load(root: Path, table: pd.DataFrame | None = None, **change: Any) -> xr.Dataset:
    return bind(ADAPTERS, "nsd", "x")(spec(**change), root, all_images() if table is None else table)


def test_paths_are_those_of_the_bucket() -> None:
    files = spec(sessions="all", number=4, mask="nsdgeneral", preparation="betas_assumehrf", space="func1mm")["files"]
    assert len(files["betas"]) == 30
    assert files["betas"][29] == {
        "path": "nsddata_betas/ppdata/subj04/func1mm/betas_assumehrf/betas_session30.hdf5",
        "session": 30,
    }
    assert files["masks"] == [{"path": "nsddata/ppdata/subj04/func1mm/roi/nsdgeneral.nii.gz"}]
    assert files["rois"]["streams"] == {"path": "nsddata/ppdata/subj04/func1mm/roi/streams.nii.gz"}
    assert files["ncsnr"] == {"path": "nsddata_betas/ppdata/subj04/func1mm/betas_assumehrf/ncsnr.nii.gz"}
    assert files["design"] == {"path": DESIGN}


def test_each_value_is_that_of_its_trial_and_voxel(made: Path) -> None:
    found = load(made)
    assert found["response"].shape == (1500, 3)
    assert found["response"].dtype == np.float32
    assert found["neuroid_id"].values.tolist() == ["0_1_2", "2_1_4", "2_3_2"]
    trial = np.arange(750)
    for session in (1, 2):
        mine = found["response"].values[(session - 1) * 750 : session * 750]
        base = session * 10000 + trial * 12 - 300
        np.testing.assert_allclose(mine[:, 0], (base + 200 - 7 + 0) / 300, rtol=1e-6)
        np.testing.assert_allclose(mine[:, 2], (base + 200 - 21 + 2) / 300, rtol=1e-6)
        if session == 1:
            np.testing.assert_allclose(mine[:, 1], (base + 400 - 7 + 2) / 300, rtol=1e-6)
        else:
            assert np.isnan(mine[:, 1]).all()
    np.testing.assert_array_equal(found["response"][[1400, 3], [2, 0]], found["response"].values[[1400, 3]][:, [2, 0]])


def test_trials_stand_in_their_order_with_their_images(made: Path) -> None:
    found = load(made)
    order = save_design(made)["masterordering"][0].astype(int)
    own = np.concatenate([np.arange(1, 101), np.arange(501, 901)])
    assert found["stimulus_id"].values[:3].tolist() == ["nsd00007", "nsd00007", "nsd00650"]
    assert found["stimulus_id"].values.tolist() == [f"nsd{own[k - 1]:05d}" for k in order]
    assert found["repeat"].values[:3].tolist() == [0, 1, 0]
    assert found["session"].values[[0, 749, 750, 1499]].tolist() == ["01", "01", "02", "02"]


def test_voxels_have_labels_positions_and_reliability(made: Path) -> None:
    found = load(made)
    assert found["prf-visualrois"].values.tolist() == ["V1v", "hV4", ""]
    assert found["streams"].values.tolist() == ["", "early", "ventral"]
    assert found["HCP_MMP1"].values.tolist() == ["4", "180", ""]
    assert found["ncsnr"].values.tolist() == [0.25, 0.5, 1.5]
    np.testing.assert_allclose(found["x"], [-10, -6.4, -6.4])
    np.testing.assert_allclose(found["y"], [-18.2, -18.2, -14.6])
    np.testing.assert_allclose(found["z"], [8.6, 12.2, 8.6])
    assert found.attrs["shape"] == "[3, 4, 5]"


def test_one_session_and_several_masks(made: Path) -> None:
    found = load(made, sessions=[2], mask=["streams", "prf-visualrois"])
    assert found["session"].values[0] == "02"
    assert found["neuroid_id"].values.tolist() == ["0_1_2", "2_1_4", "2_3_2"]
    np.testing.assert_allclose(found["response"].values[0, 0], (20000 - 300 + 200 - 7) / 300, rtol=1e-6)


def test_shared_images_only(made: Path) -> None:
    found, every = load(made, images="shared"), load(made)
    kept = np.array([int(name[3:]) <= 100 for name in every["stimulus_id"].values])
    assert found["stimulus_id"].values.tolist() == every["stimulus_id"].values[kept].tolist()
    np.testing.assert_array_equal(found["response"].values, every["response"].values[kept])


def test_the_stimulus_set_holds_rows_of_the_brick(made: Path) -> None:
    brick = np.random.default_rng(1).integers(0, 256, (900, 2, 2, 3), dtype=np.uint8)
    path = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
    (made / path).parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(made / path, "w") as opened:
        opened["imgBrick"] = brick
    entry = StimulusSet.model_validate(
        {"n": 100, "nsd": {"number": NUMBER, "images": "shared", "sessions": [1, 2]}}
    ).model_dump()
    table = make_table(entry, made, "set")
    assert table["stimulus_id"].tolist() == [f"nsd{k:05d}" for k in range(1, 101)]
    assert table["row"].tolist() == list(range(100))
    assert table["digest"][6] == image_digest(brick[6])
    assert set(table["shared"]) == {"1"}
    np.testing.assert_array_equal(read_image(made, table["path"][6], int(table["row"][6])), brick[6])
    few = {"n": 10000, "nsd": {**entry["nsd"], "images": "all"}}
    with pytest.raises(DataError, match="set: found 500 stimuli, expected 10000"):
        make_table(few, made, "set")
    with h5py.File(made / path, "w") as opened:
        opened["imgBrick"] = brick[:50]
    with pytest.raises(DataError, match=r"imgBrick has shape \(50, 2, 2, 3\), expected \(100 or more, y, x, 3\)"):
        make_table(entry, made, "set")


@pytest.mark.parametrize(
    ("number", "sessions", "text"),
    [
        (4, [31], r"sessions: found 31, expected 1 to 30, which subject 4 has"),
        (3, [1, 33], r"sessions: found 33, expected 1 to 32"),
        (1, [2, 2], r"sessions: found \[2, 2\], expected each once"),
    ],
)
def test_sessions_that_a_subject_does_not_have(number: int, sessions: list[int], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        spec(number=number, sessions=sessions)
    with pytest.raises(ValidationError, match=text):
        StimulusSet.model_validate({"n": 1, "nsd": {"number": number, "sessions": sessions}})


def test_files_that_do_not_fit(made: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"roi/floc-faces\.nii\.gz' is not in"):
        load(made, rois=["floc-faces"])
    with pytest.raises(DataError, match=r"2 images are not in the stimulus set \(first 'nsd00007'\); give the set the same"):
        load(made, all_images().query("stimulus_id not in ['nsd00007', 'nsd00650']"))
    with pytest.raises(DataError, match=r"masterordering has 1500 trials, expected 2250 or more for session 3"):
        load(made, sessions=[3])


@pytest.mark.parametrize(
    ("values", "key", "text"),
    [
        (betas(1).transpose(0, 3, 2, 1), "betas", r"int16 \(750, 3, 4, 5\), expected int16 \(750, 5, 4, 3\): 750 trials"),
        (betas(1)[:749], "betas", r"int16 \(749, 5, 4, 3\), expected"),
        (betas(1).astype(np.float32), "betas", r"betas are float32"),
        (betas(1), "data", r"no array 'betas', found data"),
    ],
)
def test_betas_of_another_form(tmp_path: Path, made: Path, values: np.ndarray, key: str, text: str) -> None:
    for name in ("nsddata",):
        (tmp_path / name).symlink_to(made / name)
    save_betas(tmp_path, 1, values, key)
    save_volume(tmp_path, f"{BETAS}/ncsnr.nii.gz", {})
    with pytest.raises(DataError, match=rf"NSD subject 2, .*betas_session01\.hdf5: .*{text}") as caught:
        load(tmp_path, sessions=[1])
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_shape(tmp_path: Path, made: Path) -> None:
    save_betas(tmp_path, 1, betas(1))
    save_design(tmp_path)
    save_volume(tmp_path, f"{ROI}/nsdgeneral.nii.gz", {(0, 0, 0): 1})
    save_volume(tmp_path, f"{BETAS}/ncsnr.nii.gz", {})
    save_volume(tmp_path, f"{ROI}/streams.nii.gz", {}, (5, 4, 3))
    with pytest.raises(DataError, match=r"streams\.nii\.gz: found 5 × 4 × 3 voxels, expected 3 × 4 × 5"):
        load(tmp_path, sessions=[1], rois=["streams"])
    save_volume(tmp_path, f"{ROI}/nsdgeneral.nii.gz", {(0, 0, 0): -1})
    with pytest.raises(DataError, match=r"nsdgeneral\.nii\.gz: no voxel is above 0"):
        load(tmp_path, sessions=[1], rois=[])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"masterordering": np.full((1, 750), 501.0)}, r"masterordering goes from 501 to 501, expected 1 to 500"),
        ({"subjectim": np.ones((1, 500))}, r"subjectim has shape \(1, 500\), expected \(8, images\)"),
        ({"sharedix": None}, r"no variable 'sharedix', expected masterordering, subjectim, sharedix"),
    ],
)
def test_a_design_of_another_form(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    save_volume(tmp_path, f"{ROI}/nsdgeneral.nii.gz", {(0, 0, 0): 1})
    save_design(tmp_path, **change)
    with pytest.raises(DataError, match=rf"nsd_expdesign\.mat: {text}"):
        load(tmp_path, sessions=[1], rois=[])


def test_the_catalogue_names_what_is_fetched(repository: Path) -> None:
    mapping = {"study": "x", "dataset": "nsd", "models": {"gabor": {"source": "gabor"}}, "accept_terms": True}
    study = Study.from_mapping(mapping, catalogue=repository / "config/catalogue")
    found = parts(study.dataset_entry)
    bucket = "https://natural-scenes-dataset.s3.amazonaws.com"
    sessions = [sum("betas_session" in path for path in found[f"subject-subj{k:02d}"]) for k in range(1, 9)]
    assert sessions == [40, 40, 32, 30, 40, 32, 40, 30]
    assert found["subject-subj02"][f"{BETAS}/betas_session07.hdf5"]["url"] == f"{bucket}/{BETAS}/betas_session07.hdf5"
    assert found["subject-subj02"][f"{ROI}/streams.nii.gz"]["url"] == f"{bucket}/{ROI}/streams.nii.gz"
    assert found["common"][DESIGN]["url"] == f"{bucket}/{DESIGN}"
    assert "naturalscenesdataset.org" in study.dataset_entry["terms"]
