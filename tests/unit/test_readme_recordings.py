"""The recordings that the README describes, made by hand and taken through the stages, checked value by value."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pynwb
import pytest
import scipy.io
import xarray as xr
import yaml

from isocortex.stages.check import check
from isocortex.storage.store import read_dataset_store
from isocortex.storage.tables import read_tree
from isocortex.study import load_study
from isocortex.study.jobs import Jobs

STAGES = ("fetch", "stimuli", "record", "splits", "region")
Taken = Callable[[str], tuple[dict[str, xr.Dataset], dict[str, xr.DataTree]]]


@pytest.fixture
def taken(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taken:
    """A function that takes the snippet of a name through the stages: recordings by subject, regions by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ISOCORTEX_MIRROR", raising=False)
    text = (repository / "README.md").read_text(encoding="utf-8")
    snippets = [block for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL) if block.startswith("dataset:")]
    Path("data").mkdir()

    def take(name: str) -> tuple[dict[str, xr.Dataset], dict[str, xr.DataTree]]:
        (snippet,) = (block for block in snippets if yaml.safe_load(block)["dataset"]["name"] == name)
        extra = "models: {made: {source: precomputed, path: made.npz}}\ncompare: {rsa: {}}\nsplits: {test: 0, folds: 2}\n"
        Path("mine.yaml").write_text(f"study: mine\n{snippet}{extra}", encoding="utf-8")
        np.savez("made.npz", activation=np.eye(3))
        study = load_study("mine.yaml")
        assert "mine" in check("mine.yaml")
        jobs = Jobs(study).by_stage
        for stage in STAGES:
            for job in jobs.get(stage, {}).values():
                importlib.import_module(f"isocortex.stages.{stage}").run(json.loads(job.spec), "cpu")
        recordings = {subject: read_dataset_store(Jobs(study).at.recording(subject)) for subject in study.subjects}
        return recordings, {region: read_tree(Jobs(study).at.brain(region)) for region in study.regions}

    return take


def _image(values: np.ndarray, name: str, tr: float | None = None) -> None:
    image = nibabel.Nifti1Image(values, np.diag([3.0, 3, 3, 1]))
    if tr:
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((3, 3, 3, tr))
    nibabel.save(image, f"data/{name}")


def test_fmri(taken):
    rng = np.random.default_rng(0)
    pd.DataFrame({"picture": list("abcdefgh")}).to_csv("data/stimuli.csv", index=False)
    lag = np.array([0, 0.2, 0.9, 1, 0.6, 0.2])  # of a response, in volumes
    strength = {name: 1.0 + k for k, name in enumerate("abcdefgh")}
    for run, order in ((1, "abcdefgh"), (2, "hdbcagfe")):
        onsets = np.arange(8) * 20.0 + 6
        course = np.zeros(90)
        for onset, name in zip(onsets, order, strict=True):
            at = int(onset // 2)
            course[at : at + len(lag)] += strength[name] * lag
        bold = 100 + 0.05 * rng.normal(size=(2, 2, 2, 90))
        bold[0] += course  # the first plane alone is driven
        _image(bold.astype(np.float32), f"run-{run}_bold.nii.gz", tr=2.0)
        events = pd.DataFrame({"onset": [*onsets, 170.0], "duration": 1.0, "trial_type": [*order, "blank"]})
        events.to_csv(f"data/run-{run}_events.tsv", sep="\t", index=False)
    mask, areas = np.ones((2, 2, 2), dtype=np.uint8), np.ones((2, 2, 2), dtype=np.int16)
    mask[1, 1, 1], areas[1] = 0, 2
    _image(mask, "brain.nii.gz")
    _image(areas, "areas.nii.gz")
    recordings, regions = taken("scenes")
    found = recordings["S1"]
    assert found["response"].shape == (16, 7)
    assert found["stimulus_id"].values.tolist() == list("abcdefgh" + "hdbcagfe")
    assert found["run"].values.tolist() == [1] * 8 + [2] * 8
    assert found["area"].values.tolist() == ["V1"] * 4 + ["V4"] * 3
    assert found["neuroid_id"].values.tolist()[-1] == "1_1_0"
    response = regions["V1"]["S1"]["response"]
    assert response.shape == (8, 4)
    # The driven plane's estimates are in proportion to what drove it.
    np.testing.assert_allclose(response / response[0], np.tile(np.arange(1, 9)[:, None], 4), rtol=0.15)
    assert regions["V4"]["S1"].sizes["neuroid"] == 3


def test_spikes(taken):
    pd.DataFrame({"picture": list("pqrstuvw")}).to_csv("data/stimuli.csv", index=False)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    nwb = pynwb.NWBFile(session_description="made", identifier="made", session_start_time=start, session_id="one")
    nwb.add_trial_column("picture", "what was shown")
    for onset, picture in enumerate("pqrrqp" + 2 * "stuvw"):
        nwb.add_trial(start_time=float(onset), stop_time=onset + 0.5, picture=picture)
    nwb.add_unit_column("location", "where it lies")
    spikes = {
        "VISp": [[0.05, 0.15, 0.16, 1.25, 2.05, 3.35], [1.01, 2.21, 3.1501, 4.01, 5.25]],
        "": [[0.1]],
        "CA1": [[0.2, 5.0]],
    }
    for location, units in spikes.items():
        for times in units:
            nwb.add_unit(spike_times=times, location=location)
    with pynwb.NWBHDF5IO("data/session.nwb", "w") as file:
        file.write(nwb)
    recordings, regions = taken("spikes")
    found = recordings["M1"]
    assert found["location"].values.tolist() == ["VISp", "VISp", "CA1"]
    np.testing.assert_allclose(found["time"], [0, 0.1, 0.2], atol=1e-12)
    assert found["stimulus_id"].values.tolist() == list("pqrrqp" + 2 * "stuvw")
    first = [[1, 2, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert found["response"][:6, 0].values.tolist() == first
    second = [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert found["response"][:6, 1].values.tolist() == second
    part = regions["VISp"]["M1"]
    assert part["trials"].shape == (8, 2, 2)
    assert part["trials"][:3, :, 0].values.tolist() == [[3, 0], [1, 0], [1, 0]]


def test_counts_in_an_array(taken):
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0, size=(240, 4, 6, 3)).astype(np.uint8)
    ids = [f"s{k}" for k in range(240)]
    np.savez("data/responses.npz", trials=counts, stimulus=ids, roi=["V1"] * 4 + ["V4"] * 2)
    recordings, regions = taken("mine")
    found = recordings["S1"]
    np.testing.assert_array_equal(found["response"], counts.reshape(960, 6, 3))
    np.testing.assert_allclose(found["time_end"], [0.05, 0.1, 0.15])
    np.testing.assert_allclose(regions["V1"]["S1"]["response"], counts[:, :, :4].sum(axis=3).mean(axis=1), rtol=1e-6)
    assert regions["V4"]["S1"].sizes["neuroid"] == 2


def test_matrices_and_judgements(taken):
    points = np.array([0.0, 1, 3, 4, 7])
    distances = np.abs(points[:, None] - points)
    similar = np.ones((6, 6))
    similar[:5, :5] = 1 - distances / 10
    scipy.io.savemat("data/rdms.mat", {"distances": distances, "r": similar})
    pd.DataFrame({"area": ["V1", "IT"], "mean": [0.25, 0.75]}).to_csv("data/reliability.csv", index=False)
    rows = [[1, 2, 3], [1, 2, 4], [4, 3, 5], [1, 3, 5], [2, 3, 5]]
    pd.DataFrame(rows, columns=["a", "b", "odd"]).to_csv("data/triplets.csv", index=False)
    _, regions = taken("matrices")
    np.testing.assert_array_equal(regions["V1"]["S1"]["rdm"], distances)
    np.testing.assert_allclose(regions["IT"]["S1"]["rdm"], distances / 10, atol=1e-15)
    assert regions["IT"]["S1"].attrs["reliability"] == 0.75
    assert regions["IT"]["S1"].attrs["note"] == "made from similarities: 1 - r"
    judged = regions["judged"]["people"]["rdm"].values
    assert judged[0, 1] == 0  # both triplets with 1 and 2 left the third out
    assert judged[0, 2] == judged[1, 2] == 0.5
    assert judged[0, 3] == judged[0, 4] == 1
    seen = [0, 0.5, 1, 1, 0.5, 1, 1, 0, 1, 1]
    upper = judged[np.triu_indices(5, 1)]
    np.testing.assert_allclose(upper, seen)
    assert "people" in json.loads(regions["V1"].attrs["absent"])
