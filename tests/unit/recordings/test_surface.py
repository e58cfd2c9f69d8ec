"""Surfaces: GIFTI and MGH files per hemisphere, vertex by vertex."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel.freesurfer import write_annot, write_geometry
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiLabel, GiftiLabelTable, GiftiMetaData

from isocortex.errors import DataError
from isocortex.recordings.adapters.surface import load as load_surface
from isocortex.recordings.fmri import glm as glm_of
from isocortex.study.adapters.surface import SurfaceSubject

N = {"left": 5, "right": 4}
RNG = np.random.default_rng(0)


def load(root: Path, shown: list[str], **rest: Any) -> xr.Dataset:
    spec = SurfaceSubject(adapter="surface", stimuli="all", **rest).model_dump()
    return load_surface({**spec, "subject": "s"}, root, pd.DataFrame({"stimulus_id": shown}))


def both(name: str) -> dict[str, dict[str, str]]:
    return {side: {"path": name.format(side[0])} for side in N}


def mgh(file: Path, values: np.ndarray) -> None:
    """(frames, vertices) as (vertices, 1, 1, frames); one frame as (vertices, 1, 1)."""
    four = values.T[:, None, None, :].astype(np.float32)
    nibabel.save(nibabel.MGHImage(four if len(values) > 1 else four[..., 0], np.eye(4)), file)


def gifti(file: Path, values: np.ndarray, names: list[str] | None = None, **meta: str) -> None:
    """An array per frame."""
    arrays = [
        GiftiDataArray(row.astype(np.float32), intent="NIFTI_INTENT_TIME_SERIES", datatype="NIFTI_TYPE_FLOAT32",
                       meta={"Name": names[index]} if names else {})
        for index, row in enumerate(values)
    ]  # fmt: skip
    nibabel.save(GiftiImage(darrays=arrays, meta=GiftiMetaData(meta)), file)


def betas(root: Path, n: int = 3) -> dict[str, np.ndarray]:
    values = {side: RNG.normal(size=(n, size)) for side, size in N.items()}
    for side, one in values.items():
        mgh(root / f"{side[0]}h.mgh", one)
    return values


def test_mgh_estimates_are_read_frame_by_frame(tmp_path: Path) -> None:
    first, second = RNG.normal(size=(3, 9)), RNG.normal(size=(2, 9))
    for name, values in (("1", first), ("2", second)):
        mgh(tmp_path / f"lh.betas_session0{name}.mgh", values[:, :5])
        mgh(tmp_path / f"rh.betas_session0{name}.mgz", values[:, 5:])
    pd.DataFrame({"image": ["7", "9", "7", "8", "9"]}).to_csv(tmp_path / "design.csv", index=False)
    items = [
        {
            "left": {"path": f"lh.betas_session0{n}.mgh"},
            "right": {"path": f"rh.betas_session0{n}.mgz"},
            "session": f"0{n}",
            "run": n,
        }
        for n in (1, 2)
    ]
    found = load(tmp_path, ["7", "8", "9"], betas=items, ids={"path": "design.csv", "column": "image"}, repeats=2)
    np.testing.assert_array_equal(found["response"], np.concatenate([first, second]).astype(np.float32))
    np.testing.assert_array_equal(
        found["response"][4:1:-1, [8, 0]], np.concatenate([first, second])[4:1:-1][:, [8, 0]].astype("f4")
    )
    assert found["stimulus_id"].values.tolist() == ["7", "9", "7", "8", "9"]
    assert found["repeat"].values.tolist() == [0, 0, 1, 0, 1]
    assert found["session"].values.tolist() == ["01", "01", "01", "02", "02"]
    assert found["run"].values.tolist() == [1, 1, 1, 2, 2]
    assert found["neuroid_id"].values.tolist() == ["L0", "L1", "L2", "L3", "L4", "R0", "R1", "R2", "R3"]
    assert found["hemisphere"].values.tolist() == ["L"] * 5 + ["R"] * 4
    assert np.isnan(found["x"]).all()
    assert "space" not in found.attrs


def test_gifti_arrays_are_conditions_by_their_names(tmp_path: Path) -> None:
    values = RNG.normal(size=(2, 5))
    gifti(tmp_path / "l.func.gii", values, ["face", "house"])
    found = load(tmp_path, ["face", "house"], betas=[{"left": {"path": "l.func.gii"}}])
    np.testing.assert_array_equal(found["response"], values.astype(np.float32))
    assert found["stimulus_id"].values.tolist() == ["face", "house"]
    assert set(found["hemisphere"].values) == {"L"}


def test_labels_positions_and_mask(tmp_path: Path) -> None:
    values = betas(tmp_path)
    annot = {"l": [0, 1, -1, 1, 0], "r": [1, 1, 0, 0]}
    colours = np.array([[10, 20, 30, 0, 0], [40, 50, 60, 0, 0]])
    for side, numbers in annot.items():
        write_annot(tmp_path / f"{side}h.annot", np.asarray(numbers), colours, ["unknown", "V1"], fill_ctab=True)
        n = len(numbers)
        mgh(tmp_path / f"{side}h.hcp.mgz", np.arange(n)[None] % 3)
        table = GiftiLabelTable()
        table.labels = [GiftiLabel(0), GiftiLabel(5)]
        table.labels[0].label, table.labels[1].label = "none", "FFA"
        array = GiftiDataArray(np.where(np.arange(n) == 1, 5, 0).astype(np.int32), intent="NIFTI_INTENT_LABEL")
        nibabel.save(GiftiImage(darrays=[array], labeltable=table), tmp_path / f"{side}.label.gii")
        write_geometry(tmp_path / f"{side}h.pial", np.arange(n * 3.0).reshape(n, 3), np.array([[0, 1, 2]]))
        (tmp_path / f"{side}h.cortex.label").write_text("#!ascii label\n3\n" + "".join(f"{v} 0 0 0 0\n" for v in (0, 1, 3)))
    (tmp_path / "hcp.ctab").write_text("# names\n0 Unknown 0 0 0 0\n1 V1v 1 2 3 0\n2 V1d 3 2 1 0\n")
    found = load(
        tmp_path,
        ["a"],
        betas=[{**both("{}h.mgh"), "ids": {"value": "a"}}],
        repeats=3,
        geometry=both("{}h.pial"),
        mask=both("{}h.cortex.label"),
        labels={
            "aparc": both("{}h.annot"),
            "hcp": {**both("{}h.hcp.mgz"), "table": {"path": "hcp.ctab"}},
            "roi": both("{}.label.gii"),
            "named": {**both("{}h.hcp.mgz"), "names": {1: "one", 2: "two"}},
            "numbers": both("{}h.hcp.mgz"),
        },
    )
    kept = np.concatenate([values["left"][:, [0, 1, 3]], values["right"][:, [0, 1, 3]]], axis=1)
    np.testing.assert_array_equal(found["response"], kept.astype(np.float32))
    assert found["neuroid_id"].values.tolist() == ["L0", "L1", "L3", "R0", "R1", "R3"]
    assert found["aparc"].values.tolist() == ["unknown", "V1", "V1", "V1", "V1", "unknown"]
    assert found["hcp"].values.tolist() == ["Unknown", "V1v", "Unknown", "Unknown", "V1v", "Unknown"]
    assert found["roi"].values.tolist() == ["none", "FFA", "none", "none", "FFA", "none"]
    assert found["named"].values.tolist() == ["", "one", "", "", "one", ""]
    assert found["numbers"].values.tolist() == ["0", "1", "0", "0", "1", "0"]
    assert found["x"].values.tolist() == [0, 3, 9, 0, 3, 9]
    assert found["z"].values.tolist() == [2, 5, 11, 2, 5, 11]


def test_vertices_without_values_are_no_neuroids(tmp_path: Path) -> None:
    values = RNG.normal(size=(2, 5))
    values[:, 1], values[:, 3] = np.nan, 0
    gifti(tmp_path / "l.func.gii", values)
    found = load(tmp_path, ["a", "b"], runs=[{"left": {"path": "l.func.gii"}}], series=True)
    assert found["neuroid_id"].values.tolist() == ["L0", "L2", "L4"]
    np.testing.assert_array_equal(found["response"], values[:, [0, 2, 4]].astype(np.float32))


def test_runs_as_series_follow_the_stimulus_table(tmp_path: Path) -> None:
    values = RNG.normal(size=(5, 5))
    gifti(tmp_path / "1.func.gii", values[:3])
    gifti(tmp_path / "2.func.gii", values[3:])
    runs = [{"left": {"path": f"{n}.func.gii"}, "run": n} for n in (1, 2)]
    found = load(tmp_path, list("abcde"), runs=runs, series=True)
    np.testing.assert_array_equal(found["response"], values.astype(np.float32))
    assert found["stimulus_id"].values.tolist() == list("abcde")
    with pytest.raises(DataError, match=r"runs have 3 \+ 2 = 5 samples, expected 4 as in the stimulus set"):
        load(tmp_path, list("abcd"), runs=runs, series=True)


def events(root: Path, **columns: Any) -> None:
    table = {"onset": [22.0, 2.0, 42.0, 30.0], "duration": [2.0] * 4, "trial_type": ["b", "a", "a", "rest"], **columns}
    pd.DataFrame({k: v for k, v in table.items() if v is not None}).to_csv(root / "events.tsv", sep="\t", index=False)


def bold(truth: np.ndarray, onsets: list[float], n: int = 60, tr: float = 1.5) -> np.ndarray:
    """Glover responses of 2 s, sampled by a plain loop over nilearn's regressor, on a constant; (n, vertices)."""
    from nilearn.glm.first_level import compute_regressor

    times = np.arange(n) * tr
    columns = [compute_regressor(np.array([[t], [2.0], [1.0]]), "glover", times)[0][:, 0] for t in onsets]
    return np.stack(columns, axis=1) @ truth + 100


def test_a_glm_finds_the_responses_that_made_the_run(tmp_path: Path) -> None:
    truth = RNG.normal(size=(3, 9))
    moved = np.linspace(-1, 1, 60) ** 3
    values = bold(truth, [2.0, 22.0, 42.0]) + 5 * moved[:, None]
    gifti(tmp_path / "l.func.gii", values[:, :5])
    gifti(tmp_path / "r.func.gii", values[:, 5:])
    events(tmp_path)
    pd.DataFrame({"trans_x": moved, "rot_x": 0.0}).to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    run = {**both("{}.func.gii"), "events": {"path": "events.tsv"}, "tr": 1.5, "session": "1", "run": 2}
    run["confounds"] = {"path": "c.tsv", "columns": ["trans_x"]}
    glm = {"model": "lsa", "leave_out": ["rest"], "drift": None, "standardize": "none", "noise": "ols"}
    found = load(tmp_path, ["a", "b"], runs=[run], glm=glm, repeats=2)
    assert found["stimulus_id"].values.tolist() == ["a", "b", "a"]
    np.testing.assert_allclose(found["response"], truth, atol=1e-3)
    assert set(found["run"].values) == {2}
    with pytest.raises(DataError, match=r"confounds c\.tsv: no column 'csf', found trans_x, rot_x; correct the name"):
        load(tmp_path, ["a", "b"], runs=[{**run, "confounds": {"path": "c.tsv", "columns": ["csf"]}}], glm=glm)


def test_columns_are_estimated_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glm_of, "BLOCK", 2)
    truth = RNG.normal(size=(3, 5))
    values = bold(truth, [2.0, 22.0, 42.0])
    values[:, 1] = np.nan
    gifti(tmp_path / "l.func.gii", values)
    gifti(tmp_path / "ones.shape.gii", np.ones((1, 5)))
    gifti(tmp_path / "nan.func.gii", np.full((60, 5), np.nan))
    events(tmp_path)
    run = {"left": {"path": "l.func.gii"}, "events": {"path": "events.tsv"}, "tr": 1.5}
    glm = {"leave_out": ["rest"], "drift": None, "standardize": "none", "noise": "ols"}
    rest = {"glm": glm, "mask": {"left": {"path": "ones.shape.gii"}}, "repeats": 2}
    found = load(tmp_path, ["a", "b"], runs=[run], **rest)
    assert np.isnan(found["response"][:, 1]).all()
    np.testing.assert_allclose(found["response"][:, [0, 2, 3, 4]], truth[:, [0, 2, 3, 4]], atol=1e-3)
    empty = load(tmp_path, ["a", "b"], runs=[{**run, "left": {"path": "nan.func.gii"}}], **rest)
    with pytest.raises(DataError, match=r"run nan\.func\.gii: all values are NaN, expected numbers; leave the run out"):
        empty["response"].to_numpy()


def test_frames_of_an_mgh_file_are_read_by_part(tmp_path: Path) -> None:
    mgh(tmp_path / "l.mgh", np.ones((200, 20000)))  # 16 MB
    mgh(tmp_path / "m.mgh", np.ones((1, 20000)))
    rest = {"betas": [{"left": {"path": "l.mgh"}, "ids": {"value": "a"}}], "mask": {"left": {"path": "m.mgh"}}}
    found = load(tmp_path, ["a"], repeats=200, **rest)["response"]
    tracemalloc.start()
    try:
        assert (found[7:9].to_numpy() == 1).all()
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["l.func.gii", "l.mgh", "l.mgz"])
def test_files_that_are_not_what_they_are_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"something else")
    text = rf"surface {name}: {name} could not be read \(.*\); make or fetch the file again"
    with pytest.raises(DataError, match=text) as caught:
        load(tmp_path, ["a"], betas=[{"left": {"path": name}, "ids": {"value": "a"}}])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["condition", "lss"])
def test_conditions_and_separate_trials(tmp_path: Path, model: str) -> None:
    truth = RNG.normal(size=(2, 5))
    gifti(tmp_path / "l.func.gii", bold(truth[[0, 1, 0]], [2.0, 22.0, 42.0]), TimeStep="1500")
    events(tmp_path)
    run = {"left": {"path": "l.func.gii"}, "events": {"path": "events.tsv"}}
    glm = {"model": model, "leave_out": ["rest"], "drift": None, "standardize": "none", "noise": "ols"}
    found = load(tmp_path, ["a", "b"], runs=[run], glm=glm, repeats=2)
    if model == "condition":
        assert found["stimulus_id"].values.tolist() == ["a", "b"]
        return np.testing.assert_allclose(found["response"], truth, atol=1e-3)
    one = [bold(np.eye(3)[k : k + 1], [t])[:, k] - 100 for k, t in enumerate((2.0, 22.0, 42.0))]
    values = np.float32(bold(truth[[0, 1, 0]], [2.0, 22.0, 42.0])).astype(float)
    for trial in range(3):
        others = sum(one[k] for k in range(3) if k != trial)
        design = np.stack([one[trial], others, np.ones(60)], axis=1)
        expected = np.linalg.lstsq(design, values, rcond=None)[0][0]
        np.testing.assert_allclose(found["response"][trial], expected, atol=1e-4)
    return None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"events": None}, r"run l\.func\.gii: a GLM needs events, found none; say events"),
        ({"tr": None}, r"run l\.func\.gii: the file says no repetition time, expected seconds per volume; say tr"),
        ({"tr": 0.5}, r"events events\.tsv: event 'rest' starts at 30 s, expected before 30 s, the end of the run"),
        ({"events": {"path": "no.tsv"}}, r"run l\.func\.gii: 'no\.tsv' is not in .*; list it under 'files'"),
    ],
)
def test_runs_that_cannot_be_estimated(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    gifti(tmp_path / "l.func.gii", RNG.normal(size=(60, 5)))
    events(tmp_path)
    run = {"left": {"path": "l.func.gii"}, "events": {"path": "events.tsv"}, "tr": 1.5, **change}
    with pytest.raises(DataError, match=text) as caught:
        load(tmp_path, ["a", "b"], runs=[run], glm={"leave_out": []})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"onset": None}, "no column 'onset', found duration, trial_type; correct the name or the file"),
        ({"trial_type": None}, "no column 'trial_type', found onset, duration"),
        ({"onset": [1.0, np.nan, 3.0, 4.0]}, "event 2 has onset nan, expected seconds; correct the file"),
        ({"trial_type": ["rest"] * 4}, "no event is left of 4, expected some; correct leave_out"),
    ],
)
def test_events_that_are_none(tmp_path: Path, columns: dict[str, Any], text: str) -> None:
    gifti(tmp_path / "l.func.gii", RNG.normal(size=(60, 5)))
    events(tmp_path, **columns)
    run = {"left": {"path": "l.func.gii"}, "events": {"path": "events.tsv"}, "tr": 1.5}
    with pytest.raises(DataError, match=text):
        load(tmp_path, ["a", "b"], runs=[run], glm={"leave_out": ["rest"]})


def test_hemispheres_and_vertices_must_agree(tmp_path: Path) -> None:
    betas(tmp_path)
    mgh(tmp_path / "small.mgh", np.ones((3, 2)))
    mgh(tmp_path / "short.mgh", np.ones((1, 4)))
    whole = {**both("{}h.mgh"), "ids": {"value": "a"}}
    left = {"left": {"path": "lh.mgh"}, "ids": {"value": "a"}}
    for items, rest, text in (
        ([whole, left], {}, r"surface lh\.mgh: entry 1 has no right hemisphere, which others have; add right"),
        ([left, {**left, "left": {"path": "small.mgh"}}], {}, r"small\.mgh: found 2 vertices, expected 5 as in the first"),
        ([left], {"space": "fsaverage5"}, r"space is fsaverage5, which has 10242 vertices, found 5 on the left"),
        ([{**whole, "right": {"path": "short.mgh"}}], {}, r"found 3 frames left and 1 frames right, expected as many"),
        ([{"left": {"path": "lh.mgh"}}], {}, r"estimates lh\.mgh: 3 frames have no names, expected the stimulus of each"),
        ([left], {"mask": {"left": {"path": "short.mgh"}}}, r"mask, left: short\.mgh has 4 vertices, expected 5 as the values"),
        (
            [whole],
            {"labels": {"r": {"left": {"path": "lh.mgh"}}}},
            r"surface r: no right hemisphere, which the values have; add right",
        ),
        ([{**left, "ids": {"value": "z"}}], {}, r"1 ids are not in the stimulus set \(first 'z'\)"),
    ):
        with pytest.raises(DataError, match=text):
            load(tmp_path, ["a"], betas=items, **rest)


def test_the_space_is_known_by_the_number_of_vertices(tmp_path: Path) -> None:
    mgh(tmp_path / "l.mgh", np.ones((1, 10242)))
    found = load(tmp_path, ["a"], betas=[{"left": {"path": "l.mgh"}, "ids": {"value": "a"}}])
    assert found.attrs["space"] == "fsaverage5"
    assert found.sizes["neuroid"] == 10242


def test_real_surfaces_that_nilearn_ships(tmp_path: Path) -> None:
    from nilearn.datasets import fetch_surf_fsaverage

    files = fetch_surf_fsaverage("fsaverage5")
    for side in N:
        for name in ("sulc", "pial"):
            (tmp_path / f"{name}_{side}.gii.gz").write_bytes(Path(files[f"{name}_{side}"]).read_bytes())
    item = {side: {"path": f"sulc_{side}.gii.gz"} for side in N} | {"ids": {"value": "a"}}
    geometry = {side: {"path": f"pial_{side}.gii.gz"} for side in N}
    found = load(tmp_path, ["a"], betas=[item], geometry=geometry, space="fsaverage5")
    sulc, pial = (
        np.concatenate([nibabel.load(files[f"{name}_{side}"]).darrays[0].data for side in N]) for name in ("sulc", "pial")
    )
    assert len(sulc) == 2 * 10242
    np.testing.assert_array_equal(found["response"][0], sulc[sulc != 0].astype(np.float32))
    np.testing.assert_allclose(np.stack([found[axis] for axis in "xyz"], axis=1), pial[sulc != 0])
    left = (found["hemisphere"] == "L").values
    assert found["x"].values[left].mean() < 0 < found["x"].values[~left].mean()


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ({}, "found neither betas and runs, expected one of them"),
        ({"runs": [{"left": {"path": "x"}}]}, "expected either glm: {…}, or series: true"),
        ({"betas": [{"left": {"path": "x"}}], "series": True}, "found glm or series beside them"),
        ({"betas": [{"session": "1"}]}, "found neither left nor right"),
    ],
)
def test_entries_that_cannot_be(rest: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SurfaceSubject(adapter="surface", stimuli="all", **rest)
