"""Derivatives in fMRIPrep's layout: found by entities, read by the adapter of their kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage

from isocortex.errors import DataError
from isocortex.recordings.adapters.bids import described
from isocortex.recordings.adapters.bids import load as load_bids
from isocortex.study.adapters.bids import BidsSubject

N = 40
MNI = "MNI152NLin2009cAsym"


def spec(**rest: Any) -> dict[str, Any]:
    entry = {"derivatives": "derivatives/fmriprep", "participant": "01", "task": "faces", "space": MNI, **rest}
    entry |= (
        {} if entry.get("series") else {"glm": {"standardize": "none", "noise": "ols", "drift": None} | entry.get("glm", {})}
    )
    return BidsSubject(adapter="bids", stimuli="all", **entry).model_dump() | {"subject": "s"}


def touch(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def func(session: str | None) -> str:
    return "sub-01/" + (f"ses-{session}/" if session else "") + "func/"


def tree(root: Path, session: str | None = "a", runs: tuple[str, ...] = ("1", "2"), *, more: bool = True) -> None:
    """What fMRIPrep 23 leaves of two runs, without contents, and the raw events."""
    start = f"sub-01_{f'ses-{session}_' if session else ''}task-faces_"
    for run in runs:
        own = f"{start}run-{run}_" if run else start
        made = f"derivatives/fmriprep/{func(session)}{own}"
        touch(root, f"{made}space-{MNI}_desc-preproc_bold.nii.gz")
        touch(root, f"{made}space-{MNI}_desc-preproc_bold.json", json.dumps({"RepetitionTime": 1.5}))
        touch(root, f"{made}space-{MNI}_desc-brain_mask.nii.gz")
        if more:
            touch(root, f"{made}space-T1w_desc-preproc_bold.nii.gz")
            touch(root, f"{made}space-{MNI}_boldref.nii.gz")
        touch(root, f"{made}desc-confounds_timeseries.tsv", "csf\ttrans_x\n1\t2\n")
        touch(root, f"{func(session)}{own}events.tsv", "onset\tduration\ttrial_type\n2\t2\ta\n")


def test_volumes_are_found_by_their_entities(tmp_path: Path) -> None:
    tree(tmp_path, "a", ("2", "1", "10"))
    found = described(spec(confounds={"columns": ["csf"]}, labels={"v1": {"path": "v1.nii.gz"}}), tmp_path)
    made = "derivatives/fmriprep/sub-01/ses-a/func/sub-01_ses-a_task-faces_run-{}_"
    assert found["adapter"] == "nifti"
    assert found["space"] == MNI
    assert found["labels"]["v1"]["path"] == "v1.nii.gz"
    assert found["mask"] == {"path": made.format(1) + f"space-{MNI}_desc-brain_mask.nii.gz"}
    assert found["runs"] == [
        {
            "session": "a",
            "run": run,
            "bold": {"path": made.format(run) + f"space-{MNI}_desc-preproc_bold.nii.gz"},
            "events": {"path": f"sub-01/ses-a/func/sub-01_ses-a_task-faces_run-{run}_events.tsv", "column": "trial_type"},
            "confounds": {"path": made.format(run) + "desc-confounds_timeseries.tsv", "columns": ["csf"]},
            "tr": 1.5,
        }
        for run in (1, 2, 10)
    ]


def test_without_sessions_and_runs(tmp_path: Path) -> None:
    tree(tmp_path, None, ("",))
    run = described(spec(), tmp_path)["runs"]
    assert [(one["session"], one["run"], one["tr"]) for one in run] == [("", 1, 1.5)]
    assert run[0]["events"]["path"] == "sub-01/func/sub-01_task-faces_events.tsv"


def test_sessions_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for session in ("10", "2", "1"):
        tree(tmp_path, session, ("1",))
    assert [run["session"] for run in described(spec(), tmp_path)["runs"]] == ["1", "2", "10"]


def test_sessions_and_runs_are_chosen(tmp_path: Path) -> None:
    tree(tmp_path, "a")
    tree(tmp_path, "b")
    every = described(spec(), tmp_path)["runs"]
    assert [(one["session"], one["run"]) for one in every] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    some = described(spec(sessions=["b"], runs=["2"]), tmp_path)["runs"]
    assert [(one["session"], one["run"]) for one in some] == [("b", 2)]
    with pytest.raises(DataError, match=r"task faces: no ses-c, found ses a, b; correct sessions"):
        described(spec(sessions=["c"]), tmp_path)
    with pytest.raises(DataError, match=r"no run-3, found run 1, 2; correct runs"):
        described(spec(runs=["3"]), tmp_path)


def test_events_and_times_are_inherited(tmp_path: Path) -> None:
    tree(tmp_path, "a", ("1", "2"))
    base = "sub-01/ses-a/func/sub-01_ses-a_task-faces_"
    (tmp_path / f"{base}run-2_events.tsv").unlink()
    for file in (tmp_path / "derivatives").rglob("*_bold.json"):
        file.unlink()
    touch(tmp_path, "task-faces_events.tsv")
    touch(tmp_path, "task-faces_bold.json", json.dumps({"RepetitionTime": 2.0}))
    touch(tmp_path, "task-rest_bold.json", json.dumps({"RepetitionTime": 3.0}))
    touch(tmp_path, f"{base}run-1_bold.json", json.dumps({"RepetitionTime": 1.0}))
    first, second = described(spec(), tmp_path)["runs"]
    assert (first["events"]["path"], first["tr"]) == (f"{base}run-1_events.tsv", 1.0)
    assert (second["events"]["path"], second["tr"]) == ("task-faces_events.tsv", 2.0)
    touch(tmp_path, f"{base}run-1_bold.json", "[")
    with pytest.raises(DataError, match=r"run-1_bold\.json is no JSON object"):
        described(spec(), tmp_path)


def test_a_file_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    tree(tmp_path, "a", ("1", "2", "3", "4"))
    with pytest.raises(
        DataError,
        match=r"no \*_bold\.nii\.gz with task words, space .*, found sub-01_ses-a_task-faces_run-1_space-MNI.* and 2 more; c",
    ) as caught:
        described(spec(task="words"), tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("_bold.nii.gz") == 6 + 1
    with pytest.raises(DataError, match=r"derivatives: 'derivatives/other' is not in"):
        described(spec(derivatives="derivatives/other"), tmp_path)


def test_two_files_for_one_run_say_what_decides(tmp_path: Path) -> None:
    tree(tmp_path, "a", ("1",))
    made = "derivatives/fmriprep/sub-01/ses-a/func/sub-01_ses-a_task-faces_run-1_"
    touch(tmp_path, f"{made}space-{MNI}_res-2_desc-preproc_bold.nii.gz")
    touch(tmp_path, f"{made}space-{MNI}_res-2_desc-brain_mask.nii.gz")
    with pytest.raises(
        DataError,
        match=r"run 1: found 2 files for the run, expected one: .*; they differ in res \(2, none\), say entities: \{res: …\}",
    ):
        described(spec(), tmp_path)
    found = described(spec(entities={"res": "2"}), tmp_path)
    assert found["runs"][0]["bold"]["path"] == f"{made}space-{MNI}_res-2_desc-preproc_bold.nii.gz"
    assert found["mask"]["path"] == f"{made}space-{MNI}_res-2_desc-brain_mask.nii.gz"


def test_what_is_missing_of_a_run_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "a", ("1",))
    confounds, mask = "desc-confounds_timeseries.tsv", f"space-{MNI}_desc-brain_mask.nii.gz"
    for name, text, rest in (
        (
            confounds,
            r"run 1: no \*_desc-confounds_timeseries\.tsv in derivatives/fmriprep",
            {"confounds": {"columns": ["csf"]}},
        ),
        (mask, r"no \*_desc-brain_mask\.nii\.gz of the first run, found none; say mask", {}),
    ):
        next((tmp_path / "derivatives").rglob(f"*{name}")).unlink()
        with pytest.raises(DataError, match=text):
            described(spec(**rest), tmp_path)
    touch(tmp_path, "derivatives/fmriprep/sub-01/ses-a/func/sub-01_ses-a_task-faces_run-1_desc-confounds_regressors.tsv")
    next((tmp_path / "sub-01").rglob("*events.tsv")).unlink()
    with pytest.raises(DataError, match=r"run 1: no \*_events\.tsv in \., found none; correct raw, or say events"):
        described(spec(mask={"path": "m.nii.gz"}), tmp_path)
    own = described(spec(mask={"path": "m.nii.gz"}, events={"path": "e.tsv"}, confounds={"columns": ["csf"]}), tmp_path)
    assert own["runs"][0]["events"]["path"] == "e.tsv"
    assert own["runs"][0]["confounds"]["path"].endswith("desc-confounds_regressors.tsv")


def test_a_strategy_chooses_columns_as_nilearn_does(tmp_path: Path) -> None:
    tree(tmp_path, "a", ("1",))
    names = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"] + [
        "csf",
        "white_matter",
        "cosine00",
        "framewise_displacement",
    ]
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(9, len(names))), columns=names)
    made = "derivatives/fmriprep/sub-01/ses-a/func/sub-01_ses-a_task-faces_run-1_desc-confounds_timeseries"
    table.to_csv(tmp_path / f"{made}.tsv", sep="\t", index=False)
    touch(tmp_path, f"{made}.json", "{}")
    found = described(spec(confounds={"strategy": ["motion", "wm_csf"], "motion": "basic"}), tmp_path)
    assert sorted(found["runs"][0]["confounds"]["columns"]) == sorted(names[:8])
    with pytest.raises(DataError, match=r"confounds of global_signal not found \(.*\); name columns"):
        described(spec(confounds={"strategy": ["global_signal"]}), tmp_path)


def bold(onsets: list[float], truth: np.ndarray) -> np.ndarray:
    from nilearn.glm.first_level import compute_regressor

    columns = [compute_regressor(np.array([[t], [2.0], [1.0]]), "glover", np.arange(N) * 1.5)[0][:, 0] for t in onsets]
    return (np.stack(columns, axis=1) @ truth + 50).astype(np.float32)


def test_volumes_are_estimated_within_the_brain_mask(tmp_path: Path) -> None:
    tree(tmp_path, "a", ("1",))
    truth = np.random.default_rng(1).normal(size=(2, 8))
    values, mask = bold([3.0, 30.0], truth).T.reshape(2, 2, 2, N), np.zeros((2, 2, 2), np.uint8)
    mask[0, 1, 1] = mask[1, 0, 0] = 1
    made = tmp_path / f"derivatives/fmriprep/sub-01/ses-a/func/sub-01_ses-a_task-faces_run-1_space-{MNI}_desc-"
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), f"{made}preproc_bold.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), f"{made}brain_mask.nii.gz")
    touch(tmp_path, "sub-01/ses-a/func/sub-01_ses-a_task-faces_run-1_events.tsv", "onset\tduration\tface\n30\t2\tb\n3\t2\ta\n")
    found = load_bids(spec(column="face"), tmp_path, pd.DataFrame({"stimulus_id": ["a", "b"]}))
    np.testing.assert_allclose(found["response"], truth[:, [3, 4]], atol=1e-3)
    assert found["neuroid_id"].values.tolist() == ["0_1_1", "1_0_0"]
    assert found.attrs["space"] == MNI
    assert set(found["session"].values) == {"a"}


def test_surfaces_of_both_hemispheres_are_estimated(tmp_path: Path) -> None:
    truth = np.random.default_rng(1).normal(size=(2, 7))
    values = bold([3.0, 30.0], truth)
    start = "derivatives/fmriprep/sub-01/func/sub-01_task-faces_"
    for side, part in (("L", values[:, :4]), ("R", values[:, 4:])):
        path = f"{start}hemi-{side}_space-fsaverage3a_bold.func.gii"
        touch(tmp_path, path)
        arrays = [GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES") for row in part]
        nibabel.save(GiftiImage(darrays=arrays), tmp_path / path)
        touch(tmp_path, f"{start}hemi-{side}_space-fsaverage3a_bold.json", json.dumps({"RepetitionTime": 1.5}))
    touch(tmp_path, "sub-01/func/sub-01_task-faces_events.tsv", "onset\tduration\ttrial_type\n30\t2\tb\n3\t2\ta\n")
    found = load_bids(spec(kind="surface", space="fsaverage3a"), tmp_path, pd.DataFrame({"stimulus_id": ["a", "b"]}))
    np.testing.assert_allclose(found["response"], truth, atol=1e-3)
    assert found["stimulus_id"].values.tolist() == ["a", "b"]
    assert found["hemisphere"].values.tolist() == ["L"] * 4 + ["R"] * 3
    assert found.attrs["space"] == "fsaverage3a"


def test_grayordinates_as_series(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    path = "derivatives/fmriprep/sub-01/func/sub-01_task-faces_space-fsLR_den-91k_bold.dtseries.nii"
    touch(tmp_path, path)
    columns = BrainModelAxis.from_surface(np.arange(3), 5, name="CORTEX_LEFT")
    nibabel.save(Cifti2Image(values, (SeriesAxis(0, 2, 4), columns)), tmp_path / path)
    table = pd.DataFrame({"stimulus_id": list("abcd")})
    found = load_bids(spec(kind="cifti", space="fsLR", entities={"den": "91k"}, series=True), tmp_path, table)
    np.testing.assert_array_equal(found["response"], values)


def test_the_files_that_are_needed_are_listed() -> None:
    assert [part["path"] for part in spec(sessions=["a"])["parts"]] == [
        "derivatives/fmriprep/sub-01/ses-a",
        "sub-01/ses-a",
    ]
    exact = spec(exact=True, sessions=["a"], runs=["1"], entities={"res": "2"}, confounds={"strategy": ["motion"]})
    made = "derivatives/fmriprep/sub-01/ses-a/func/sub-01_ses-a_task-faces_run-1_"
    assert [part["path"] for part in exact["parts"]] == [
        f"{made}space-{MNI}_res-2_desc-preproc_bold.nii.gz",
        f"{made}space-{MNI}_res-2_desc-preproc_bold.json",
        f"{made}space-{MNI}_res-2_desc-brain_mask.nii.gz",
        f"{made}desc-confounds_timeseries.tsv",
        f"{made}desc-confounds_timeseries.json",
        "sub-01/ses-a/func/sub-01_ses-a_task-faces_run-1_events.tsv",
    ]


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ({"series": True, "glm": {}}, "expected either glm: {…}, or series: true"),
        ({"confounds": {}}, "expected either columns or strategy"),
        ({"participant": "sub-01"}, "participant"),
        ({"labels": {"v1": {"left": {"path": "x"}}}}, "path"),
    ],
)
def test_entries_that_cannot_be(rest: dict[str, Any], text: str) -> None:
    entry = {"derivatives": "d", "participant": "01", "task": "faces", "glm": {}, **rest}
    with pytest.raises(ValueError, match=text):
        BidsSubject(adapter="bids", stimuli="all", **entry)
