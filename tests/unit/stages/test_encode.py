"""encoding.nc: the planted layer, rows, degenerate subjects, cross-validation, the same numbers twice."""

from __future__ import annotations

import json

import numpy as np
import pytest
from encoding_world import World, digest, read_rows

from isocortex.errors import DataError, StoreError
from isocortex.inference.rows import SCORE_COLUMNS
from isocortex.stages import encode
from isocortex.storage.tables import read_netcdf


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(world, **options):
    encode.run(world.cell_spec("encode", **options), "cpu")
    dataset = read_netcdf("encode.nc")
    return dataset, read_rows(dataset)


def chosen_rows(rows):
    return {row["subject"]: row for row in rows if row["is_chosen"]}


def test_planted_layer_is_found_in_every_subject(here):
    world = World().build()
    world.run_kernels()
    dataset, rows = run(world)
    assert set(rows[0]) == set(SCORE_COLUMNS)
    assert [(row["subject"], row["layer"]) for row in rows] == [(s, layer) for s in ("S1", "S2", "all") for layer in "abc"]
    for subject, row in chosen_rows(rows).items():
        assert row["layer"] == "b"
        assert row["p"] < 0.01
        assert row["ceiling_p"] < 0.05
        assert row["score"] > 0.7
        assert row["normalized"] == pytest.approx(1, abs=0.25)
        assert row["ci_low"] < row["score"] < row["ci_high"]
        assert row["ceiling_low"] < row["ceiling_ref"]
        assert json.loads(row["layer_votes"])["b"] > 0.9
        assert row["n_stimuli"] == 15, subject
    assert chosen_rows(rows)["S1"]["n_dropped"] == 2
    assert chosen_rows(rows)["S1"]["dropped_reason"] == "2 constant"
    assert "does not generalise" in chosen_rows(rows)["S1"]["note"]
    assert "in 2 of 2 subjects; prevalence" in chosen_rows(rows)["all"]["note"]
    assert dataset["layer_score"].sel(subject="all").values[0, 1] == pytest.approx(chosen_rows(rows)["all"]["score"])
    assert all(row["p"] is None for row in rows if not row["is_chosen"])
    assert dataset.sizes == {"neuroid": 12, "method": 1, "layer": 3, "subject": 3, "draw": 200}
    assert (dataset["chosen"].values == 1).all()


def test_same_spec_twice_gives_the_same_bytes(here):
    world = World().build()
    world.run_kernels()
    run(world)
    first = digest("encode.nc")
    run(world)
    assert digest("encode.nc") == first


def test_decompositions_in_the_job_give_the_same_numbers(here):
    world = World().build()
    world.run_kernels()
    stored, _ = run(world)
    world.run_kernels(kernels_budget_gb=1e-9)
    made, _ = run(world)
    for name in ("r", "r_layer", "penalty", "draws", "p"):
        np.testing.assert_allclose(made[name], stored[name], rtol=1e-5, atol=1e-7)


def test_cross_validation_refits_for_its_null(here):
    world = World(n=36, test=0.0).build()
    world.run_kernels()
    dataset, rows = run(world)
    row = chosen_rows(rows)["S1"]
    assert row["layer"] == "b"
    assert row["n_stimuli"] == 36
    assert "refit" in row["null_kind"]
    assert row["n_null"] == 200
    assert row["p"] < 0.05
    assert np.isfinite(dataset["p"]).all()


def test_noise_has_no_reliable_signal(here):
    world = World(signal=0.0).build()
    world.run_kernels()
    _, rows = run(world)
    row = chosen_rows(rows)["all"]
    assert row["normalized"] is None
    assert "no reliable signal" in row["note"]
    assert row["p"] > 0.05


def test_one_repeat_has_no_ceiling(here):
    world = World(repeats=1, noise=0.3).build()
    world.run_kernels()
    _, rows = run(world)
    for row in chosen_rows(rows).values():
        assert row["ceiling_ref"] is None
        assert row["normalized"] is None
        assert "no ceiling" in row["note"]
        assert row["p"] < 0.05


def test_one_neuroid_a_constant_one_and_one_with_nan(here):
    world = World(neuroids=3, subjects=("S1",)).build()
    part = world.parts["S1"]
    part["response"][:, 0] = 1.0
    part["trials"][:, :, 0] = 1.0
    part["response"][4, 1] = np.nan
    part["trials"][4, :, 1] = np.nan
    world.write_brain()
    world.run_kernels()
    dataset, rows = run(world)
    assert np.isnan(dataset["r"].values[0]).tolist() == [True, True, False]
    assert np.isnan(dataset["q"].values[0]).tolist() == [True, True, False]
    assert np.isnan(dataset["penalty"].values[0]).tolist() == [True, True, False]
    row = chosen_rows(rows)["S1"]
    assert row["score"] == pytest.approx(float(dataset["r"].values[0, 2]), rel=1e-5)
    assert "one subject" in chosen_rows(rows)["all"]["note"]


def test_contaminated_is_shown_but_not_tested(here):
    world = World().build()
    world.run_kernels()
    _, rows = run(world, contaminated=["S2"])
    rows = chosen_rows(rows)
    assert [rows[s]["contaminated"] for s in ("S1", "S2", "all")] == [False, True, True]
    assert rows["S1"]["p"] < 0.05
    assert rows["S2"]["p"] is None
    assert rows["S2"]["score"] > 0.5
    assert "contaminated" in rows["S2"]["note"]


def test_six_subjects_are_resampled(here):
    world = World(subjects=tuple(f"S{index}" for index in range(6)), n=40, neuroids=3).build()
    world.run_kernels()
    _, rows = run(world)
    row = chosen_rows(rows)["all"]
    assert "subjects" in row["ci_kind"]
    assert row["n_subjects"] == 6
    assert row["ci_low"] < row["score"] < row["ci_high"]


def test_refusals(here):
    world = World().build()
    world.run_kernels()
    with pytest.raises(DataError, match="found no layer 'z', expected one of"):
        run(world, layers=["z"])
    with pytest.raises(DataError, match="found method 'lasso', expected one of"):
        run(world, encoders={"lasso": {}})
    from isocortex.stages import splits

    splits.run(world.splits_spec("S1", seed=5), "cpu")
    with pytest.raises(StoreError, match="another split of subject S1"):
        run(world)
