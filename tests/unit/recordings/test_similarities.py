"""Matrices that hold similarities, rows that are no stimulus, and how reliable an RDM is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

from isocortex.errors import DataError, StudyError
from isocortex.recordings.adapters.rdm import load
from isocortex.recordings.regions import EmptyRegionError, Selection, build_rdm
from isocortex.study import Study
from isocortex.study.adapters import ADAPTERS

IDS = ["a", "b", "c"]
# Four rows: a, b, c and a blank.
SIMILAR = np.array([[1, 0.5, -0.25, 0.9], [0.5, 1, 0, 0.8], [-0.25, 0, 1, 0.7], [0.9, 0.8, 0.7, 1]])
DISTANT = np.array([[0, 0.5, 1.25], [0.5, 0, 1], [1.25, 1, 0]])


def recording(root: Path, *, stimuli: list[str] = IDS, values: np.ndarray = SIMILAR, **place) -> xr.Dataset:
    np.savez(root / "r.npz", s=values, names=np.array(["c", "blank", "a", "b"]), three=IDS, twice=["a", "b", "c", "a"])
    entry = {"adapter": "rdm", "stimuli": "all", "rdms": {"V1": {"path": "r.npz", "key": "s", **place}}}
    return load(ADAPTERS["rdm"](**entry).model_dump(), root, pd.DataFrame({"stimulus_id": stimuli}))


@pytest.mark.parametrize(
    ("kind", "note"), [("correlation", "made from similarities: 1 - r"), ("cosine", "made from similarities: 1 - cosine")]
)
def test_similarities_become_distances_and_say_so(kind, note, tmp_path):
    found = recording(tmp_path, similarity=kind, drop=[3])
    np.testing.assert_array_equal(found["rdm"][0], DISTANT)
    assert found["note"].values.tolist() == [note]
    assert np.isnan(found["reliability"]).all()


def test_rows_are_kept_dropped_or_named(tmp_path):
    kept = recording(tmp_path, similarity="correlation", keep=[2, 0, 1])
    np.testing.assert_array_equal(kept["rdm"][0], DISTANT[np.ix_([2, 0, 1], [2, 0, 1])])
    mixed = SIMILAR[np.ix_([2, 3, 0, 1], [2, 3, 0, 1])]
    named = recording(tmp_path, values=mixed, similarity="correlation", ids={"key": "names"})
    np.testing.assert_array_equal(named["rdm"][0], DISTANT)


def test_distances_say_nothing(tmp_path):
    found = recording(tmp_path, values=DISTANT)
    np.testing.assert_array_equal(found["rdm"][0], DISTANT)
    assert found["note"].values.tolist() == [""]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": [3]}, "the diagonal is up to 1, expected 0; it looks like similarities: say similarity: correlation"),
        ({"similarity": "correlation"}, "found 4 stimuli, expected 3 as in the stimulus set"),
        ({"similarity": "correlation", "drop": [4]}, r"row 4 is to be dropped of 4 rows \(0 to 3\)"),
        ({"similarity": "correlation", "keep": [0, 1, 7]}, r"row 7 is to be kept of 4 rows \(0 to 3\)"),
        ({"similarity": "correlation", "keep": [0, 1, 1]}, "a row is named twice, expected each once; correct keep"),
        ({"similarity": "correlation", "ids": {"key": "three"}}, r"ids: found shape \(3,\), expected \(4,\), one per row"),
        ({"similarity": "correlation", "ids": {"key": "twice"}}, "ids: 'a' names two rows, expected each id once"),
        (
            {"similarity": "correlation", "stimuli": ["a", "b", "d"], "ids": {"key": "names"}},
            r"no row for 1 stimuli of the set \(first 'd'\)",
        ),
        (
            {"similarity": "correlation", "values": DISTANT},
            "the diagonal is up to 1 from 1, expected similarities with 1",
        ),
        (
            {"similarity": "correlation", "drop": [3], "values": 4 * SIMILAR - 3 * np.eye(4)},
            "found a similarity of 2, expected",
        ),
    ],
)
def test_refusals(change, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        recording(tmp_path, **change)
    assert str(caught.value).startswith("RDM of V1 in r.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("two", [{"keep": [0, 1, 2], "drop": [3]}, {"drop": [3], "ids": {"key": "names"}}])
def test_rows_are_chosen_in_one_way(two, tmp_path):
    with pytest.raises(ValidationError, match="expected at most one of keep, drop, ids"):
        recording(tmp_path, **two)


def test_reliability_is_a_number_or_a_cell_of_a_table(tmp_path):
    table = pd.DataFrame(
        {"area": ["V1", "V1", "V2"], "layer": ["4", "5", "4"], "mean": [0.75, 0.5, 1.5], "text": ["", "b", "c"]}
    )
    table.to_csv(tmp_path / "r.csv", index=False)

    def cell(column: str = "mean", **where: list[str]) -> float:
        given = {"path": "r.csv", "column": column, "where": where}
        return recording(tmp_path, values=DISTANT, reliability=given)["reliability"].item()

    assert recording(tmp_path, values=DISTANT, reliability=0.25)["reliability"].item() == 0.25
    assert cell(area=["V1"], layer=["5"]) == 0.5
    for where, message in (
        ({"area": ["V1"]}, "reliability of V1 in r.csv: found 2 rows, expected one; correct 'where'"),
        ({"depth": ["1"]}, "no column 'depth', found area, layer, mean, text"),
        ({"area": ["V2"]}, "found 1.5, expected at most 1; check 'column'"),
        ({"column": "text", "area": ["V1"], "layer": ["4"]}, r"column 'text' has 1 cells that are no numbers \(first ''\)"),
    ):
        with pytest.raises(DataError, match=message):
            cell(**where)  # pyright: ignore[reportArgumentType]


def test_a_regions_file_has_reliability_and_note(tmp_path):
    found = recording(tmp_path, similarity="correlation", drop=[3], reliability=0.5)
    part = build_rdm(found, Selection("V1", "S1", "all", IDS, []))
    assert part.attrs["reliability"] == 0.5
    assert part.attrs["note"] == "made from similarities: 1 - r"
    build_rdm(found, Selection("V1", "S1", "all", IDS, [], min_reliability=0.5))
    with pytest.raises(EmptyRegionError, match=r"the RDM's reliability is 0.5, expected at least 0.6"):
        build_rdm(found, Selection("V1", "S1", "all", IDS, [], min_reliability=0.6))
    unknown = recording(tmp_path, similarity="correlation", drop=[3])
    with pytest.raises(EmptyRegionError, match=r"reliability is nan, expected at least 0.1 \(nan: it is not known\)"):
        build_rdm(unknown, Selection("V1", "S1", "all", IDS, [], min_reliability=0.1))


def test_a_threshold_is_for_rdms_that_say_their_reliability():
    def study(**place) -> Study:
        rdms = {"V1": {"path": "r.npz", "key": "s", **place}}
        dataset = {
            "files": {"r.npz": {}}, "level": "rdm", "stimuli": {"all": {"n": 3, "numbered": True}}, "regions": {"V1": {}},
            "subjects": {"S1": {"adapter": "rdm", "stimuli": "all", "rdms": rdms}},
        }  # fmt: skip
        models = {"m": {"source": "pixels"}}
        regions = {"V1": {"min_reliability": 0.3}}
        return Study.from_mapping({"study": "mine", "dataset": dataset, "models": models, "regions": regions})

    assert study(reliability=0.5).regions["V1"].min_reliability == 0.3
    with pytest.raises(StudyError, match=r"regions\.V1\.min_reliability: subject S1 says no reliability of the RDM 'V1'"):
        study()
