"""RDMs of ResNet-18's last stage on 78 photographs, from activations to distances, against those of another library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from isocortex.features.projection import Projections, project, sparse_projection
from isocortex.similarity.rdm import rdm, rdm_from_gram
from isocortex.stages import features, kernels
from isocortex.storage.store import Store
from isocortex.storage.tables import write_parquet

# Largest differences, as the data's README states them.
STATED = {"pearson": 8e-5, "cosine": 5e-6, "euclidean": 2e-5}
OURS = {"pearson": "correlation", "cosine": "cosine", "euclidean": "euclidean"}
N, UNITS = 78, 512 * 7 * 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("net2brain78")


@pytest.fixture(scope="module")
def stored(mirror: Path, folder: Path) -> Store:
    """The activations, brought in by the stage `features`."""
    names = [f"s{k:02d}" for k in range(N)]
    frame = pd.DataFrame({"stimulus_id": names, "digest": "", "path": "", "row": -1, "caption": ""})
    write_parquet(frame, folder / "stimuli.parquet")
    entry = {"source": "precomputed", "path": "resnet18_layer4_full.npz", "key": "layer4", "ids": None, "layers": None}
    options = {"name": "d", "model": "resnet18", "set": "all", "entry": entry, "root": str(mirror / "net2brain78")}
    inputs = {"stimuli": str(folder / "stimuli.parquet")}
    features.run({"stage": "features", "inputs": inputs, "output": str(folder / "f.json"), "options": options}, "cpu")
    return Store(folder / "f.json")


@pytest.fixture(scope="module")
def golden(mirror: Path) -> Any:
    return np.load(mirror / "net2brain78" / "golden_rdms_resnet18.npz")


def same_units(vector: np.ndarray, kind: str) -> np.ndarray:
    """Ours is a squared distance per unit, the other a distance."""
    return np.sqrt(vector * UNITS) if kind == "euclidean" else vector


def error(found: np.ndarray, golden: np.ndarray) -> float:
    return float(np.abs(found - golden).max())


@pytest.mark.parametrize("kind", STATED)
def test_of_the_patterns(stored, golden, kind):
    x = stored.read("000", "activation")
    assert x.dtype == np.float32
    assert x.shape == (N, UNITS)
    expected = golden[f"layer4_{kind}"].astype(np.float64)
    assert error(same_units(rdm(x.astype(np.float64), OURS[kind]), kind), expected) <= STATED[kind]


def test_of_the_stored_gram_matrix(stored, golden, folder):
    options = {"model": "resnet18", "set": "all", "encode": False, "layers": None}
    inputs = {"features": str(stored.path)}
    kernels.run({"stage": "kernels", "inputs": inputs, "output": str(folder / "k.json"), "options": options}, "cpu")
    made = Store(folder / "k.json")
    gram, means = made.read("000", "gram"), made.read("000", "row_mean")
    for kind, stated in STATED.items():
        found = np.asarray(rdm_from_gram(gram, means, made.groups["000"]["n_features"], OURS[kind]))
        assert error(same_units(found, kind), golden[f"layer4_{kind}"].astype(np.float64)) <= stated


@pytest.mark.parametrize("kind", STATED)
def test_of_half_precision_and_of_a_projection(stored, golden, kind):
    """What networks' layers are kept in: float16 costs next to nothing, a projection what its number of dimensions says."""
    x, expected = stored.read("000", "activation"), golden[f"layer4_{kind}"].astype(np.float64)
    half = same_units(rdm(x.astype(np.float16).astype(np.float64), OURS[kind]), kind)
    assert error(half, expected) <= STATED[kind] + 1e-4 * np.ptp(expected)
    projected = Projections(6000, seed=1)("layer4", torch.as_tensor(x)).double().numpy()
    found = rdm(projected, OURS[kind]) * (6000 if kind == "euclidean" else 1)
    close = np.sqrt(found) if kind == "euclidean" else found
    # Squared lengths keep with a standard deviation of √(2/k) = 1.8 % and, of heavy-tailed units, a little more: of 3003 pairs
    # the farthest is off by five or six of them.
    assert np.abs(close / expected - 1).max() < 6 * np.sqrt(2 / 6000)
    assert np.corrcoef(close, expected)[0, 1] > 0.995


def test_a_projection_that_loses_the_mean_gives_other_distances(stored, golden):
    """Why the mean over units is kept: by random signs alone, a correlation distance would be that of the cosine."""
    x = stored.read("000", "activation").astype(np.float64)
    plain = rdm(project(x, sparse_projection(UNITS, 6000, 1, "layer4")), "correlation")
    assert np.median(plain / golden["layer4_pearson"]) < 0.8
    assert np.median(plain / golden["layer4_cosine"]) == pytest.approx(1, abs=0.03)
