"""NWB files made by pynwb: fields and fluorescence in bins after each onset."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pynwb
import pytest
import xarray as xr
from pynwb.ecephys import LFP, ElectricalSeries
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel, RoiResponseSeries

from isocortex.errors import DataError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.study.adapters.nwb import NwbSubject


def trials() -> pynwb.NWBFile:
    """Three electrodes, and five trials of which the third shows no stimulus."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    nwb = pynwb.NWBFile(session_description="made", identifier="made 7", session_start_time=start)
    group = nwb.create_electrode_group("probeA", description="d", location="l", device=nwb.create_device(name="probe"))
    for k, location in enumerate(["VISp", "CA1", "VISp"]):
        nwb.add_electrode(id=100 + k, x=1000.0 * k, location=location, filtering="none", group=group)
    nwb.add_trial_column("frame", "d")
    for onset, frame in zip([0.5, 1.5, 2.5, 3.5, 4.5], [2.0, 0.0, -1.0, 2.0, 1.0], strict=True):
        nwb.add_trial(start_time=onset, stop_time=onset + 0.4, frame=frame)
    return nwb


def write(root: Path, nwb: pynwb.NWBFile) -> None:
    with pynwb.NWBHDF5IO(root / "a.nwb", "w") as io:
        io.write(nwb)


def load(root: Path, **options: Any) -> xr.Dataset:
    shown = {"stimulus": "frame", "drop": {"frame": [-1]}}
    entry = {"adapter": "nwb", "path": "a.nwb", "stimuli": "all", "window": [0.0, 0.3], "bin": 0.1, "trials": shown, **options}
    table = pd.DataFrame({"stimulus_id": ["0", "1", "2"]})
    return bind(ADAPTERS, "nwb", "subject")(NwbSubject(**entry).model_dump() | {"subject": "s"}, root, table)


def with_lfp(nwb: pynwb.NWBFile, clock: dict[str, Any], values: np.ndarray, inside: bool = True) -> pynwb.NWBFile:
    region = nwb.create_electrode_table_region(region=[2, 0], description="two of them")
    scales = {"conversion": 0.5, "offset": 1.0, "channel_conversion": [1.0, 10.0]}
    series = ElectricalSeries(name="fields", data=values, electrodes=region, **scales, **clock)
    if not inside:
        nwb.add_acquisition(series)
        return nwb
    container = LFP(name="lfp")
    nwb.add_acquisition(container)
    container.add_electrical_series(series)
    return nwb


def lfp_truth(values: np.ndarray, times: np.ndarray, onset: float, k: int) -> list[float]:
    """Mean of channel 0 and 1 in bin k of 0.1 s, in the file's unit."""
    start, end = onset + 0.1 * k, onset + 0.1 * (k + 1)
    mine = [row for row, time in zip(values.tolist(), times.tolist(), strict=True) if start - 1e-9 <= time < end - 1e-9]
    return [sum(row[0] for row in mine) / len(mine) * 0.5 + 1, sum(row[1] for row in mine) / len(mine) * 0.5 * 10 + 1]


@pytest.mark.parametrize("even", [True, False])
def test_signals_are_averaged_in_bins(tmp_path: Path, even: bool) -> None:
    values = np.arange(200, dtype=np.int16).reshape(100, 2) ** 2 % 37
    times = 0.2 + np.arange(100) / 20
    clock = {"rate": 20.0, "starting_time": 0.2} if even else {"timestamps": times + 0.001}
    write(tmp_path, with_lfp(trials(), clock, values))
    found = load(tmp_path, series={"name": "lfp", "region": "location", "labels": ["group_name"]})
    assert found.attrs["over_time"] == "mean"
    assert found.attrs["unit"] == "volts"
    assert found["neuroid_id"].values.tolist() == ["102", "100"]
    assert found["location"].values.tolist() == ["VISp", "VISp"]
    assert found["group_name"].values.tolist() == ["probeA", "probeA"]
    assert found["x"].values.tolist() == [2.0, 0.0]
    clockwork = times if even else times + 0.001
    for row, onset in enumerate([0.5, 1.5, 3.5, 4.5]):
        for k in range(3):
            truth = lfp_truth(values, clockwork, onset, k)
            np.testing.assert_allclose(found["response"].values[row, :, k], truth, rtol=1e-6)


def test_signals_that_were_not_recorded_are_missing(tmp_path: Path) -> None:
    values = np.ones((40, 2))
    write(tmp_path, with_lfp(trials(), {"rate": 20.0, "starting_time": 0.6}, values, inside=False))
    found = load(tmp_path, series={"name": "fields"})["response"].values
    assert np.isnan(found[:, 0]).tolist() == [[True, False, False], [False] * 3, [True] * 3, [True] * 3]


def test_timestamps_that_do_not_rise_are_refused(tmp_path: Path) -> None:
    times = np.arange(40) / 20
    times[7] = times[6]
    write(tmp_path, with_lfp(trials(), {"timestamps": times}, np.ones((40, 2))))
    with pytest.raises(DataError, match=r"series lfp: timestamps are not in order \(first at place 7\), expected them to rise"):
        load(tmp_path, series={"name": "lfp"})


def test_bins_narrower_than_samples_are_refused(tmp_path: Path) -> None:
    write(tmp_path, with_lfp(trials(), {"rate": 5.0}, np.ones((40, 2))))
    with pytest.raises(DataError, match=r"bins are 0\.1 s wide and samples 0\.2 s apart, expected a sample in every bin"):
        load(tmp_path, series={"name": "lfp"})


def test_cells_of_a_module_are_named_by_their_ids(tmp_path: Path) -> None:
    nwb = trials()
    plane = nwb.create_imaging_plane(
        name="plane",
        optical_channel=OpticalChannel(name="c", description="d", emission_lambda=500.0),
        imaging_rate=30.0,
        description="d",
        device=nwb.create_device(name="microscope"),
        excitation_lambda=600.0,
        indicator="GFP",
        location="VISp",
    )
    module = nwb.create_processing_module(name="ophys", description="d")
    segmentation = ImageSegmentation()
    module.add(segmentation)
    cells = segmentation.create_plane_segmentation(name="cells", description="d", imaging_plane=plane)
    for k in range(3):
        cells.add_roi(image_mask=np.eye(2), id=40 + k)
    rois = cells.create_roi_table_region(region=[2, 1], description="d")
    values = np.arange(40.0).reshape(20, 2)
    series = RoiResponseSeries(name="first", data=values, rois=rois, unit="n.a.", rate=10.0)
    container = DfOverF()
    module.add(container)
    container.add_roi_response_series(series)
    write(tmp_path, nwb)
    found = load(tmp_path, series={"module": "ophys", "name": "DfOverF"})
    assert found["neuroid_id"].values.tolist() == ["42", "41"]
    assert found["response"].values[0].tolist() == [[10.0, 12.0, 14.0], [11.0, 13.0, 15.0]]  # from 0.5 s on: samples 5, 6, 7
    assert np.isnan(found["x"].values).all()
    with pytest.raises(DataError, match=r"'DfOverF' holds first, expected one; name it as DfOverF/<series>"):
        load(tmp_path, series={"module": "ophys", "name": "DfOverF/second"})
