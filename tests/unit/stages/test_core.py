"""cores/<id>.nc and .npz: rows, single networks, control, weights that give the score again; who was trained on what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from core_world import CORE, CoreWorld
from encoding_world import read_rows
from planted_cores import correlation

from isocortex.encoding.cores.weights import load_core
from isocortex.errors import DataError
from isocortex.stages import core
from isocortex.storage.atomic import read_json
from isocortex.storage.tables import read_netcdf, write_parquet


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def chosen(cell) -> dict[str, Any]:
    return {row["subject"]: row for row in read_rows(cell) if row["is_chosen"]}


def test_two_subjects_share_a_core(here):
    world = CoreWorld(degrees=4.0).build()
    world.run()
    cell = read_netcdf("cores/mine.nc")
    rows = chosen(cell)
    assert set(rows) == {"S1", "S2", "all"}
    keys = {(row["model"], row["family"], row["method"], row["layer"], row["contaminated"]) for row in rows.values()}
    assert keys == {("mine", "core", "gaussian", "core", False)}
    assert rows["all"]["score"] > 0.3
    assert rows["all"]["p"] < 0.01
    assert rows["S1"]["ceiling_ref"] > rows["S1"]["score"]
    assert rows["S1"]["n_stimuli"] == 24
    assert "fixed predictions" in rows["S1"]["null_kind"]
    assert "first outer fold" not in rows["S1"]["note"]
    weights(world, cell, rows)
    singles(cell, rows)
    assert cell["rf"].dims == ("method", "neuroid", "y", "x")
    np.testing.assert_allclose(np.square(cell["rf"].values[0]).sum((1, 2)), 1, rtol=1e-5)
    assert cell["field_x"].attrs["units"] == "degrees"
    assert np.abs(cell["field_x"].values).max() <= 2
    assert cell["filters"].shape == (6, 3, 5, 5)


def weights(world: CoreWorld, cell: Any, rows: dict[str, Any]) -> None:
    """The weights that were written give the scores of the rows again."""
    cores = load_core("cores/mine.npz")
    for subject, name in (("S1", "one"), ("S2", "two")):
        test = read_json(f"splits-{subject}.json")["outer"][0]["test"]
        images = world.planted.images[world.rows[name]]
        y = world.parts[subject]["response"].values[test]
        r = correlation(cores.predict([images[k] for k in test], subject), y)
        np.testing.assert_allclose(cell["r"].values[0, cell["neuroid_subject"].values == subject], r, atol=1e-5)
        assert rows[subject]["score"] == pytest.approx(np.median(r), abs=1e-5)


def singles(cell: Any, rows: dict[str, Any]) -> None:
    """Single networks, the control and the curves, and what the notes say of them."""
    owner = cell["neuroid_subject"].values
    for place, subject in enumerate(("S1", "S2")):
        np.testing.assert_allclose(
            cell["seed_score"].values[:, place], np.median(cell["seed_r"].values[:, owner == subject], axis=1), atol=1e-6
        )
    np.testing.assert_allclose(cell["seed_score"].values[:, 2], cell["seed_score"].values[:, :2].mean(1))
    alone, control = cell["seed_score"].values[:, 2], float(cell["control_score"].values[2])
    assert f"mean of 2 networks, one alone r = {alone.mean():.3f} ± {alone.std(ddof=1):.3f}" in rows["all"]["note"]
    assert f"trained on shuffled responses r = {control:.3f}" in rows["all"]["note"]
    assert abs(control) < 0.3
    assert rows["all"]["score"] > alone.min()
    for seed, best in enumerate(cell["best_epoch"].values):
        assert int(np.nanargmin(cell["history_validation"].values[seed])) == best


def test_no_picture_of_a_test_is_trained(here, monkeypatch):
    world, seen = CoreWorld().build(), {}

    def noted(images: np.ndarray, given: Any, recipe: Any, device: Any) -> Any:
        seen.update(given)
        seen["images"] = images
        raise InterruptedError

    monkeypatch.setattr(core, "train_all", noted)
    with pytest.raises(InterruptedError):
        world.run()
    assert len(seen["images"]) == 2 * world.n
    pictures = {
        subject: [image.tobytes() for image in world.planted.images[world.rows[name]]]
        for subject, name in (("S1", "one"), ("S2", "two"))
    }
    tested = {pictures[subject][k] for subject in pictures for k in read_json(f"splits-{subject}.json")["outer"][0]["test"]}
    used = {
        part: {pictures[subject][k] for subject in pictures for k in getattr(seen[subject], part)}
        for part in ("train", "validation")
    }
    assert not tested & (used["train"] | used["validation"])
    assert not used["train"] & used["validation"]
    # The two share pictures under two names: some of them are tested in one subject and trained in the other's own split.
    own = [k for k in read_json("splits-S1.json")["outer"][0]["train"] if pictures["S1"][k] in tested]
    assert own
    assert not set(own) & {*seen["S1"].train.tolist(), *seen["S1"].validation.tolist()}


def test_what_is_left_out_is_said_and_a_second_run_is_the_same(here):
    world = CoreWorld(n=80).build()
    short = {**CORE, "epochs": 2, "seeds": 1}
    world.run(core=short)
    first = [Path(f"cores/mine.{kind}").read_bytes() for kind in ("nc", "npz")]
    rows = chosen(read_netcdf("cores/mine.nc"))
    assert "training stimuli left out, whose picture a subject is tested on" in rows["all"]["note"]
    assert "one network; trained on shuffled" in rows["all"]["note"]
    world.run(core=short)
    assert [Path(f"cores/mine.{kind}").read_bytes() for kind in ("nc", "npz")] == first


def test_cross_validated_splits_are_scored_on_the_first_fold(here):
    world = CoreWorld(n=60, shared=0, test=0.0).build()
    world.run({"fwrf": {}}, core={**CORE, "epochs": 2, "seeds": 1})
    cell = read_netcdf("cores/mine.nc")
    row = chosen(cell)["S1"]
    assert row["n_stimuli"] == 15
    assert "first outer fold" in row["note"]
    assert row["method"] == "fwrf"
    assert cell["field_x"].attrs["units"] == "image widths"


def test_refusals(here):
    world = CoreWorld(n=40, shared=0).build()
    with pytest.raises(DataError, match="found option 'rate', expected some of"):
        world.run({"factorized": {"rate": 1}})
    table = pd.read_parquet("two.parquet")
    write_parquet(table.assign(path=""), "two.parquet")
    with pytest.raises(DataError, match=r"two\.parquet: found 40 stimuli without image \(first 'two000'\), expected images"):
        world.run()
    write_parquet(table.iloc[1:], "two.parquet")
    with pytest.raises(DataError, match=r"two\.parquet: found no row of 1 stimuli of subject S2 \(first 'two000'\)"):
        world.run()
    write_parquet(table, "two.parquet")
    pictures = np.load("two.npy")
    pictures[3] = 255 - pictures[3]
    np.save("two.npy", pictures)
    with pytest.raises(DataError, match=r"two\.npy row 3: pixels changed, digest is .*; make the stimuli again"):
        world.run()
    write_parquet(table.assign(path="tone.wav"), "two.parquet")
    with pytest.raises(DataError, match="found 40 stimuli without image"):
        world.run()
    world.write_brain("rdm")
    with pytest.raises(DataError, match="found level 'rdm', expected patterns; an encoder needs responses"):
        world.run()
    assert not Path("cores").exists()
