"""joint.nc: planted shares, rows as for encoders, groups, blocks, first folds, degenerate input, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from encoding_world import digest, read_rows
from joint_world import COMMON, OWN_HIGH, OWN_LOW, JointWorld, made, run, shares

from isocortex.encoding import precision
from isocortex.errors import DataError, StoreError
from isocortex.inference import joint as division
from isocortex.inference.rows import SCORE_COLUMNS
from isocortex.inference.verdict import verdict
from isocortex.stages import joint, splits, summarise
from isocortex.storage.atomic import read_json
from isocortex.storage.tables import read_parquet

SHARES = ("joint", "unique", "shared", "product", "alone")
ONE = [{"model": "high", "layers": None}]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_planted_shares_are_found(here):
    """`low` explains .4 by itself, `high` .2, both .4; stacked, the common part is predicted twice and the others by halves."""
    world = made(n=800, test=0.5, neuroids=12, noise=0.5)
    cell = run(world)
    # The bias of a fit on 400 stimuli is below .02, and the sampling of 400 test stimuli about .02.
    found = {name: shares(cell, f"{name}_corrected") for name in SHARES}
    assert found["joint"] == pytest.approx(1, abs=0.03)
    assert found["unique"] == pytest.approx([OWN_LOW, OWN_HIGH], abs=0.06)
    assert found["shared"] == pytest.approx(COMMON, abs=0.06)
    assert found["alone"] == pytest.approx([OWN_LOW + COMMON, OWN_HIGH + COMMON], abs=0.06)
    assert found["product"].sum() == pytest.approx(found["joint"], abs=1e-9)
    # Residuals of the two single models are independent with variances .2 and .4, so the weights are 2/3 and 1/3.
    stacked = {name: shares(cell, f"{name}_corrected", "stacking") for name in SHARES}
    together = 1 - OWN_LOW / 9 - OWN_HIGH * 4 / 9
    assert stacked["joint"] == pytest.approx(together, abs=0.03)
    assert stacked["unique"] == pytest.approx([together - OWN_HIGH - COMMON, together - OWN_LOW - COMMON], abs=0.06)
    assert stacked["product"] == pytest.approx([28 / 45, 11 / 45], abs=0.06)
    assert shares(cell, "group_weight", "stacking") == pytest.approx([2 / 3, 1 / 3], abs=0.06)
    for method in cell["method"].values:
        for name in SHARES:
            for suffix in ("", "_corrected"):
                low, value, high = (shares(cell, f"{name}{suffix}{end}", str(method)) for end in ("_low", "", "_high"))
                assert (low < value).all()
                assert (value < high).all()


def test_rows_are_those_of_an_encoder(here):
    world = made(subjects=("S1", "S2"))
    cell = run(world)
    rows = read_rows(cell)
    assert set(rows[0]) == set(SCORE_COLUMNS)
    assert [(row["method"], row["subject"]) for row in rows] == [
        (method, subject) for method in ("banded", "stacking") for subject in ("S1", "S2", "all")
    ]
    for row in rows:
        assert (row["model"], row["family"], row["layer"], row["is_chosen"]) == ("both", "joint", "joint", True)
        assert row["p"] < 0.01
        assert row["null_kind"] == "permute_stimuli: fixed predictions of a separate test set"
        assert row["ci_low"] < row["score"] < row["ci_high"]
        assert row["normalized"] == pytest.approx(0.9, abs=0.25)
        assert row["n_stimuli"] == 24
        assert "first outer fold" not in row["note"]
    assert rows[0]["params_id"] != rows[3]["params_id"]
    assert cell["group"].values.tolist() == ["low", "high"]
    assert cell["space"].values.tolist() == ["low/one", "high/one", "high/two"]
    assert cell["space_group"].values.tolist() == ["low", "high", "high"]
    assert cell["unique"].dims == ("method", "subject", "group")
    assert cell["shared"].dims == ("method", "subject")
    assert cell["unique_neuroid"].dims == ("method", "group", "neuroid")
    np.testing.assert_allclose(cell["weight"].sum("space"), 1, rtol=1e-6)
    for name in SHARES:
        values = cell[name].values
        np.testing.assert_allclose(values[:, 2], values[:, :2].mean(1))
    first = digest("joint.nc")
    run(world)
    assert digest("joint.nc") == first


def test_layers_of_one_model_are_groups(here):
    world = made()
    cell = run(world, of=ONE, methods={"banded": {"candidates": 3}})
    assert cell["group"].values.tolist() == ["one", "two"]
    assert shares(cell, "unique")[0] > 0.1 > 0 > shares(cell, "unique")[1]
    apart = [{"model": "high", "layers": ["two"]}, {"model": "high", "layers": ["one"]}]
    assert run(world, of=apart)["space"].values.tolist() == ["high/two", "high/one"]


def test_three_groups_are_left_out_one_by_one(here):
    world = made(neuroids=4)
    world.features["net"] = {"third": np.random.default_rng(5).normal(size=(world.n, 3))}
    world.run_joint_kernels()
    of = [{"model": model, "layers": None} for model in ("low", "high", "net")]
    cell = run(world, of=of, methods={"banded": {"candidates": 4, "seed": 1}, "stacking": {}})
    without = run(world, of=of[:2], methods={"banded": {"candidates": 4, "seed": 1}, "stacking": {}})
    found = cell["joint_neuroid"] - cell["unique_neuroid"].sel({"group": "net"})
    np.testing.assert_allclose(found, without["joint_neuroid"], atol=1e-6)
    total = cell["unique_neuroid"].sum("group") + cell["shared_neuroid"]
    np.testing.assert_allclose(total, cell["joint_neuroid"], atol=1e-6)
    np.testing.assert_allclose(cell["product_neuroid"].sum("group"), cell["joint_neuroid"], atol=1e-6)


def test_cross_validated_splits_are_tested_on_the_first_fold(here):
    world = made(n=60, test=0.0)
    row = next(row for row in read_rows(run(world, methods={"stacking": {}})) if row["subject"] == "S1")
    assert row["n_stimuli"] == 20
    assert "scored on the first outer fold only, so that its fixed predictions may be permuted" in row["note"]
    assert "fixed predictions" in row["null_kind"]


def test_contaminated_is_shown_but_not_tested(here):
    world = made(subjects=("S1", "S2"))
    rows = read_rows(run(world, contaminated=["S2"], methods={"stacking": {}}))
    assert [row["contaminated"] for row in rows] == [False, True, True]
    assert [row["p"] is None for row in rows] == [False, True, True]
    assert rows[1]["score"] > 0.5
    assert "contaminated" in rows[1]["note"]


@pytest.mark.parametrize("method", ["banded", "stacking"])
def test_blocks_of_neuroids_and_float32_tell_the_same(here, monkeypatch, method):
    world = made(n=60)
    options = {"methods": {method: {"candidates": 4} if method == "banded" else {}}}
    exact = run(world, **options)
    monkeypatch.setattr(joint, "FIT_BYTES", 8 * 60 * 18 * 2)  # two neuroids at a time
    monkeypatch.setattr(division, "BLOCK_BYTES", 1)
    blocked = run(world, **options)
    for name in exact.data_vars:
        np.testing.assert_allclose(blocked[name], exact[name], rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(precision, "SMALL", 0)
    coarse = run(world, **options)
    for name in ("r", "joint_neuroid", "unique_neuroid", "shared_neuroid", "product_neuroid", "unique_low", "weight"):
        np.testing.assert_allclose(coarse[name], exact[name], atol=2e-4)


def test_degenerate_neuroids_and_no_ceiling(here):
    world = JointWorld(n=60, subjects=("S1",), repeats=1, noise=0.3, neuroids=3).build()
    part = world.parts["S1"]
    part["response"][:, 0] = 1.0
    part["trials"][:, :, 0] = 1.0
    first = read_json("splits-S1.json")["outer"][0]["train"][0]
    part["response"][first, 1] = np.nan
    part["trials"][first, :, 1] = np.nan
    world.write_brain()
    world.run_joint_kernels()
    cell = run(world)
    for name in ("r", "joint_neuroid", "shared_neuroid"):
        assert np.isnan(cell[name].values).tolist() == [[True, True, False]] * 2
    for name in ("unique_neuroid", "alone_neuroid", "product_neuroid", "weight"):
        assert (np.isnan(cell[name].values) == [True, True, False]).all()
    for name in SHARES:
        assert np.isfinite(cell[name]).all()
        for key in ("", "_low", "_high"):
            assert np.isnan(cell[f"{name}_corrected{key}"]).all()
    assert "no ceiling" in read_rows(cell)[0]["note"]


def test_noise_is_not_normalized_and_a_space_without_variance_explains_nothing(here):
    world = made(signal=0.0)
    assert np.isnan(run(world, methods={"stacking": {}})["joint_corrected"]).all()
    world = made()
    world.features["net"] = {"flat": np.ones((world.n, 3))}
    world.run_joint_kernels()
    of = [{"model": "low", "layers": None}, {"model": "net", "layers": None}]
    cell = run(world, of=of)
    np.testing.assert_allclose(shares(cell, "alone")[1], shares(cell, "alone", "stacking")[1], atol=1e-9)
    assert shares(cell, "alone")[1] <= 0
    np.testing.assert_allclose(cell["product_neuroid"].sel({"group": "net"}), 0, atol=1e-9)


def test_six_subjects_are_resampled(here):
    world = made(subjects=tuple(f"S{index}" for index in range(6)), n=40, neuroids=3)
    cell = run(world, methods={"stacking": {}})
    assert "subjects" in read_rows(cell)[-1]["ci_kind"]
    for name in SHARES:
        low, value, high = (shares(cell, f"{name}{end}", "stacking") for end in ("_low", "", "_high"))
        assert (low < value).all()
        assert (value < high).all()


def test_delays_reach_the_kernels(here):
    """Every sample answers the stimulus before it."""
    world = JointWorld(n=120, test=0.25, repeats=1, noise=0.1, subjects=("S1",)).build()
    response = world.parts["S1"]["response"].values
    late = np.concatenate([np.roll(part, 1, axis=0) for part in np.split(response, 4)])
    world.parts["S1"] = world.parts["S1"].assign(
        response=(("stimulus", "neuroid"), late), trials=(("stimulus", "repeat", "neuroid"), late[:, None])
    )
    world.write_brain()
    table = read_parquet("stimuli.parquet").assign(run=np.repeat(["1", "2", "3", "4"], 30))
    table.to_parquet("stimuli.parquet")
    splits.run(world.splits_spec("S1", kind="run"), "cpu")
    world.run_joint_kernels()
    plain, delayed = run(world), run(world, delays=[0, 1])
    assert shares(delayed, "joint").min() > 0.8 > 0.3 > shares(plain, "joint").max()
    assert read_rows(delayed)[0]["null_kind"].startswith("shift_session")
    assert read_rows(delayed)[0]["params_id"] != read_rows(plain)[0]["params_id"]


def test_joint_encoders_are_compared_with_each_other_and_not_ranked(here):
    world = made(subjects=("S1", "S2"))
    cells = {}
    for name, of in (("both", {}), ("layers", {"of": ONE})):
        spec = world.joint_spec(methods={"stacking": {}}, model=name, **of)
        joint.run({**spec, "output": f"{name}.nc"}, "cpu")
        cells[f"{name}/joint"] = f"{name}.nc"
    output = {"scores": "s.parquet", "comparisons": "c.parquet"}
    summarise.run({"inputs": {"brain": "", "cells": cells}, "output": output, "options": {"region": "V4", "confidence": 0.95}})
    scores, comparisons = read_parquet("s.parquet"), read_parquet("c.parquet")
    assert comparisons[["model_a", "model_b", "method"]].values.tolist() == [["both", "layers", "stacking"]]
    assert comparisons["difference"][0] > 0
    assert scores["q_region"].notna().all()
    found = verdict(scores, comparisons, "stacking")
    assert found.ranking == []
    assert found.best is None


def test_refusals(here):
    world = made()
    with pytest.raises(DataError, match=r"low.json: found no layer 'z', expected one of \['one'\]"):
        run(world, of=[{"model": "low", "layers": ["z"]}, {"model": "high", "layers": None}])
    text = r"joint.both.of: found one space, 'low/one', expected two or more; name another model or layer"
    with pytest.raises(DataError, match=text):
        run(world, of=[{"model": "low", "layers": None}])
    with pytest.raises(DataError, match=r"found method 'lasso', expected one of \['banded', 'stacking'\]"):
        run(world, methods={"lasso": {}})
    splits.run(world.splits_spec("S1", seed=5), "cpu")
    with pytest.raises(StoreError, match="another split of subject S1"):
        run(world)
