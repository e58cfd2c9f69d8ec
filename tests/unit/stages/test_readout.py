"""readout.nc: the planted layer and receptive fields; one fold of a cross-validated split."""

from __future__ import annotations

import numpy as np
import pytest
from encoding_world import World, digest, read_rows

from isocortex.errors import DataError
from isocortex.stages import readout
from isocortex.storage.tables import read_netcdf


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(world, **options):
    readout.run(world.cell_spec("readout", **options), "cpu")
    dataset = read_netcdf("readout.nc")
    return dataset, {row["subject"]: row for row in read_rows(dataset) if row["is_chosen"]}


def test_planted_fields(here):
    world = World(n=160, subjects=("S1",), noise=0.5, maps=True).build()
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
    first = digest("readout.nc")
    run(world)
    assert digest("readout.nc") == first


def test_cross_validated_splits_are_scored_on_the_first_fold(here):
    world = World(n=60, subjects=("S1",), noise=0.3, maps=True, test=0.0).build()
    _, rows = run(world, readouts={"factorized": {"epochs": 30}})
    assert rows["S1"]["n_stimuli"] == 20
    assert "first outer fold" in rows["S1"]["note"]
    assert "fixed predictions" in rows["S1"]["null_kind"]


def test_refusals(here):
    world = World(n=40, subjects=("S1",), neuroids=2, maps=True).build()
    with pytest.raises(DataError, match="found no layer 'z'"):
        run(world, layers=["z"])
    with pytest.raises(DataError, match="found option 'rate', expected some of"):
        run(world, readouts={"factorized": {"rate": 1}})
