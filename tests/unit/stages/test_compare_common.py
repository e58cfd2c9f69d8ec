"""Subjects with different stimuli: metrics of RDMs and patterns on those that all have, encoders on each one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cell_inputs import common_options, compare_spec, stimulus_ids, subject_patterns, write_brain, write_kernels

from isocortex.inference.resampling import subsamples
from isocortex.inference.rows import rows_from_json
from isocortex.similarity import rsa
from isocortex.stages import compare
from isocortex.storage.tables import read_netcdf

IDS = stimulus_ids(40)
RNG = np.random.default_rng(0)
LAYER = RNG.normal(size=(40, 8))
TRIALS = (LAYER @ RNG.normal(size=(8, 9)))[:, None] + 0.5 * RNG.normal(size=(40, 3, 9))


def rows_of(tmp_path: Path, shown: dict[str, list[int]], **metric: Any) -> tuple[dict[str, dict[str, Any]], Any]:
    subjects = {name: subject_patterns(TRIALS[rows], [IDS[k] for k in rows]) for name, rows in shown.items()}
    brain = write_brain(tmp_path / "brain.nc", subjects)
    kernels = write_kernels(tmp_path / "k.json", {"conv": LAYER}, IDS)
    options = {**common_options(dict.fromkeys(subjects, "all")), "metrics": {"rsa": metric}}
    compare.run(compare_spec(brain, {"all": kernels}, tmp_path / "rdm.nc", options), "cpu")
    data = read_netcdf(tmp_path / "rdm.nc")
    return {row["subject"]: row for row in rows_from_json(data.attrs["rows"]) if row["is_chosen"]}, data


def expected(rows: list[int]) -> float:
    return float(rsa(LAYER[rows], TRIALS[rows].mean(axis=1).astype(np.float32).astype(np.float64)))


def test_the_stimuli_that_all_have_are_compared(tmp_path: Path) -> None:
    common = list(range(12, 28))
    shown = {"A": list(range(28)), "B": list(range(12, 40))[::-1], "C": [*common, 0, 39]}
    rows, data = rows_of(tmp_path, shown)
    for name in "ABC":
        assert rows[name]["score"] == pytest.approx(expected(common))
        assert rows[name]["n_stimuli"] == 16
    assert data["stimulus_id"].values.tolist() == [IDS[k] for k in common]
    assert "on the 16 stimuli that all subjects have, of 18 to 28 of each" in rows["all"]["note"]
    assert np.isfinite(rows["all"]["ceiling_low"])


def test_too_few_in_common_leave_each_its_own(tmp_path: Path) -> None:
    shown = {"A": list(range(24)), "B": list(range(15, 40))}  # 9 in common
    rows, _ = rows_of(tmp_path, shown)
    assert [rows[name]["n_stimuli"] for name in "AB"] == [24, 25]
    assert [rows[name]["score"] for name in "AB"] == pytest.approx([expected(shown["A"]), expected(shown["B"])])
    assert "each subject on its own stimuli: all have only 9 in common, fewer than 10" in rows["all"]["note"]


def test_another_order_is_no_other_set(tmp_path: Path) -> None:
    rows, _ = rows_of(tmp_path, {"A": list(range(20)), "B": list(range(20))[::-1]})
    assert rows["A"]["score"] == pytest.approx(rows["B"]["score"]) == pytest.approx(expected(list(range(20))))
    assert "that all subjects have" not in rows["all"]["note"]


def test_large_rdms_are_of_some_stimuli(tmp_path: Path) -> None:
    rows, data = rows_of(tmp_path, {"A": list(range(40)), "B": list(range(40))}, max_stimuli=15)
    drawn = [int(k) for k in subsamples(tuple(IDS), 1, 15, 0)[0]]
    assert data["stimulus_id"].values.tolist() == [IDS[k] for k in drawn]
    assert rows["A"]["score"] == pytest.approx(expected(drawn))
    assert rows["B"]["n_stimuli"] == 15
    assert "on 15 of 40 stimuli, drawn at random (max_stimuli)" in rows["all"]["note"]


def test_one_id_of_two_sets_is_one_stimulus_only_where_the_picture_is_the_same(tmp_path: Path) -> None:
    """Sets of other pictures under the same names, as of two sessions whose files are both called image0001 and on."""
    rows = list(range(20))

    def scores(digests: dict[str, list[str]]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        sets = {"A": "first", "B": "second"}
        subjects = {name: subject_patterns(TRIALS[rows if name == "A" else rows[::-1]], IDS[:20]) for name in sets}
        subjects = {name: part.assign_coords(digest=("stimulus", digests[name])) for name, part in subjects.items()}
        brain = write_brain(tmp_path / "brain.nc", subjects)
        layers = {"first": LAYER[:20], "second": LAYER[:20][::-1]}
        kernels = {name: write_kernels(tmp_path / f"{name}.json", {"conv": layers[name]}, IDS[:20]) for name in layers}
        options = {**common_options(sets), "metrics": {"rsa": {}}}
        compare.run(compare_spec(brain, kernels, tmp_path / "rdm.nc", options), "cpu")
        found = rows_from_json(read_netcdf(tmp_path / "rdm.nc").attrs["rows"])
        return {row["subject"]: row for row in found if row["is_chosen"]}, sets

    other = {"A": [f"a{k}" for k in rows], "B": [f"b{k}" for k in rows]}
    found, _ = scores(other)
    for name in "AB":  # each against the layer on its own pictures
        assert found[name]["score"] == pytest.approx(expected(rows), abs=1e-6)
    assert "each subject on its own stimuli: all have only 0 in common" in found["all"]["note"]
