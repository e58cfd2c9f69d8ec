"""The stage that cuts regions out of recordings, by hand and on real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.reliability import split_half
from isocortex.stages import fetch, record, region, stimuli
from isocortex.storage.atomic import write_json
from isocortex.storage.store import write_dataset_store
from isocortex.storage.tables import read_tree, write_parquet


def spec(subjects: dict, splits: dict | None = None, **options) -> dict:
    return {
        "inputs": {
            "recordings": {subject: f"rec/{subject}.json" for subject in subjects},
            "splits": splits or {},
            "stimuli": {name: f"st/{name}.parquet" for name in {chosen["set"] for chosen in subjects.values()}},
        },
        "output": "out/brain.nc",
        "options": {"region": "V1", "subjects": subjects, "min_reliability": None, "level": "patterns", "seed": 0, **options},
    }


@pytest.fixture
def subjects(tmp_path, monkeypatch):
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(12)]
    write_parquet(pd.DataFrame({"stimulus_id": ids}), "st/all.parquet")
    for subject, labels in (("S1", ["V1", "V1", "V2"]), ("S2", ["V2", "V2", "V2"])):
        signal = rng.normal(size=(12, 1, 3)) + 0.3 * rng.normal(size=(12, 3, 3))
        dataset = xr.Dataset(
            {"response": (("presentation", "neuroid"), signal.reshape(36, 3).astype(np.float32))},
            coords={
                "stimulus_id": ("presentation", np.repeat(ids, 3)),
                "neuroid_id": ("neuroid", list("abc")),
                "roi": ("neuroid", labels),
            },
        )
        write_dataset_store(dataset, f"rec/{subject}.json", {})
    return {subject: {"set": "all", "anywhere": [{"roi": ["V1"]}]} for subject in ("S1", "S2")}


def test_subjects_with_and_without_the_region(subjects):
    region.run(spec(subjects), "cpu")
    tree = read_tree("out/brain.nc")
    assert list(tree.children) == ["S1"]
    assert tree.attrs["region"] == "V1"
    assert tree.attrs["level"] == "patterns"
    assert json.loads(tree.attrs["absent"]) == {"S2": 'no neuroid fits {"roi": ["V1"]} (found {"roi": ["V2"]})'}
    found = tree["S1"].to_dataset()
    assert dict(found.sizes) == {"stimulus": 12, "repeat": 3, "neuroid": 2}
    assert found.attrs["reliability_stimuli"] == "all"
    with pytest.raises(DataError, match="region V1: no subject has a neuroid left"):
        region.run(spec({"S2": subjects["S2"]}), "cpu")


@pytest.mark.parametrize(
    ("outer", "stimuli_used", "n"), [([[0, 2, 4, 6, 8]], "training", 5), ([[0, 1, 2], [3, 4, 5]], "all", 12)]
)
def test_training_stimuli_decide_where_one_test_set_is_held_out(subjects, outer, stimuli_used, n):
    split = {"stimulus_ids": [f"s{i}" for i in range(12)], "outer": [{"train": rows, "test": []} for rows in outer]}
    write_json("splits/S1.json", split)
    region.run(spec(subjects, {"S1": "splits/S1.json"}), "cpu")
    attrs = read_tree("out/brain.nc")["S1"].attrs
    assert (attrs["reliability_stimuli"], attrs["n_reliability_stimuli"]) == (stimuli_used, n)


def test_a_split_of_another_recording(subjects):
    write_json("splits/S1.json", {"stimulus_ids": ["s0"], "outer": [{"train": [3], "test": []}]})
    with pytest.raises(DataError, match=r"splits/S1\.json: train names row 3 of 1 stimuli; make the splits again"):
        region.run(spec(subjects, {"S1": "splits/S1.json"}), "cpu")
    reverse = [f"s{i}" for i in reversed(range(12))]
    write_json("splits/S1.json", {"stimulus_ids": reverse, "outer": [{"train": [0, 1, 2], "test": [3]}]})
    with pytest.raises(DataError, match=r"splits/S1\.json: its stimuli are not those of the recording of S1"):
        region.run(spec(subjects, {"S1": "splits/S1.json"}), "cpu")


@pytest.fixture
def real(mirror, catalogued, tmp_path, monkeypatch):
    """Runs the stages before `region` for one data set of the catalogue."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOCORTEX_MIRROR", str(mirror))

    def prepare(name: str, subject: str) -> dict:
        entry = catalogued(name)
        manifest = {"manifests": {"common": f"resources/{name}/manifests/common.json"}}
        fetch.run({"output": manifest["manifests"]["common"], "options": {"name": name, "entry": entry}}, "cpu")
        chosen = entry["subjects"][subject]["stimuli"]
        common = {"name": name, "root": f"resources/{name}"}
        options = {**common, "set": chosen, "entry": entry["stimuli"][chosen]}
        stimuli.run({"inputs": manifest, "output": f"st/{chosen}.parquet", "options": options}, "cpu")
        options = {**common, "subject": subject, "level": entry["level"], "entry": entry["subjects"][subject]}
        inputs = manifest | {"stimuli": f"st/{chosen}.parquet"}
        record.run({"inputs": inputs, "output": f"rec/{subject}.json", "options": options}, "cpu")
        return {subject: {"set": chosen}}

    return prepare


def test_single_trials_of_macaque_v4(real):
    chosen = real("cowley2023_v4", "210325")
    chosen["210325"]["anywhere"] = [{"region": ["V4"]}]
    region.run(spec(chosen, region="V4"), "cpu")
    found = read_tree("out/brain.nc")["210325"].to_dataset()
    assert dict(found.sizes) == {"stimulus": 640, "repeat": 10, "neuroid": 50}
    counts = dict(zip(*np.unique(found["n_repeats"], return_counts=True), strict=True))
    assert counts == {6: 36, 7: 261, 8: 294, 9: 45, 10: 4}
    means = np.load(Path("resources/cowley2023_v4/responses_raw/responses_210325.npy"))
    np.testing.assert_allclose(found["response"], np.nanmean(means, axis=2).T, rtol=1e-6)
    # The correlation of two halves, before its correction to all repeats.
    corrected = split_half(found["trials"].values, n_splits=20).mean(axis=0)
    np.testing.assert_allclose(
        np.percentile(corrected / (2 - corrected), [5, 25, 50, 75, 95]), [0.36, 0.47, 0.61, 0.72, 0.81], atol=0.03
    )


def test_matrices_of_92_images(real):
    chosen = real("cichy2014_rdm92", "S02")
    region.run(spec({"S02": {**chosen["S02"], "anywhere": [{"region": ["IT"]}]}}, region="IT", level="rdm"), "cpu")
    found = read_tree("out/brain.nc")["S02"].to_dataset()
    with np.load("resources/cichy2014_rdm92/fmri_IT.npz", allow_pickle=False) as source:
        np.testing.assert_allclose(found["rdm"], source["rdm"][1])


def test_a_mask_of_the_data_set_is_read_as_it_was_fetched(subjects, tmp_path):
    import nibabel

    from isocortex.recordings.paths import describe

    data = _placed(subjects)
    values = np.zeros((4, 4, 4), dtype=np.uint8)
    values[1, 0, 0] = 1
    (tmp_path / "res").mkdir()
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), tmp_path / "res" / "m.nii")
    write_json("manifest.json", {"files": {"m.nii": {"sha256": describe(Path("res/m.nii"))[0]}}})
    clause = {"kind": "mask", "threshold": 0, "space": None, "image": {"path": "m.nii"}}
    given = spec(data, places=[[clause]], root="res")
    given["inputs"]["manifests"] = {"common": "manifest.json"}
    region.run(given, "cpu")
    assert read_tree("out/brain.nc")["S3"].to_dataset()["neuroid_id"].values.tolist() == ["b"]
    (tmp_path / "res" / "m.nii").write_bytes(b"other")
    with pytest.raises(DataError, match=r"res/m\.nii: changed since it was fetched"):
        region.run(given, "cpu")


def _placed(subjects):
    """The first subject alone, with neuroids at x 0, 2 and 4 mm."""
    from isocortex.storage.store import read_dataset_store

    found = read_dataset_store("rec/S1.json").load()
    for axis, values in (("x", [0.0, 2, 4]), ("y", [0.0] * 3), ("z", [0.0] * 3)):
        found = found.assign_coords({axis: ("neuroid", values)})
    write_dataset_store(found, "rec/S3.json", {})
    return {"S3": {"set": "all", "anywhere": [{}]}}
