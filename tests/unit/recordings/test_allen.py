"""Sessions of the Allen Brain Observatory, made with the names, types and axes of the real files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pynwb
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.study.adapters.allen import AllenEcephysSubject, AllenTwoPhotonSubject

SCENES = pd.DataFrame({"stimulus_id": ["000", "001", "002"]})


def ecephys(root: Path) -> None:
    """A session with four channels and five units; presentations of 0.25 s, one a blank, in two blocks."""
    start = datetime(2019, 1, 19, tzinfo=UTC)
    nwb = pynwb.NWBFile(session_description="d", identifier="715093703", session_start_time=start, session_id="715093703")
    group = nwb.create_electrode_group("probeA", description="d", location="l", device=nwb.create_device(name="probeA"))
    for k, location in enumerate(["VISp", "CA1", "None", "VISl"]):
        nwb.add_electrode(id=850000 + k, x=8000.0, y=1000.0 * k, z=9.0, location=location, filtering="f", group=group)
    columns = ("peak_channel_id", "quality", "amplitude_cutoff", "presence_ratio", "isi_violations", "snr")
    for name in columns:
        nwb.add_unit_column(name, "no description")
    rows = [
        (850003, "good", 0.01, 0.99, 0.1, 3.0),
        (850000, "noise", 0.01, 0.99, 0.1, 3.0),
        (850002, "good", 0.01, 0.99, 0.1, 3.0),
        (850000, "good", 0.10, 0.95, 0.5, 1.0),
        (850001, "good", 0.01, 0.94, 0.1, 3.0),
    ]
    for k, row in enumerate(rows):
        times = np.array([10.249, 10.0, 10.5, 10.2501, 10.7 + k / 100])
        nwb.add_unit(id=950000 + k, spike_times=times, **dict(zip(columns, row, strict=True)))
    table = pynwb.epoch.TimeIntervals(name="natural_scenes_presentations", description="d")
    for name in ("frame", "stimulus_block"):
        table.add_column(name, "d")
    for k, frame in enumerate([2.0, -1.0, 0.0, 2.0]):
        table.add_row(start_time=10 + 0.25 * k, stop_time=10.25 + 0.25 * k, frame=frame, stimulus_block=float(k // 2))
    nwb.add_time_intervals(table)
    with pynwb.NWBHDF5IO(root / "session.nwb", "w") as io:
        io.write(nwb)


def test_a_neuropixels_session_needs_only_its_path(tmp_path: Path) -> None:
    ecephys(tmp_path)
    entry = {"adapter": "allen_ecephys", "path": "session.nwb", "stimuli": "scenes", "run": {"column": "stimulus_block"}}
    spec = AllenEcephysSubject(**entry).model_dump()
    found = bind(ADAPTERS, "allen_ecephys", "s")({**spec, "subject": "s"}, tmp_path, SCENES)
    assert found["neuroid_id"].values.tolist() == ["950000", "950003"]
    assert found["location"].values.tolist() == ["VISl", "VISp"]
    assert found["y"].values.tolist() == [3.0, 0.0]
    assert json.loads(found.attrs["dropped"]) == {"quality": 1, "no location": 1, "presence_ratio": 1}
    assert found["stimulus_id"].values.tolist() == ["002", "000", "002"]
    assert found["run"].values.tolist() == [0, 1, 1]
    assert set(found["session"].values.tolist()) == {"715093703"}
    assert found.sizes["time"] == 25
    counts = found["response"].values
    assert counts[0, 0].nonzero()[0].tolist() == [0, 24]  # 10.0 and 10.249 s; the next image's spike is not its own
    spikes = {unit: (10.249, 10.0, 10.5, 10.2501, 10.7 + unit / 100) for unit in (0, 3)}
    truth = [[sum(begin <= t < begin + 0.25 for t in spikes[unit]) for unit in (0, 3)] for begin in (10, 10.5, 10.75)]
    assert counts.sum(axis=2).tolist() == truth


def two_photon(root: Path, **change: Any) -> dict[str, Any]:
    """Three cells in 40 frames of 0.1 s; images at frames 12, 17, 22 (blank) and 27, each five frames long."""
    traces = (np.arange(120, dtype=np.float32).reshape(3, 40) * 7 % 11) / 10
    arrays: dict[str, Any] = {
        "processing/brain_observatory_pipeline/DfOverF/imaging_plane_1/data": traces,
        "processing/brain_observatory_pipeline/DfOverF/imaging_plane_1/timestamps": 5.0 + np.arange(40) * 0.1,
        "processing/brain_observatory_pipeline/ImageSegmentation/cell_specimen_ids": np.array([517, 518, 400], dtype=np.int64),
        "stimulus/presentation/natural_scenes_stimulus/data": np.array([1, 0, -1, 1], dtype=np.int64),
        "stimulus/presentation/natural_scenes_stimulus/frame_duration": np.array([[12, 17], [17, 22], [22, 27], [27, 32]]),
        "stimulus/templates/natural_scenes_image_stack/data": np.zeros((3, 4, 6), dtype=np.float32),
        "general/session_id": np.bytes_(b"501271265"),
        "general/optophysiology/imaging_plane_1/location": np.bytes_(b"VISp"),
        "general/optophysiology/imaging_plane_1/imaging depth": np.bytes_(b"175 microns"),
        **change,
    }
    with h5py.File(root / "501271265.nwb", "w") as file:
        for name, values in arrays.items():
            if values is not None:
                file[name] = values
    return arrays


def load(root: Path, **options: Any) -> xr.Dataset:
    entry = {"adapter": "allen_two_photon", "path": "501271265.nwb", "stimuli": "scenes", **options}
    spec = AllenTwoPhotonSubject(**entry).model_dump()
    return bind(ADAPTERS, "allen_two_photon", "s")({**spec, "subject": "s"}, root, SCENES)


def test_a_two_photon_response_is_the_mean_after_an_image_less_the_mean_before(tmp_path: Path) -> None:
    traces = next(iter(two_photon(tmp_path).values())).tolist()
    found = load(tmp_path)
    assert found["response"].dims == ("presentation", "neuroid")
    assert found["stimulus_id"].values.tolist() == ["001", "000", "001"]
    assert found["repeat"].values.tolist() == [0, 0, 1]
    assert found["neuroid_id"].values.tolist() == ["517", "518", "400"]
    assert found["area"].values.tolist() == ["VISp"] * 3
    assert found["depth"].values.tolist() == ["175 microns"] * 3
    assert found["session"].values.tolist() == ["501271265"] * 3
    for row, frame in enumerate([12, 17, 27]):
        for cell in range(3):
            after, before = traces[cell][frame : frame + 5], traces[cell][frame - 10 : frame]
            truth = sum(after) / 5 - sum(before) / 10
            np.testing.assert_allclose(found["response"].values[row, cell], truth, rtol=1e-5, atol=1e-6)


def test_a_two_photon_response_in_bins_without_baseline(tmp_path: Path) -> None:
    traces = next(iter(two_photon(tmp_path).values())).tolist()
    found = load(tmp_path, window=[0.0, 0.4], bin=0.2, baseline=None)
    assert found["response"].dims == ("presentation", "neuroid", "time")
    assert found.attrs["over_time"] == "mean"
    for row, frame in enumerate([12, 17, 27]):
        for cell in range(3):
            for k in range(2):
                one, two = traces[cell][frame + 2 * k : frame + 2 * k + 2]
                np.testing.assert_allclose(found["response"].values[row, cell, k], (one + two) / 2, rtol=1e-5)
    np.testing.assert_array_equal(found["response"][[2], [1]].values, found["response"].values[[2]][:, [1]])


DFF = "processing/brain_observatory_pipeline/DfOverF/imaging_plane_1"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"stimulus/presentation/natural_scenes_stimulus/data": None},
            r"found no stimulus/.*/data, expected it .*three_session_B",
        ),
        ({f"{DFF}/data": np.ones((40, 3))}, r"dF/F has shape \(40, 3\), expected"),
        ({f"{DFF}/timestamps": np.zeros(40)}, r"timestamps are not in order"),
        (
            {"processing/brain_observatory_pipeline/ImageSegmentation/cell_specimen_ids": np.arange(2)},
            r"found 2 cell_specimen_ids of 3 cells",
        ),
        (
            {"stimulus/presentation/natural_scenes_stimulus/frame_duration": np.array([[1, 2], [3, 4], [5, 6], [40, 41]])},
            r"presentations start at frames 1 to 40, expected within the 40 of dF/F",
        ),
        (
            {"stimulus/presentation/natural_scenes_stimulus/frame_duration": np.ones((3, 2))},
            r"frame_duration has shape \(3, 2\)",
        ),
        (
            {"stimulus/presentation/natural_scenes_stimulus/data": np.array([1, 0, 7, 1])},
            r"1 presentations are .* \(first: image 7\)",
        ),
    ],
)
def test_two_photon_files_of_another_form_are_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    two_photon(tmp_path, **change)
    with pytest.raises(DataError, match=rf"^session 501271265\.nwb: {text}") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_broken_two_photon_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "501271265.nwb").write_bytes(b"x" * 100)
    with pytest.raises(DataError, match=r"501271265\.nwb is not readable as HDF5 \(.*\); fetch the file again"):
        load(tmp_path)


def test_a_baseline_without_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"baseline: found \[0\.0, -1\.0\], expected its end after its start"):
        load(tmp_path, baseline=[0.0, -1.0])
