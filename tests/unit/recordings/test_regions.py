"""Regions: selection, drops with reasons, reliability on training stimuli, and the edges."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from isocortex.errors import DataError
from isocortex.recordings import reliability
from isocortex.recordings.regions import EmptyRegionError, Selection, build_patterns, build_rdm, build_tree

IDS = [f"s{i:02d}" for i in range(20)]


def recording(n_repeats: int = 4, n_stimuli: int = 20) -> xr.Dataset:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(n_stimuli, 1, 6))
    values = (signal + 0.5 * rng.normal(size=(n_stimuli, n_repeats, 6))).astype(np.float32)
    values[:, :, 1] = 0.1  # constant
    values[3, :, 2] = np.nan  # no response to one stimulus
    values[:, :, 3] = rng.normal(size=(n_stimuli, n_repeats))  # noise
    order = rng.permutation(n_stimuli * n_repeats)
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), values.reshape(-1, 6)[order])},
        coords={
            "stimulus_id": ("presentation", np.repeat(IDS[:n_stimuli], n_repeats)[order]),
            "neuroid_id": ("neuroid", list("abcdef")),
            "area": ("neuroid", ["V1", "V1", "V1", "V1", "V2", "V2"]),
            "side": ("neuroid", ["l", "r", "l", "l", "l", "r"]),
            "x": ("neuroid", np.arange(6.0)),
        },
    )


def selection(**rest) -> Selection:
    return Selection(
        **{"region": "V1", "subject": "S", "set_name": "all", "stimulus_ids": IDS, "anywhere": [{"area": ["V1"]}], **rest}
    )


def test_drops_have_reasons_and_counts():
    found = build_patterns(recording(), selection(min_reliability=0.5))
    assert found["neuroid_id"].values.tolist() == ["a"]
    assert json.loads(found.attrs["dropped_ids"]) == {
        "constant": ["b"],
        "no valid response": ["c"],
        "reliability below 0.5": ["d"],
    }
    assert json.loads(found.attrs["dropped"]) == {"constant": 1, "no valid response": 1, "reliability below 0.5": 1}
    assert found.attrs["n_dropped"] == 3
    assert found.attrs["n_selected"] == 4
    assert found["x"].values.tolist() == [0]
    assert found["stimulus_id"].values.tolist() == IDS


def test_trials_responses_and_counts_belong_together():
    found = build_patterns(recording(), selection(anywhere=[{}]))
    assert found["neuroid_id"].values.tolist() == ["a", "d", "e", "f"]
    assert found["trials"].dims == ("stimulus", "repeat", "neuroid")
    assert found["trials"].dtype == found["response"].dtype == np.float32
    np.testing.assert_allclose(found["response"], np.nanmean(found["trials"], axis=1), rtol=1e-5, atol=1e-6)
    assert found["n_repeats"].values.tolist() == [4] * 20
    source = recording()
    rows = source["stimulus_id"].values == "s07"
    np.testing.assert_array_equal(np.sort(found["trials"][7, :, 0]), np.sort(source["response"].values[rows, 0]))


def test_shown_says_where_each_trial_was():
    source = recording()
    found = build_patterns(source, selection(anywhere=[{}]))
    shown = found["shown"]
    assert shown.dims == ("stimulus", "repeat")
    assert shown.dtype == np.int64
    assert sorted(shown.values.ravel().tolist()) == list(range(80))
    assert (np.diff(shown.values, axis=1) > 0).all()
    np.testing.assert_array_equal(source["stimulus_id"].values[shown.values], np.repeat(IDS, 4).reshape(20, 4))
    kept = source["response"].values[:, [0, 3, 4, 5]]
    np.testing.assert_array_equal(found["trials"], kept[shown.values])
    np.testing.assert_array_equal(found["first_shown"], shown.values.min(axis=1))


def test_a_trial_that_failed_in_the_region_was_not_shown_to_it():
    source = recording()
    rows = np.flatnonzero(source["stimulus_id"].values == "s07")
    source["response"][rows[0], :4] = np.nan  # in V1; V2 has it
    found = build_patterns(source, selection())
    assert found["shown"].values[7].tolist() == [-1, *rows[1:]]
    assert found["n_repeats"].values[7] == 3
    assert np.isnan(found["trials"].values[7, 0]).all()
    for stimulus in source["stimulus_id"].values:
        first = np.flatnonzero(source["stimulus_id"].values == stimulus)[0]
        source["response"][first, :4] = np.nan  # the first repeat of every stimulus: the others must not be lost
    found = build_patterns(source, selection())
    assert (found["n_repeats"] == 3).all()
    assert np.isfinite(found["trials"].values).all(axis=2).sum() == 60
    assert build_patterns(recording(1), selection())["shown"].shape == (20, 1)


def test_reliability_is_that_of_the_training_stimuli():
    train = IDS[::2]
    found = build_patterns(recording(), selection(train=train, anywhere=[{}], seed=3))
    assert found.attrs["reliability_stimuli"] == "training"
    assert found.attrs["n_reliability_stimuli"] == 10
    np.testing.assert_allclose(found["reliability"], reliability.reliability(found["trials"].values[::2], seed=3))
    changed = recording()
    test_rows = ~np.isin(changed["stimulus_id"], train)
    changed["response"][test_rows, 0] *= -5
    again = build_patterns(changed, selection(train=train, anywhere=[{}], seed=3))
    np.testing.assert_array_equal(found["reliability"], again["reliability"])


def test_several_coordinates_must_all_fit():
    found = build_patterns(recording(), selection(anywhere=[{"area": ["V1", "V2"], "side": ["r"]}]))
    assert found["neuroid_id"].values.tolist() == ["f"]


def test_one_repeat_has_no_reliability():
    found = build_patterns(recording(n_repeats=1), selection())
    assert np.isnan(found["reliability"]).all()
    assert found["n_repeats"].values.tolist() == [1] * 20
    with pytest.raises(EmptyRegionError, match=r"no repeats, so reliability \(at least 0\.2\) is unknown"):
        build_patterns(recording(n_repeats=1), selection(min_reliability=0.2))


def test_one_neuroid_and_two_stimuli_are_defined():
    found = build_patterns(
        recording(n_stimuli=4), selection(anywhere=[{"area": ["V2"], "side": ["l"]}], stimulus_ids=["s01", "s02"])
    )
    assert dict(found.sizes) == {"stimulus": 2, "repeat": 4, "neuroid": 1}
    assert np.isnan(found["reliability"]).all()


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (
            {"anywhere": [{"roi": ["V1"]}]},
            DataError,
            "region V1, subject S: no neuroid coordinate 'roi', found area, neuroid_id, side, x",
        ),
        ({"anywhere": [{"area": ["V4"]}]}, EmptyRegionError, 'no neuroid fits {"area": ["V4"]} (found {"area": ["V1", "V2"]})'),
        ({"anywhere": [{"area": ["V2"], "neuroid_id": ["a"]}]}, EmptyRegionError, "no neuroid fits"),
        ({"anywhere": [{"neuroid_id": ["b"]}]}, EmptyRegionError, "1 neuroids dropped: constant"),
        ({"stimulus_ids": ["s01"]}, DataError, "found 1 presented stimuli, expected at least 2"),
        ({"stimulus_ids": ["q", "r"]}, DataError, "found 0 presented stimuli, expected at least 2"),
        ({"train": ["s01", "zz"]}, DataError, "the split names stimulus 'zz', which was not presented"),
    ],
)
def test_refusals(change, kind, text):
    with pytest.raises(kind) as error:
        build_patterns(recording(), selection(**change))
    assert text in str(error.value)


def test_a_subject_without_the_region_is_named():
    part = build_patterns(recording(), selection())
    tree = build_tree({"S": part}, {"T": "no neuroid has area in V1"}, {"region": "V1", "level": "patterns"})
    assert list(tree.children) == ["S"]
    assert json.loads(tree.attrs["absent"]) == {"T": "no neuroid has area in V1"}
    with pytest.raises(DataError, match=r"region V1: no subject has a neuroid left \(T: none\)"):
        build_tree({}, {"T": "none"}, {"region": "V1", "level": "patterns"})


def rdms() -> xr.Dataset:
    values = np.arange(18.0).reshape(2, 3, 3)
    coords = {"region": ["EVC", "IT"], "stimulus_id": ("stimulus", ["a", "b", "c"])}
    return xr.Dataset({"rdm": (("region", "stimulus", "stimulus_"), values)}, coords=coords)


@pytest.mark.parametrize(("region", "anywhere"), [("IT", [{}]), ("ventral", [{"region": ["IT"]}])])
def test_the_rdm_of_a_region(region, anywhere):
    found = build_rdm(rdms(), selection(region=region, anywhere=anywhere))
    np.testing.assert_array_equal(found["rdm"], rdms()["rdm"][1])
    assert found["stimulus_id"].values.tolist() == ["a", "b", "c"]
    assert found.attrs["dropped"] == "{}"


def test_what_a_recording_says_of_itself_is_kept():
    said = {"space": "MNI152NLin6Asym", "unit": "V", "dropped": json.dumps({"bad channels": 2})}
    for found in (
        build_patterns(recording().assign_attrs(said), selection()),
        build_rdm(rdms().assign_attrs(said), selection(region="IT", anywhere=[{}])),
    ):
        assert (found.attrs["space"], found.attrs["unit"]) == ("MNI152NLin6Asym", "V")
        assert json.loads(found.attrs["dropped_before"]) == {"bad channels": 2}
        assert "bad channels" not in found.attrs["dropped"]
    assert not {"space", "unit", "dropped_before"} & build_patterns(recording(), selection()).attrs.keys()


def test_rdm_refusals():
    with pytest.raises(EmptyRegionError, match=r'no region fits {"region": \["V4"\]} \(found {"region": \["EVC", "IT"\]}\)'):
        build_rdm(rdms(), selection(region="V4", anywhere=[{}]))
    with pytest.raises(DataError, match="found 2 RDMs"):
        build_rdm(rdms(), selection(anywhere=[{"region": ["EVC", "IT"]}]))
    with pytest.raises(DataError, match="found 2 stimuli, expected at least 3 for an RDM"):
        build_rdm(rdms().isel(stimulus=[0, 1], stimulus_=[0, 1]), selection(region="IT", anywhere=[{}]))
