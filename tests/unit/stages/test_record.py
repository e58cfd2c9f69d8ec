"""The stage that writes recordings: the store, its sidecar and its refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.stages import fetch, record, stimuli
from isocortex.storage.atomic import read_json
from isocortex.storage.store import read_dataset_store
from isocortex.study.recipes import RECIPES

RDM = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0]])
SUBJECT = {
    "stimuli": "all", "repeats": 2, "adapter": "npz", "path": "x.npz", "key": "y", "dims": ["stimulus", "repeat", "neuroid"],
    "neuroid": {"roi": {"key": "roi"}},
}  # fmt: skip


def spec(entry: dict = SUBJECT, level: str = "patterns") -> dict:
    return {
        "inputs": {"manifests": {"common": "resources/d/manifests/common.json"}, "stimuli": "out/all.parquet"},
        "output": "out/S1.json",
        "options": {"name": "d", "subject": "S1", "level": level, "entry": entry, "root": "resources/d"},
    }


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ISOCORTEX_MIRROR", raising=False)
    Path("own").mkdir()
    values = np.arange(24.0).reshape(3, 2, 4)
    values[0, 1] = np.nan
    np.savez("own/x.npz", id=["c", "a", "b"], y=values, roi=["V1", "V1", "V2", "V1"], rdm=RDM)
    entry = {"files": {"x.npz": None}, "root": "own", "stimuli": {}}
    fetch.run({"output": "resources/d/manifests/common.json", "options": {"name": "d", "entry": entry}}, "cpu")
    options = {"name": "d", "set": "all", "entry": {"n": 3, "ids": {"path": "x.npz", "key": "id"}}, "root": "resources/d"}
    stimuli.run(
        {
            "inputs": {"manifests": {"common": "resources/d/manifests/common.json"}},
            "output": "out/all.parquet",
            "options": options,
        },
        "cpu",
    )


def test_patterns():
    record.run(spec(), "cpu")
    found = read_dataset_store("out/S1.json", {"stage": "record", "version": RECIPES["record"], "options": spec()["options"]})
    assert found["response"].dtype == np.float32
    assert found["stimulus_id"].values.tolist() == ["c", "a", "a", "b", "b"]
    sidecar = read_json("out/S1.json")
    assert sidecar["labels"] == {"roi": {"V1": 3, "V2": 1}}
    wanted = {"subject": "S1", "n_presentations": 5, "n_neuroids": 4, "n_stimuli": 3, "repeats_max": 2}
    assert {key: sidecar[key] for key in wanted} == wanted
    assert sidecar["sources"].keys() == {"x.npz"}
    record.run(spec(), "cpu")
    assert read_json("out/S1.json") == sidecar


def test_rdm_level():
    entry = {"stimuli": "all", "adapter": "rdm", "rdms": {"EVC": {"path": "x.npz", "key": "rdm"}}}
    record.run(spec(entry, "rdm"), "cpu")
    np.testing.assert_array_equal(read_dataset_store("out/S1.json")["rdm"][0], RDM)
    assert read_json("out/S1.json")["labels"] == {"region": {"EVC": 1}}
    with pytest.raises(DataError, match="level is 'patterns' but adapter 'rdm' gives another"):
        record.run(spec(entry, "patterns"), "cpu")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"repeats": 3}, "data set d, subject S1: found up to 2 repeats of a stimulus, expected 3; set repeats: 2"),
        ({"key": "roi"}, "data set d, subject S1: subject array x.npz: found values of type <U2, expected real numbers"),
        ({"path": "z.npz"}, "data set d, subject S1: 'z.npz' is not among the data set's files (x.npz)"),
    ],
)
def test_refusals_leave_nothing(change, text):
    with pytest.raises(DataError) as error:
        record.run(spec({**SUBJECT, **change}), "cpu")
    assert text in str(error.value)
    assert not Path("out/S1.json").exists()
