"""Coordinates that the kernels store holds are read by all regions' cells, and give what decomposing there gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cell_inputs import common_options, compare_spec, stimulus_ids, subject_patterns, write_brain, write_kernels

from isocortex.inference.rows import rows_from_json
from isocortex.stages import compare, compare_inputs, shapes
from isocortex.storage.store import Store
from isocortex.storage.tables import read_netcdf, read_tree

N = 30
METRICS = {
    "shape": {"shape": {}, "shape_moments": {"moments": 4, "bootstraps": 10, "max_stimuli": 20}},
    "stochastic": {"stochastic_shape": {"starts": 1, "max_stimuli": 16}},
}


@pytest.fixture
def world(tmp_path):
    """Brain of two subjects on the last 24 of 30 stimuli, in another order, and stores with and without coordinates."""
    rng = np.random.default_rng(0)
    layers = {name: rng.normal(size=(N, p)) for name, p in (("early", 6), ("middle", 50), ("late", 12))}
    ids, rows = stimulus_ids(N), np.arange(N)[:5:-1]
    subjects = {}
    for name in ("S0", "S1"):
        signal = layers["middle"][rows] @ rng.normal(size=(50, 9)) / np.sqrt(50)
        trials = signal[:, None] + 0.5 * rng.normal(size=(len(rows), 10, 9))
        subjects[name] = subject_patterns(trials, [ids[row] for row in rows])
    brain = write_brain(tmp_path / "brain.nc", subjects)
    kernels = {held: write_kernels(tmp_path / f"{held}.json", layers, ids, held) for held in (False, True)}
    return tmp_path, brain, kernels, common_options(dict.fromkeys(subjects, "all"), permutations=99, draws=20)


def never(gram):
    raise AssertionError(f"decomposed a Gram matrix of {len(gram)} stimuli")


@pytest.mark.parametrize("family", list(METRICS))
def test_a_cell_reads_them_and_scores_as_without(world, monkeypatch, family):
    folder, brain, kernels, options = world
    found = {}
    for held, store in kernels.items():
        if held:
            monkeypatch.setattr(compare_inputs, "coordinates", never)
        output = folder / f"{family}-{held}.nc"
        given = {**options, "family": family, "metrics": METRICS[family]}
        compare.run(compare_spec(brain, {"all": store}, output, given), "cpu")
        found[held] = read_netcdf(output)
    assert found[True]["layer"].values.tolist() == ["early", "middle", "late"]
    np.testing.assert_allclose(found[True]["layer_score"], found[False]["layer_score"], rtol=0, atol=1e-9)
    rows = [rows_from_json(found[held].attrs["rows"]) for held in (True, False)]
    for one, other in zip(*rows, strict=True):
        assert one["layer"] == other["layer"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-9)
        assert one["p"] == other["p"]


def test_the_space_of_shapes_reads_them(world, monkeypatch):
    folder, brain, kernels, options = world
    given = {**options, "metrics": {"shape": {}, **METRICS["stochastic"]}, "models": {"net": None}}
    found = {}
    for held, store in kernels.items():
        if held:
            monkeypatch.setattr(compare_inputs, "coordinates", never)
        inputs = {"brain": str(brain), "kernels": {"net": {"all": str(store)}}}
        shapes.run({"inputs": inputs, "options": given, "output": str(folder / "shapes.nc")}, "cpu")
        found[held] = read_netcdf(folder / "shapes.nc")["distance"].values
    np.testing.assert_allclose(found[True], found[False], rtol=0, atol=1e-9)


def test_a_store_without_them_is_decomposed(world, monkeypatch):
    folder, brain, kernels, options = world
    monkeypatch.setattr(compare_inputs, "coordinates", never)
    spec = compare_spec(
        brain, {"all": kernels[False]}, folder / "s.nc", {**options, "family": "shape", "metrics": {"shape": {}}}
    )
    with pytest.raises(AssertionError, match="decomposed a Gram matrix of 24 stimuli"):
        compare.run(spec, "cpu")


def test_patterns_of_a_layer_on_a_subjects_stimuli(world):
    _, brain, kernels, options = world
    subject = compare_inputs.read_subjects(read_tree(brain), options, str(brain))[0]
    store = Store(kernels[True])
    device = torch.device("cpu")
    grams = {name: gram for name, gram, _ in compare_inputs.each_layer(store, subject, options, device)}
    found = list(compare_inputs.layer_patterns(store, subject, {**options, "layers": ["late", "early", "middle"]}, device))
    assert [(name, tuple(x.shape), n_features) for name, x, n_features in found] == [
        ("late", (24, 12), 12), ("early", (24, 6), 6), ("middle", (24, 24), 50),
    ]  # fmt: skip
    for name, x, _ in found:
        torch.testing.assert_close(x @ x.T, grams[name], rtol=1e-12, atol=1e-10)
