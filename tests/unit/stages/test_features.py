from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from features_world import NETWORK, make_spec, with_entry

from isocortex.errors import DataError, StudyError
from isocortex.features.extract import layer_groups
from isocortex.features.weights import load_state
from isocortex.stages.features import run
from isocortex.storage.store import Store
from isocortex.study.recipes import RECIPES


@pytest.fixture
def spec(tmp_path):
    return make_spec(tmp_path)


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


def naive_projection(x: np.ndarray, k: int, seed: int, name: str) -> np.ndarray:
    """Rows (n, p) by the definition of the projection: places by geometric gaps, random signs, the mean kept apart."""
    p = x.shape[1]
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}|{p}|{k}|{name}".encode()).digest()))
    density, places, place = 1 / math.sqrt(p), [], -1
    while place < k * p:
        expected = k * p * density
        for gap in rng.geometric(density, int(expected + 6 * math.sqrt(expected)) + 16):
            place += int(gap)
            places.append(place)
    places = [place for place in places if place < k * p]
    matrix = np.zeros((k, p))
    for place, draw in zip(places, rng.random(len(places)), strict=True):
        matrix[place // p, place % p] = math.copysign(math.sqrt(1 / (density * k)), draw - 0.5)
    mean = x.mean(1)
    return np.array([matrix @ (row - m) + math.sqrt(p / k) * m for row, m in zip(x, mean, strict=True)])


def test_golden_activations(spec, tmp_path):
    """Order of axes, preparation, pooling, projection and type are those of the recipe's number; raise it with this test."""
    assert RECIPES["features"] == 2
    spec["options"] |= {"maps": ["conv"]}
    changes = {"layers": ["conv", "act"], "pool": {"act": "gap"}, "project": 7, "projection_seed": 4}
    run(with_entry(spec, **changes), "cpu")
    store = Store(spec["output"])
    images = np.load(tmp_path / "images.npz")["images"]
    expected = np.stack([naive_convolution(image) for image in images])
    half = {"rtol": 2**-11 + 1e-5, "atol": 1e-5}  # rounded to float16 once, at the end
    rows = naive_projection(expected.reshape(5, -1), 7, 4, "conv")
    for group, name, values in (
        ("000", "activation", rows),
        ("000", "maps", expected),
        ("001", "activation", np.where(expected > 0, expected, 0.1 * expected).mean((2, 3))),
    ):
        found = store.read(group, name)
        assert found.dtype == np.float16
        np.testing.assert_allclose(found.astype(np.float64), values, **half)
    run(with_entry(spec, **changes | {"project": "none"}), "cpu")
    found = Store(spec["output"]).read("000", "activation").astype(np.float64)
    np.testing.assert_allclose(found, expected.reshape(5, -1), **half)


def test_the_sidecar_says_what_the_store_holds(spec):
    run(spec, "cpu")
    sidecar = Store(spec["output"]).sidecar
    assert sidecar["layers"] == ["conv"]
    assert sidecar["n_features"] == {"conv": 18}
    assert sidecar["stimulus_ids"] == [f"s{row}" for row in range(5)]
    assert len(sidecar["digests"]) == 5
    assert (sidecar["model"], sidecar["set"]) == ("m", "all")
    assert layer_groups(sidecar) == {"conv": "000"}
    assert sidecar["groups"]["000"] == {"layer": "conv", "n_features": 18, "dtype": {"activation": "float16"}}


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
    np.testing.assert_allclose(two, 2 * one, rtol=2**-9)
    (tmp_path / "net.py").write_text(NETWORK.replace("0.5, -0.25", "1.5, -0.25"))
    run(spec, "cpu")
    moved = Store(spec["output"]).read("000", "activation") - plain
    np.testing.assert_allclose(moved[:, :9], 1.0, rtol=2**-8)


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
    images = np.load(tmp_path / "images.npz")["images"]
    np.savez(tmp_path / "images.npz", images=images * (np.arange(5) < 3)[:, None, None, None])
    with pytest.raises(DataError, match=r"images\.npz!images row 3: pixels changed, digest is"):
        run(spec, "cpu")
    np.savez(tmp_path / "images.npz", images=images)
    spec["options"] |= {"maps": ["cnv"]}
    with pytest.raises(StudyError, match=r"readout\.layers\.m: found 'cnv', expected one of its layers: conv"):
        run(spec, "cpu")
