"""The splits stage: only stimuli with responses, groups by column, refusals that name the subject."""

from __future__ import annotations

import numpy as np
import pytest
from encoding_world import World

from isocortex.errors import DataError
from isocortex.stages import splits
from isocortex.storage.atomic import read_json
from isocortex.storage.store import read_dataset_store, write_dataset_store


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World(n=30, subjects=("S1",), neuroids=2).build()


def test_file(world):
    split = read_json("splits-S1.json")
    assert set(split) == {"subject", "stimulus_ids", "outer", "halves", "groups", "n_groups_shared", "seed", "digest"}
    assert split["subject"] == "S1"
    assert split["stimulus_ids"] == world.ids


def test_groups_by_column(world):
    splits.run(world.splits_spec("S1", groups="object"), "cpu")
    assert read_json("splits-S1.json")["n_groups_shared"] == 15
    with pytest.raises(DataError, match=r"subject S1: splits.groups, found no column 'objekt'.*expected one of \['object'\]"):
        splits.run(world.splits_spec("S1", groups="objekt"), "cpu")


def test_stimuli_without_response_are_left_out(world):
    recording = read_dataset_store("S1.json")
    recording["response"][np.asarray(recording["stimulus_id"].values) == "s003"] = np.nan
    write_dataset_store(recording, "S1.json", {"recording": "S1"})
    splits.run(world.splits_spec("S1"), "cpu")
    assert read_json("splits-S1.json")["stimulus_ids"] == [name for name in world.ids if name != "s003"]


def test_stimuli_outside_the_set_are_refused(world):
    recording = read_dataset_store("S1.json")
    recording["stimulus_id"] = (
        "presentation",
        np.where(recording["stimulus_id"].values == "s003", "x", recording["stimulus_id"]),
    )
    write_dataset_store(recording, "S1.json", {"recording": "S1"})
    with pytest.raises(DataError, match=r"subject S1: found 1 stimuli.*not in the stimulus set \(first 'x'\)"):
        splits.run(world.splits_spec("S1"), "cpu")


def test_too_few_are_refused_by_name(world):
    with pytest.raises(DataError, match="subject S1: splits: found 22 training stimuli"):
        splits.run(world.splits_spec("S1", folds=12), "cpu")
