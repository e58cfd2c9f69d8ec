"""What every recording must be, whatever format it came in."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings.wholeness import Checked, check_recording

IDS = ["a", "b", "c"]


def recording(**changes) -> xr.Dataset:
    coords = {
        "stimulus_id": ("presentation", ["a", "b", "c", "a"]),
        "session": ("presentation", ["1", "1", "2", "2"]),
        "run": ("presentation", [1, 2, 1, 1]),
        "neuroid_id": ("neuroid", ["n1", "n2"]),
        "time": ("time", [0.0, 0.1, 0.2]),
        "time_end": ("time", [0.1, 0.2, 0.3]),
    }
    attrs = {"over_time": "sum"} | changes.pop("attrs", {})
    dims = {"neuroid_id": "neuroid", "time": "time", "time_end": "time"}
    coords |= {name: (dims.get(name, "presentation"), values) for name, values in changes.items()}
    return xr.Dataset({"response": (("presentation", "neuroid", "time"), np.ones((4, 2, 3)))}, coords=coords, attrs=attrs)


def test_a_whole_recording_passes():
    check_recording(recording(), IDS)
    check_recording(recording().isel(time=0, drop=True), IDS)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"stimulus_id": ["a", "b", "x", "y"]},
            "stimulus_id: 2 ids are not in the stimulus set (first 'x'); correct the ids, or add",
        ),
        ({"neuroid_id": ["n1", "n1"]}, "found 1 neuroid ids twice (first 'n1'), expected unique ids; correct neuroid_id"),
        ({"neuroid_id": ["n1", ""]}, "found an empty neuroid id, expected unique ids"),
        ({"time": [0.0, 0.2, 0.1]}, "time does not increase: bin 2 starts at 0.1 s, after one at 0.2 s; order the bins"),
        ({"time": [0.0, 0.1, 0.1]}, "time does not increase: bin 2 starts at 0.1 s, after one at 0.1 s"),
        ({"time_end": [0.1, 0.1, 0.3]}, "bin 1 is from 0.1 to 0.1 s, expected its end after its start"),
        ({"attrs": {"over_time": "median"}}, "found bins of time without time_end or over_time ('median')"),
    ],
)
def test_what_is_refused(changes, text):
    with pytest.raises(DataError) as caught:
        check_recording(recording(**changes), IDS)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["LO1 (prf)", "a/b", "p9\\n", ""])
def test_a_coordinate_that_no_store_can_hold(name):
    with pytest.raises(DataError, match=r"found a coordinate called .*, expected letters, digits and"):
        check_recording(recording().assign_coords({name: ("neuroid", ["1", "0"])}), IDS)


@pytest.mark.parametrize("dim", ["presentation", "neuroid"])
def test_nothing_recorded(dim):
    with pytest.raises(DataError, match=f"found no {dim}, expected at least one"):
        check_recording(recording().isel({dim: []}), IDS)


def look(values: np.ndarray) -> None:
    seen = Checked(recording())
    seen.block(slice(0, 3), values[:3])
    seen.block(slice(3, 4), values[3:])
    seen.finish()


def test_values_block_by_block():
    values = np.ones((4, 2, 3))
    values[1] = np.nan
    values[1, 1, 2] = 0  # something is known of the only presentation of this run
    look(values)
    values[1] = np.nan
    with pytest.raises(
        DataError, match=r"run 2 of session 1: all 1 presentations are NaN in all neuroids, expected some values"
    ):
        look(values)
    values[:] = np.nan
    with pytest.raises(DataError, match="found no finite response, expected some"):
        look(values)
    values[2, 0, 1] = -np.inf
    with pytest.raises(DataError, match="found 1 infinite values in presentations 0 to 2, expected numbers or NaN"):
        look(values)
