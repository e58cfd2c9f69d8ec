"""Trained networks in the place of subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from isocortex.errors import DataError
from isocortex.recordings import networks
from isocortex.storage.atomic import digest_file
from isocortex.storage.images import image_digest, read_image

STIMULI = {"n": 30, "digits": {"networks": 2, "epochs": 2, "seed": 3}}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("resources")
    manifest = networks.fetch({"stimuli": {"all": STIMULI, "other": {"n": 5, "simulated": {}}}}, folder)
    assert list(manifest) == [networks.FILE]
    assert manifest[networks.FILE]["sha256"] == digest_file(folder / networks.FILE)
    assert manifest[networks.FILE]["bytes"] == (folder / networks.FILE).stat().st_size
    return folder


def test_training_twice_gives_the_same_file_whatever_the_threads(root, tmp_path):
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    assert networks.fetch({"stimuli": {"all": STIMULI}}, tmp_path)[networks.FILE]["sha256"] == digest_file(root / networks.FILE)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)  # the caller's generator is left as it was


def test_stimuli_are_digits_that_no_network_saw(root):
    table = networks.make_stimuli(STIMULI, root)
    assert table["stimulus_id"].is_unique
    assert table["digit"].value_counts().to_dict() == dict.fromkeys("0123456789", 3)
    image = read_image(root, table["path"].iloc[7], int(table["row"].iloc[7]))
    assert image.shape == (32, 32, 3)
    assert image_digest(image) == table["digest"].iloc[7]
    _, digits, shown = networks.held_out(30, 3)
    assert len(set(shown.tolist())) == 30
    assert digits[shown].astype(str).tolist() == table["digit"].tolist()


def test_responses_are_the_layers_of_the_network(root):
    table = networks.make_stimuli(STIMULI, root)
    recording = networks.load({"network": 1, "subject": "N1"}, root, table)
    assert recording["response"].dims == ("presentation", "neuroid")
    assert recording["stimulus_id"].to_numpy().tolist() == table["stimulus_id"].tolist()
    counts = {str(name): int(count) for name, count in zip(*np.unique(recording["layer"], return_counts=True), strict=True)}
    maps = {"conv1": 16 * 64, "conv2": 16 * 64, "conv3": 32 * 16, "conv4": 32 * 16, "conv5": 64 * 4, "conv6": 64 * 4}
    assert counts == {**maps, "conv7": 64 * 4, "conv8": 10 * 4}
    # Trained anew by hand, the same network says the same.
    images, digits, shown = networks.held_out(30, 3)
    others = np.setdiff1d(np.arange(len(images)), shown)
    x = torch.from_numpy(images[:, None])
    with networks.single_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(3 * 1000 + 1)
        network = networks.train(x[others], torch.from_numpy(digits[others]), 2)
        with torch.no_grad():
            maps = network.layers(x[shown])
            scores = network(x[shown])
    conv3 = recording["response"].to_numpy()[:, recording["layer"].to_numpy() == "conv3"]
    np.testing.assert_array_equal(conv3, maps[2].flatten(1).numpy())
    conv8 = recording["response"].to_numpy()[:, recording["layer"].to_numpy() == "conv8"].reshape(30, 10, 4)
    np.testing.assert_allclose(conv8.mean(2), scores.numpy(), atol=1e-5)
    # Two short epochs teach most digits: a guess is right in a tenth.
    assert (scores.argmax(1).numpy() == digits[shown]).mean() > 0.5


def test_networks_differ_in_their_seed_only(root):
    table = networks.make_stimuli(STIMULI, root)
    first, second = (networks.load({"network": k, "subject": "N"}, root, table)["response"].to_numpy() for k in (0, 1))
    assert first.shape == second.shape
    assert not np.allclose(first, second)


def test_what_cannot_be_is_refused(root):
    table = networks.make_stimuli(STIMULI, root)
    with pytest.raises(DataError, match="network: found 2, expected 0 to 1; train more networks, or name another"):
        networks.load({"network": 2, "subject": "N"}, root, table)
    with pytest.raises(DataError, match="found n 1500, expected at most 1297 of 1797 digits, because networks are trained on"):
        networks.held_out(1500, 0)
