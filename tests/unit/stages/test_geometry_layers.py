"""Descriptors of layers are those of their features: kernels keep all that they see."""

import json

import numpy as np
import pandas as pd
import pytest
from cell_inputs import stimulus_ids, write_kernels

from isocortex.errors import DataError
from isocortex.geometry import GEOMETRY
from isocortex.inference.rows import rows_from_json
from isocortex.stages import geometry_layers
from isocortex.storage.tables import read_netcdf, write_parquet

OF_LAYERS = [name for name, row in GEOMETRY.items() if row.of_layers]


def features(rng, n=28):
    """Two layers of other widths, whose means are not zero; the second has classes."""
    classes = np.arange(n) % 4
    deep = 2 * rng.normal(size=(4, 40))[classes] + rng.normal(size=(n, 40)) + 1.5
    return {"early": rng.normal(size=(n, 3)) @ rng.normal(size=(3, 12)) + 0.7, "late": deep}, [f"c{c}" for c in classes]


def ran(tmp_path, layers, descriptors, labels=None, wanted=None, stored=False, **inference):
    ids = stimulus_ids(len(next(iter(layers.values()))))
    kernels = write_kernels(tmp_path / "kernels.json", layers, ids, with_coordinates=stored)
    inputs = {"kernels": str(kernels)}
    if labels is not None:
        table = {"stimulus_id": ids, "digest": "", "near": "", "path": "", "row": -1, "caption": "", "kind": labels}
        write_parquet(pd.DataFrame(table), tmp_path / "all.parquet")
        inputs["stimuli"] = {"all": str(tmp_path / "all.parquet")}
    options = {
        "study": "test",
        "dataset": "made",
        "model": "net",
        "set": "all",
        "layers": wanted,
        "inference": {"confidence": 0.95, "seed": 0, "draws": 20, "permutations": 19, **inference},
        "descriptors": descriptors,
    }
    geometry_layers.run({"inputs": inputs, "output": str(tmp_path / "l.nc"), "options": options}, "cpu")
    data = read_netcdf(tmp_path / "l.nc")
    return data, {(row["method"], row["layer"]): row for row in rows_from_json(data.attrs["rows"])}


def asked(name):
    # A few pairs are enough: what is tested is that layers are what their features are.
    few = {"ccgp": {"dichotomies": 1, "held_out": 1}}
    return {**({"target": "kind"} if GEOMETRY[name].needs == "labels" else {}), **few.get(name, {})}


@pytest.mark.parametrize("stored", [False, True], ids=["from the Gram matrix", "stored coordinates"])
@pytest.mark.parametrize("name", OF_LAYERS)
def test_a_layers_value_is_that_of_its_features(tmp_path, name, stored):
    layers, labels = features(np.random.default_rng(0))
    data, rows = ran(tmp_path, layers, {name: asked(name)}, labels, stored=stored, draws=2, permutations=2)
    for layer, x in layers.items():
        expected = GEOMETRY[name].evaluate(x, np.array(labels), asked(name))
        row = rows[name, layer]
        assert row["score"] == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert data["value"].sel(descriptor=name, layer=layer).item() == pytest.approx(row["score"])
        assert (row["model"], row["region"], row["subject"], row["family"]) == ("net", "", "", "geometry")
        assert (row["n_stimuli"], row["n_neuroids"]) == (28, x.shape[1])
        assert "on all stimuli of the set" in row["note"]
        assert bool(row["null_kind"]) == bool(GEOMETRY[name].layer_null)
        assert (row["p"] is None) == (not GEOMETRY[name].layer_null)


def test_labels_are_in_the_layer_that_has_them(tmp_path):
    layers, labels = features(np.random.default_rng(1))
    _, rows = ran(tmp_path, layers, {"label_alignment": {"target": "kind"}}, labels, permutations=99)
    early, late = rows["label_alignment", "early"], rows["label_alignment", "late"]
    assert late["p"] == 0.01
    assert early["p"] > 0.05
    assert late["ci_low"] < late["score"] < late["ci_high"]


def test_what_needs_repeats_or_labels_is_refused_and_the_rest_is_there(tmp_path):
    layers, _ = features(np.random.default_rng(2))
    given = {"participation_ratio_cv": {}, "parallelism": {"target": "kind"}, "participation_ratio": {}}
    data, rows = ran(tmp_path, layers, given)
    assert {method for method, _ in rows} == {"participation_ratio"}
    assert json.loads(data.attrs["refused"]) == {
        "participation_ratio_cv": "a layer has no repeats, so that it is of regions only",
        "parallelism": "found no labels, expected a label column; set target",
    }
    assert "no null" in rows["participation_ratio", "late"]["note"]


def test_units_that_are_a_sample_are_of_regions_only(tmp_path):
    layers, _ = features(np.random.default_rng(6))
    data, rows = ran(tmp_path, layers, {"participation_ratio_corrected": {"units": "sampled"}})
    assert rows == {}
    assert json.loads(data.attrs["refused"]) == {
        "participation_ratio_corrected": "units: sampled minds rotations of units, and layers are known up to one"
    }
    _, rows = ran(tmp_path, layers, {"participation_ratio_corrected": {"units": "fixed"}})
    assert len(rows) == 2


def test_a_layer_that_a_descriptor_refuses_is_named(tmp_path):
    layers, _ = features(np.random.default_rng(3))
    data, rows = ran(tmp_path, {**layers, "dead": np.ones((28, 5))}, {"two_nn": {}})
    assert {layer for _, layer in rows} == {"early", "late"}
    assert list(data["layer"].values) == ["early", "late", "dead"]
    assert np.isnan(data["value"].sel(layer="dead").item())
    assert json.loads(data.attrs["refused"])["two_nn"]


def test_layers_are_those_of_the_study_in_its_order(tmp_path):
    layers, _ = features(np.random.default_rng(4))
    data, _ = ran(tmp_path, layers, {"participation_ratio": {}}, wanted=["late", "early"])
    assert list(data["layer"].values) == ["late", "early"]
    data, rows = ran(tmp_path, layers, {"participation_ratio": {}}, wanted=["late"])
    assert {layer for _, layer in rows} == {"late"}
    with pytest.raises(DataError, match="found no layer 'deep', expected one of"):
        ran(tmp_path, layers, {"participation_ratio": {}}, wanted=["deep"])


def test_equal_jobs_give_equal_bytes(tmp_path):
    layers, labels = features(np.random.default_rng(5))
    given = {"two_nn": {}, "diffusion_information": {"target": "kind"}}
    first, _ = ran(tmp_path, layers, given, labels)
    again, _ = ran(tmp_path, layers, given, labels)
    assert first.identical(again)
