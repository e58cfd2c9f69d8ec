from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isocortex.errors import DataError
from isocortex.features.model import Context
from isocortex.features.sources import build
from isocortex.recordings.simulated import components, cut_crops, fetch, load, make_stimuli, photographs
from isocortex.storage.atomic import digest_file
from isocortex.storage.images import image_digest, read_image

STIMULI = {"n": 60, "simulated": {"size": 32, "seed": 3}}
NETWORK = {"call": "isocortex.features.seeded:build", "options": {"seed": 4, "channels": 8}}
SPEC = {
    "adapter": "simulated",
    "subject": "S1",
    "repeats": 3,
    "ncsnr": [0.2, 0.6],
    "seed": 0,
    "regions": {"V1": {**NETWORK, "layer": "conv1", "pool": 4, "neuroids": 30}, "noise": {"neuroids": 20}},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("resources")
    manifest = fetch({"stimuli": {"all": STIMULI}}, folder)
    assert manifest["crops.npz"]["sha256"] == digest_file(folder / "crops.npz")
    assert manifest["crops.npz"]["bytes"] == (folder / "crops.npz").stat().st_size
    return folder


def test_crops_are_the_same_each_time_and_lie_where_the_table_says(root, tmp_path):
    assert fetch({"stimuli": {"all": STIMULI}}, tmp_path)["crops.npz"]["sha256"] == digest_file(root / "crops.npz")
    table = make_stimuli(STIMULI, root)
    assert table["stimulus_id"].is_unique
    assert table["digest"].is_unique
    assert table["photograph"].nunique() > 10
    for row in (0, 59):
        image = read_image(root, table["path"].iloc[row], int(table["row"].iloc[row]))
        assert image.shape == (32, 32, 3)
        assert image_digest(image) == table["digest"].iloc[row]


def test_crops_hardly_overlap_and_have_contrast():
    rng = np.random.default_rng(0)
    # Every pixel is a number of its own, so that overlap can be counted from the crops at scale 1.
    picture = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    crops, names = cut_crops({"one": picture}, 4, size=32)
    assert set(names) == {"one"}
    assert crops.mean(3).reshape(4, -1).std(1).min() >= 15
    with pytest.raises(DataError, match=r"found room for \d+ crops of 32 pixels, expected 500; ask for fewer"):
        cut_crops({"one": picture}, 500, size=32)
    with pytest.raises(DataError, match="found room for 0 crops"):
        cut_crops({"flat": np.full((96, 96, 3), 99, np.uint8)}, 1, size=32)


def test_the_photographs_need_no_download(monkeypatch):
    import socket

    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(socket, "socket", refuse)
    assert len(photographs()) == 14


def test_the_recording_has_the_promised_form(root):
    table = make_stimuli(STIMULI, root)
    recording = load(SPEC, root, table)
    assert recording["response"].dims == ("presentation", "neuroid")
    assert recording["response"].shape == (180, 50)
    assert recording["response"].dtype == np.float32
    assert (recording["region"].to_numpy() == np.array(["V1"] * 30 + ["noise"] * 20)).all()
    ids, counts = np.unique(recording["stimulus_id"], return_counts=True)
    assert sorted(ids) == sorted(table["stimulus_id"])
    assert (counts == 3).all()
    assert len(np.unique(recording["neuroid_id"])) == 50
    assert recording["run"].to_numpy().tolist() == np.repeat([1, 2, 3], [80, 80, 20]).tolist()
    for name in ("session", "run", "repeat"):
        assert recording[name].dims == ("presentation",)


def test_subjects_and_seeds_differ_and_nothing_else(root):
    table = make_stimuli(STIMULI, root)
    first = load(SPEC, root, table)
    assert first.identical(load(SPEC, root, table))
    for change in ({"subject": "S2"}, {"seed": 1}):
        assert not np.array_equal(first["response"], load(SPEC | change, root, table)["response"])


def test_signal_lies_in_the_true_layer_and_noise_has_none(root):
    table = make_stimuli(STIMULI, root)
    recording = load(SPEC | {"ncsnr": [1e6, 1e6]}, root, table)
    order = {name: row for row, name in enumerate(table["stimulus_id"])}
    signal = np.zeros((60, 50))
    signal[[order[name] for name in recording["stimulus_id"].to_numpy()]] = recording["response"]
    np.testing.assert_allclose(signal[:, :30].std(0), 1, rtol=1e-3)
    assert np.abs(signal[:, 30:]).max() < 1e-4
    entry = {"source": "callable", **NETWORK, "layers": ["conv1"], "pool": 4, "batch": 60}
    model = build(entry, Context(root, table=table))
    images = (read_image(root, path, row) for path, row in zip(table["path"], table["row"], strict=True))
    (batch,) = model.features(images, ["conv1"])
    scores = components(batch["conv1"]["activation"], 6)
    residual = signal[:, :30] - scores @ np.linalg.lstsq(scores, signal[:, :30], rcond=None)[0]
    assert np.abs(residual).max() < 1e-3


def test_single_trial_noise_is_one_over_ncsnr(root):
    table = make_stimuli(STIMULI, root)
    recording = load(SPEC | {"repeats": 40, "ncsnr": [0.5, 0.5]}, root, table)
    noise = recording["response"].to_numpy()[:, 30:]
    assert noise.std() == pytest.approx(2, rel=0.02)


def test_components_are_those_of_the_covariance():
    features = np.random.default_rng(0).standard_normal((30, 5)) @ np.diag([1, 2, 3, 4, 5])
    scaled = (features - features.mean(0)) / features.std(0)
    values = np.linalg.eigvalsh(np.cov(scaled.T))[::-1]
    scores = components(np.column_stack([features, np.ones(30)]), 3)
    np.testing.assert_allclose(np.cov(scores.T), np.diag(values[:3]), atol=1e-10)
