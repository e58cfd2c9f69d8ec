"""The stage that writes stimulus tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.stages import fetch, stimuli
from isocortex.storage.tables import read_parquet

ENTRY = {"files": {"x.npz": None}, "root": "own", "stimuli": {"all": {"n": 3, "ids": {"path": "x.npz", "key": "id"}}}}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ISOCORTEX_MIRROR", raising=False)
    Path("own").mkdir()
    np.savez("own/x.npz", id=["c", "a", "b"])
    fetch.run({"output": "resources/d/manifests/common.json", "options": {"name": "d", "entry": ENTRY}}, "cpu")
    options = {"name": "d", "set": "all", "entry": ENTRY["stimuli"]["all"], "root": "resources/d"}
    return {
        "inputs": {"manifests": {"common": "resources/d/manifests/common.json"}},
        "output": "out/all.parquet",
        "options": options,
    }


def test_the_table_keeps_the_order_of_the_set(spec):
    stimuli.run(spec, "cpu")
    assert read_parquet("out/all.parquet")["stimulus_id"].tolist() == ["c", "a", "b"]
    first = Path("out/all.parquet").read_bytes()
    stimuli.run(spec, "cpu")
    assert Path("out/all.parquet").read_bytes() == first


def test_a_file_that_changed_since_it_was_fetched(spec):
    np.savez("own/x.npz", id=["c", "a", "d"])
    with pytest.raises(DataError, match=r"x\.npz: changed since it was fetched, sha256 found .*; fetch again: snakemake -f"):
        stimuli.run(spec, "cpu")
    Path("own/x.npz").unlink()
    with pytest.raises(DataError, match="missing since it was fetched"):
        stimuli.run(spec, "cpu")


def test_a_file_that_is_not_listed(spec):
    spec["options"]["entry"] = {"n": 3, "ids": {"path": "y.npz", "key": "id"}}
    with pytest.raises(DataError, match=r"data set d, stimulus set all: 'y\.npz' is not among the data set's files \(x\.npz\)"):
        stimuli.run(spec, "cpu")


def test_simulated_sets_are_made_by_their_own_function(spec, monkeypatch):
    import pandas as pd

    from isocortex.recordings import simulated

    made = pd.DataFrame({"stimulus_id": ["a"], "digest": "d", "path": "", "row": 0, "caption": "", "photograph": "coins"})
    monkeypatch.setattr(simulated, "make_stimuli", lambda entry, root: made)
    spec["options"]["entry"] = {"n": 1, "simulated": {"size": 48, "seed": 0}}
    stimuli.run(spec, "cpu")
    assert read_parquet("out/all.parquet")["photograph"].tolist() == ["coins"]
    spec["options"]["entry"]["n"] = 2
    with pytest.raises(DataError, match="found 1 stimuli, expected 2"):
        stimuli.run(spec, "cpu")
