"""Cells of the families that compare systems by summaries: graphs, shapes, noisy shapes."""

import json

import numpy as np
import pytest
from cell_inputs import common_options, compare_spec, stimulus_ids, subject_patterns, subject_rdm, write_brain, write_kernels

from isocortex.errors import DataError
from isocortex.inference.rows import rows_from_json
from isocortex.similarity import METRICS, rdm, to_square
from isocortex.similarity.shape import shape_distance
from isocortex.stages import compare
from isocortex.storage.atomic import read_json, write_json
from isocortex.storage.store import StoreWriter
from isocortex.storage.tables import read_netcdf

N = 24
CHEAP = {"graph": {"shares": [0.2, 0.35]}, "shape": {}, "stochastic": {"starts": 1}}


def world(seed=0, n=N):
    """Three layers, of which the second drives the responses."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(n, 6)) for name in ("early", "middle", "late")}, rng


def responses(features, rng, repeats=8, noise=0.5, p=9):
    signal = features @ rng.normal(size=(features.shape[1], p)) / np.sqrt(features.shape[1])
    return signal[:, None] + noise * rng.normal(size=(len(features), repeats, p))


def write_features(path, layers, ids):
    writer = StoreWriter(path, {"features": 1}, ids)
    for k, (name, x) in enumerate(layers.items()):
        writer.group(f"{k:03d}", layer=name, n_features=x.shape[1])
        writer.create(f"{k:03d}", "activation", x.shape, "float32", len(ids), ["stimulus", "feature"])
        writer.write(f"{k:03d}", "activation", 0, x.astype(np.float32))
    writer.finish(stimulus_ids=ids, layers=list(layers), n_features={name: x.shape[1] for name, x in layers.items()})
    return path


def cell(tmp_path, subjects, layers, ids, family, metrics, level="patterns", features=False, **inference):
    brain = write_brain(tmp_path / "brain.nc", subjects, level)
    kernels = write_kernels(tmp_path / "k.json", layers, ids)
    metrics = {name: {**CHEAP[family], **given} for name, given in metrics.items()}
    options = {**common_options(dict.fromkeys(subjects, "all"), **inference), "family": family, "metrics": metrics}
    spec = compare_spec(brain, {"all": kernels}, tmp_path / f"{family}.nc", options)
    if features:
        spec["inputs"]["features"] = {"all": str(write_features(tmp_path / "f.json", layers, ids))}
    compare.run(spec, "cpu")
    return read_netcdf(tmp_path / f"{family}.nc"), spec


def chosen_rows(data, method):
    rows = rows_from_json(data.attrs["rows"])
    return {row["subject"]: row for row in rows if row["is_chosen"] and row["method"] == method}


def test_shapes_of_three_subjects(tmp_path):
    layers, rng = world()
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng), ids) for k in range(3)}
    data, spec = cell(tmp_path, subjects, layers, ids, "shape", {"shape": {}, "shape_moments": {"moments": 4}})
    rows = chosen_rows(data, "shape")
    expected = [shape_distance(layers["middle"], s["response"].values.astype(float)) for s in subjects.values()]
    assert [rows[name]["score"] for name in subjects] == pytest.approx(expected, abs=1e-6)
    whole = rows["all"]
    assert whole["layer"] == "middle"
    assert whole["higher_is_closer"] is False
    assert whole["score"] < whole["null_extreme95"] < whole["null_mean"]
    assert whole["p"] < 0.01
    assert whole["ceiling_p"] < 0.05
    assert whole["ceiling_high"] < whole["null_mean"]
    assert whole["normalized"] == pytest.approx(
        (whole["null_mean"] - whole["score"]) / (whole["null_mean"] - whole["ceiling_high"])
    )
    assert whole["calibrated"] == pytest.approx(1 - whole["score"] / whole["null_mean"])
    assert whole["ci_low"] < whole["score"] < whole["ci_high"]
    assert whole["ci_kind"].startswith("80 % subsamples")
    similar = chosen_rows(data, "shape_moments")["all"]
    assert similar["layer"] == "middle"
    assert similar["p"] < 0.01
    found = data["moment"].sel(layer="middle")
    assert (found.sel(quantity="plug_in") > found.sel(quantity="plug_in_null")).all()
    assert found.sel(quantity="plug_in", subject=list(subjects)).values == pytest.approx(np.cos(expected), abs=1e-6)
    assert found.sel(quantity="estimate", subject="all").item() == pytest.approx(similar["score"], abs=1e-6)
    before = (tmp_path / "shape.nc").read_bytes()
    compare.run(spec, "cpu")
    assert (tmp_path / "shape.nc").read_bytes() == before


@pytest.mark.parametrize("group", ["permutation", "soft"])
def test_groups_that_move_units_read_the_units(tmp_path, group):
    rng = np.random.default_rng(0)
    layers = {name: rng.normal(size=(N, 5)) for name in ("early", "middle")}
    ids = stimulus_ids(N)
    trials = layers["middle"][:, None, [2, 0, 4, 1, 3]] + 0.05 * rng.normal(size=(N, 4, 5))
    layers["dead"] = np.concatenate([layers["early"], np.zeros((N, 1))], axis=1)
    data, _ = cell(
        tmp_path, {"S1": subject_patterns(trials, ids)}, layers, ids, "shape", {"shape": {"group": group}}, features=True
    )
    row = chosen_rows(data, "shape")["S1"]
    assert row["layer"] == "middle"
    assert row["score"] < 0.1


def test_groups_that_move_units_refuse_a_projected_layer(tmp_path):
    layers, rng = world()
    ids = stimulus_ids(N)
    brain = write_brain(tmp_path / "brain.nc", {"S1": subject_patterns(responses(layers["middle"], rng), ids)}, "patterns")
    kernels, features = write_kernels(tmp_path / "k.json", layers, ids), write_features(tmp_path / "f.json", layers, ids)
    sidecar = read_json(features)
    sidecar["groups"]["001"] |= {"projected": 6, "n_units": 9000}
    write_json(features, sidecar)
    metrics = {"shape": {**CHEAP["shape"], "group": "permutation"}}
    options = {**common_options({"S1": "all"}), "family": "shape", "metrics": metrics}
    spec = compare_spec(brain, {"all": kernels}, tmp_path / "shape.nc", options)
    spec["inputs"]["features"] = {"all": str(features)}
    compare.run(spec, "cpu")
    row = chosen_rows(read_netcdf(tmp_path / "shape.nc"), "shape")["S1"]
    assert row["layer"] != "middle"
    assert (
        "layer 'middle': found 9000 units projected to 6 dimensions, expected the units, which group: permutation matches; set "
        "project: none for the model, or pool the layer"
    ) in row["note"]
    # A metric that minds no rotation takes the same layer.
    spec["options"]["metrics"] = {"shape": {**CHEAP["shape"], "group": "orthogonal"}}
    compare.run(spec, "cpu")


def test_curvature_of_published_rdms(tmp_path):
    layers, rng = world(3)
    ids = stimulus_ids(N)
    # Many neurons keep the distances of features, of which curvature is made.
    subjects = {
        f"S{k}": subject_rdm(to_square(rdm(responses(layers["middle"], rng, noise=0.3, p=80).mean(1))), ids) for k in range(4)
    }
    metrics = {name: {} for name, row in METRICS.items() if row.family == "graph"}
    data, _ = cell(tmp_path, subjects, layers, ids, "graph", metrics, "rdm", permutations=200)
    rows = {name: chosen_rows(data, name)["all"] for name in metrics}
    for name in ("ricci", "ricci_edges"):
        assert rows[name]["layer"] == "middle"
        assert rows[name]["p"] < 0.05
        assert rows[name]["ceiling_p"] < 0.05
        assert rows[name]["normalized"] == pytest.approx(rows[name]["score"] / rows[name]["ceiling_low"])
    assert rows["ricci"]["ceiling_low"] <= rows["ricci"]["ceiling_high"]
    assert rows["ricci_distribution"]["null_kind"] == "rewire_weights, layer chosen anew"
    assert rows["ricci_distribution"]["higher_is_closer"] is False
    assert rows["ricci_edges"]["ceiling_high"] is None
    scores = data["share_score"].sel({"method": "ricci"})
    assert scores.mean().item() == pytest.approx(rows["ricci"]["score"], abs=1e-6)
    edges = data.sel(system="brain")
    assert edges["community"].shape == (N,)
    assert set(json.loads(data.attrs["agreement"])) == {"ami", "ari", "vi"}
    both = [set(map(tuple, np.stack([data["edge_first"], data["edge_second"]], 1)[data["edge_system"] == k])) for k in (0, 1)]
    shared = data["edge_shared"].values.astype(bool)
    assert shared.sum() == 2 * len(both[0] & both[1])
    assert data.attrs["edges_shared"] == pytest.approx(len(both[0] & both[1]) / len(both[0] | both[1]))
    assert data.attrs["shown_layer"] == rows["ricci"]["layer"]


def test_one_subject_is_cross_fitted_and_its_repeats_bound_it(tmp_path):
    layers, rng = world(1, 40)
    ids = stimulus_ids(40)
    subject = subject_patterns(responses(layers["middle"], rng, noise=0.3, p=80), ids)
    data, _ = cell(tmp_path, {"S1": subject}, layers, ids, "graph", {"ricci": {}}, permutations=99)
    row = chosen_rows(data, "ricci")["S1"]
    assert row["layer"] == "middle"
    assert "chosen on half of the stimuli" in row["note"]
    assert row["ceiling_kind"] == "√(Spearman–Brown) of split halves over repeats"
    assert 0 < row["ceiling_low"] < 1
    assert row["p"] < 0.05


def test_many_stimuli_are_thinned_and_said_to_be(tmp_path):
    layers, rng = world()
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng), ids) for k in range(2)}
    data, _ = cell(tmp_path, subjects, layers, ids, "graph", {"ricci": {"max_stimuli": 16}}, permutations=99)
    row = chosen_rows(data, "ricci")["all"]
    assert row["n_stimuli"] == 16
    assert "on 16 of 24 stimuli, drawn at random (max_stimuli)" in row["note"]
    assert data.sizes["stimulus"] == 16
    assert set(data["stimulus_id"].values) < set(ids)


def test_noise_needs_repeats(tmp_path):
    layers, rng = world()
    ids = stimulus_ids(N)
    subject = subject_patterns(responses(layers["middle"], rng, repeats=1), ids)
    with pytest.raises(DataError, match="subject 'S1': found one trial of each stimulus, expected repeats; leave stochastic"):
        cell(tmp_path, {"S1": subject}, layers, ids, "stochastic", {"stochastic_shape": {}})
    assert not (tmp_path / "stochastic.nc").exists()


def test_a_subject_without_repeats_is_left_out_and_named(tmp_path):
    layers, rng = world(2)
    ids = stimulus_ids(N)
    trials = responses(layers["middle"], rng, repeats=12)
    subjects = {"S0": subject_patterns(trials, ids), "S1": subject_patterns(trials[:, :1], ids)}
    data, _ = cell(tmp_path, subjects, layers, ids, "stochastic", {"stochastic_shape": {}}, permutations=99)
    rows = chosen_rows(data, "stochastic_shape")
    assert set(rows) == {"S0", "all"}
    assert "without S1: one trial of each stimulus" in rows["all"]["note"]
    assert np.isnan(data["noise_p"].sel(subject="all").item())


@pytest.mark.parametrize("family", ["graph", "shape"])
def test_a_constant_layer_is_left_out_or_far(tmp_path, family):
    layers, rng = world()
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng), ids) for k in range(2)}
    layers["flat"] = np.ones((N, 4))
    metrics = {"graph": {"ricci": {"rdm": "euclidean"}}, "shape": {"shape": {}}}[family]
    data, _ = cell(tmp_path, subjects, layers, ids, family, metrics, permutations=99)
    row = chosen_rows(data, next(iter(metrics)))["all"]
    if family == "graph":
        assert "layer flat left out (graph: found " in row["note"]
    else:
        assert data["layer_score"].sel({"layer": "flat"}).values == pytest.approx(np.pi / 2)
    assert row["layer"] != "flat"


def test_two_stimuli_have_a_score_and_no_interval(tmp_path):
    layers, rng = world(0, 2)
    ids = stimulus_ids(2)
    subject = subject_patterns(responses(layers["middle"], rng), ids)
    data, _ = cell(tmp_path, {"S1": subject}, layers, ids, "shape", {"shape": {}}, permutations=99)
    row = chosen_rows(data, "shape")["S1"]
    assert row["score"] == pytest.approx(0.0, abs=1e-6)  # two points are alike whatever they are
    assert row["ci_low"] is None
    assert row["p"] == 1.0
    with pytest.raises(DataError, match="found 2 stimuli, expected at least 3"):
        cell(tmp_path, {"S1": subject}, layers, ids, "graph", {"ricci": {}})


def test_a_network_with_the_regions_own_noise(tmp_path):
    layers, rng = world(2)
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng, repeats=12), ids) for k in range(2)}
    data, _ = cell(tmp_path, subjects, layers, ids, "stochastic", {"stochastic_shape": {}}, permutations=99)
    row = chosen_rows(data, "stochastic_shape")["all"]
    assert row["layer"] == "middle"
    assert row["p"] < 0.05
    assert row["ceiling_high"] < row["null_mean"]
    assert data.attrs["kind"] == "gaussian"
    assert (data["self_distance"] > 0).all()
    assert np.isfinite(data["distance"].sel(part="deterministic").values).all()
    assert data["shuffled"].sizes["subject"] == 3
