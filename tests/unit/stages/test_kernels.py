"""The kernels stage: Grams in float64, whatever the blocks; splits shared once; budget; resume; refusals."""

from __future__ import annotations

import numpy as np
import pytest
from encoding_world import World

from isocortex.errors import DataError
from isocortex.stages import kernels, splits
from isocortex.storage.atomic import read_json
from isocortex.storage.store import Store, StoreWriter


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return World(n=40, neuroids=2).build()


def z_gram(x, train):
    x = x.astype(np.float64)
    spread = x[train].std(0)
    z = (x[:, spread > 0] - x[train].mean(0)[spread > 0]) / spread[spread > 0]
    return z @ z.T


@pytest.mark.parametrize(("block", "gram", "chunk"), [(1 << 30, 1 << 30, 1 << 25), (8 * 40 * 5 * 3, 8 * 40 * 15, 8 * 40 * 4)])
def test_grams_are_those_of_the_features(world, monkeypatch, block, gram, chunk):
    """In one pass, and in columns by three and strips of twelve rows."""
    monkeypatch.setattr(kernels, "BLOCK_BYTES", block)
    monkeypatch.setattr(kernels, "GRAM_BYTES", gram)
    monkeypatch.setattr(kernels, "CHUNK_BYTES", chunk)
    world.run_kernels()
    store, features, split = Store("kernels.json"), Store("features.json"), read_json("splits-S1.json")
    key = split["digest"][:8]
    assert store.sidecar["layers"] == ["a", "b", "c"]
    assert store.sidecar["splits"] == {"S1": key, "S2": key}
    assert store.sidecar["stored_decompositions"] is True
    for group, attributes in store.groups.items():
        x = features.read(group, "activation").astype(np.float64)
        assert attributes["n_constant"] == {f"{key}_0": 1}
        np.testing.assert_allclose(store.read(group, "gram"), x @ x.T, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(store.read(group, "row_mean"), x.mean(1), rtol=1e-12, atol=1e-12)
        gram = z_gram(x, split["outer"][0]["train"])
        np.testing.assert_allclose(store.read(group, f"z_{key}_0"), gram, rtol=1e-9, atol=1e-9)
        train = np.setdiff1d(split["outer"][0]["train"], split["outer"][0]["inner"][1])
        inside = gram[np.ix_(train, train)]
        inside = inside - inside.mean(0) - inside.mean(1)[:, None] + inside.mean()
        values, vectors = store.read(group, f"s_{key}_0_1"), store.read(group, f"v_{key}_0_1")
        np.testing.assert_allclose(vectors * values @ vectors.T, inside, atol=1e-9)
        assert len(values) == 12


def test_half_precision_is_read_and_not_reckoned_in(world):
    """Products of two such values overflow float16, and sums of many lose most bits of it."""
    x = (np.random.default_rng(3).normal(size=(40, 30)) * 9000 + 20_000).astype(np.float16)
    writer = StoreWriter("features.json", {"features": 2}, world.ids)
    writer.group("000", layer="a", n_features=30, dtype={"activation": "float16"}, projected=30, n_units=9000)
    writer.create("000", "activation", x.shape, "float16", 20, ("stimulus", "feature"))
    writer.write("000", "activation", 0, x)
    writer.finish(model="net", set="all", stimulus_ids=world.ids, layers=["a"])
    world.run_kernels(layers=["a"], coordinates=True)
    store, split = Store("kernels.json"), read_json("splits-S1.json")
    wide = x.astype(np.float64)
    np.testing.assert_allclose(store.read("000", "gram"), wide @ wide.T, rtol=1e-12)
    np.testing.assert_allclose(store.read("000", "row_mean"), wide.mean(1), rtol=1e-12)
    gram = z_gram(wide, split["outer"][0]["train"])
    np.testing.assert_allclose(store.read("000", f"z_{split['digest'][:8]}_0"), gram, rtol=1e-9, atol=1e-9)
    within = store.read("000", "coordinates")
    np.testing.assert_allclose(within @ within.T, wide @ wide.T, rtol=1e-9)
    attributes = store.groups["000"]
    assert (attributes["projected"], attributes["n_units"]) == (30, 9000)
    assert "dtype" not in attributes  # all of kernels is float64


def test_distinct_splits_are_kept_apart(world):
    splits.run(world.splits_spec("S2", seed=3), "cpu")
    world.run_kernels()
    sidecar = Store("kernels.json").sidecar
    assert len(set(sidecar["splits"].values())) == 2
    for key in sidecar["splits"].values():
        assert Store("kernels.json").read("000", f"z_{key}_0").shape == (40, 40)


def test_over_budget_decompositions_are_left_out(world):
    world.run_kernels(kernels_budget_gb=1e-9)
    store = Store("kernels.json")
    assert store.sidecar["stored_decompositions"] is False
    assert not [name for name in store.sidecar["files"] if "/v_" in name]


def test_without_encoders_only_raw_grams(world):
    spec = world.kernels_spec(encode=False, layers=["b"])
    del spec["inputs"]["splits"]
    kernels.run(spec, "cpu")
    store = Store("kernels.json")
    assert store.sidecar["layers"] == ["b"]
    assert {name.split("/")[1] for name in store.sidecar["files"] if "/" in name and not name.endswith("/zarr.json")} == {
        "gram",
        "row_mean",
    }


@pytest.mark.parametrize("gram", [1 << 30, 8 * 40 * 15])
def test_coordinates_of_the_grams_where_they_are_asked_for(world, monkeypatch, gram):
    """Of Gram matrices made at once, and in strips of fifteen rows."""
    monkeypatch.setattr(kernels, "GRAM_BYTES", gram)
    monkeypatch.setattr(kernels, "CHUNK_BYTES", 8 * 40 * 3)
    world.run_kernels()
    before = Store("kernels.json").sidecar
    assert "coordinates" not in before["recipe"]
    assert not [name for name in before["files"] if "coordinates" in name]
    world.run_kernels(coordinates=True)
    store = Store("kernels.json")
    assert store.sidecar["recipe"] == {**before["recipe"], "coordinates": True}
    assert {name: store.sidecar["files"][name] for name in before["files"] if "/c/" in name}.items() <= before["files"].items()
    for group in store.groups:
        found, expected = store.array(group, "coordinates"), store.read(group, "gram")
        assert found.metadata.dimension_names == ("stimulus", "coordinate")
        assert found.dtype == np.float64
        assert found.shape == (40, 13)  # units
        np.testing.assert_allclose(found[:] @ found[:].T, expected, rtol=1e-12, atol=1e-10)


def test_coordinates_that_a_killed_job_left_are_made_again(world, monkeypatch):
    honest = kernels._put

    def dies(writer, group, name, values, dims, first=0):
        honest(writer, group, name, values, dims, first)
        if (group, name) == ("001", "coordinates"):
            raise KeyboardInterrupt

    monkeypatch.setattr(kernels, "_put", dies)
    with pytest.raises(KeyboardInterrupt):
        world.run_kernels(coordinates=True)
    monkeypatch.setattr(kernels, "_put", honest)
    made = []
    decomposed = kernels.coordinates
    monkeypatch.setattr(kernels, "coordinates", lambda gram: made.append(len(gram)) or decomposed(gram))
    world.run_kernels(coordinates=True)
    assert made == [40, 40]  # of the second layer and the third
    assert [Store("kernels.json").read(group, "coordinates").shape for group in ("000", "001", "002")] == [(40, 13)] * 3


def test_a_killed_job_goes_on_where_it_stopped(world, monkeypatch):
    made = []
    honest = kernels._layer

    def dies_in_the_last(features, writer, group, plan, device):
        if group == "002" and len(made) < 3:
            made.append("died")
            raise KeyboardInterrupt
        made.append(group)
        honest(features, writer, group, plan, device)

    monkeypatch.setattr(kernels, "_layer", dies_in_the_last)
    with pytest.raises(KeyboardInterrupt):
        world.run_kernels()
    world.run_kernels()
    assert made == ["000", "001", "died", "002"]
    assert Store("kernels.json").read("002", "gram").shape == (40, 40)


def test_refusals(world):
    with pytest.raises(DataError, match=r"found no layer 'z', expected one of \['a', 'b', 'c'\]"):
        world.run_kernels(layers=["z"])
    writer = StoreWriter("features.json", {"features": 2}, world.ids)
    values = np.zeros((40, 3), "f4")
    values[7, 1] = np.nan
    writer.group("000", layer="a", n_features=3)
    writer.create("000", "activation", values.shape, "f4", 40, ("stimulus", "feature"))
    writer.write("000", "activation", 0, values)
    writer.finish(model="net", set="all", stimulus_ids=world.ids, layers=["a"])
    with pytest.raises(DataError, match="layer 'a': features: found NaN or infinity at stimulus 7, feature 1, expected finite"):
        world.run_kernels()
    writer = StoreWriter("features.json", {"features": 3}, world.ids[:-1])
    writer.finish(model="net", set="all", stimulus_ids=world.ids[:-1], layers=[])
    with pytest.raises(DataError, match=r"found no features for 1 stimuli of subject S1 \(first 's039'\)"):
        world.run_kernels()
