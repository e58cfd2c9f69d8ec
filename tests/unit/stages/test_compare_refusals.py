"""Cells of metrics of patterns that have no summary of a region, of a half of its repeats, or of half of the stimuli."""

import json
import re

import numpy as np
import pytest
from pydantic import ValidationError
from test_compare_families import chosen_rows
from test_compare_patterns import NEUROIDS, REPEATS, UNITS, cell, world

from isocortex.similarity import METRICS
from isocortex.similarity.noise_corrected import noise_corrected_rsa
from isocortex.study.options.similarity import Procrustes


def test_a_region_that_a_metric_refuses_leaves_the_others_of_the_family_their_rows(tmp_path):
    rng = np.random.default_rng(2)
    layers = {name: rng.normal(size=(200, UNITS)) for name in ("early", "middle")}
    trials = (layers["middle"] @ rng.normal(size=(UNITS, 60)))[:, None] + rng.normal(size=(200, 2, 60))
    data, _ = cell(tmp_path, layers, {"S1": trials}, ["cca", "procrustes"])
    assert chosen_rows(data, "procrustes")["S1"]["layer"] == "middle"
    assert chosen_rows(data, "cca") == {}
    reason = json.loads(data.attrs["refused"])["cca"]
    assert reason.startswith("region 'V4', subject 'S1': cca: found 200 stimuli for 60 dimensions, expected more than 600")


def test_a_half_of_the_repeats_without_a_response_leaves_the_score_and_no_ceiling(tmp_path):
    layers, trials = world(n=40)
    trials = trials[:, :2].copy()
    trials[7, 0] = 0.0  # a pattern of zeros has no direction
    data, _ = cell(tmp_path, layers, {"S1": trials}, ["mutual_knn", "relative"])
    row = chosen_rows(data, "mutual_knn")["S1"]
    assert row["layer"] == "middle"
    assert row["score"] > row["null_mean"]
    assert [row[name] for name in ("ceiling_low", "ceiling_high", "normalized", "ceiling_p")] == [None] * 4
    assert "no ceiling of halves of the repeats: mutual_knn: found 1 pattern" in row["note"]


@pytest.mark.parametrize(
    ("name", "n"),
    [("linear_predictivity", 14), ("linear_predictivity", 15), ("one_to_one", 11), ("cka", 7), ("relative", 9)],
    ids=["14 predicted", "15 predicted", "11 matched", "7 aligned", "9 relative"],
)
def test_layers_of_too_few_stimuli_to_split_are_chosen_on_all(tmp_path, name, n):
    layers, trials = world(n=n)
    data, _ = cell(tmp_path, layers, {"S1": trials}, [name])
    row = chosen_rows(data, name)["S1"]
    assert np.isfinite(row["score"])
    assert "layer chosen on the scored stimuli: too few to split" in row["note"]


@pytest.mark.parametrize(("name", "n"), [("linear_predictivity", 16), ("one_to_one", 12), ("cka", 8), ("relative", 10)])
def test_enough_stimuli_are_split(tmp_path, name, n):
    layers, trials = world(n=n)
    data, _ = cell(tmp_path, layers, {"S1": trials}, [name])
    assert "layer chosen on half of the stimuli and scored on the other" in chosen_rows(data, name)["S1"]["note"]


def noisy(rng, n):
    """Trials of noise alone."""
    return rng.normal(size=(n, REPEATS, NEUROIDS))


def uncorrectable(n):
    """Trials of noise whose halves agree in nothing, on all stimuli and on average over splits."""
    for seed in range(200):
        trials = noisy(np.random.default_rng([seed, 7]), n)
        if np.isnan(noise_corrected_rsa(trials.mean(1), trials, splits=20)):
            yield trials


def test_a_subject_without_a_noise_corrected_score_does_not_choose_for_the_others(tmp_path):
    n = 40
    layers, trials = world(n=n)
    rng = np.random.default_rng(6)
    subjects = {f"S{k}": trials + 0.3 * rng.normal(size=trials.shape) for k in range(3)}
    alone, _ = cell(tmp_path, layers, subjects, ["noise_corrected_rsa"])
    expected = chosen_rows(alone, "noise_corrected_rsa")
    for lost in uncorrectable(n):
        data, _ = cell(tmp_path, layers, {**subjects, "S3": lost}, ["noise_corrected_rsa"])
        rows = chosen_rows(data, "noise_corrected_rsa")
        if rows["S3"]["score"] is None:
            break
    for name in subjects:
        assert (rows[name]["layer"], rows[name]["score"]) == ("middle", pytest.approx(expected[name]["score"]))
    assert [rows["S3"][name] for name in ("score", "p", "ci_low", "calibrated")] == [None] * 4
    assert rows["S3"]["note"].startswith("halves of the repeats do not agree: no noise-corrected score; ")
    whole = rows["all"]
    assert whole["score"] == pytest.approx(expected["all"]["score"])
    assert whole["layer"] == "middle"
    assert whole["p"] <= 0.02
    assert np.isfinite([whole["ci_low"], whole["ci_high"]]).all()
    assert "p < 0.05 in 3 of 4 subjects" in whole["note"]
    assert "without subject S3: halves of the repeats do not agree" in whole["note"]
    assert np.isfinite(data["draws"].sel(subject="all")).all()


def test_a_lone_subject_whose_halves_agree_in_some_splits_only_has_no_score(tmp_path):
    """The splits in which they agree are those where chance helps: their mean is no estimate."""
    layers, _ = world(n=16)
    lost = next(iter(uncorrectable(16)))
    data, _ = cell(tmp_path, layers, {"S1": lost}, ["noise_corrected_rsa"])
    rows = chosen_rows(data, "noise_corrected_rsa")
    for row in rows.values():
        assert [row[name] for name in ("score", "p", "ci_low", "calibrated")] == [None] * 4
    assert "halves of the repeats do not agree: no noise-corrected score (" in rows["S1"]["note"]
    n_lost = int(re.search(r"\((\d+) of 40 halves of the stimuli\)", rows["S1"]["note"])[1])
    assert 0 < n_lost < 40


@pytest.mark.parametrize(
    ("name", "option"),
    [("cka", {"estimator": "biased"}), ("cka", {"kernel": "rbf"}), ("deconfounded_cka", {"residual": "signed"})],
    ids=["biased", "rbf", "signed"],
)
def test_where_no_identity_says_what_a_right_model_has_there_is_a_lower_ceiling_only(tmp_path, monkeypatch, name, option):
    import test_compare_patterns

    monkeypatch.setitem(test_compare_patterns.OPTIONS, name, option)
    layers, trials = world()
    data, _ = cell(tmp_path, layers, {"S1": trials}, [name])
    row = chosen_rows(data, name)["S1"]
    assert row["ceiling_kind"] == "half against half of the repeats: 2.5 %"
    assert (row["ceiling_high"], row["normalized"]) == (None, None)
    assert 0 < row["ceiling_low"] < 1
    assert row["ceiling_p"] <= 0.05


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("deconfounded_cka", "permuting says whether anything is left, not that it is beyond the confounder"),
        ("deconfounded_rsa", "permuting says whether anything is left, not that it is beyond the confounder"),
        ("procrustes", "layers are chosen by raw distance, which is smaller for wide layers where noise is large"),
        ("gulp", "layers are chosen by raw distance, which is smaller for wide layers where noise is large"),
        ("linear_predictivity", "folds do not keep near-duplicate stimuli together"),
        ("reverse_predictivity", "folds do not keep near-duplicate stimuli together"),
        ("prediction_rsa", "folds do not keep near-duplicate stimuli together"),
    ],
)
def test_every_row_says_what_its_metric_remarks(tmp_path, name, remark):
    layers, trials = world(n=40)
    data, _ = cell(tmp_path, {"middle": layers["middle"]}, {"S1": trials}, [name])
    rows = chosen_rows(data, name)
    assert len(rows) == 2
    assert all(remark in row["note"] for row in rows.values())


def test_a_study_has_no_procrustes_distance_of_sizes():
    """A model's scale and a region's have no common unit."""
    assert METRICS["procrustes"].options == {"max_stimuli": 2000}
    with pytest.raises(ValidationError, match="kind"):
        Procrustes.model_validate({"kind": "size_and_shape"})
