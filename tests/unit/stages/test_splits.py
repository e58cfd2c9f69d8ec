"""The splits stage: only stimuli with responses, groups by column, refusals that name the subject."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from encoding_world import World, read_rows

from isocortex.errors import DataError
from isocortex.stages import encode, kernels, splits
from isocortex.stages.region import training_ids
from isocortex.storage.atomic import read_json
from isocortex.storage.store import Store, read_dataset_store, write_dataset_store
from isocortex.storage.tables import read_parquet, write_parquet


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World(n=30, subjects=("S1",), neuroids=2).build()


def test_file(world):
    split = read_json("splits-S1.json")
    told = {
        "subject",
        "stimulus_ids",
        "outer",
        "halves",
        "groups",
        "n_groups_shared",
        "n_near",
        "seed",
        "digest",
        "kind",
        "gap",
        "runs",
    }
    assert set(split) == told
    assert (split["kind"], split["gap"], split["runs"]) == ("stimulus", 0, None)
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


def give_table_runs(runs):
    table = read_parquet("stimuli.parquet")
    table["run"] = runs
    write_parquet(table, "stimuli.parquet")


def record(shown, session=None, run=None):
    """The recording of S1 with presentations in the order `shown`."""
    recording = read_dataset_store("S1.json").isel(presentation=range(len(shown)))
    recording["stimulus_id"] = ("presentation", np.asarray(shown))
    for name, values in (("session", session), ("run", run)):
        if values is not None:
            recording = recording.assign_coords({name: ("presentation", np.asarray(values))})
    write_dataset_store(recording, "S1.json", {"recording": "S1"})


@pytest.mark.parametrize("column", [np.repeat([1, 2, 3], 10), np.repeat([1.0, 2.0, 3.0], 10), np.repeat(["1", "2", "3"], 10)])
def test_runs_of_the_table(world, column):
    give_table_runs(column)
    splits.run(world.splits_spec("S1", kind="run", folds=2), "cpu")
    split = read_json("splits-S1.json")
    assert split["runs"] == ["1"] * 10 + ["2"] * 10 + ["3"] * 10
    assert len(split["outer"][0]["test"]) == 10


def test_a_stimulus_without_run_is_refused_by_name(world):
    give_table_runs([1.0] * 10 + [np.nan] + [2.0] * 19)
    with pytest.raises(DataError, match="subject S1: splits: kind run, found no run for stimulus 's010'"):
        splits.run(world.splits_spec("S1", kind="run"), "cpu")


def test_runs_of_the_recording_are_told_apart_by_session(world):
    record(world.ids, np.repeat(["x", "y"], 15), np.tile(np.repeat([1, 2, 3], 5), 2))
    splits.run(world.splits_spec("S1", kind="run", folds=2), "cpu")
    expected = [f"{session}/{run}" for session in "xy" for run in (1, 2, 3) for _ in range(5)]
    assert read_json("splits-S1.json")["runs"] == expected


def test_runs_that_repeat_a_stimulus_count_as_one(world):
    shown = [*world.ids[:20], *world.ids[20:], *world.ids[20:]]  # four films once, one film twice
    record(shown, run=[*np.repeat([1, 2, 3, 4], 5), *[5] * 10, *[6] * 10])
    splits.run(world.splits_spec("S1", kind="run", folds=2), "cpu")
    assert read_json("splits-S1.json")["runs"] == [str(run) for run in np.repeat([1, 2, 3, 4], 5)] + ["5"] * 10


def test_without_runs(world):
    with pytest.raises(DataError, match=r"subject S1: splits.kind run, found no runs, expected a column 'run' in the stimulus"):
        splits.run(world.splits_spec("S1", kind="run"), "cpu")
    splits.run(world.splits_spec("S1", kind="blocked"), "cpu")
    assert read_json("splits-S1.json")["runs"] is None


@pytest.mark.parametrize("options", [{"kind": "blocked"}, {"kind": "run", "in_time": True}])
def test_a_table_out_of_time_is_refused(world, options):
    order = [*range(10), 11, 10, *range(12, 30)]
    record([world.ids[index] for index in order], run=np.repeat([1, 2, 3], 10))
    with pytest.raises(DataError, match="stimulus 's011' was shown before the one above it in the stimulus table"):
        splits.run(world.splits_spec("S1", folds=2, **options), "cpu")
    splits.run(world.splits_spec("S1", folds=2, kind="run"), "cpu")  # whole runs need no order within
    give_table_runs(np.repeat([1, 2, 3], 10))  # a table that names runs says that its rows are in time
    splits.run(world.splits_spec("S1", folds=2, **options), "cpu")


def test_rows_of_gaps_reach_neither_kernels_nor_reliability(world):
    give_table_runs(np.repeat([1, 2], 15))
    splits.run(world.splits_spec("S1", kind="blocked", gap=2, test=0.2), "cpu")
    split = read_json("splits-S1.json")
    outer, key = split["outer"][0], split["digest"][:8]
    assert len(outer["train"]) + len(outer["test"]) < 30
    kernels.run(world.kernels_spec(), "cpu")
    store = Store("kernels.json")
    x = Store("features.json").read("000", "activation").astype(np.float64)[:, :12]
    z = (x - x[outer["train"]].mean(0)) / x[outer["train"]].std(0)
    bound = np.sqrt(len(outer["train"]) - 1)
    np.testing.assert_allclose(store.read("000", f"z_{key}_0"), z.clip(-bound, bound) @ z.clip(-bound, bound).T, atol=1e-9)
    kept = np.setdiff1d(outer["train"], outer["inner"][0])
    inside = z[kept] - z[kept].mean(0)
    values, vectors = store.read("000", f"s_{key}_0_0"), store.read("000", f"v_{key}_0_0")
    assert vectors.shape[0] == len(kept)
    np.testing.assert_allclose(vectors * values @ vectors.T, inside @ inside.T, atol=1e-9)
    assert training_ids({"S1": "splits-S1.json"}, "S1") == [split["stimulus_ids"][row] for row in outer["train"]]


@pytest.mark.parametrize("options", [{"kind": "blocked", "gap": 3}, {"kind": "run", "test": 0.0, "folds": 6}])
def test_encoders_are_fitted_on_such_splits(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    world = World(n=90, subjects=("S1",), neuroids=3).build()
    give_table_runs(np.repeat(np.arange(6), 15))
    splits.run(world.splits_spec("S1", **options), "cpu")
    world.run_kernels()
    encode.run(world.cell_spec("encode"), "cpu")
    with xr.open_dataset("encode.nc") as cell:
        rows = [row for row in read_rows(cell) if row["is_chosen"]]
    assert {row["layer"] for row in rows} == {"b"}
    assert min(row["score"] for row in rows) > 0.6
