"""encoding.nc: the planted layer, rows, degenerate subjects, cross-validation, the same numbers twice."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from encoding_world import World, digest, read_rows
from sklearn.cross_decomposition import PLSRegression

from isocortex.encoding import precision
from isocortex.encoding.delays import delayed_gram
from isocortex.encoding.nested import outer_kernel
from isocortex.encoding.ridge import fit_outer
from isocortex.encoding.scores import pearson
from isocortex.errors import DataError, StoreError
from isocortex.inference.rows import SCORE_COLUMNS
from isocortex.stages import encode, splits, subjects
from isocortex.storage.atomic import read_json
from isocortex.storage.store import Store
from isocortex.storage.tables import read_netcdf, read_parquet, write_parquet


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


def test_every_encoder_finds_the_planted_layer(here):
    world = World().build()
    world.run_kernels()
    encoders = {"ridge": {"alphas": "auto"}, "pls": {"components": 4}, "fractional": {}}
    dataset, rows = run(world, encoders=encoders)
    assert dataset["method"].values.tolist() == list(encoders)
    for method in encoders:
        row = chosen_rows([row for row in rows if row["method"] == method])["S1"]
        assert row["layer"] == "b"
        assert row["score"] > 0.6
    assert np.isnan(dataset["penalty"].sel({"method": "pls"})).all()
    assert np.isfinite(dataset["penalty"].sel({"method": "fractional"})).all()


@pytest.mark.parametrize("test", [0.25, 0.0])
def test_blocks_of_neuroids_and_float32_tell_the_same(here, monkeypatch, test):
    world = World(n=40, test=test).build()
    world.run_kernels()
    exact, _ = run(world)
    monkeypatch.setattr(encode, "FIT_BYTES", 12 * 4 * 40 * 2)  # two neuroids at a time
    monkeypatch.setattr(precision, "SMALL", 0)
    monkeypatch.setattr(subjects, "READ_BYTES", 4 * world.repeats * world.neuroids * 7)
    coarse, _ = run(world)
    for name in ("r", "r_layer", "cv_r_layer", "layer_score", "r2", "fev"):
        np.testing.assert_allclose(coarse[name], exact[name], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(coarse["chosen"], exact["chosen"])
    np.testing.assert_allclose(coarse["draws"], exact["draws"], atol=0.02)
    np.testing.assert_allclose(coarse["p"], exact["p"], atol=0.01)


def test_delayed_features_of_samples_in_time(here):
    """Every sample answers the stimulus before it: found with a delay of one, in which nothing crosses from run to run."""
    world = World(n=80, test=0.25, repeats=1, noise=0.1, subjects=("S1",)).build()
    response = world.parts["S1"]["response"].values
    runs = np.repeat(["1", "2", "3", "4"], 20)
    late = np.concatenate([np.roll(part, 1, axis=0) for part in np.split(response, 4)])
    world.parts["S1"] = world.parts["S1"].assign(
        response=(("stimulus", "neuroid"), late), trials=(("stimulus", "repeat", "neuroid"), late[:, None])
    )
    world.write_brain()
    table = read_parquet("stimuli.parquet")
    write_parquet(table.assign(run=runs), "stimuli.parquet")
    splits.run(world.splits_spec("S1", kind="run"), "cpu")
    world.run_kernels()
    plain, _ = run(world)
    delayed, rows = run(world, delays=[0, 1])
    layer = list(delayed["layer"].values).index("b")
    assert delayed["layer_score"].values[0, 0, layer] > 0.9 > 0.4 > plain["layer_score"].values[0, 0, layer]
    row = chosen_rows(rows)["S1"]
    assert row["null_kind"].startswith("shift_session")
    assert row["params_id"] != chosen_rows(json.loads(plain.attrs["rows"]))["S1"]["params_id"]
    split = read_json("splits-S1.json")
    z = Store("kernels.json").read("001", f"z_{split['digest'][:8]}_0")
    kernel = outer_kernel(delayed_gram(z, [0, 1], list(runs)), split["outer"][0])
    expected = fit_outer(kernel, torch.as_tensor(late, dtype=torch.float64), {})
    r = pearson(expected.test.numpy(), late[split["outer"][0]["test"]].astype(np.float64))
    np.testing.assert_allclose(delayed["r_layer"].values[0, layer], r, atol=1e-6)


def test_runs_are_cleaned_before_the_fit(here):
    """Runs with offsets, scales and drifts of their own are predicted once these are taken out."""
    world = World(n=80, test=0.25, repeats=2, noise=0.1, subjects=("S1",)).build()
    trials = world.parts["S1"]["trials"].values
    runs = np.repeat(["1", "2", "3", "4"], 20)
    time = np.tile(np.linspace(-1, 1, 20), 4)
    drift = np.repeat([5.0, -8, 3, 10], 20) * time + np.repeat([3.0, 20, -9, 1], 20)
    spoiled = (trials * np.repeat([1.0, 4, 0.5, 2], 20)[:, None, None] + drift[:, None, None]).astype("f4")
    world.parts["S1"] = world.parts["S1"].assign(
        response=(("stimulus", "neuroid"), spoiled.mean(1)), trials=(("stimulus", "repeat", "neuroid"), spoiled)
    )
    world.write_brain()
    write_parquet(read_parquet("stimuli.parquet").assign(run=runs), "stimuli.parquet")
    splits.run(world.splits_spec("S1", kind="run"), "cpu")
    world.run_kernels()
    cleaning = {"detrend": {"tr": 1.0, "window": 30.0, "order": 1}, "zscore_runs": True}
    raw, _ = run(world)
    clean, rows = run(world, cleaning=cleaning)
    assert clean["layer_score"].sel(layer="b").values[0, 0] > 0.85 > 0.7 > raw["layer_score"].sel(layer="b").values[0, 0]
    row = chosen_rows(rows)["S1"]
    assert row["normalized"] == pytest.approx(1, abs=0.25)
    inputs = {"brain": "brain.nc", "splits": {"S1": "splits-S1.json"}}
    made = subjects.subjects_of(inputs, {"subjects": {"S1": "all"}, "cleaning": cleaning})["S1"]
    for name in "1234":
        part = made.y[np.array(runs) == name]
        np.testing.assert_allclose(part.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(part.std(0), 1, atol=1e-5)


def test_pls_on_features_as_they_come_is_brain_scores(here):
    """scikit-learn's PLSRegression(scale=False) on the raw features of the training stimuli."""
    world = World(subjects=("S1",)).build()
    world.run_kernels()
    dataset, _ = run(world, encoders={"pls": {"components": 3, "standardize": False}})
    features, split = Store("features.json"), read_json("splits-S1.json")
    ids = {name: row for row, name in enumerate(features.sidecar["stimulus_ids"])}
    y = world.parts["S1"]["response"].values.astype(np.float64)[[ids[name] for name in split["stimulus_ids"]]]
    for number, group in enumerate(features.groups):
        x = features.read(group, "activation").astype(np.float64)[[ids[name] for name in split["stimulus_ids"]]]
        train, test = split["outer"][0]["train"], split["outer"][0]["test"]
        model = PLSRegression(3, scale=False, tol=1e-14, max_iter=10_000).fit(x[train], y[train])
        np.testing.assert_allclose(dataset["r_layer"].values[0, number], pearson(model.predict(x[test]), y[test]), atol=1e-5)
