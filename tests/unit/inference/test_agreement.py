"""Agreement of methods about models: against closed forms, pairs of pairs by hand, and planted redundancy."""

import itertools

import numpy as np
import pytest

from isocortex.inference.agreement import agreement, told
from isocortex.inference.rows import new_row

MODELS = [f"m{k}" for k in range(8)]
LAYERS = ("early", "middle", "late")


def rows_of(method, scores, closer=True, **more):
    """Rows of a method from scores (models, layers): the best layer is chosen."""
    found = []
    for model, values in zip(MODELS, scores, strict=False):
        best = int(np.argmax(values) if closer else np.argmin(values))
        for k, (layer, value) in enumerate(zip(LAYERS, values, strict=True)):
            found.append(
                new_row(
                    subject="all", region="V4", model=model, layer=layer, family="rdm", method=method, score=value,
                    is_chosen=k == best, higher_is_closer=closer, **more,
                )
            )  # fmt: skip
    return found


def tau_by_hand(a, b):
    signs = [np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in itertools.combinations(range(len(a)), 2)]
    return float(np.mean(signs))


def pair(rows, a, b):
    return next(row for row in rows if row["kind"] == "pair" and {row["method_a"], row["method_b"]} == {a, b})


def test_pairs_by_hand_and_distances_turned_about():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    rows = [*rows_of("rsa", first), *rows_of("cka", second), *rows_of("shape", -first, closer=False)]
    found = agreement(rows, {}, "V4")
    both = pair(found, "rsa", "cka")
    assert both["value"] == pytest.approx(tau_by_hand(first.max(1), second.max(1)))
    assert both["over_layers"] == pytest.approx(tau_by_hand(first.ravel(), second.ravel()))
    assert (both["n_models"], both["n_layers"], both["n_draws"]) == (8, 24, 0)
    assert pair(found, "rsa", "shape")["value"] == pytest.approx(1.0)


def test_contaminated_models_subjects_and_geometry_have_no_say():
    scores = np.arange(24.0).reshape(8, 3)
    rows = [*rows_of("rsa", scores), *rows_of("cka", -scores)]
    for row in rows:
        row["contaminated"] = row["model"] in MODELS[:4]
    other = [{**row, "family": "geometry", "method": "two_nn"} for row in rows]
    single = [{**row, "subject": "S1", "score": -row["score"]} for row in rows_of("rsa", scores)]
    found = agreement([*rows, *other, *single], {}, "V4")
    assert [row["kind"] for row in found] == ["pair"]
    assert [found[0]["value"], found[0]["n_models"]] == pytest.approx([-1.0, 4])


def test_three_models_have_no_agreement():
    scores = np.arange(9.0).reshape(3, 3)
    assert agreement([*rows_of("rsa", scores), *rows_of("cka", scores)], {}, "V4") == []


def test_a_method_that_ranks_nothing_has_none():
    scores = np.arange(24.0).reshape(8, 3)
    assert agreement([*rows_of("rsa", scores), *rows_of("cka", np.ones((8, 3)))], {}, "V4") == []


def test_a_draw_that_one_model_lacks_is_left_out_of_all():
    scores = np.arange(24.0).reshape(8, 3)
    rows = [*rows_of("rsa", scores), *rows_of("cka", scores)]
    noise = 6 * np.random.default_rng(4).normal(size=(8, 50))
    drawn = {m: dict(zip(MODELS, scores.max(1)[:, None] + noise, strict=True)) for m in ("rsa", "cka")}
    # Both methods draw alike, so that every draw has τ = 1 as long as their rows stay beside each other.
    drawn["cka"] = {**drawn["cka"], "m3": np.where(np.arange(50) == 10, np.nan, drawn["cka"]["m3"])}
    drawn["rsa"] = {**drawn["rsa"], "m5": np.where(np.arange(50) == 30, np.nan, drawn["rsa"]["m5"])}
    row = pair(agreement(rows, drawn, "V4"), "rsa", "cka")
    assert [row["low"], row["high"], row["n_draws"]] == pytest.approx([1.0, 1.0, 48])


def test_a_method_like_no_other_is_not_taken_for_its_own_sake():
    rng = np.random.default_rng(5)
    one = rng.normal(size=(8, 3))
    rows = [row for k in range(4) for row in rows_of(f"one{k}", one + 0.02 * rng.normal(size=one.shape))]
    rows += [row for k in range(3) for row in rows_of(f"odd{k}", rng.normal(size=one.shape))]
    few = [row for row in agreement(rows, {}, "V4") if row["kind"] == "few"]
    assert [row["method_a"][:3] for row in few] == ["one"]
    assert few[0]["value"] < 4 / 7


def test_draws_widen_what_they_leave_open():
    scores = np.arange(24.0).reshape(8, 3)
    rows = [*rows_of("rsa", scores), *rows_of("cka", scores)]
    rng = np.random.default_rng(1)

    def drawn(sd):
        # Another level than the score's, as subsamples have: order alone counts.
        return {
            m: dict(zip(MODELS, scores.max(1)[:, None] - 5 + sd * rng.normal(size=(8, 200)), strict=True))
            for m in ("rsa", "cka")
        }

    sure, unsure = (pair(agreement(rows, drawn(sd), "V4"), "rsa", "cka") for sd in (0.1, 6.0))
    assert [sure["low"], sure["high"], sure["n_draws"]] == pytest.approx([1.0, 1.0, 200])
    assert unsure["low"] < 0.6
    assert unsure["value"] == pytest.approx(1.0)


def test_few_methods_predict_copies_and_not_what_is_new():
    rng = np.random.default_rng(2)
    one, two = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    rows = [row for k in range(4) for row in rows_of(f"one{k}", one + 0.02 * rng.normal(size=one.shape))]
    rows += [row for k in range(3) for row in rows_of(f"two{k}", two + 0.02 * rng.normal(size=two.shape))]
    few = [row for row in agreement(rows, {}, "V4") if row["kind"] == "few"]
    assert len(few) == 2
    assert {row["method_a"][:3] for row in few} == {"one", "two"}
    assert few[0]["value"] < 0.7
    assert few[1]["value"] > 0.9
    assert few[1]["note"] == "number 2 of 7 methods"


def test_prediction_is_least_squares_that_leaves_a_model_out():
    rng = np.random.default_rng(3)
    table, groups = rng.normal(size=(12, 3)), np.repeat([0, 1, 2, 3], 3)
    left = total = np.zeros(2)
    for g in range(4):
        train, test = table[groups != g], table[groups == g]
        slope = np.polyfit(train[:, 0], train[:, 1:], 1)
        left = left + ((test[:, 1:] - (slope[1] + np.outer(test[:, 0], slope[0]))) ** 2).sum(0)
        total = total + ((test[:, 1:] - train[:, 1:].mean(0)) ** 2).sum(0)
    assert told(table, [0], groups) == pytest.approx([1.0, *(1 - left / total)])
