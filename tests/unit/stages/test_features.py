from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isocortex.errors import DataError, StudyError
from isocortex.features.extract import layer_groups
from isocortex.features.weights import load_state
from isocortex.stages.features import run
from isocortex.storage.images import image_digest
from isocortex.storage.store import Store
from isocortex.storage.tables import write_parquet
from isocortex.study.recipes import RECIPES

NETWORK = """
import torch
from torch import nn

def build(weights=None, slope=1.0):
    module = nn.Sequential()
    module.add_module("conv", nn.Conv2d(3, 2, 3, stride=2, padding=1))
    module.add_module("act", nn.LeakyReLU(slope, inplace=True))
    steps = torch.arange(54, dtype=torch.float32).reshape(2, 3, 3, 3)
    with torch.no_grad():
        module.conv.weight.copy_(torch.sin(steps))
        module.conv.bias.copy_(torch.tensor([0.5, -0.25]))
        if weights is not None:
            module.load_state_dict(torch.load(weights, weights_only=True))
    return module
"""
ENTRY = {
    "source": "callable",
    "call": "net.py:build",
    "layers": ["conv"],
    "preprocess": "unit",
    "batch": 2,
    "options": {"slope": 0.1},
}


@pytest.fixture
def spec(tmp_path):
    """A stage's specification: five images, a study folder with a network."""
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    frame = pd.DataFrame({
        "stimulus_id": [f"s{row}" for row in range(5)],
        "digest": [image_digest(image) for image in images],
        "path": "images.npz!images",
        "row": np.arange(5),
        "caption": "",
        "animal": [0, 1, 1, 0, 1],
    })  # fmt: skip
    write_parquet(frame, tmp_path / "stimuli.parquet")
    (tmp_path / "net.py").write_text(NETWORK)
    options = {
        "name": "d",
        "model": "m",
        "set": "all",
        "entry": ENTRY,
        "root": str(tmp_path),
        "study_dir": str(tmp_path),
        "maps": [],
    }
    return {
        "stage": "features",
        "inputs": {"stimuli": str(tmp_path / "stimuli.parquet")},
        "output": str(tmp_path / "out" / "all.json"),
        "options": options,
    }


def with_entry(spec: dict, **changes) -> dict:
    return spec | {"options": spec["options"] | {"entry": spec["options"]["entry"] | changes}}


def naive_convolution(image: np.ndarray) -> np.ndarray:
    """The network's `conv` by loops in float64: (channel, y, x)."""
    weight = np.array([math.sin(step) for step in range(54)]).reshape(2, 3, 3, 3)
    padded = np.pad(image.transpose(2, 0, 1) / 255.0, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((2, 3, 3))
    for channel in range(2):
        for y in range(3):
            for x in range(3):
                patch = padded[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
                out[channel, y, x] = (patch * weight[channel]).sum() + (0.5, -0.25)[channel]
    return out


def test_golden_activations(spec, tmp_path):
    """Order of axes, preparation and pooling are what they were when the recipe was set; raise it with this test."""
    assert RECIPES["features"] == 1
    spec["options"] |= {"maps": ["conv"]}
    run(with_entry(spec, layers=["conv", "act"], pool={"act": "gap"}), "cpu")
    store = Store(spec["output"])
    images = np.load(tmp_path / "images.npz")["images"]
    expected = np.stack([naive_convolution(image) for image in images])
    np.testing.assert_allclose(store.read("000", "activation"), expected.reshape(5, -1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(store.read("000", "maps"), expected, rtol=1e-5, atol=1e-5)
    rectified = np.where(expected > 0, expected, 0.1 * expected).mean((2, 3))
    np.testing.assert_allclose(store.read("001", "activation"), rectified, rtol=1e-5, atol=1e-5)


def test_the_sidecar_says_what_the_store_holds(spec):
    run(spec, "cpu")
    sidecar = Store(spec["output"]).sidecar
    assert sidecar["layers"] == ["conv"]
    assert sidecar["n_features"] == {"conv": 18}
    assert sidecar["stimulus_ids"] == [f"s{row}" for row in range(5)]
    assert len(sidecar["digests"]) == 5
    assert (sidecar["model"], sidecar["set"]) == ("m", "all")
    assert layer_groups(sidecar) == {"conv": "000"}
    assert sidecar["groups"]["000"] == {"layer": "conv", "n_features": 18}


def test_the_same_specification_twice_gives_the_same_bytes(spec, tmp_path):
    run(spec, "cpu")
    first = Path(spec["output"]).read_bytes()
    other = spec | {"output": str(tmp_path / "other" / "all.json")}
    run(other, "cpu")
    assert Path(other["output"]).read_bytes() == first
    run(spec, "cpu")
    assert Path(spec["output"]).read_bytes() == first


def test_layers_no_longer_asked_for_are_hidden_but_kept(spec):
    run(with_entry(spec, layers=["conv", "act"]), "cpu")
    run(with_entry(spec, layers=["act"]), "cpu")
    store = Store(spec["output"])
    assert list(store.groups) == ["001"]
    written = (store.directory / "000" / "activation" / "c" / "0" / "0").stat().st_mtime_ns
    run(spec, "cpu")
    store = Store(spec["output"])
    assert list(store.groups) == ["000"]
    assert (store.directory / "000" / "activation" / "c" / "0" / "0").stat().st_mtime_ns == written


def test_other_weights_or_other_code_discard_the_store(spec, tmp_path):
    import torch

    run(spec, "cpu")
    plain = Store(spec["output"]).read("000", "activation")
    state = {"conv.weight": torch.ones(2, 3, 3, 3), "conv.bias": torch.zeros(2)}
    torch.save(state, tmp_path / "w.pt")
    assert set(load_state(tmp_path / "w.pt")) == set(state)
    run(with_entry(spec, weights="w.pt"), "cpu")
    one = Store(spec["output"]).read("000", "activation")
    torch.save({name: value * 2 for name, value in state.items()}, tmp_path / "w.pt")
    run(with_entry(spec, weights="w.pt"), "cpu")
    two = Store(spec["output"]).read("000", "activation")
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)
    (tmp_path / "net.py").write_text(NETWORK.replace("0.5, -0.25", "1.5, -0.25"))
    run(spec, "cpu")
    moved = Store(spec["output"]).read("000", "activation") - plain
    np.testing.assert_allclose(moved[:, :9], 1.0, rtol=1e-4)


@pytest.mark.parametrize(
    "source",
    [
        {"source": "pixels", "size": 6},
        {"source": "gabor", "size": 16, "scales": 2},
        {"source": "labels", "columns": ["animal"]},
    ],
)
def test_the_other_sources_run(spec, source):
    spec["options"] |= {"entry": source}
    run(spec, "cpu")
    store = Store(spec["output"])
    values = store.read(layer_groups(store.sidecar)[store.sidecar["layers"][0]], "activation")
    assert len(values) == 5
    assert np.isfinite(values).all()


def test_pictures_that_changed_and_maps_of_no_layer_are_refused(spec, tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((5, 6, 6, 3), np.uint8))
    with pytest.raises(DataError, match="pixels changed, digest is"):
        run(spec, "cpu")
    spec["options"] |= {"maps": ["cnv"]}
    with pytest.raises(StudyError, match=r"readout\.layers\.m: found 'cnv', expected one of its layers: conv"):
        run(spec, "cpu")
