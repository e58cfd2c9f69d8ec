import json

import numpy as np
import pytest
from cell_inputs import stimulus_ids, subject_patterns, subject_rdm
from region_descriptions import RATIO, data_of, described, low_dimensional, of_classes, ran, table_of

from isocortex.errors import DataError
from isocortex.geometry import GEOMETRY, participation_ratio
from isocortex.geometry.nulls import shuffle_units
from isocortex.inference.half_repeats import repeat_halves
from isocortex.inference.resampling import subsamples


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


def test_numbers_are_those_of_the_definition(tmp_path):
    """Value, interval and agreement of one subject, made again from arrays."""
    rng = np.random.default_rng(3)
    ids, trials = stimulus_ids(30), low_dimensional(rng, 4).astype(np.float32)
    data, rows = ran(tmp_path, {"S1": subject_patterns(trials, ids)}, {"two_nn": {"discard": 0.2}}, draws=60)
    response = data_of(trials)
    row, of = rows["two_nn", "S1"], GEOMETRY["two_nn"]
    options = {"discard": 0.2}
    assert row["score"] == pytest.approx(of.evaluate(response, options=options))
    drawn = [of.evaluate(response[kept], options=options) for kept in subsamples(ids, 60, 24, 0)]
    spread = (drawn - np.mean(drawn)) * np.sqrt(24 / 6)
    assert data["draws"].sel({"method": "two_nn", "subject": "S1"}).values == pytest.approx(row["score"] + spread, rel=1e-5)
    middle = 0.5 * (row["ci_low"] + row["ci_high"])
    assert middle == pytest.approx(row["score"])
    assert row["ci_kind"] == "60 subsamples of 80% of the stimuli, rescaled, t(29)"
    halves = repeat_halves(trials.astype(np.float64), 20, 0)
    pairs = np.array([[of.evaluate(half, options=options) for half in pair] for pair in halves])
    assert row["ceiling_high"] == pytest.approx(np.median(pairs.min(1) / pairs.max(1)))
    assert row["null_kind"] == "matched_spectrum_gaussian"


def test_the_null_has_the_variances_of_the_units_and_not_their_correlations(tmp_path):
    rng = np.random.default_rng(4)
    trials = low_dimensional(rng, 2).astype(np.float32)
    _, rows = ran(tmp_path, {"S1": subject_patterns(trials, stimulus_ids(30))}, RATIO, permutations=400)
    row, own = rows["participation_ratio", "S1"], np.random.default_rng(5)
    expected = [participation_ratio(shuffle_units(data_of(trials), own)) for _ in range(400)]
    assert (row["n_null"], row["null_kind"]) == (400, "shuffle_units_independently")
    assert row["null_mean"] == pytest.approx(np.mean(expected), abs=5 * np.std(expected) / 20)


def test_what_needs_repeats_is_refused_without_them_and_the_rest_is_there(tmp_path):
    rng = np.random.default_rng(6)
    subjects = {"S1": subject_patterns(low_dimensional(rng, 1), stimulus_ids(30))}
    data, rows = ran(tmp_path, subjects, {"participation_ratio_cv": {}, **RATIO}, permutations=19, draws=20)
    assert {method for method, _ in rows} == {"participation_ratio"}
    assert list(data["method"].values) == ["participation_ratio"]
    refused = json.loads(data.attrs["refused"])
    expected = "found 0 stimuli with two repeats, expected at least 3"
    assert refused == {"participation_ratio_cv": expected}


def test_repeats_show_the_dimensions_of_the_signal(tmp_path):
    rng = np.random.default_rng(7)
    noisy = low_dimensional(rng, 4, n=60) + 2 * rng.normal(size=(60, 4, 20))
    asked = {"participation_ratio_cv": {"splits": 3}, **RATIO}
    _, rows = ran(tmp_path, {"S1": subject_patterns(noisy, stimulus_ids(60))}, asked, permutations=19, draws=20)
    signal, whole = rows["participation_ratio_cv", "S1"]["score"], rows["participation_ratio", "S1"]["score"]
    assert signal < 3.5 < whole
    assert rows["participation_ratio_cv", "S1"]["ceiling_high"] <= 1


def test_stimuli_with_one_repeat_are_left_out_of_what_needs_two_and_units_are_shuffled_whole(tmp_path):
    rng = np.random.default_rng(12)
    trials = low_dimensional(rng, 3, n=40).astype(np.float32)
    trials[:5, 1:] = np.nan
    trials[7, 0] = np.nan
    subjects = {"S1": subject_patterns(trials, stimulus_ids(40))}
    _, rows = ran(tmp_path, subjects, {"participation_ratio_cv": {"splits": 2}}, permutations=39, draws=5)
    row = rows["participation_ratio_cv", "S1"]
    expected = GEOMETRY["participation_ratio_cv"].evaluate(trials[5:].astype(float), None, {"splits": 2})
    assert row["score"] == pytest.approx(expected)
    assert (row["n_stimuli"], row["n_null"], row["p"]) == (35, 39, 1 / 40)
    assert "stimuli without two repeats are left out: 5" in row["note"]


def test_labels_come_from_the_stimulus_table_and_stimuli_without_one_are_left_out(tmp_path):
    rng = np.random.default_rng(8)
    classes = np.arange(36) % 3
    trials, ids = of_classes(rng, classes).astype(np.float32), stimulus_ids(36)
    names = [f"class {c}" for c in classes]
    names[0] = None
    table = table_of(ids, kind=names).iloc[::-1]  # the table's order is its own
    asked = {"label_alignment": {"target": "kind"}}
    data, rows = ran(tmp_path, {"S1": subject_patterns(trials, ids)}, asked, {"all": table}, permutations=99, draws=20)
    row = rows["label_alignment", "S1"]
    expected = GEOMETRY["label_alignment"].evaluate(data_of(trials)[1:], np.array(names[1:]), {})
    assert row["score"] == pytest.approx(expected)
    assert (row["n_stimuli"], row["null_kind"], row["p"]) == (35, "permute_labels", 0.01)
    assert row["ceiling_low"] is None
    assert "stimuli without a label are left out: 1" in row["note"]
    assert "two halves of a value that may be negative have no ratio" in row["note"]
    assert "refused" not in data.attrs


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({}, "target, found no column 'kind' in the stimulus table, expected one of []"),
        ({"kind": ""}, "found 0 stimuli with a label, expected at least 3"),
    ],
    ids=["no column", "empty column"],
)
def test_labels_that_are_not_there_are_a_reason_and_no_row(tmp_path, labels, reason):
    rng, ids = np.random.default_rng(9), stimulus_ids(30)
    subjects = {"S1": subject_patterns(low_dimensional(rng, 2), ids)}
    asked = {"label_alignment": {"target": "kind"}}
    data, rows = ran(tmp_path, subjects, asked, {"all": table_of(ids, **labels)}, permutations=19, draws=20)
    assert rows == {}
    assert json.loads(data.attrs["refused"])["label_alignment"].startswith(reason)
    assert data["spectrum"].shape == (2, 20)


def test_a_subject_whose_set_has_no_labels_is_left_out_of_the_mean_and_named(tmp_path):
    rng, ids, other = np.random.default_rng(10), stimulus_ids(36), stimulus_ids(36, "t")
    classes = np.arange(36) % 3
    subjects = {
        name: subject_patterns(of_classes(rng, classes), own, set_name)
        for name, own, set_name in (("S1", ids, "a"), ("S2", ids, "a"), ("S3", other, "b"))
    }
    tables = {"a": table_of(ids, kind=[str(c) for c in classes]), "b": table_of(other, size="9")}
    asked = {"label_alignment": {"target": "kind"}, **RATIO}
    sets = {"S1": "a", "S2": "a", "S3": "b"}
    data, rows = ran(tmp_path, subjects, asked, tables, sets, permutations=19, draws=20)
    own = [rows["label_alignment", name]["score"] for name in ("S1", "S2")]
    whole = rows["label_alignment", "all"]
    assert whole["score"] == pytest.approx(np.mean(own))
    assert (whole["n_subjects"], rows["participation_ratio", "all"]["n_subjects"]) == (2, 3)
    assert "without S3: target, found no column 'kind'" in whole["note"]
    assert ("label_alignment", "S3") not in rows
    assert np.isnan(data["value"].sel(descriptor="label_alignment", subject="S3").item())


def test_a_heavy_descriptor_has_few_draws_however_many_are_asked_for(tmp_path):
    rng = np.random.default_rng(11)
    subjects = {"S1": subject_patterns(low_dimensional(rng, 1, n=12), stimulus_ids(12))}
    _, rows = ran(tmp_path, subjects, {"persistence_h1": {}}, permutations=5000, draws=5000)
    row = rows["persistence_h1", "S1"]
    assert row["n_null"] == 99
    assert row["ci_kind"].startswith("50 subsamples")


def test_the_nulls_of_subjects_are_their_own_but_for_labels(tmp_path):
    """The mean over subjects averages the noise of units; permuted labels are of the stimuli, which all have seen."""
    rng, ids = np.random.default_rng(13), stimulus_ids(36)
    trials = of_classes(rng, np.arange(36) % 3)
    subjects = dict.fromkeys(("S1", "S2"), subject_patterns(trials, ids))
    tables = {"all": table_of(ids, kind=[str(k % 3) for k in range(36)])}
    asked = {"two_nn": {}, "label_alignment": {"target": "kind"}}
    _, rows = ran(tmp_path, subjects, asked, tables, permutations=200, draws=5)
    first, second, whole = (rows["two_nn", name] for name in ("S1", "S2", "all"))
    assert first["score"] == second["score"] == pytest.approx(whole["score"])
    assert first["null_mean"] != second["null_mean"]
    own, mean = (abs(row["null_mean"] - row["null_extreme95"]) for row in (first, whole))
    assert mean == pytest.approx(own / np.sqrt(2), rel=0.3)
    labels = [rows["label_alignment", name]["null_extreme95"] for name in ("S1", "S2", "all")]
    assert labels == pytest.approx([labels[0]] * 3)
