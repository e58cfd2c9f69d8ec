"""NWB files made by pynwb: spikes in bins, regions through electrodes, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pynwb
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.study.adapters.nwb import NwbSubject

ONSETS = [0.5, 1.5, 2.5, 3.5, 4.5]
FRAMES = [2.0, 0.0, -1.0, 2.0, 1.0]
SPIKES = [
    [0.1, 0.5, 0.55, 0.7, 1.59, 2.6, 3.5, 3.74, 4.6],
    [0.49, 0.5999, 1.5, 1.5, 1.5, 4.5],
    [2.0],
    [0.6, 3.6, 3.61],
]
LOCATIONS = ["VISp", "CA1", "VISp", "unknown"]


def numbered(n: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {"stimulus_id": [str(k) for k in range(n)], "contrast": [0.5, 0.5, 1.0][:n], "side": ["l", "r", "l"][:n]}
    )


def empty() -> pynwb.NWBFile:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    nwb = pynwb.NWBFile(session_description="made", identifier="made 7", session_start_time=start, session_id="ses7")
    group = nwb.create_electrode_group("probeA", description="d", location="l", device=nwb.create_device(name="probe"))
    for k, location in enumerate(LOCATIONS):
        nwb.add_electrode(id=100 + k, x=1000.0 * k, y=-500.0, z=np.nan, location=location, filtering="none", group=group)
    return nwb


def with_trials(nwb: pynwb.NWBFile, onsets: list[float] = ONSETS, frames: list[float] = FRAMES) -> pynwb.NWBFile:
    for name in ("frame", "block", "contrast", "side"):
        nwb.add_trial_column(name, "d")
    for k, (onset, frame) in enumerate(zip(onsets, frames, strict=True)):
        told = {"contrast": [0.5, 0.5, 1.0][int(frame)], "side": "lrl"[int(frame)]}
        nwb.add_trial(start_time=onset, stop_time=onset + 0.4, frame=frame, block=float(k // 3), **told)
    return nwb


def with_units(nwb: pynwb.NWBFile, spikes: list[Any] = SPIKES, **watched: Any) -> pynwb.NWBFile:
    for name in ("peak_channel_id", "quality", "snr", "area"):
        nwb.add_unit_column(name, "d")
    for k, times in enumerate(spikes):
        extra = {name: values[k] for name, values in watched.items()}
        nwb.add_unit(
            id=900 + k,
            spike_times=np.asarray(times, dtype=float),
            electrodes=[k],
            peak_channel_id=103 - k,
            quality="noise" if k == 1 else "good",
            snr=[1.0, 2.0, np.nan, 4.0][k],
            area=["A", "B", "", "A"][k],
            **extra,
        )
    return nwb


def write(root: Path, nwb: pynwb.NWBFile) -> None:
    with pynwb.NWBHDF5IO(root / "a.nwb", "w") as io:
        io.write(nwb)


def load(root: Path, table: pd.DataFrame | None = None, **options: Any) -> xr.Dataset:
    trials = {"stimulus": "frame", "drop": {"frame": [-1]}} | options.pop("trials", {})
    entry = {"adapter": "nwb", "path": "a.nwb", "stimuli": "all", "window": [0.0, 0.3], "bin": 0.1, "trials": trials, **options}
    spec = NwbSubject(**entry).model_dump() | {"subject": "s"}
    return bind(ADAPTERS, "nwb", "subject")(spec, root, numbered() if table is None else table)


def label(root: Path, **options: Any) -> xr.Dataset:
    return load(root, units={"unassigned": "label", **options})


def test_spikes_are_counted_in_bins_after_each_onset(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    found = label(tmp_path)
    assert found["response"].dims == ("presentation", "neuroid", "time")
    assert found["response"].dtype == np.float32
    shown = [0.5, 1.5, 3.5, 4.5]  # frame -1 is left out
    for row, onset in enumerate(shown):
        for unit, times in enumerate(SPIKES):
            for k in range(3):
                start, end = round(onset + 0.1 * k, 9), round(onset + 0.1 * (k + 1), 9)
                truth = sum(start <= time < end for time in times)
                assert found["response"].values[row, unit, k] == truth, (onset, unit, k)
    assert found["response"].values[0, 0].tolist() == [2, 0, 1]
    assert found.attrs["over_time"] == "sum"
    assert found["time"].values.tolist() == [0.0, 0.1, 0.2]
    assert found["time_end"].values.tolist() == [0.1, 0.2, 0.3]
    assert found["stimulus_id"].values.tolist() == ["2", "0", "2", "1"]
    assert found["repeat"].values.tolist() == [0, 0, 1, 0]
    assert found["session"].values.tolist() == ["ses7"] * 4
    assert found["run"].values.tolist() == [0] * 4
    assert found["neuroid_id"].values.tolist() == ["900", "901", "902", "903"]


def test_parts_of_the_response_are_read_alone(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    whole = label(tmp_path)["response"].values
    part = label(tmp_path)["response"][[3, 0], [2, 0]].values
    np.testing.assert_array_equal(part, whole[[3, 0]][:, [2, 0]])


def test_spikes_before_the_onset_are_counted_too(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    found = load(tmp_path, window=[-0.1, 0.1], bin=None, units={"unassigned": "label"})
    assert found["time"].values.tolist() == [-0.1]
    assert found["time_end"].values.tolist() == [0.1]
    assert found["response"].values[:, 1, 0].tolist() == [2.0, 3.0, 0.0, 1.0]


def test_units_lie_where_their_electrode_lies(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    found = label(tmp_path)
    assert found["location"].values.tolist() == ["VISp", "CA1", "VISp", ""]
    assert found["x"].values.tolist() == [0.0, 1.0, 2.0, 3.0]  # mm, from µm
    assert found["y"].values.tolist() == [-0.5] * 4
    assert np.isnan(found["z"].values).all()
    assert load(tmp_path, position="mm", units={"unassigned": "label"})["x"].values.tolist() == [0.0, 1000.0, 2000.0, 3000.0]


def test_the_electrode_may_be_named_by_its_id(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    assert label(tmp_path, electrode="peak_channel_id")["location"].values.tolist() == ["", "VISp", "CA1", "VISp"]


def test_units_are_kept_by_quality_and_counted_where_they_are_not(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    kept = {"where": {"quality": ["good"]}, "limits": {"snr": [0.5, None]}, "unassigned": "drop"}
    found = load(tmp_path, units=kept)
    assert found["neuroid_id"].values.tolist() == ["900"]
    assert json.loads(found.attrs["dropped"]) == {"quality": 1, "snr": 1, "no location": 1}
    own = load(tmp_path, units={"region": "area", "unassigned": "drop", "labels": ["quality"]})
    assert own["area"].values.tolist() == ["A", "B", "A"]
    assert own["quality"].values.tolist() == ["good", "noise", "good"]
    np.testing.assert_array_equal(own["response"].values[0, :, 0], [2, 1, 0])


def test_units_without_region_are_refused(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    with pytest.raises(DataError, match=r"units: 1 of 4 have no location \(first: unit 903\), expected a region .* unassigned"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"1 of 4 have no area \(first: unit 902\)"):
        load(tmp_path, units={"region": "area"})


def test_units_on_several_electrodes_are_refused(tmp_path: Path) -> None:
    nwb = with_trials(empty())
    nwb.add_unit(id=5, spike_times=[0.1], electrodes=[0, 1])
    write(tmp_path, nwb)
    with pytest.raises(DataError, match=r"1 units are on several electrodes \(first: unit 5\).* with 'electrode'"):
        load(tmp_path)


def test_trials_are_known_by_labels_put_in_order_and_have_runs(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty(), ONSETS[::-1])))
    trials = {"stimulus": ["contrast", "side"], "drop": {}, "where": {"block": [0, 1]}}
    found = load(tmp_path, trials=trials, run={"column": "block"}, session={"value": "a"}, units={"unassigned": "label"})
    assert found["stimulus_id"].values.tolist() == ["1", "2", "2", "0", "2"]
    assert found["run"].values.tolist() == [1, 1, 0, 0, 0]
    assert set(found["session"].values.tolist()) == {"a"}
    assert found["response"].values[0, 0].tolist() == [2, 0, 1]  # the trial at 0.5 s, which stands last in the table
    only = load(tmp_path, trials={**trials, "where": {"block": [1]}}, units={"unassigned": "label"})
    assert only.sizes["presentation"] == 2


def test_a_stimulus_is_found_by_its_number_with_leading_zeros(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    table = pd.DataFrame({"stimulus_id": ["000", "001", "002"]})
    assert load(tmp_path, table, units={"unassigned": "label"})["stimulus_id"].values.tolist() == ["002", "000", "002", "001"]


def test_what_was_not_observed_is_missing(tmp_path: Path) -> None:
    watched = [[[0.0, 5.0]], [[0.0, 1.0], [1.4, 4.0]], [[0.5, 0.8]], [[0.6, 0.7]]]
    write(tmp_path, with_units(with_trials(empty()), obs_intervals=watched))
    missing = np.isnan(label(tmp_path)["response"].values)
    assert missing.all(axis=2).tolist() == missing.any(axis=2).tolist()
    assert missing[:, :, 0].T.tolist() == [
        [False] * 4,
        [False, False, False, True],
        [False, True, True, True],
        [True] * 4,
    ]


@pytest.mark.parametrize(
    ("spikes", "text"),
    [
        (
            [0.1, 0.5, 0.4],
            r"spike times of unit 901 are not in order \(first at place 2\), expected .*; set sort: true",
        ),
        ([0.1, np.nan, 0.4], r"spike times of unit 901 are not in order \(first at place 1\)"),
    ],
)
def test_spikes_out_of_order_are_refused(tmp_path: Path, spikes: list[float], text: str) -> None:
    write(tmp_path, with_units(with_trials(empty()), [SPIKES[0], spikes, *SPIKES[2:]]))
    with pytest.raises(DataError, match=text):
        label(tmp_path)


def test_spikes_out_of_order_are_ordered_when_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty()), [SPIKES[0][::-1], *SPIKES[1:]]))
    assert label(tmp_path, sort=True)["response"].values[0, 0].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"trials": {"table": "movie"}}, r"table movie: no such table of trials, found trials; correct 'trials"),
        (
            {"trials": {"onset": "begin"}},
            r"table trials: found no column 'begin', expected one of id, start_time, stop_time",
        ),
        ({"trials": {"drop": {}}}, r"1 presentations are of stimuli that the stimulus set lacks \(first: frame -1\); add them"),
        ({"trials": {"where": {"block": [9]}}}, r"found no presentation, expected at least one; check the table and"),
        ({"trials": {"stimulus": ["hue"]}}, r"found no column 'hue'"),
        (
            {"trials": {"stimulus": ["block"]}},
            r"the stimulus set has no label 'block', which trials are known by",
        ),
        ({"trials": {"stimulus": ["side"]}}, r"two stimuli have the same side, expected one; name more columns"),
        (
            {"units": {"region": "lobe"}},
            r"neither units nor electrodes have a column 'lobe', found .*location.*; correct",
        ),
        ({"units": {"limits": {"quality": [0, 1]}}}, r"column 'quality' holds .*, expected numbers; use 'where' for text"),
        ({"units": {"where": {"quality": ["best"]}}}, r"none of 4 is left, expected some; loosen 'where'"),
        ({"units": {"electrode": "quality"}}, r"column 'quality' holds .*, expected ids of electrodes; correct 'electrode'"),
        ({"units": {"where": {"spike_times": ["1"]}}}, r"column 'spike_times' has several values per row, expected one"),
        ({"series": {"name": "lfp"}}, r"found no series 'lfp' in acquisition, expected one of none; correct 'series"),
        ({"series": {"module": "ophys", "name": "x"}}, r"found no module 'ophys', expected one of none"),
    ],
)
def test_what_the_file_lacks_is_named(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    write(tmp_path, with_units(with_trials(empty())))
    with pytest.raises(DataError, match=rf"^NWB file a\.nwb.*{text}") as caught:
        load(tmp_path, **options)
    assert "\n" not in str(caught.value)


def test_trials_without_onset_are_refused(tmp_path: Path) -> None:
    write(tmp_path, with_units(with_trials(empty(), [0.5, np.nan, 2.5, np.nan, 4.5])))
    with pytest.raises(DataError, match=r"table trials: 2 presentations have no onset \(first: number 1\), expected a time"):
        label(tmp_path)


def test_a_file_without_units_is_refused(tmp_path: Path) -> None:
    write(tmp_path, with_trials(empty()))
    with pytest.raises(DataError, match=r"units: the file has no units, expected a table of them; give 'series'"):
        load(tmp_path)


def test_a_file_that_is_not_nwb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").write_bytes(b"no file of ours")
    with pytest.raises(DataError, match=r"a\.nwb is not readable as NWB \(.*\); fetch or make the file again") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_nwb_in_zarr_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.nwb").mkdir()
    with pytest.raises(DataError, match=r"a\.nwb is a folder, expected NWB in one HDF5 file; export Zarr"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"window": [0.3, 0.3]}, r"window: found \[0\.3, 0\.3\], expected its end after its start"),
        ({"bin": 0.07}, r"bin: found 0\.07, expected a width that fills the window \[0\.0, 0\.3\] in whole bins"),
        ({"run": {"key": "x"}}, r"run: found {'key': 'x'}, expected {value: …} or {column: …} of the table of trials"),
        ({"units": {"unassigned": "guess"}}, "unassigned"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(tmp_path, **change)
