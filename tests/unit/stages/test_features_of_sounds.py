"""Sounds from a folder to features: the stimulus table knows them, and a model of sounds is given them."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from isocortex.errors import DataError, StudyError
from isocortex.features.model import Batch
from isocortex.recordings.stimuli import make_table
from isocortex.stages import features
from isocortex.storage.store import Store
from isocortex.storage.tables import write_parquet


class Loudness:
    """A model of sounds: mean square and rate."""

    input, layers, digest, batch = "sounds", ("loudness",), "loudness", 2

    def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        rows = [[np.square(samples).mean(), rate / 1000] for samples, rate in stimuli]
        yield {"loudness": {"activation": np.array(rows, np.float32)}}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    (tmp_path / "sounds").mkdir()
    for number in range(5):
        with wave.open(str(tmp_path / f"sounds/{number}.wav"), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
            file.writeframes(np.full(100, min(number, 3) * 4096, "<i2").tobytes())
    table = make_table({"n": 5, "images": {"path": "sounds"}}, tmp_path, "d")
    write_parquet(table, tmp_path / "stimuli.parquet")
    built = []
    monkeypatch.setattr(features, "build", lambda entry, context: built.append(1) or Loudness())
    options = {"model": "m", "set": "all", "entry": {"source": "transformers", "path": "p"}, "root": str(tmp_path)}
    inputs = {"stimuli": str(tmp_path / "stimuli.parquet")}
    return {"stage": "features", "inputs": inputs, "output": str(tmp_path / "out.json"), "options": options}, built, table


def test_a_model_of_sounds_is_given_samples_and_rate(spec):
    job, _, table = spec
    assert table["stimulus_id"].tolist() == ["0", "1", "2", "3", "4"]
    assert table["digest"].nunique() == 4  # the last two are the same
    features.run(job, "cpu")
    expected = np.array([[(level / 8) ** 2, 8] for level in (0, 1, 2, 3, 3)])
    np.testing.assert_array_equal(Store(job["output"]).read("000", "activation"), expected)


def test_a_broken_sound_stops_before_a_model_is_built(spec, tmp_path):
    job, built, _ = spec
    (tmp_path / "sounds/2.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"sounds/2\.wav: not readable as a sound"):
        features.run(job, "cpu")
    assert built == []


def test_a_model_of_images_refuses_sounds(spec, monkeypatch):
    job, _, _ = spec
    monkeypatch.setattr(Loudness, "input", "images")
    with pytest.raises(StudyError, match=r"models\.m: takes images, but stimulus '0' is 'sounds/0\.wav'; choose another model"):
        features.run(job, "cpu")
