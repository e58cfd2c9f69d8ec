"""Sessions of Steinmetz et al.: trials in their order, counts in bins of time, stimuli known by contrasts."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from isocortex.errors import DataError, StudyError
from isocortex.recordings.adapters import ADAPTERS
from isocortex.recordings.paths import bind
from isocortex.recordings.stimuli import make_table
from isocortex.study import Study

CROSSED = {"contrast_left": [0, 0.25, 0.5, 1], "contrast_right": [0, 0.25, 0.5, 1]}
SESSIONS = ("s02", "s03", "s04", "s08", "s10", "s12")


def stimuli(**levels: list[float]) -> pd.DataFrame:
    crossed = levels or CROSSED
    return make_table({"n": int(np.prod([len(v) for v in crossed.values()])), "crossed": crossed}, Path(), "set")


def load(root: Path, table: pd.DataFrame | None = None, **rest: Any) -> xr.Dataset:
    spec = {"adapter": "steinmetz", "path": "session.npz", **rest}
    return bind(ADAPTERS, "steinmetz", "subject")(spec, root, stimuli() if table is None else table)


def catalogue(repository: Path) -> dict[str, Any]:
    text = (repository / "config/catalogue/steinmetz2019.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["steinmetz2019"]


def session(root: Path, **change: Any) -> dict[str, np.ndarray]:
    """Five trials of three units in four bins, as the real files are laid out; None leaves a key out."""
    arrays = {
        "spikes": np.arange(60, dtype=np.uint8).reshape(5, 3, 4),
        "brain_area": np.array(["VISp", "root", "CA1"]),
        "contrast_left": np.array([0.25, 0, 0.25, 1, 0]),
        "contrast_right": np.array([1.0, 0, 1, 0, 0]),
        "feedback": np.ones(5, dtype=np.int8),
        "mouse": np.array("Cori"),
        "date": np.array("2016-12-17"),
        **change,
    }
    np.savez_compressed(root / "session.npz", **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def test_trials_stand_in_their_order_with_their_stimuli(tmp_path: Path) -> None:
    arrays = session(tmp_path)
    found = load(tmp_path)
    pairs = [(0.25, 1), (0, 0), (0.25, 1), (1, 0), (0, 0)]
    assert found["stimulus_id"].values.tolist() == [f"contrast_left_{a:g}_contrast_right_{b:g}" for a, b in pairs]
    assert found["repeat"].values.tolist() == [0, 0, 1, 0, 1]
    assert found["response"].dtype == np.float32
    assert found["response"].dims == ("presentation", "neuroid", "time")
    np.testing.assert_array_equal(found["response"], arrays["spikes"])
    assert found["area"].values.tolist() == ["VISp", "root", "CA1"]
    assert set(found["mouse"].values) == {"Cori"}
    assert set(found["session"].values) == {"Cori 2016-12-17"}
    assert found["neuroid_id"].values.tolist() == ["0", "1", "2"]


def test_bins_are_of_ten_milliseconds_and_counts_add_up(tmp_path: Path) -> None:
    session(tmp_path)
    found = load(tmp_path)
    assert found.attrs["over_time"] == "sum"
    assert found["time"].values.tolist() == [0.0, 0.01, 0.02, 0.03]
    assert found["time_end"].values.tolist() == [0.01, 0.02, 0.03, 0.04]


def test_bins_are_taken_together(tmp_path: Path) -> None:
    spikes = session(tmp_path)["spikes"].astype(int)
    found = load(tmp_path, bin=0.02)
    assert found["time"].values.tolist() == [0.0, 0.02]
    assert found["time_end"].values.tolist() == [0.02, 0.04]
    for trial in range(5):
        for unit in range(3):
            first, second, third, fourth = spikes[trial, unit].tolist()
            assert found["response"].values[trial, unit].tolist() == [first + second, third + fourth]


def test_counts_do_not_overflow(tmp_path: Path) -> None:
    session(tmp_path, spikes=np.full((5, 3, 4), 200, dtype=np.uint8))
    assert (load(tmp_path, bin=0.04)["response"] == 800).all()


@pytest.mark.parametrize("key", ["spikes", "brain_area", "contrast_left", "contrast_right", "mouse", "date"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    session(tmp_path, **{key: None})
    with pytest.raises(DataError, match=rf"session session\.npz: .*expected '{key}'") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"spikes": np.ones((5, 3), np.uint8)}, r"spikes have shape \(5, 3\), expected \(trials, units, bins\); make the file"),
        ({"spikes": np.ones((5, 3, 0), np.uint8)}, r"spikes have shape \(5, 3, 0\), expected"),
        ({"spikes": np.ones((5, 3, 4))}, r"spikes are float64, expected counts \(whole numbers from 0\)"),
        ({"spikes": np.full((5, 3, 4), -1)}, r"spikes are int64, expected counts"),
        ({"brain_area": np.array(["CA1"])}, r"brain_area has shape \(1,\), expected \(3,\), one value per unit"),
        ({"contrast_left": np.zeros(4)}, r"contrast_left has shape \(4,\), expected \(5,\), one value per trial"),
        ({"contrast_right": np.array([0.3, 1, 1, 1, 0])}, r"1 trials have contrasts .* \(first 0\.25 left and 0\.3 right\)"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    session(tmp_path, **change)
    with pytest.raises(DataError, match=rf"^session session\.npz: {text}"):
        load(tmp_path)


@pytest.mark.parametrize("width", [0.03, 0.05])
def test_bins_that_do_not_fill_what_was_recorded_are_refused(tmp_path: Path, width: float) -> None:
    session(tmp_path)
    with pytest.raises(DataError, match=rf"bin is {width} s, expected a width that fills the 0\.04 s that were recorded"):
        load(tmp_path, bin=width)


def test_a_stimulus_set_without_contrasts_is_refused(tmp_path: Path) -> None:
    session(tmp_path)
    with pytest.raises(DataError, match=r"the stimulus set has no label 'contrast_right', which trials are known by; give it"):
        load(tmp_path, stimuli(contrast_left=[0, 1]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bin": 0.015}, r"bin: .*found 0\.015, expected a multiple of 0\.01, the width in seconds of the bins of the file"),
        ({"bin": 0.004}, r"found 0\.004, expected a multiple of 0\.01"),
        ({"bin": -0.01}, "bin: "),
        ({"window": [0.0, 0.4]}, "window"),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_job(repository: Path, change: dict[str, Any], text: str) -> None:
    dataset = catalogue(repository)
    dataset["subjects"]["s03"] |= change
    mapping = {"study": "x", "dataset": dataset, "models": {"c": {"source": "labels", "columns": ["contrast_left"]}}}
    with pytest.raises(StudyError, match=text):
        Study.from_mapping(mapping)


@pytest.mark.parametrize("name", SESSIONS)
def test_real_sessions_are_as_the_catalogue_says(name: str, mirror: Path, repository: Path) -> None:
    entry = catalogue(repository)
    assert tuple(entry["subjects"]) == SESSIONS
    spec = entry["subjects"][name]
    table = make_table(entry["stimuli"]["contrasts"], Path(), "set")
    found = bind(ADAPTERS, "steinmetz", name)(spec, mirror / "steinmetz2019", table)
    with np.load(mirror / "steinmetz2019" / spec["path"]) as arrays:
        np.testing.assert_array_equal(found["response"], arrays["spikes"])
        np.testing.assert_allclose(found["time"].values, np.arange(40) / 100, atol=1e-12)
        row = table.set_index("stimulus_id").loc[found["stimulus_id"].values]
        np.testing.assert_array_equal(row["contrast_left"], arrays["contrast_left"])
        np.testing.assert_array_equal(row["contrast_right"], arrays["contrast_right"])
    assert int(found["repeat"].max()) + 1 == spec["repeats"]
    assert found["session"].values[0].startswith(found["mouse"].values[0])
    for area, count in collections.Counter(found["area"].values.tolist()).items():
        listed = entry["regions"].get(area, {"neuroids": {}})["neuroids"].get(name)
        assert listed == (count if area in entry["regions"] else None)
        assert count < 10 or area == "root" or area in entry["regions"]
