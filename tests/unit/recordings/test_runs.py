"""Runs over any grid say their events, confounds and model in the same words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel.gifti import GiftiDataArray, GiftiImage
from nifti_files import TR, at, bold, mask_of, save
from nifti_files import load as load_volumes

from isocortex.errors import DataError
from isocortex.recordings.adapters.surface import load as load_surface
from isocortex.recordings.fmri.glm import estimates
from isocortex.study.adapters.glm import Confounds
from isocortex.study.adapters.surface import SurfaceSubject

N = 40
GLM = {"hrf": "fir", "fir_delays": [1, 2], "drift": None, "standardize": "none", "noise": "ols", "leave_out": ["rest"]}
RUN = {"left": {"path": "l.func.gii"}, "tr": 1.5}


def load(root: Path, shown: list[str], run: dict[str, Any], **glm: Any) -> xr.Dataset:
    return load_entry(root, shown, runs=[run], glm={**GLM, **glm})


def load_entry(root: Path, shown: list[str], **rest: Any) -> xr.Dataset:
    spec = SurfaceSubject.model_validate({"adapter": "surface", "stimuli": "all", **rest}).model_dump()
    return load_surface(spec, root, pd.DataFrame({"stimulus_id": shown}))


@pytest.fixture
def surface(tmp_path: Path) -> Path:
    """Three vertices at 10, that change in the two volumes after volume 10 (by 1 and 3 times) and volume 30 (4 and 2 times)."""
    values = np.full((N, 3), 10.0, dtype=np.float32)
    values[[11, 12]] += np.outer([1, 3], [1, 2, 5])
    values[[31, 32]] += np.outer([4, 2], [1, -1, 0])
    arrays = [GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES") for row in values]
    nibabel.save(GiftiImage(darrays=arrays), tmp_path / "l.func.gii")
    labels = np.full(N, "rest", dtype=object)
    labels[10:12], labels[30:33] = "b", "a"
    pd.DataFrame({"label": labels}).to_csv(tmp_path / "l.csv", index=False)
    return tmp_path


def test_a_surface_has_labels_of_volumes_and_a_finite_impulse_response(surface: Path) -> None:
    run = {**RUN, "events": {"path": "l.csv", "column": "label", "per": "volume"}}
    found = load(surface, ["a", "b"], run)
    assert found["stimulus_id"].values.tolist() == ["b", "a"]
    np.testing.assert_allclose(found["response"], [[2, 4, 10], [3, -3, 0]], atol=1e-5)
    percent = load(surface, ["a", "b"], run, standardize="percent")
    mean = 10 + np.array([10, 2, 20]) / N
    np.testing.assert_allclose(percent["response"], 100 * np.array([[2, 4, 10], [3, -3, 0]]) / mean, rtol=1e-5, atol=1e-5)


def test_a_surface_refuses_labels_that_do_not_fit(surface: Path) -> None:
    run = {**RUN, "events": {"path": "l.csv", "column": "label", "per": "volume"}}
    with pytest.raises(
        DataError, match=r"^run l\.func\.gii: event 'b' is no stimulus of the set \(1 of 2 events are none\); add it to glm"
    ):
        load(surface, ["a"], run)
    pd.DataFrame({"label": ["a"] * 39}).to_csv(surface / "l.csv", index=False)
    with pytest.raises(DataError, match=r"^run l\.func\.gii, events l\.csv: found 39 rows, expected 40, one per volume; name"):
        load(surface, ["a", "b"], run)


def test_ids_of_surfaces_are_one_per_frame(surface: Path) -> None:
    np.save(surface / "ids.npy", np.array(["a", "b"]))
    place = {"path": "ids.npy"}
    for own, common, text in (
        (
            {"ids": place},
            {},
            r"^estimates l\.func\.gii: ids have shape \(2,\), expected \(40,\), one id per frame; correct ids",
        ),
        ({}, {"ids": place}, r"^surface l\.func\.gii, all files together: ids have shape \(2,\), expected \(40,\), one id per"),
    ):
        betas = [{"left": {"path": "l.func.gii"}, **own}]
        with pytest.raises(DataError, match=text):
            load_entry(surface, ["a", "b"], repeats=40, betas=betas, **common)


def test_a_strategy_chooses_the_confounds_of_volumes(tmp_path: Path) -> None:
    mask_of(tmp_path)
    name = "sub-1_task-x_space-T1w_desc-preproc_bold.nii.gz"
    save(tmp_path, name, bold(1, N), tr=TR)
    events = pd.DataFrame({"onset": [4.0, 20.0], "duration": 4.0, "trial_type": ["a", "b"]})
    events.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    axes = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 7)), columns=[*axes, "csf"])
    table.to_csv(tmp_path / "sub-1_task-x_desc-confounds_timeseries.tsv", sep="\t", index=False)
    (tmp_path / "sub-1_task-x_desc-confounds_timeseries.json").write_text(json.dumps({}))
    place = {"path": "sub-1_task-x_desc-confounds_timeseries.tsv", "strategy": ["motion"], "motion": "basic"}
    run = {"bold": {"path": name}, "events": {"path": "e.tsv"}}
    found = load_volumes(tmp_path, ["a", "b"], runs=[{**run, "confounds": place}], glm={})
    expected = estimates(at(bold(1, N)), events, TR, {}, table.loc[:, axes], "run")
    np.testing.assert_allclose(found["response"], expected, rtol=1e-4)
    without = estimates(at(bold(1, N)), events, TR, {}, None, "run")
    assert np.abs(expected - without).max() > 0.01
    with pytest.raises(DataError, match=r"^run sub-1.*bold\.nii\.gz, confounds .*\.tsv: confounds of global_signal not found"):
        load_volumes(tmp_path, ["a", "b"], runs=[{**run, "confounds": {**place, "strategy": ["global_signal"]}}], glm={})


def test_confounds_are_columns_or_a_strategy_with_its_description() -> None:
    found = Confounds.model_validate({"path": "f/x_desc-confounds_timeseries.tsv", "strategy": ["compcor"]})
    assert found.model_dump()["description"] == {"path": "f/x_desc-confounds_timeseries.json"}
    assert Confounds.model_validate({"path": "c.tsv", "columns": ["x"]}).description is None
    for wrong in ({}, {"columns": ["x"], "strategy": ["motion"]}):
        with pytest.raises(ValueError, match="expected either columns or strategy"):
            Confounds.model_validate({"path": "c.tsv", **wrong})
