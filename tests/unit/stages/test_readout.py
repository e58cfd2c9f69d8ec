"""readout.nc: the planted layer and receptive fields, by every readout; the warp, its twins and what it adds; one fold."""

from __future__ import annotations

import numpy as np
import pytest
from encoding_world import World, digest, read_rows
from moving_world import MovingWorld

from isocortex.errors import DataError
from isocortex.stages import readout
from isocortex.storage.tables import read_netcdf

QUICK = {"epochs": 25, "learning_rate": 0.03}
EVERY = {
    "linear": {},
    "factorized": QUICK,
    "gaussian": QUICK,
    "fwrf": {"sizes": 3, "smallest": 0.1},
    "semantic": {**QUICK, "warp": "translation"},
}
WARPED = {"semantic": {"epochs": 150, "learning_rate": 0.02, "warp": "translation"}}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def judged(spec):
    readout.run(spec, "cpu")
    dataset = read_netcdf("readout.nc")
    return dataset, {(row["method"], row["subject"]): row for row in read_rows(dataset) if row["is_chosen"]}


def run(world, **options):
    dataset, rows = judged(world.cell_spec("readout", **options))
    return dataset, {subject: row for (_, subject), row in rows.items()}


def test_planted_fields(here):
    world = World(n=120, subjects=("S1",), noise=0.5, maps=True).build()
    dataset, rows = run(world)
    assert dataset["layer"].values.tolist() == ["b", "c"]
    row = rows["S1"]
    assert (row["layer"], row["family"], row["method"]) == ("b", "readout", "factorized")
    assert row["score"] > 0.85 * row["ceiling_ref"]
    assert row["p"] < 0.01
    assert dataset["rf"].dims == ("method", "neuroid", "y", "x")
    peaks = np.abs(dataset["rf"].values[0]).reshape(world.neuroids, -1).argmax(1)
    assert [(int(peak) // 4, int(peak) % 4) for peak in peaks] == world.where
    assert np.isnan(dataset["penalty"]).all()
    assert "warp_gain" not in dataset
    first = digest("readout.nc")
    run(world)
    assert digest("readout.nc") == first


def test_every_readout_finds_the_planted_places(here):
    world = MovingWorld(n=160, subjects=("S1", "S2"), neuroids=3, noise=0.3, moves=False).build()
    spec = world.guided_spec(readouts=EVERY, layers=["a", "b"], degrees={"all": 10.0})
    spec["options"]["inference"] |= {"permutations": 199}
    dataset, rows = judged(spec)
    assert dataset["method"].values.tolist() == [*EVERY, "semantic_identity", "semantic_shuffled"]
    for (method, subject), row in rows.items():
        assert row["layer"] == "b", method
        assert row["score"] > 0.8 * row["ceiling_ref"], (method, subject)
        assert (row["n_subjects"], row["n_neuroids"]) == ((2, 6) if subject == "all" else (1, 3))
    assert len({rows[name, "S1"]["params_id"] for name in ("semantic", "semantic_identity", "semantic_shuffled")}) == 3
    # Row 1 and column 1 of four: an eighth of the image's width above and to the left of its middle.
    for name, planted in (("field_x", -1.25), ("field_y", 1.25)):
        assert dataset[name].attrs["units"] == "degrees"
        assert dataset[name].attrs["width"].tolist() == [10.0, 10.0]
        assert np.abs(dataset[name].values - planted).max() < 1.0, name
    assert (dataset["field_size"].values < 4).all()
    # The penalty is that of the readouts that have one.
    known = {name for name in EVERY if np.isfinite(dataset["penalty"].sel({"method": name})).all()}
    assert known == {"linear", "fwrf"}
    np.testing.assert_allclose(np.linalg.norm(dataset["rf"].values.reshape(7, 6, -1), axis=2), 1, atol=1e-3)


def test_a_warp_follows_the_object(here):
    world = MovingWorld(n=480, neuroids=4, subjects=("S1",), noise=0.2).build()
    dataset, rows = judged(world.guided_spec(layers=["b"], readouts=WARPED))
    score = {method: row["score"] for (method, subject), row in rows.items() if subject == "all"}
    assert score["semantic"] > 0.1 + max(score["semantic_identity"], score["semantic_shuffled"])
    r = dataset["r"].sel({"method": "semantic"}).values - dataset["r"].sel({"method": "semantic_identity"}).values
    np.testing.assert_allclose(dataset["warp_gain"].values, r, atol=1e-6)
    about = dataset["warp_gain"].attrs
    assert about["median"] == pytest.approx(np.median(r), abs=1e-6)
    assert 0 < about["ci_low"] < about["median"] < about["ci_high"]
    assert about["p"] < 0.01
    assert (about["p_guide"], about["n_guide"]) == (1 / 200, 199)
    for key, value in about.items():
        assert dataset[f"warp_{key}"].sel({"subject": "all"}) == value
    assert dataset["field_x"].attrs["units"] == "image widths"
    assert rows["semantic", "S1"]["note"].startswith("the localiser sees where of finder")
    assert "without a warp, trained alike" in rows["semantic_identity", "S1"]["note"]
    assert "of other stimuli, shuffled within training and test" in rows["semantic_shuffled", "S1"]["note"]


def test_a_warp_adds_nothing_to_a_fixed_field(here):
    world = MovingWorld(n=120, neuroids=3, subjects=("S1",), noise=0.3, moves=False).build()
    dataset, _ = judged(world.guided_spec(layers=["b"], readouts={"semantic": {**WARPED["semantic"], "epochs": 40}}))
    about = dataset["warp_gain"].attrs
    assert abs(about["median"]) < 0.02
    assert about["ci_low"] < 0.01


def test_what_the_localiser_saw_contaminates_what_it_guides(here):
    world = MovingWorld(n=60, neuroids=2, subjects=("S1",), moves=False).build()
    quick = {"factorized": {"epochs": 2}, "semantic": {"epochs": 2}}
    spec = world.guided_spec(contaminated=("S1",), layers=["b"], readouts=quick)
    spec["options"]["inference"] |= {"permutations": 30}
    dataset, rows = judged(spec)
    seen = {method: row["contaminated"] for (method, subject), row in rows.items() if subject == "all"}
    assert seen == {"factorized": False, "semantic": True, "semantic_identity": False, "semantic_shuffled": True}
    assert rows["semantic", "S1"]["p"] is None
    assert dataset["warp_gain"].attrs["n_guide"] == 30


def test_cross_validated_splits_are_scored_on_the_first_fold(here):
    world = World(n=60, subjects=("S1",), noise=0.3, maps=True, test=0.0).build()
    _, rows = run(world, readouts={"factorized": {"epochs": 30}})
    assert rows["S1"]["n_stimuli"] == 20
    assert "first outer fold" in rows["S1"]["note"]
    assert "fixed predictions" in rows["S1"]["null_kind"]


def test_maps_that_are_too_large_to_be_held_give_the_same_numbers(here, monkeypatch):
    from isocortex.stages import readout_fits

    world = World(n=60, subjects=("S1",), maps=True).build()
    chosen = {"readouts": {"factorized": {"epochs": 5}}}
    held, _ = run(world, **chosen)
    monkeypatch.setattr(readout_fits, "HELD_BYTES", 0)
    read, _ = run(world, **chosen)
    np.testing.assert_allclose(read["r"].values, held["r"].values, atol=1e-6)


def test_layers_of_different_sizes_are_drawn_alike():
    small, large = np.arange(8.0).reshape(2, 2, 2), np.ones((3, 4, 4))
    found = readout.joined([[small, large]])
    assert found.shape == (1, 5, 4, 4)
    np.testing.assert_array_equal(found[0, 1], np.kron(small[1], np.ones((2, 2))))


def test_refusals(here):
    world = World(n=40, subjects=("S1",), neuroids=2, maps=True).build()
    with pytest.raises(DataError, match="found no layer 'z'"):
        run(world, layers=["z"])
    with pytest.raises(DataError, match="found option 'rate', expected some of"):
        run(world, readouts={"factorized": {"rate": 1}})
    with pytest.raises(DataError, match=r"features\.json: found no features of a localiser beside it, expected guide"):
        run(world, readouts={"semantic": {}})


def test_a_localiser_without_the_subjects_stimuli_is_refused(here):
    world = MovingWorld(n=40, subjects=("S1",), neuroids=2).build()
    other = MovingWorld(n=30, subjects=("S1",))
    other.write_guide(np.zeros((30, 2), int))
    with pytest.raises(DataError, match=r"guide\.json: found no features for 10 stimuli of subject S1 \(first 's030'\)"):
        readout.run(world.guided_spec(readouts={"semantic": {}}), "cpu")
