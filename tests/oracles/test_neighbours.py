"""Neighbours beside the platonic-rep code, relative representations beside brute force, heat geodesics beside HeatGeo."""

import json

import numpy as np
import pytest
import torch

from isocortex.similarity.neighbours import cycle_knn, directed_cknna, lcs_knn, mutual_knn
from isocortex.similarity.rdm import alpha_decay_weights, heat_geodesic_from_weights
from isocortex.similarity.relative import mean_cosine, mean_reciprocal_rank, relative_representation


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), {"rel": index[name]["rtol"], "abs": index[name]["atol"]}, index[name]["params"]

    return read


PLATONIC = {"mutual_knn": mutual_knn, "cknna": directed_cknna, "cycle_knn": cycle_knn, "lcs_knn": lcs_knn}


@pytest.mark.parametrize("letter", ["a", "b"])
@pytest.mark.parametrize("name", sorted(PLATONIC))
def test_neighbours_of_the_authors(load, letter, name):
    data, close, params = load(f"platonic_{letter}")
    for k in params["topk"]:
        theirs = float(data[f"out_{name}_{k}"])
        for given in (data["in_X"], data["in_Y"]), (torch.as_tensor(data["in_X"]), torch.as_tensor(data["in_Y"])):
            assert PLATONIC[name](*given, k) == pytest.approx(theirs, **close)


@pytest.mark.parametrize("letter", ["a", "b"])
def test_relative_representations_by_brute_force(load, letter):
    data, close, _ = load(f"relrep_{letter}")
    found = [relative_representation(data[f"in_{side}"], data["in_anchors"]) for side in "XY"]
    for side, relative in zip("XY", found, strict=True):
        assert relative == pytest.approx(data[f"out_rel_{side}"], **close)
    assert mean_cosine(*found) == pytest.approx(float(data["out_mean_cos"]), **close)
    assert mean_reciprocal_rank(*found) == pytest.approx(float(data["out_mrr"]), **close)


HEAT = {"dist": {}, "dist_combinatorial": {"laplacian": "combinatorial"}, "dist_harnack1": {"harnack": 1.0}}


@pytest.mark.parametrize("letter", ["a", "b"])
@pytest.mark.parametrize("name", sorted(HEAT))
def test_heat_geodesics_of_the_authors(load, letter, name):
    """Their diagonal is what the formula has there; ours is 0."""
    data, close, params = load(f"heatgeo_{letter}")
    found = heat_geodesic_from_weights(data["in_W"], params["tau"], **HEAT[name])
    theirs = data[f"out_{name}"]
    others = ~np.eye(len(theirs), dtype=bool)
    assert found[others] == pytest.approx(theirs[others], **close)
    assert not found.diagonal().any()


@pytest.mark.parametrize("letter", ["a", "b"])
def test_the_graph_of_the_authors(load, letter):
    """Theirs looks for neighbours within the radius where a weight ends: one near 1e-4 may be lost on either side."""
    data, close, params = load(f"heatgeo_{letter}")
    x = data["in_X"]
    found = alpha_decay_weights(np.linalg.norm(x[:, None] - x[None], axis=-1), params["knn"], params["decay"])
    assert found == pytest.approx(data["in_W"], rel=close["rel"], abs=1e-4)
