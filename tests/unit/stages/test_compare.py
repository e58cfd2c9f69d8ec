import json

import numpy as np
import pytest
from cell_inputs import common_options, compare_spec, stimulus_ids, subject_patterns, subject_rdm, write_brain, write_kernels

from isocortex.errors import DataError
from isocortex.inference.rows import rows_from_json
from isocortex.similarity import compare_rdms, rdm, rsa, to_square
from isocortex.stages import compare
from isocortex.storage.tables import read_netcdf

N = 24


def world(seed=0, n=N):
    """Three layers, of which the second drives the responses."""
    rng = np.random.default_rng(seed)
    layers = {name: rng.normal(size=(n, 12)) for name in ("early", "middle", "late")}
    return layers, rng


def responses(features, rng, repeats=4, noise=0.7, p=15):
    signal = features @ rng.normal(size=(features.shape[1], p)) / np.sqrt(features.shape[1])
    return signal[:, None] + noise * rng.normal(size=(len(features), repeats, p))


def cell(tmp_path, subjects, layers, ids, level="patterns", **more):
    brain = write_brain(tmp_path / "brain.nc", subjects, level)
    kernels = write_kernels(tmp_path / "k.json", layers, ids)
    options = {**common_options(dict.fromkeys(subjects, "all")), **more}
    spec = compare_spec(brain, {"all": kernels}, tmp_path / "rdm.nc", options)
    compare.run(spec, "cpu")
    return read_netcdf(tmp_path / "rdm.nc"), spec


def chosen_rows(data):
    return {row["subject"]: row for row in rows_from_json(data.attrs["rows"]) if row["is_chosen"]}


def test_three_subjects_on_the_same_stimuli(tmp_path):
    layers, rng = world()
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng), ids) for k in range(3)}
    data, spec = cell(tmp_path, subjects, layers, ids)
    rows = chosen_rows(data)
    expected = [rsa(layers["middle"], s["response"].values.astype(float)) for s in subjects.values()]
    assert [rows[name]["score"] for name in subjects] == pytest.approx(expected)
    assert rows["all"]["score"] == pytest.approx(np.mean(expected))
    assert rows["all"]["layer"] == "middle"
    assert rows["all"]["p"] < 0.001
    assert rows["all"]["ceiling_p"] < 0.05
    assert rows["all"]["null_kind"] == "permute_stimuli, layer chosen anew"
    assert abs(rows["all"]["null_mean"]) < 0.05
    assert rows["all"]["ci_low"] < rows["all"]["score"] < rows["all"]["ci_high"]
    assert rows["all"]["normalized"] == pytest.approx(rows["all"]["score"] / rows["all"]["ceiling_low"])
    assert "interval over stimuli, subjects fixed" in rows["all"]["note"]
    assert "3 of 3 subjects" in rows["all"]["note"]
    assert (rows["all"]["n_neuroids"], rows["all"]["n_dropped"], rows["S1"]["dropped_reason"]) == (45, 6, "2 constant")
    assert sum(json.loads(rows["all"]["layer_votes"]).values()) == pytest.approx(1, abs=1e-3)
    every = rows_from_json(data.attrs["rows"])
    assert len({(row["subject"], row["layer"]) for row in every}) == len(every) == 12
    assert data["draws"].shape == (1, 4, 100)
    assert data["layer_score"].sel({"method": "rsa", "subject": "S0", "layer": "late"}).item() == pytest.approx(
        rsa(layers["late"], subjects["S0"]["response"].values.astype(float))
    )
    assert data["model_rdm"].values == pytest.approx(rdm(layers["middle"]), rel=1e-5)
    assert list(data["stimulus_id"].values) == ids
    before = (tmp_path / "rdm.nc").read_bytes()
    compare.run(spec, "cpu")
    assert (tmp_path / "rdm.nc").read_bytes() == before


def test_one_subject_is_cross_fitted_over_stimuli(tmp_path):
    layers, rng = world(1)
    ids = stimulus_ids(N)
    data, _ = cell(tmp_path, {"S1": subject_patterns(responses(layers["middle"], rng), ids)}, layers, ids)
    rows = chosen_rows(data)
    assert "chosen on half of the stimuli" in rows["S1"]["note"]
    assert "does not generalise to other subjects" in rows["all"]["note"]
    assert rows["all"]["layer"] == "middle"
    assert 0 < rows["all"]["ceiling_low"] <= 1
    assert rows["all"]["ceiling_kind"].startswith("√(Spearman–Brown)")
    assert rows["all"]["score"] == rows["S1"]["score"]


def test_pure_noise_has_no_reliable_signal(tmp_path):
    layers, rng = world(2)
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(rng.normal(size=(N, 4, 15)), ids) for k in range(3)}
    row = chosen_rows(cell(tmp_path, subjects, layers, ids)[0])["all"]
    assert row["ceiling_p"] >= 0.05
    assert row["normalized"] is None
    assert "no reliable signal" in row["note"]
    assert row["ceiling_high"] > 0.2
    assert row["n_null"] == 1000 or row["p"] < 0.1


def test_one_repeat_of_one_subject_has_no_ceiling(tmp_path):
    layers, rng = world(3)
    ids = stimulus_ids(N)
    subjects = {"S1": subject_patterns(responses(layers["middle"], rng, repeats=1), ids)}
    row = chosen_rows(cell(tmp_path, subjects, {"middle": layers["middle"]}, ids)[0])["all"]
    assert row["ceiling_low"] is None
    assert row["normalized"] is None
    assert "no repeats: no ceiling" in row["note"]
    assert row["score"] == pytest.approx(rsa(layers["middle"], subjects["S1"]["response"].values.astype(float)))


def test_eight_subjects_with_rdms_get_the_dual_bootstrap(tmp_path):
    layers, rng = world(4, n=12)
    ids = stimulus_ids(12)
    base = rdm(layers["middle"])
    vectors = [base + 0.3 * rng.random(66) for _ in range(8)]
    subjects = {f"S{k}": subject_rdm(to_square(v), ids) for k, v in enumerate(vectors)}
    data, _ = cell(tmp_path, subjects, layers, ids, level="rdm", metrics={"rsa": {"compare": "spearman"}})
    row = chosen_rows(data)["all"]
    assert row["score"] == pytest.approx(np.mean([compare_rdms(v, base, "spearman") for v in vectors]))
    assert row["ci_kind"].startswith("subjects, jackknife and bootstrap of stimuli")
    assert row["generalise"] == "stimulus and subject"
    assert row["n_neuroids"] is None
    assert {"draws", "draws_fixed", "draws_linear", "influence"} <= set(data.data_vars)
    assert data["influence"].shape == (1, 9, 12)


def test_subjects_with_other_stimuli_are_scored_on_their_own(tmp_path):
    layers, rng = world(5)
    ids = stimulus_ids(N)
    whole = responses(layers["middle"], rng)
    subjects = {"S1": subject_patterns(whole, ids), "S2": subject_patterns(whole[::-1][4:], ids[::-1][4:])}
    rows = chosen_rows(cell(tmp_path, subjects, {"middle": layers["middle"]}, ids)[0])
    order = np.arange(N)[::-1][4:]
    assert rows["S2"]["score"] == pytest.approx(rsa(layers["middle"][order], subjects["S2"]["response"].values.astype(float)))
    assert rows["all"]["n_stimuli"] == N - 4
    assert rows["all"]["score"] == pytest.approx((rows["S1"]["score"] + rows["S2"]["score"]) / 2)


def test_a_contaminated_subject_is_shown_and_not_tested(tmp_path):
    layers, rng = world(6)
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng), ids) for k in range(2)}
    rows = chosen_rows(cell(tmp_path, subjects, layers, ids, contaminated=["S1"])[0])
    assert [rows[name]["contaminated"] for name in ("S0", "S1", "all")] == [False, True, True]
    assert rows["all"]["p"] is None
    assert rows["S0"]["p"] is not None


def test_a_layer_without_an_rdm_is_left_out_and_said(tmp_path):
    layers, rng = world(7)
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng), ids) for k in range(2)}
    layers["dead"] = np.zeros((N, 4))
    data, spec = cell(tmp_path, subjects, layers, ids)
    assert "layer dead left out (RDM: found 24 constant patterns" in chosen_rows(data)["all"]["note"]
    assert "dead" not in data["layer"].values
    spec["options"]["layers"] = ["dead"]
    with pytest.raises(DataError, match="model 'net': no layer has an RDM: RDM: found 24 constant patterns"):
        compare.run(spec, "cpu")


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path):
    layers, rng = world(8)
    ids = stimulus_ids(N)
    trials = responses(layers["middle"], rng)
    with pytest.raises(DataError, match=r"lacks 24 of 24 stimuli of subject 'S1' \(first: 'other0000'\), expected all"):
        cell(tmp_path, {"S1": subject_patterns(trials, stimulus_ids(N, "other"))}, layers, ids)
    flat = trials.copy()
    flat[3] = 1.0
    with pytest.raises(DataError, match="region 'V4', subject 'S1': RDM: found 1 constant patterns of 24"):
        cell(tmp_path, {"S1": subject_patterns(flat, ids)}, layers, ids)
    with pytest.raises(DataError, match="found 2 stimuli, expected at least 3") as caught:
        cell(tmp_path, {"S1": subject_patterns(trials[:2], ids[:2])}, layers, ids)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="found none of the subjects"):
        cell(tmp_path, {}, layers, ids)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("rsa", {"rdm": "crossnobis", "compare": "pearson"}),
        ("rsa", {"rdm": "mahalanobis", "compare": "whitened_cosine"}),
        ("rsa", {"rdm": "euclidean", "compare": "bures"}),
        ("rsa", {"rdm": "euclidean", "compare": "tau_b"}),
        ("rsa", {"model": "weighted"}),
        ("rsa", {"model": "interpolated", "compare": "pearson"}),
        ("trsa", {}),
        ("trsa", {"thresholds": "nested", "step": 0.25}),
        ("trsa", {"thresholds": "topology", "compare": "cosine"}),
        ("trsa", {"transform": "sigmoid"}),
        ("geodesic_rsa", {}),
    ],
)
@pytest.mark.parametrize("n_subjects", [1, 2])
def test_every_way_to_compare_finds_the_layer_that_drives_the_region(tmp_path, method, options, n_subjects):
    layers, rng = world(11)
    ids = stimulus_ids(N)
    subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng, repeats=6, p=30), ids) for k in range(n_subjects)}
    data, _ = cell(tmp_path, subjects, layers, ids, metrics={method: options})
    row = chosen_rows(data)["all"]
    shares = json.loads(row["layer_votes"])
    assert max(shares, key=shares.get) == "middle"
    assert row["layer"] == options.get("model", "middle")
    assert row["p"] < 0.02
    assert row["ceiling_p"] < 0.05
    assert row["ci_low"] < row["score"] < row["ci_high"]
    assert row["calibrated"] > 0.1
    assert row["normalized"] > 0.2
    every = rows_from_json(data.attrs["rows"])
    assert len({(r["subject"], r["layer"]) for r in every}) == len(every)
    if options.get("thresholds") in ("nested", "topology"):
        assert "thresholds in the draws: rgtm(" in row["note"]


def test_the_options_of_an_rdm_say_what_they_need(tmp_path):
    layers, rng = world(12)
    ids = stimulus_ids(N)
    subjects = {"S1": subject_patterns(responses(layers["middle"], rng, repeats=1), ids)}
    with pytest.raises(DataError, match="region 'V4', subject 'S1': rdm crossnobis: found 1 repeat of the stimuli"):
        cell(tmp_path, subjects, layers, ids, metrics={"rsa": {"rdm": "crossnobis"}})


def test_two_stimuli_are_refused(tmp_path):
    layers, rng = world(13, n=2)
    ids = stimulus_ids(2)
    with pytest.raises(DataError, match="RDM: found 2 stimuli, expected at least 3; compare needs more stimuli"):
        cell(tmp_path, {"S1": subject_patterns(responses(layers["middle"], rng), ids)}, layers, ids)


@pytest.mark.parametrize("metrics", [{"rsa": {}}, {"rsa": {"compare": "tau_a"}}, {"trsa": {}}, {"geodesic_rsa": {}}])
def test_three_and_four_stimuli_have_numbers_and_no_claim(tmp_path, metrics):
    for n in (3, 4):
        layers, rng = world(14, n=n)
        ids = stimulus_ids(n)
        subjects = {f"S{k}": subject_patterns(responses(layers["middle"], rng), ids) for k in range(2)}
        row = chosen_rows(cell(tmp_path, subjects, layers, ids, metrics=metrics)[0])["all"]
        # Of the distances along a graph of three stimuli nothing is left.
        assert (row["score"] is None and "geodesic_rsa" in metrics) or abs(row["score"]) <= 1 + 1e-9
        assert row["p"] is None or row["p"] > 1 / 60  # so few orders of the stimuli there are


def test_an_rdm_that_is_all_ties_scores_nothing_or_zero_and_says_no_signal(tmp_path):
    layers, _ = world(15, n=8)
    ids = stimulus_ids(8)
    flat = 1.0 - np.eye(8)
    for method, options, expected in (("rsa", {}, 0.0), ("rsa", {"compare": "pearson"}, None), ("trsa", {}, None)):
        subjects = {f"S{k}": subject_rdm(flat, ids) for k in range(3)}
        row = chosen_rows(cell(tmp_path, subjects, layers, ids, level="rdm", metrics={method: options})[0])["all"]
        assert row["score"] == expected
        assert row["normalized"] is None


def test_duplicated_stimuli_and_thresholds_that_meet_are_defined(tmp_path):
    layers, rng = world(16)
    ids = stimulus_ids(N)
    twice = {name: np.vstack([x[: N // 2], x[: N // 2]]) for name, x in layers.items()}
    subjects = {f"S{k}": subject_patterns(responses(twice["middle"], rng), ids) for k in range(2)}
    for options in ({}, {"thresholds": [0.5, 0.5]}, {"thresholds": [0.0, 0.0]}):
        row = chosen_rows(cell(tmp_path, subjects, twice, ids, metrics={"trsa": options})[0])["all"]
        # Above the least dissimilarity lies everything: a step there tells nothing apart.
        assert (row["score"] is None) == (options == {"thresholds": [0.0, 0.0]})
        assert row["score"] is None or (0.2 < row["score"] <= 1 and row["p"] < 0.05)


def test_negative_crossnobis_distances_are_kept(tmp_path):
    layers, rng = world(17)
    ids = stimulus_ids(N)
    trials = responses(layers["middle"], rng, noise=4.0)
    data, _ = cell(tmp_path, {"S1": subject_patterns(trials, ids)}, layers, ids, metrics={"rsa": {"rdm": "crossnobis"}})
    assert data["brain_rdm"].values.min() < 0
    assert np.isfinite(chosen_rows(data)["all"]["score"])


def test_other_subjects_with_the_same_stimuli_may_be_asked_about(tmp_path):
    layers, rng = world(18, n=12)
    ids = stimulus_ids(12)
    base = rdm(layers["middle"])
    subjects = {f"S{k}": subject_rdm(to_square(base + 0.3 * rng.random(66)), ids) for k in range(8)}
    asked = {**common_options({})["inference"], "generalise": "subject"}
    one = {"middle": layers["middle"]}
    row = chosen_rows(cell(tmp_path, subjects, one, ids, level="rdm", inference=asked)[0])["all"]
    assert (row["generalise"], row["ci_kind"]) == ("subject", "subjects, stimuli fixed, t(7)")
    scores = [chosen_rows(read_netcdf(tmp_path / "rdm.nc"))[name]["score"] for name in subjects]
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * 2.3646 * np.std(scores, ddof=1) / np.sqrt(8), rel=0.03)
