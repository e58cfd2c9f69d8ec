"""Cells of kernels, linear maps, neighbourhoods and matched units: scores, nulls and ceilings of every row, and refusals."""

import json

import numpy as np
import pytest
from cell_inputs import common_options, compare_spec, stimulus_ids, subject_patterns, write_brain, write_kernels
from test_compare_families import chosen_rows, write_features

from isocortex.similarity import METRICS
from isocortex.stages import compare
from isocortex.storage.atomic import read_json, write_json
from isocortex.storage.tables import read_netcdf
from isocortex.study.options import reads_units

N, UNITS, NEUROIDS, REPEATS = 120, 6, 8, 4
FAMILIES = ("kernel", "linear", "neighbours", "matching")
ROWS = [metric for metric in METRICS.values() if metric.family in FAMILIES]
NAMED = [metric.name for metric in ROWS]
LAYERS = ("early", "middle", "late")
# Of six units many to one, and more than all are no choice.
OPTIONS = {"one_to_many": {"active": 2}, "many_to_many": {"groups": 3}}


def world(seed=0, n=N):
    """Three layers, and trials of the middle one's units, read in another order, with two of them twice."""
    rng = np.random.default_rng(seed)
    layers = {name: rng.normal(size=(n, UNITS)) for name in LAYERS}
    read = layers["middle"][:, [3, 0, 5, 1, 4, 2, 0, 3]]
    return layers, read[:, None] + 0.5 * rng.normal(size=(n, REPEATS, NEUROIDS))


def cell(home, layers, subjects, names, confounder=None, spoil=None, **inference):
    """The cell of some metrics of one family; `spoil` changes the sidecar of the features."""
    ids = stimulus_ids(len(next(iter(layers.values()))))
    brain = write_brain(home / "brain.nc", {name: subject_patterns(trials, ids) for name, trials in subjects.items()})
    metrics = {name: {**METRICS[name].options, **OPTIONS.get(name, {})} for name in names}
    settings = {"draws": 10, "permutations": 59, **inference}
    options = {**common_options(dict.fromkeys(subjects, "all"), **settings), "family": METRICS[names[0]].family}
    spec = compare_spec(
        brain, {"all": write_kernels(home / "k.json", layers, ids)}, home / "cell.nc", {**options, "metrics": metrics}
    )
    if any(reads_units(name, given) for name, given in metrics.items()):
        features = write_features(home / "f.json", layers, ids)
        if spoil:
            write_json(features, spoil(read_json(features)))
        spec["inputs"]["features"] = {"all": str(features)}
    if any("confounder" in given for given in metrics.values()):
        other = confounder or {"pixels": np.random.default_rng(9).normal(size=(len(ids), 5))}
        spec["inputs"]["confounders"] = {"pixels": {"all": str(write_kernels(home / "c.json", other, ids))}}
    compare.run(spec, "cpu")
    return read_netcdf(home / "cell.nc"), spec


@pytest.mark.parametrize("metric", ROWS, ids=NAMED)
def test_a_planted_layer_is_chosen_with_null_interval_and_the_ceiling_of_its_kind(tmp_path, metric):
    layers, trials = world()
    data, spec = cell(tmp_path, layers, {"S1": trials}, [metric.name])
    row = chosen_rows(data, metric.name)["all"]
    assert row["layer"] == "middle"
    assert row["p"] <= 0.02
    assert row["ci_low"] < row["score"] < row["ci_high"]
    closer = row["score"] > row["null_extreme95"] if metric.higher_is_closer else row["score"] < row["null_extreme95"]
    assert closer
    assert 0.2 < row["calibrated"] < 1.3
    known = {
        **dict.fromkeys(("pattern", "distance", "rdm"), (True, True)), "halves": (True, False), "corrected": (False, False),
    }[metric.normalised]  # fmt: skip
    assert [row[name] is not None for name in ("ceiling_low", "ceiling_high")] == list(known)
    assert (row["normalized"] is not None) == known[1]
    if metric.normalised == "corrected":
        assert "noise is taken out of the score itself: no ceiling" in row["note"]
    else:
        assert row["ceiling_p"] <= 0.05
    before = (tmp_path / "cell.nc").read_bytes()
    compare.run(spec, "cpu")
    assert (tmp_path / "cell.nc").read_bytes() == before


@pytest.mark.parametrize("family", FAMILIES)
def test_subjects_are_compared_together_and_the_scores_are_the_functions(tmp_path, family):
    layers, trials = world()
    rng = np.random.default_rng(5)
    subjects = {f"S{k}": trials + 0.3 * rng.normal(size=trials.shape) for k in range(2)}
    names = [metric.name for metric in ROWS if metric.family == family and metric.level not in ("rdm", "halves")]
    names = [name for name in names if "confounder" not in METRICS[name].options]
    data, _ = cell(tmp_path, layers, subjects, names)
    for name in names:
        rows = chosen_rows(data, name)
        for subject, values in subjects.items():
            mean = values.astype(np.float32).mean(1).astype(np.float64)
            expected = METRICS[name].bind()(layers["middle"].astype(np.float32), mean, **OPTIONS.get(name, {}))
            assert rows[subject]["score"] == pytest.approx(expected, abs=2e-4), name
        assert rows["all"]["score"] == pytest.approx(np.mean([rows[s]["score"] for s in subjects]))


def test_cka_is_bounded_by_what_a_right_model_would_have(tmp_path):
    """Of a large sample the ceiling of the region is the score of the layer that drives it: it has all but the noise."""
    rng = np.random.default_rng(3)
    n = 400
    layers = {"early": rng.normal(size=(n, UNITS)), "middle": rng.normal(size=(n, UNITS))}
    turn = np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0]
    trials = (layers["middle"] @ turn)[:, None] + 1.5 * rng.normal(size=(n, 4, UNITS))
    data, _ = cell(tmp_path, layers, {"S1": trials}, ["cka"])
    row = chosen_rows(data, "cka")["S1"]
    assert row["ceiling_high"] == pytest.approx(row["score"], abs=0.03)
    assert row["normalized"] == pytest.approx(1.0, abs=0.06)


def test_a_layer_that_was_projected_is_left_out_of_metrics_of_units(tmp_path):
    layers, trials = world()

    def spoil(sidecar):
        sidecar["groups"]["002"] |= {"projected": 6, "n_units": 9000}
        return sidecar

    data, _ = cell(tmp_path, layers, {"S1": trials}, ["one_to_one"], spoil=spoil)
    assert list(data["layer"].values) == ["early", "middle"]
    assert (
        "layer late left out (compare: model 'net', layer 'late': found 9000 units projected to 6 dimensions, expected the "
        "units, which one_to_one matches; set project: none for the model, or pool the layer)"
    ) in chosen_rows(data, "one_to_one")["S1"]["note"]


def test_a_model_without_units_has_no_rows_and_the_others_of_the_family_have(tmp_path):
    layers, trials = world()

    def spoil(sidecar):
        for group in sidecar["groups"].values():
            group |= {"projected": 6, "n_units": 9000}
        return sidecar

    data, _ = cell(tmp_path, layers, {"S1": trials}, ["relative", "relative_product"], spoil=spoil)
    assert chosen_rows(data, "relative")["S1"]["layer"] == "middle"
    assert chosen_rows(data, "relative_product") == {}
    reason = json.loads(data.attrs["refused"])["relative_product"]
    assert reason.startswith("model 'net': no layer can be compared: ")
    assert "found 9000 units projected to 6 dimensions" in reason


def test_the_confounder_itself_has_nothing_left(tmp_path):
    layers, trials = world()
    only = {"middle": layers["middle"]}
    data, _ = cell(tmp_path, only, {"S1": trials}, ["deconfounded_cka", "cka"], confounder={"size16": layers["middle"]})
    assert chosen_rows(data, "cka")["S1"]["p"] <= 0.02
    reason = json.loads(data.attrs["refused"])["deconfounded_cka"]
    assert reason.startswith("model 'net': no layer can be compared: ")
    assert "found nothing left" in reason


def test_what_is_shared_with_a_confounder_alone_is_taken_out(tmp_path):
    """Region and model share pixels, and nothing else: plainly alike, not so without the pixels.

    Of many units each, whose inner products are those of the pixels: few reweigh them, and what that adds is their own.
    """
    rng = np.random.default_rng(11)
    pixels = rng.normal(size=(N, 8))
    layers = {"early": pixels @ rng.normal(size=(8, 400)) + rng.normal(size=(N, 400))}
    trials = (pixels @ rng.normal(size=(8, 300)))[:, None] + rng.normal(size=(N, REPEATS, 300))
    data, _ = cell(tmp_path, layers, {"S1": trials}, ["cka", "deconfounded_cka"], confounder={"size16": pixels})
    plain, without = (chosen_rows(data, name)["S1"] for name in ("cka", "deconfounded_cka"))
    assert plain["calibrated"] > 0.5
    # What is left are two random symmetric 8 × 8 matrices, by which units reweigh pixels: their cosine has an sd of 1/√36.
    assert abs(without["calibrated"]) < 0.3
    assert without["p"] > 0.05


def test_noise_without_repeats_cannot_be_corrected(tmp_path):
    layers, trials = world()
    data, _ = cell(tmp_path, layers, {"S1": trials[:, :1]}, ["noise_corrected_rsa", "cka"])
    assert chosen_rows(data, "cka")["S1"]["ceiling_high"] is None
    assert json.loads(data.attrs["refused"])["noise_corrected_rsa"] == (
        "region 'V4', subject 'S1': found no two repeats of every stimulus, expected them, for the noise that "
        "noise_corrected_rsa corrects for; use rsa"
    )
