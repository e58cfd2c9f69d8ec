"""The published networks of macaque V4, against the responses that they were fitted to."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from isocortex.errors import StudyError
from isocortex.features.model import Context
from isocortex.features.sources import build
from isocortex.storage.images import ImageReader

ROWS = range(600, 1200, 16)


def predict(mirror, repository, function: str, weights: str, layers: tuple[str, ...] = ("output",)) -> dict[str, np.ndarray]:
    root = mirror / "cowley2023_v4"
    entry = {
        "source": "callable",
        "call": f"v4_networks.py:{function}",
        "weights": weights,
        "layers": list(layers),
        "batch": 25,
    }
    model = build(entry, Context(root, repository / "config" / "studies", model="v4"))
    archive = root / "images" / "images_190923.zip"
    names = sorted(name for name in zipfile.ZipFile(archive).namelist() if name.endswith(".jpg"))
    with ImageReader(root) as reader:
        images = (reader.read(f"images/images_190923.zip!{names[row]}") for row in ROWS)
        batches = list(model.features(images, layers))
    return {layer: np.concatenate([batch[layer]["activation"] for batch in batches]) for layer in layers}


def correlations(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    scaled = [(values - values.mean(0)) / values.std(0) for values in (predicted, measured)]
    return (scaled[0] * scaled[1]).mean(0)


@pytest.fixture
def responses(mirror) -> np.ndarray:
    return np.load(mirror / "cowley2023_v4" / "responses_mean" / "responses_190923.npy")[:, list(ROWS)].T


def test_compact_networks_predict_their_neurons(mirror, repository, responses):
    # On 300 images these correlations were .71 and .66; here are 38 of them.
    for neuron, expected in ((0, 0.71), (3, 0.66)):
        weights = f"compact_models_torch/compact_model_190923_neuron{neuron}.pt"
        found = predict(mirror, repository, "compact", weights)["output"]
        assert found.shape == (len(ROWS), 1)
        assert correlations(found, responses[:, [neuron]])[0] == pytest.approx(expected, abs=0.15)


def test_the_shared_network_predicts_the_session_by_its_first_outputs(mirror, repository, responses):
    weights = "shared_models_h5/from_resnet50_100filters.weights.h5"
    found = predict(mirror, repository, "shared", weights, ("layer4", "output"))
    assert found["layer4"].shape == (len(ROWS), 100 * 28 * 28)
    assert found["layer4"].min() == 0
    assert np.median(correlations(found["output"][:, :33], responses)) == pytest.approx(0.67, abs=0.08)
    assert abs(np.median(correlations(np.roll(found["output"][:, :33], 5, axis=0), responses))) < 0.15


def test_weights_of_another_width_are_refused(mirror, repository):
    entry = {
        "source": "callable",
        "call": "v4_networks.py:shared",
        "weights": "shared_models_h5/from_resnet50_100filters.weights.h5",
        "options": {"filters": 20},
        "layers": ["layer0"],
    }
    with pytest.raises(StudyError, match="not the weights of this network") as caught:
        build(entry, Context(mirror / "cowley2023_v4", repository / "config" / "studies"))
    assert "\n" not in str(caught.value)
