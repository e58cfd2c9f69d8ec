"""Nulls, intervals and choices of decoders: what they keep, how often they are wrong, and mouse decisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score

from isocortex.encoding.decoding import decode, kernel_of_features
from isocortex.encoding.label_folds import Labelled, labelled, make_folds
from isocortex.inference.decoding import Judged, Plan, judge, least_variance
from isocortex.inference.decoding_cells import Context, Decoder, build_cell
from isocortex.inference.label_nulls import GROUPS, SHIFT, STIMULI, STRETCHES, WITHIN, permuted_labels
from isocortex.inference.resampling import stimulus_counts
from isocortex.inference.rows import rows_from_json


def numbered(y: Any, keys: list[str] | None = None) -> Labelled:
    return labelled([f"s{row:03d}" for row in range(len(y))], y, keys)


# --- nulls ---


def test_labels_are_permuted_and_copies_keep_one() -> None:
    y = np.arange(30) % 3
    found, kind = permuted_labels("stimulus", numbered(y), 50, 0)
    assert kind == STIMULI
    assert (np.sort(found, axis=1) == np.sort(y)).all()
    assert len(np.unique(found, axis=0)) == 50
    copies = numbered(np.repeat(np.arange(15) % 3, 2), [f"p{row // 2}" for row in range(30)])
    found, _ = permuted_labels("stimulus", copies, 50, 0)
    assert (found[:, ::2] == found[:, 1::2]).all()
    assert len(np.unique(found, axis=0)) > 40


def test_whole_groups_change_labels_where_each_has_one() -> None:
    groups = np.repeat(np.arange(8), [3, 5, 2, 4, 6, 3, 2, 5])
    found, kind = permuted_labels("grouped", numbered((np.arange(8) % 2)[groups], [f"g{g}" for g in groups]), 60, 1)
    assert kind == GROUPS
    for labelling in found:
        assert all(len(set(labelling[groups == g])) == 1 for g in range(8))
        assert [labelling[groups == g][0] for g in range(8)].count(0) == 4
    assert len(np.unique(found, axis=0)) > 40


def test_labels_move_within_groups_that_have_several() -> None:
    groups = np.repeat(np.arange(4), 6)
    y = np.concatenate([[0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1], [0, 1, 0, 1, 0, 1]])
    found, kind = permuted_labels("grouped", numbered(y, [f"g{g}" for g in groups]), 40, 1)
    assert kind == WITHIN
    for labelling in found:
        assert [labelling[groups == g].sum() for g in range(4)] == [3, 5, 1, 3]


def test_shifts_keep_the_order_of_labels() -> None:
    y = np.random.default_rng(0).integers(3, size=40)
    found, kind = permuted_labels("blocked", numbered(y, ["time"] * 40), 1000, 0)
    assert kind == SHIFT
    assert len(found) == 39  # there are no more
    assert {row.tobytes() for row in found} == {np.roll(y, by).tobytes() for by in range(1, 40)}
    two, _ = permuted_labels("blocked", numbered(y, ["a"] * 15 + ["b"] * 25), 200, 0)
    parts = {np.roll(y[:15], by).tobytes() for by in range(15)}, {np.roll(y[15:], by).tobytes() for by in range(25)}
    assert all(row[:15].tobytes() in parts[0] and row[15:].tobytes() in parts[1] for row in two)
    assert len(np.unique(two, axis=0)) > 100


def test_runs_of_one_label_each_are_permuted_whole() -> None:
    runs = np.repeat(np.arange(6), 5)
    found, kind = permuted_labels("blocked", numbered((np.arange(6) % 2)[runs], [f"r{run}" for run in runs]), 30, 0)
    assert kind == STRETCHES
    assert all(len(set(labelling[runs == run])) == 1 for labelling in found for run in range(6))
    assert len(np.unique(found, axis=0)) > 10


# --- how often they are wrong ---

Sample = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray, list[str] | None]]


def noise(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    return rng.normal(size=(36, 10)), rng.permutation(np.arange(36) % 2), None


def grouped_noise(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Stimuli of a group are alike, and have one label."""
    group = np.repeat(np.arange(12), 4)
    x = rng.normal(size=(48, 8)) + 1.5 * rng.normal(size=(12, 8))[group]
    return x, rng.permutation(np.arange(12) % 2)[group], [f"g{g}" for g in group]


def drift(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Labels in blocks of eight trials over responses that only drift."""
    x = np.cumsum(rng.normal(size=(96, 6)), axis=0) * 0.4 + rng.normal(size=(96, 6))
    return x, np.repeat(rng.permutation(np.arange(12) % 2), 8), ["time"] * 96


def rejections(sample: Sample, plan: Plan, n_samples: int, *, keys: bool = True) -> tuple[int, int]:
    """How many of the samples had p ≤ .05, and how many samples there were."""
    found = []
    for seed in range(n_samples):
        x, y, own = sample(np.random.default_rng(seed))
        p = judge([kernel_of_features(x)], numbered(y, own if keys else None), plan).p
        found.append(p <= 0.05)
    return sum(found), len(found)


@pytest.mark.parametrize(
    ("sample", "kind", "classifier"),
    [(noise, "stimulus", "ridge"), (noise, "stimulus", "lda"), (grouped_noise, "grouped", "lda"), (drift, "blocked", "lda")],
)
def test_noise_is_significant_as_often_as_it_should_be(sample: Sample, kind: str, classifier: str) -> None:
    hits, n = rejections(sample, Plan(classifier, kind, 4, draws=2, permutations=39), 150)
    assert binom.ppf(0.0005, n, 0.05) <= hits <= binom.ppf(0.9995, n, 0.05)


def signal(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str] | None]:
    """Labels that change from trial to trial, and move the responses by a little."""
    y = rng.permutation(np.arange(48) % 2)
    return rng.normal(size=(48, 10)) + 0.7 * rng.normal(size=(2, 10))[y], y, ["time"] * 48


@pytest.mark.parametrize("kind", ["stimulus", "blocked"])
def test_what_is_there_is_found(kind: str) -> None:
    hits, n = rejections(signal, Plan("lda", kind, 4, draws=2, permutations=39), 60, keys=kind == "blocked")
    assert hits > 0.7 * n


def test_permuted_trials_take_drift_for_labels() -> None:
    hits, n = rejections(drift, Plan("lda", "stimulus", 4, draws=2, permutations=39), 60, keys=False)
    assert hits > n / 2


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["ridge", "lda", "logistic"])
@pytest.mark.parametrize(("sample", "kind"), [(noise, "stimulus"), (grouped_noise, "grouped"), (drift, "blocked")])
def test_rates_over_many_samples(classifier: str, sample: Sample, kind: str) -> None:
    """Prints false positives; they lie in [.03, .06], widened by the error of so many samples."""
    penalties, n_samples = ((0.1, 10.0), 100) if classifier == "logistic" else (None, 500)
    hits, n = rejections(sample, Plan(classifier, kind, 4, penalties, draws=2, permutations=39), n_samples)
    print(f"\n{classifier} {kind}: p ≤ .05 in {hits / n:.3f} of {n} samples")
    assert binom.ppf(0.0005, n, 0.03) <= hits <= binom.ppf(0.9995, n, 0.06)


# --- one subject ---


def test_a_subject_by_plain_loops() -> None:
    """Chosen layer, score, draws and votes against loops over folds and draws."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(40) % 2)
    layers = [
        rng.normal(size=(40, 12)),
        rng.normal(size=(40, 12)) + 0.9 * rng.normal(size=(2, 12))[y],
        rng.normal(size=(40, 5)),
    ]
    kernels, data = [kernel_of_features(x) for x in layers], numbered(y)
    plan = Plan("lda", "stimulus", 4, draws=30, permutations=19, seed=3)
    found = judge(kernels, data, plan)
    outer = make_folds("stimulus", data, 4)
    held = decode(kernels, y[None], 2, outer, "lda")
    counts = stimulus_counts(data.ids, 30, 3)
    votes, draws, picked = np.zeros(3), [], np.empty(40, int)
    for draw in range(-1, 30):
        predicted = np.empty(40, int)
        for number, split in enumerate(outer):
            rows = np.array(split["train"])
            own = stimulus_counts([data.ids[row] for row in rows], 30, 3)[draw] if draw >= 0 else np.ones(len(rows), int)
            drawn = np.repeat(rows, own)
            scores = [balanced_accuracy_score(y[drawn], held.out_of_fold[layer, number, drawn]) for layer in range(3)]
            best = int(np.argmax(np.round(scores, 12)))
            votes[best] += draw >= 0
            predicted[split["test"]] = held.predicted[best, 0, split["test"]]
        if draw < 0:
            picked = predicted
        else:
            kept = np.repeat(np.arange(40), counts[draw])
            draws.append(balanced_accuracy_score(y[kept], predicted[kept]))
    assert found.score == pytest.approx(balanced_accuracy_score(y, picked))
    np.testing.assert_allclose(found.draws, draws)
    np.testing.assert_allclose(found.votes, votes / votes.sum())
    np.testing.assert_allclose(found.layer_score, [balanced_accuracy_score(y, held.predicted[k, 0]) for k in range(3)])
    assert found.chosen == 1
    assert found.p == pytest.approx((1 + (found.null >= found.score - 1e-12).sum()) / 20)


def test_the_number_of_permutations_follows_the_cost() -> None:
    assert [Plan(name, "stimulus", 5).n_null for name in ("ridge", "lda", "logistic")] == [1000, 1000, 200]
    assert Plan("ridge", "stimulus", 5, permutations=99).n_null == 99


def test_a_perfect_score_is_not_certain() -> None:
    assert least_variance(np.diag([10, 10])) == pytest.approx(2 * (12 / 14) * (2 / 14) / 14 / 4)
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    judged = judge([kernel_of_features(rng.normal(size=(24, 5)) * 0.01 + y[:, None])], numbered(y), Plan("lda", "stimulus", 4))
    assert judged.score == 1
    row = cell_rows({"S1": judged})["S1"]
    assert row["ci_high"] == 1
    assert 0.8 < row["ci_low"] < 0.95


# --- cells ---


def cell_rows(judged: dict[str, Judged], **context: Any) -> dict[str, dict[str, Any]]:
    """Chosen rows by subject."""
    shared = Context(key={"dataset": "d", "region": "V1", "model": ""}, **{"layers": [""], **context})
    cell = build_cell({"what": judged}, {"what": Decoder("label", "lda", "stimulus", "0" * 8)}, shared)
    return {row["subject"]: row for row in rows_from_json(cell.attrs["rows"]) if row["is_chosen"]}


def judged_subjects(n_subjects: int, signal: float = 1.0) -> dict[str, Judged]:
    y = np.arange(30) % 3
    plan = Plan("lda", "stimulus", 3, draws=100, permutations=99)
    found = {}
    for number in range(n_subjects):
        rng = np.random.default_rng(number)
        found[f"S{number}"] = judge(
            [kernel_of_features(rng.normal(size=(30, 8)) + signal * np.eye(3, 8)[y] * 3)], numbered(y), plan
        )
    return found


def test_all_is_the_mean_over_subjects() -> None:
    judged = judged_subjects(3)
    rows = cell_rows(judged)
    assert rows["all"]["score"] == pytest.approx(np.mean([one.score for one in judged.values()]))
    assert rows["all"]["null_mean"] == pytest.approx(np.mean([one.null for one in judged.values()]))
    assert rows["all"]["calibrated"] == pytest.approx(
        (rows["all"]["score"] - rows["all"]["null_mean"]) / (1 - rows["all"]["null_mean"])
    )
    assert rows["all"]["ci_high"] - rows["all"]["ci_low"] < rows["S0"]["ci_high"] - rows["S0"]["ci_low"]
    assert "p < 0.05 in 3 of 3 subjects; prevalence" in rows["all"]["note"]
    assert "does not generalise to other subjects than S1" in rows["S1"]["note"]
    for row in rows.values():
        assert row["normalized"] is None
        assert row["ceiling_ref"] is None
        assert (row["family"], row["target"], row["generalise"]) == ("decoding", "label", "stimulus")


def test_one_subject_and_six() -> None:
    assert "one subject: does not generalise" in cell_rows(judged_subjects(1))["all"]["note"]
    row = cell_rows(judged_subjects(6))["all"]
    assert "and subjects (dual, corrected)" in row["ci_kind"]
    assert row["ci_low"] < row["score"] < row["ci_high"]


def test_a_contaminated_source_is_shown_and_not_tested() -> None:
    rows = cell_rows(judged_subjects(2), contaminated=["S1"])
    assert [rows[name]["contaminated"] for name in ("S0", "S1", "all")] == [False, True, True]
    assert rows["S0"]["p"] == pytest.approx(0.01)
    assert rows["S1"]["p"] is None
    assert rows["S1"]["score"] > 0.5
    assert "contaminated: shown, not tested" in rows["all"]["note"]
    assert "Monte-Carlo" not in rows["all"]["note"]


def test_a_subject_without_score_leaves_the_mean_to_the_others() -> None:
    judged = judged_subjects(2)
    y = np.arange(30) % 3
    judged["flat"] = judge(
        [kernel_of_features(np.ones((30, 4)))], numbered(y), Plan("lda", "stimulus", 3, draws=100, permutations=99)
    )
    rows = cell_rows(judged)
    assert rows["flat"]["score"] is None
    assert rows["flat"]["p"] is None
    assert "no score: constant on the training stimuli of a fold" in rows["flat"]["note"]
    assert rows["all"]["score"] == pytest.approx((judged["S0"].score + judged["S1"].score) / 2)
    assert rows["all"]["p"] == pytest.approx(0.01)


# --- mouse decisions: what plain tools gave, in contiguous blocks ---

# Logistic decoding of "something on the right", contiguous blocks (the folder's README): session, area, balanced accuracy.
SEEN = [(12, "VISp", 0.86), (12, "SUB", 0.86), (2, "VISl", 0.79), (2, "VISpm", 0.74), (10, "VISp", 0.69)]


def session(mirror: Path, number: int, area: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(mirror / f"steinmetz2019/session{number:02d}.npz", allow_pickle=False) as data:
        units = data["brain_area"].astype(str) == area
        return data["spikes"][:, units].sum(2).astype(float), (data["contrast_right"] > 0).astype(int)


@pytest.mark.parametrize(("number", "area", "seen"), SEEN)
def test_decisions_of_mice_are_decoded_as_well_as_by_plain_tools(mirror: Path, number: int, area: str, seen: float) -> None:
    """Other folds and another penalty move a score by a few hundredths; the interval holds what was seen."""
    x, y = session(mirror, number, area)
    judged = judge([kernel_of_features(x)], numbered(y, ["time"] * len(y)), Plan("lda", "blocked", 5, permutations=99))
    row = cell_rows({"mouse": judged})["mouse"]
    assert row["ci_low"] <= seen <= row["ci_high"]
    assert row["p"] == pytest.approx(0.01)
    assert row["null_mean"] == pytest.approx(0.5, abs=0.03)


def test_single_trials_held_out_find_what_blocks_do_not(mirror: Path) -> None:
    """Session 08, VISp: .61 where neighbouring trials are split, .48 in blocks."""
    x, y = session(mirror, 8, "VISp")
    blocked = judge([kernel_of_features(x)], numbered(y, ["time"] * len(y)), Plan("ridge", "blocked", 5, permutations=199))
    single = judge([kernel_of_features(x)], numbered(y), Plan("ridge", "stimulus", 5, permutations=199))
    assert single.score > blocked.score + 0.05
    assert single.p < 0.05 < blocked.p
