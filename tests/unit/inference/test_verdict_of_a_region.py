import numpy as np
import pytest

from isocortex.inference.comparisons import Candidate, compare_models
from isocortex.inference.pooling import Draws
from isocortex.inference.rows import COMPARISON_COLUMNS, new_comparison, new_row, to_frame
from isocortex.inference.verdict import verdict


def row(model, score, ceiling_p=0.001, q=0.01, **more):
    given = {"method": "rsa", "family": "rdm", "subject": "all", "is_chosen": True, **more}
    return new_row(model=model, score=score, ceiling_p=ceiling_p, q_region=q, layer="l", **given)


def pair(a, b, q):
    return new_comparison(method="rsa", model_a=a, model_b=b, difference=0.1, q_region=q)


def judged(rows, pairs=()):
    return verdict(to_frame(rows), to_frame(pairs, COMPARISON_COLUMNS), "rsa")


def test_the_closest_model_and_those_not_told_from_it():
    found = judged(
        [row("a", 0.3), row("b", 0.5), row("c", 0.4), row("cheat", 0.9, contaminated=True), row("b", 0.8, subject="S1")],
        [pair("a", "b", 0.01), pair("b", "c", 0.2), pair("a", "c", 0.3)],
    )
    assert found.best == "b"
    assert [item.model for item in found.ranking] == ["b", "c", "a"]
    assert found.tied_with_best == ["c"]
    assert found.signal is True
    assert found.reason == "b is closest, not to be told from c"


def test_nothing_is_claimed_without_signal_or_above_chance():
    silent = judged([row("a", 0.3, ceiling_p=0.4)])
    assert (silent.best, silent.signal) == (None, False)
    assert silent.reason.startswith("no reliable signal")
    chance = judged([row("a", 0.3, q=0.2)])
    assert (chance.best, chance.signal, chance.reason) == (None, True, "no model is closer than chance")


def test_a_region_without_ceiling_says_so_and_distances_rank_upward():
    found = judged(
        [row("a", 0.3, ceiling_p=None, higher_is_closer=False), row("b", 0.2, ceiling_p=None, higher_is_closer=False)]
    )
    assert found.signal is None
    assert [item.model for item in found.ranking] == ["b", "a"]
    assert found.reason.endswith("no ceiling")
    assert judged([]).reason == "no model was scored by rsa"


def test_a_low_ceiling_above_its_null_is_weak_and_said():
    weak = judged([row("a", 0.03, family="rdm", ceiling_low=0.06, ceiling_p=0.01)])
    assert (weak.best, weak.weak) == ("a", 0.06)
    assert weak.reason.endswith("; weak signal: the lower ceiling is 0.06")
    assert judged([row("a", 0.03, family="rdm", ceiling_low=0.2, ceiling_p=0.01)]).weak is None
    assert judged([row("a", 0.03, family="rdm", ceiling_low=0.06, ceiling_p=0.2)]).weak is None


def candidate(model, scores, draws, subjects=("S1", "S2"), n=30):
    return Candidate(model, tuple(subjects), np.array(scores), Draws(draws), n)


def test_models_are_compared_by_the_draws_that_they_share():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(400, 2))
    a = candidate("a", [0.5, 0.6], common + 0.01 * rng.normal(size=(400, 2)))
    b = candidate("b", [0.4, 0.5], common[:300] + 0.01 * rng.normal(size=(300, 2)))
    rows = compare_models([b, a], "V4", "rsa")
    assert [(r["model_a"], r["model_b"]) for r in rows] == [("a", "b")]
    assert rows[0]["difference"] == pytest.approx(0.1)
    assert rows[0]["p"] < 1e-6  # the common part of the draws, a hundred times larger, has gone
    assert rows[0]["ci_low"] < 0.1 < rows[0]["ci_high"]
    assert rows[0]["q_region"] == rows[0]["p"]


def test_models_scored_on_other_subjects_are_compared_on_common_ones():
    rng = np.random.default_rng(0)
    a = candidate("a", [0.5, 0.9], rng.normal(size=(50, 2)))
    b = candidate("b", [0.4], rng.normal(size=(50, 1)), subjects=("S1",))
    c = candidate("c", [0.4], rng.normal(size=(50, 1)), subjects=("S9",))
    rows = compare_models([a, b, c], "V4", "rsa")
    assert len(rows) == 1
    assert rows[0]["difference"] == pytest.approx(0.1)
    assert rows[0]["n_subjects"] == 1
    assert compare_models([a], "V4", "rsa") == []
