import numpy as np
import pytest
from cell_inputs import common_options, stimulus_ids, subject_patterns, subject_rdm, write_brain

from isocortex.errors import DataError
from isocortex.geometry import participation_ratio
from isocortex.inference.rows import rows_from_json
from isocortex.stages import geometry
from isocortex.storage.tables import read_netcdf


def described(tmp_path, subjects):
    brain = write_brain(tmp_path / "brain.nc", subjects)
    options = {**common_options(dict.fromkeys(subjects, "all"), model=""), "descriptors": {"participation_ratio": {}}}
    geometry.run({"inputs": {"brain": str(brain)}, "output": str(tmp_path / "g.nc"), "options": options}, "cpu")
    data = read_netcdf(tmp_path / "g.nc")
    return data, {row["subject"]: row for row in rows_from_json(data.attrs["rows"])}


def low_dimensional(rng, repeats, n=30, p=20):
    signal = rng.normal(size=(n, 3)) @ rng.normal(size=(3, p))
    return signal[:, None] + 0.5 * rng.normal(size=(n, repeats, p))


def test_a_low_dimensional_region_lies_below_its_shuffled_units(tmp_path):
    rng = np.random.default_rng(0)
    ids = stimulus_ids(30)
    subjects = {f"S{k}": subject_patterns(low_dimensional(rng, 4), ids) for k in range(2)}
    data, rows = described(tmp_path, subjects)
    expected = [participation_ratio(s["response"].values.astype(float)) for s in subjects.values()]
    assert [rows[name]["score"] for name in subjects] == pytest.approx(expected)
    row = rows["all"]
    assert row["score"] == pytest.approx(np.mean(expected))
    assert row["p"] == pytest.approx(1 / (row["n_null"] + 1))
    assert row["score"] < row["null_extreme95"] < row["null_mean"]
    assert row["higher_is_closer"] is False
    assert row["ci_low"] < row["score"] < row["ci_high"]
    assert 0.5 < row["ceiling_low"] <= row["ceiling_high"] <= 1
    assert row["normalized"] is None
    assert (row["model"], row["layer"], row["is_chosen"]) == ("", "", True)
    assert data["draws"].shape == (1, 3, 100)
    assert data["spectrum"].shape == (3, 20)
    assert data["value"].sel(descriptor="participation_ratio", subject="S0").item() == pytest.approx(expected[0])


def test_one_repeat_has_no_ceiling_and_says_so(tmp_path):
    rng = np.random.default_rng(1)
    _, rows = described(tmp_path, {"S1": subject_patterns(low_dimensional(rng, 1), stimulus_ids(30))})
    assert rows["all"]["ceiling_low"] is None
    assert rows["all"]["note"] == "no repeats: no ceiling; does not generalise to other subjects"


def test_rdms_and_two_stimuli_are_refused(tmp_path):
    rng = np.random.default_rng(2)
    with pytest.raises(DataError, match="found no responses, expected level: patterns"):
        described(tmp_path, {"S1": subject_rdm(np.zeros((3, 3)), stimulus_ids(3))})
    with pytest.raises(DataError, match="region 'V4', subject 'S1': found 2 stimuli, expected at least 3"):
        described(tmp_path, {"S1": subject_patterns(low_dimensional(rng, 2, n=2), stimulus_ids(2))})
