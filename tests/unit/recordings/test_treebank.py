"""Brain Treebank, made with the names and axes of the real files: words by triggers, electrodes by their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.neural import samples
from isocortex.recordings.paths import bind
from isocortex.recordings.stimuli import make_table
from isocortex.study.adapters.treebank import TreebankSubject

RATE = 2048
LABELS = ["*O1aIb1", "O1aIb2", "T1b#3", "DC4", "trig1"]
PATHS: dict[str, Any] = {
    "path": "sub_1_trial000.h5",
    "electrodes": {"path": "electrode_labels/sub_1/electrode_labels.json"},
    "words": {"path": "transcripts/cars-2/features.csv"},
    "timings": {"path": "subject_timings/sub_1_trial000_timings.csv"},
    "localization": {"path": "localization/sub_1/depth-wm.csv", "labels": ["DesikanKilliany"]},
    "corrupted": {"path": "corrupted_elec.json"},
    "subject_key": "sub_1",
}
# Trigger, time in the film (s), sample. The film is paused at 2 s.
TIMINGS = [
    ("beginning", 0.0, 100),
    ("trigger", 1.0, 2150),
    ("pause", 2.0, 4200),
    ("unpause", 2.0, 6000),
    ("trigger", 3.0, 8050),
]
# Word, start (s): the third has none, the last is after the last trigger, the first before the recording's start.
WORDS = [("never", "-0.2"), ("the", "0.25"), ("oh", ""), ("car", "1.5"), ("the", "2.0"), ("end", "2.1"), ("late", "3.5")]


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def make(root: Path, **change: Any) -> Any:
    """One film of 9000 samples of five channels, float64; returns (channel, sample)."""
    values = change.get("values", np.random.default_rng(0).normal(size=(5, 9000)) + 40)
    with h5py.File(root / "sub_1_trial000.h5", "w") as file:
        for k, one in enumerate(values):
            file[f"data/electrode_{k}"] = one
    write(root, PATHS["electrodes"]["path"], json.dumps(change.get("labels", LABELS)))
    write(root, "corrupted_elec.json", json.dumps(change.get("corrupted", {"sub_1": ["T1b3", "DC4"], "sub_2": []})))
    timings = [f"{kind},{film},{1.5e9 + film},{index}" for kind, film, index in change.get("timings", TIMINGS)]
    write(root, PATHS["timings"]["path"], "\n".join(["type,movie_time,start_time,index", *timings]) + "\n")
    words = [f"{k},{word},{start},{k / 10}" for k, (word, start) in enumerate(change.get("words", WORDS))]
    write(root, PATHS["words"]["path"], "\n".join([",text,start,pitch", *words]) + "\n")
    where = change.get("where", ["O1aIb2,10.5,20.0,30.0,ctx-lh-insula", "T1b3,1,2,3,Left-Hippocampus"])
    write(root, PATHS["localization"]["path"], "\n".join(["Electrode,L,I,P,DesikanKilliany", *where]) + "\n")
    return values


def load(root: Path, **options: Any) -> xr.Dataset:
    entry = {"adapter": "brain_treebank", "stimuli": "cars-2", "window": [0.0, 0.1], "bin": 0.05, **PATHS, **options}
    spec = TreebankSubject(**entry).model_dump()
    table = {"path": PATHS["words"]["path"], "id": "Unnamed: 0", "caption": "text", "labels": ["pitch"]}
    return bind(ADAPTERS, "brain_treebank", "s")({**spec, "subject": "s"}, root, make_table({"table": table}, root, "set"))


# Of words 1, 3, 4 and 5: the first trigger not before it, less the time between them.
ONSETS = [2150 - 0.75 * RATE, 4200 - 0.5 * RATE, 4200, round(8050 - 0.9 * RATE)]


def test_words_are_presentations_at_the_samples_of_their_onsets(tmp_path: Path) -> None:
    values = make(tmp_path)
    found = load(tmp_path)
    assert found["stimulus_id"].values.tolist() == ["1", "3", "4", "5"]
    assert found["session"].values.tolist() == ["sub_1_trial000"] * 4
    assert json.loads(found.attrs["dropped"]) == {"corrupted": 1, "words": 3}
    assert found.attrs["over_time"] == "mean"
    assert found.sizes["time"] == 2
    for row, onset in enumerate(map(int, ONSETS)):
        for place, channel in enumerate([0, 1]):
            for k, (begin, end) in enumerate([(0, 102), (102, 205)]):  # 0.05 s are 102.4 samples
                truth = values[channel, onset + begin : onset + end].mean()
                np.testing.assert_allclose(found["response"].values[row, place, k], truth, rtol=1e-6)
    np.testing.assert_array_equal(found["response"][[2, 0], [1]].values, found["response"].values[[2, 0]][:, [1]])


def test_electrodes_are_known_by_their_names(tmp_path: Path) -> None:
    make(tmp_path)
    found = load(tmp_path)
    assert found["neuroid_id"].values.tolist() == ["O1aIb1", "O1aIb2"]
    assert found["DesikanKilliany"].values.tolist() == ["", "ctx-lh-insula"]
    assert found["x"].values.tolist()[1] == 10.5
    assert found["y"].values.tolist()[1] == 20.0
    assert found["z"].values.tolist()[1] == 30.0
    assert np.isnan(found["x"].values[0])
    everything = load(tmp_path, corrupted=None, subject_key=None, localization=None)
    assert everything["neuroid_id"].values.tolist() == ["O1aIb1", "O1aIb2", "T1b3"]


def test_words_whose_window_is_not_recorded_are_left_out(tmp_path: Path) -> None:
    make(tmp_path)
    assert load(tmp_path, window=[-0.32, 0.0], bin=0.16)["stimulus_id"].values.tolist() == ["3", "4", "5"]
    assert load(tmp_path, window=[0.0, 2.0], bin=0.5)["stimulus_id"].values.tolist() == ["1", "3", "4"]


def test_high_gamma_is_the_power_within_its_band(tmp_path: Path) -> None:
    time = np.arange(9000) / RATE
    waves = [3 * np.sin(2 * np.pi * 100 * time), 50 * np.sin(2 * np.pi * 10 * time)]
    make(tmp_path, values=[*waves, waves[0] + waves[1], waves[0], waves[0]], corrupted={"sub_1": []})
    found = load(tmp_path, signal="high_gamma", bin=0.1)["response"].values[:, :, 0]
    np.testing.assert_allclose(found[:, 0], 4.5, rtol=0.02)
    assert (found[:, 1] < 0.02).all()
    np.testing.assert_allclose(found[:, 2], 4.5, rtol=0.05)


@pytest.mark.parametrize("signal", ["raw", "high_gamma"])
def test_stretches_of_a_recording_do_not_change_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: str
) -> None:
    make(tmp_path)
    whole = load(tmp_path, signal=signal)["response"].values
    monkeypatch.setattr(samples, "AT_MOST", 300)
    np.testing.assert_allclose(load(tmp_path, signal=signal)["response"].values, whole, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"labels": [*LABELS, "X1"]}, r": found no data/electrode_5, expected one array per name in 'electrodes'"),
        ({"labels": {"a": 1}}, r": electrode_labels/sub_1/electrode_labels\.json is no list of names"),
        ({"labels": ["DC1", "TRIG"]}, r": none of 2 electrodes is left, expected some"),
        ({"corrupted": {"sub_2": []}}, r": corrupted_elec\.json has no 'sub_1', found sub_2; correct subject_key"),
        ({"values": [np.zeros(9000), np.zeros(8999), *np.zeros((3, 9000))]}, r": electrodes have 8999 to 9000 samples"),
        ({"timings": TIMINGS[::-1]}, r", timings: triggers of .*_timings\.csv are not in order, expected movie_time and index"),
        (
            {"where": ["Z9,1,2,3,insula"]},
            r", localization: none of the 2 electrodes \(first 'O1aIb1'\) is in localization/sub_1",
        ),
        ({"words": [("late", "9.0")]}, r", words: found no presentation, expected at least one"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    make(tmp_path, **change)
    with pytest.raises(DataError, match=rf"^recording sub_1_trial000\.h5{text}") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    write(tmp_path, "corrupted_elec.json", "{")
    with pytest.raises(DataError, match=r"corrupted_elec\.json is not JSON \(.*\); fetch the file again"):
        load(tmp_path)
    make(tmp_path)
    (tmp_path / "sub_1_trial000.h5").write_bytes(b"x" * 50)
    with pytest.raises(DataError, match=r"sub_1_trial000\.h5 is not readable as HDF5 \(.*\); fetch the file again"):
        load(tmp_path)


def test_words_that_are_no_stimuli_are_refused(tmp_path: Path) -> None:
    make(tmp_path)
    spec = TreebankSubject(**{"adapter": "brain_treebank", "stimuli": "a", "window": [0.0, 0.1], **PATHS}).model_dump()
    few = pd.DataFrame({"stimulus_id": ["1", "3"]})
    with pytest.raises(DataError, match=r"words: 2 presentations are of stimuli that the stimulus set lacks \(first: word 4\)"):
        bind(ADAPTERS, "brain_treebank", "s")({**spec, "subject": "s"}, tmp_path, few)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"band": [150.0, 70.0]}, r"band: found \[150\.0, 70\.0\], expected \[low, high\] below 1024 Hz, half the rate"),
        ({"subject_key": None}, r"subject_key: goes with corrupted: .*; give both or none"),
        ({"signal": "theta"}, "signal"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(tmp_path, **change)
