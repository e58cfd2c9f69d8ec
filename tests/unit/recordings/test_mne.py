"""Epochs and continuous recordings as MNE writes them: channels as neuroids, samples as bins of time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.study.adapters.mne import MneSubject

TABLE = pd.DataFrame({"stimulus_id": ["cat", "dog", "07"]})
NAMES = ["A1", "B2", "C3", "EOG"]
POSITION = {"A1": [-0.03, 0.01, 0.02], "B2": [0.04, 0.0, 0.0], "C3": [0.0, 0.05, 0.06]}


def load(root: Path, path: str = "a-epo.fif", **options: Any) -> xr.Dataset:
    spec = MneSubject(**{"adapter": "mne", "path": path, "stimuli": "all", **options}).model_dump()
    return bind(ADAPTERS, "mne", "s")({**spec, "subject": "s"}, root, TABLE)


def info(rate: float = 100.0) -> mne.Info:
    made = mne.create_info(NAMES, rate, ["eeg", "eeg", "eeg", "eog"])
    made.set_montage(mne.channels.make_dig_montage(POSITION, coord_frame="head"))
    return made


def epochs(root: Path, drop: list[int] | None = None, bads: list[str] | None = None, **rest: Any) -> np.ndarray:
    """Four epochs of ten samples from -0.04 s on, out of order in time; returns (epoch, channel, sample) in V."""
    values = np.arange(160, dtype=np.float64).reshape(4, 4, 10) ** 2 % 53 * 1e-6
    events = np.array([[50, 0, 2], [20, 0, 1], [90, 0, 1], [70, 0, 2]])
    made = info()
    made["bads"] = bads or []
    order = np.argsort(events[:, 0])
    kept = {"events": events[order], "tmin": -0.04, "event_id": {"cat": 1, "dog": 2}, "baseline": None, "verbose": "ERROR"}
    array = mne.EpochsArray(values[order], made, **{**kept, **rest})
    if drop:
        array.drop(drop, reason="blink", verbose="ERROR")
    array.save(root / "a-epo.fif", fmt="double", verbose="ERROR")
    return values[order]


def test_epochs_are_presentations_and_samples_are_bins(tmp_path: Path) -> None:
    values = epochs(tmp_path)
    found = load(tmp_path)
    assert found["response"].dims == ("presentation", "neuroid", "time")
    np.testing.assert_allclose(found["response"].values, values[:, :3], rtol=1e-6)
    assert found["stimulus_id"].values.tolist() == ["cat", "dog", "dog", "cat"]
    assert found["repeat"].values.tolist() == [0, 0, 1, 1]
    assert found["neuroid_id"].values.tolist() == ["A1", "B2", "C3"]
    assert found["ch_type"].values.tolist() == ["eeg"] * 3
    assert found["hemisphere"].values.tolist() == ["left", "right", ""]
    np.testing.assert_allclose(found["x"].values, [-30.0, 40.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(found["z"].values, [20.0, 0.0, 60.0], atol=1e-4)
    np.testing.assert_allclose(found["time"].values, np.arange(-4, 6) / 100, atol=1e-9)
    np.testing.assert_allclose(found["time_end"].values, np.arange(-3, 7) / 100, atol=1e-9)
    assert found.attrs["over_time"] == "mean"
    part = found["response"][[3, 1], [2, 0]].values
    np.testing.assert_allclose(part, values[[3, 1]][:, [2, 0]], rtol=1e-6)


def test_dropped_epochs_and_bad_channels_are_left_out_and_counted(tmp_path: Path) -> None:
    values = epochs(tmp_path, drop=[1], bads=["B2"])
    found = load(tmp_path)
    np.testing.assert_allclose(found["response"].values, values[[0, 2, 3]][:, [0, 2]], rtol=1e-6)
    assert found["stimulus_id"].values.tolist() == ["cat", "dog", "cat"]
    assert json.loads(found.attrs["dropped"]) == {"bad channels": 1, "epochs": 1}


def test_samples_are_averaged_in_bins_less_a_baseline(tmp_path: Path) -> None:
    values = epochs(tmp_path) * 1e6
    found = load(tmp_path, window=[0.0, 0.06], bin=0.02, baseline=[-0.04, 0.0])
    assert found["time"].values.tolist() == [0.0, 0.02, 0.04]
    for epoch in range(4):
        for channel in range(3):
            samples = values[epoch, channel].tolist()
            before = sum(samples[:4]) / 4
            truth = [(samples[4 + 2 * k] + samples[5 + 2 * k]) / 2 - before for k in range(3)]
            np.testing.assert_allclose(found["response"].values[epoch, channel] * 1e6, truth, atol=1e-4)


def test_stimuli_may_stand_in_the_metadata(tmp_path: Path) -> None:
    epochs(tmp_path, metadata=pd.DataFrame({"image": [7, 7, 7, 7], "other": list("abcd")}))
    assert load(tmp_path, stimulus="image")["stimulus_id"].values.tolist() == ["07"] * 4
    with pytest.raises(DataError, match=r"the epochs have no column 'name', found image, other; correct 'stimulus'"):
        load(tmp_path, stimulus="name")


def test_channels_get_labels_from_a_table(tmp_path: Path) -> None:
    epochs(tmp_path)
    (tmp_path / "electrodes.tsv").write_text("name\tregion\tside\nC3\tV1\tr\nA1\tMT\tl\n", encoding="utf-8")
    found = load(tmp_path, channels={"path": "electrodes.tsv", "labels": ["region", "side"]})
    assert found["region"].values.tolist() == ["MT", "", "V1"]
    assert found["side"].values.tolist() == ["l", "", "r"]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (
            "name\tregion\nX\tV1\n",
            r"none of the 3 channels \(first 'A1'\) is in column 'name' of electrodes\.tsv; correct 'name'",
        ),
        ("name\tregion\nA1\tV1\nA1\tV2\n", r"electrodes\.tsv names a channel twice, expected one row for each"),
        ("name\tlobe\nA1\tV1\n", r"electrodes\.tsv has no column 'region', found name, lobe"),
    ],
)
def test_tables_of_channels_that_do_not_fit_are_refused(tmp_path: Path, table: str, text: str) -> None:
    epochs(tmp_path)
    (tmp_path / "electrodes.tsv").write_text(table, encoding="utf-8")
    with pytest.raises(DataError, match=rf"^recording a-epo\.fif, channels: {text}"):
        load(tmp_path, channels={"path": "electrodes.tsv", "labels": ["region"]})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"types": ["mag"]}, r"found no channel of type 'mag', expected one of eeg, eog; correct 'types'"),
        (
            {"window": [0.012, 0.018]},
            r"no sample lies within window \[0\.012, 0\.018\] s, 0\.01 s apart; widen it, or give a bin",
        ),
        ({"window": [0.0, 0.5]}, r"window is \[0\.0, 0\.5\] s, expected within \[-0\.04, 0\.06\] s, which was recorded"),
        ({"baseline": [-0.2, 0.0]}, r"baseline is \[-0\.2, 0\.0\] s, expected within \[-0\.04, 0\.06\] s"),
        ({"window": [0.0, 0.06], "bin": 0.005}, r"bins are 0\.005 s wide and samples 0\.01 s apart"),
    ],
)
def test_what_epochs_lack_is_named(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    epochs(tmp_path)
    with pytest.raises(DataError, match=rf"^recording a-epo\.fif: {text}"):
        load(tmp_path, **options)


def test_events_that_are_no_stimuli_are_refused(tmp_path: Path) -> None:
    epochs(tmp_path, event_id={"cat": 1, "bird": 2})
    with pytest.raises(DataError, match=r"2 presentations are of stimuli that the stimulus set lacks \(first: event bird\)"):
        load(tmp_path)


def test_files_that_are_not_epochs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a-epo.fif").write_bytes(b"nothing that is known" * 10)
    with pytest.raises(DataError, match=r"a-epo\.fif could not be read \(.*\); check its format, or fetch it again") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def brainvision(root: Path) -> np.ndarray:
    """A continuous recording of two channels, 16-bit at 0.5 µV, 100 Hz, 2 s; returns (channel, sample) in V."""
    stored = (np.arange(400).reshape(200, 2) ** 2 % 101).astype("<i2")
    stored.tofile(root / "a.eeg")
    marks = "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nDataFile=a.eeg\n\n[Marker Infos]\n"
    (root / "a.vmrk").write_text(marks + "Mk1=New Segment,,1,1,0,20200101000000000000\n", encoding="utf-8")
    (root / "a.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nDataFile=a.eeg\nMarkerFile=a.vmrk\n"
        "DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=2\nSamplingInterval=10000\n\n"
        "[Binary Infos]\nBinaryFormat=INT_16\n\n[Channel Infos]\nCh1=Fz,,0.5,µV\nCh2=Oz,,0.5,µV\n",
        encoding="utf-8",
    )
    return stored.T * 0.5e-6


def events(root: Path, rows: list[str]) -> dict[str, Any]:
    text = "\n".join(["onset\tduration\ttrial_type\tphase", *rows])
    (root / "events.tsv").write_text(text + "\n", encoding="utf-8")
    return {"path": "a.vhdr", "companions": [{"path": "a.eeg"}, {"path": "a.vmrk"}], "events": {"path": "events.tsv"}}


def test_continuous_recordings_are_cut_at_events(tmp_path: Path) -> None:
    values = brainvision(tmp_path)
    rows = ["1.0\t0.1\tdog\t1", "0.305\t0.1\tcat\t1", "0.5\t0.1\trest\t0", "1.95\t0.1\tcat\t1", "0.05\t0.1\tdog\t1"]
    options = events(tmp_path, rows)
    options["events"] |= {"drop": {"trial_type": ["rest"]}, "where": {"phase": [1]}}
    found = load(tmp_path, window=[0.0, 0.2], baseline=[-0.05, 0.0], run={"value": "3"}, **options)
    assert found["stimulus_id"].values.tolist() == ["dog", "cat", "dog"]  # the last epoch ends after the recording
    assert json.loads(found.attrs["dropped"]) == {"bad channels": 0, "epochs": 1}
    assert found["neuroid_id"].values.tolist() == ["Fz", "Oz"]
    assert found["run"].values.tolist() == [3, 3, 3]
    assert found.sizes["time"] == 20
    for row, sample in enumerate([5, 30, 100]):  # 0.305 s is between samples: the even one
        for channel in range(2):
            before = values[channel, sample - 5 : sample].mean()
            truth = values[channel, sample : sample + 20] - before
            np.testing.assert_allclose(found["response"].values[row, channel], truth, atol=1e-10)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            ["0.3\t0\tcat\t1", "n/a\t0\tdog\t1"],
            r"events: 1 presentations have no onset \(first: number 1\), expected a time of each",
        ),
        (["0.3\t0\tcat\t1", "0.301\t0\tdog\t1"], r"events: 1 pairs of events are at one sample \(first at 0\.3 s\)"),
        (["5\t0\tcat\t1"], r"none of 1 epochs is whole, expected some; check the events' onsets"),
        (["0.3\t0\tfish\t1"], r"events: 1 presentations are of stimuli that the stimulus set lacks \(first: trial_type fish\)"),
    ],
)
def test_events_that_cannot_be_are_refused(tmp_path: Path, rows: list[str], text: str) -> None:
    brainvision(tmp_path)
    with pytest.raises(DataError, match=rf"^recording a\.vhdr.*{text}"):
        load(tmp_path, window=[0.0, 0.2], **events(tmp_path, rows))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"events": {"path": "e.tsv"}}, r"window: missing; say \[start, end\] in seconds"),
        ({"window": [0.1, 0.0]}, r"window: found \[0\.1, 0\.0\], expected its end after its start"),
        ({"events": {"path": "e.tsv"}, "window": [0.0, 0.1], "stimulus": "x"}, r"stimulus: found beside events"),
        ({"run": {"column": "run"}}, r"run: expected {value: …}, one for the whole file"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(tmp_path, **options)
