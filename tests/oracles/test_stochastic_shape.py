"""Stochastic shape distances beside netrep's; searches may end lower than its own, never higher."""

import json

import numpy as np
import pytest

from isocortex.similarity.stochastic_shape import Gaussians, bures_squared, energy_shape, gaussian_shape

LETTERS = ["a", "b"]
GROUPS = {"orth": "orthogonal", "perm": "permutation", "identity": "identity"}


@pytest.fixture
def load(oracles):
    index = json.loads((oracles / "metrics" / "index.json").read_text())

    def read(name):
        with np.load(oracles / "metrics" / f"{name}.npz") as file:
            return dict(file), index[name]["rtol"], index[name]["atol"]

    return read


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("group", GROUPS)
def test_gaussian_shapes_of_netrep(load, letter, group):
    data, rtol, atol = load(f"shape_gauss_{letter}")
    x, y = (Gaussians(data[f"in_mean_{side}"], data[f"in_cov_{side}"]) for side in "XY")
    theirs = {name: float(data[name]) for name in data if name.startswith("out_gauss_a") and name.endswith(f"_{group}")}
    assert len(theirs) == 5
    for name, distance in theirs.items():
        alpha = int(name.split("_")[2][1:]) / 100
        found = gaussian_shape(x, y, alpha, GROUPS[group], tol=1e-12)
        if group == "identity":
            assert found.distance == pytest.approx(distance, rel=1e-7)
        elif alpha in (0, 1, 2):
            assert found.distance <= distance * (1 + rtol) + atol
        else:  # there netrep aligns by other weights than it scores by
            assert found.distance <= distance * (1 + 1e-9)


@pytest.mark.parametrize("letter", LETTERS)
def test_bures_distances_of_netrep(load, letter):
    data, *_ = load(f"shape_gauss_{letter}")
    assert bures_squared(data["in_cov_X"], data["in_cov_Y"]) == pytest.approx(data["out_sq_bures"], rel=1e-7)


def test_weights_that_are_scored_align_better_than_netreps(load):
    """The distances that the specification names for the right weights."""
    data, *_ = load("shape_gauss_a")
    x, y = (Gaussians(data[f"in_mean_{side}"], data[f"in_cov_{side}"]) for side in "XY")
    assert gaussian_shape(x, y, 0.5).distance == pytest.approx(0.7841, abs=5e-5)
    assert gaussian_shape(x, y, 1.5).distance == pytest.approx(1.06105, abs=5e-6)


@pytest.mark.parametrize("letter", LETTERS)
def test_energy_distances_of_netrep(load, letter):
    data, rtol, atol = load(f"shape_energy_{letter}")
    x, y = data["in_X"], data["in_Y"]
    assert energy_shape(x, y, "identity").distance == pytest.approx(float(data["out_energy_identity"]), rel=1e-9)
    assert energy_shape(x, y).distance <= float(data["out_energy_orth"]) * (1 + rtol) + atol
