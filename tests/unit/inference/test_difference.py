"""What changed between two results of a region, from tables written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from isocortex.inference.difference import Change, Difference, Tables, difference, only_in_one, some
from isocortex.inference.rows import COMPARISON_COLUMNS, new_comparison, new_row, to_frame


def row(model, score, method="rsa", family="rdm", **more):
    given = {"subject": "all", "is_chosen": True, "layer": "l1", "ceiling_p": 0.001, "q_region": 0.01}
    return new_row(model=model, score=score, method=method, family=family, **{**given, **more})


def tables(rows, pairs=()):
    apart = [new_comparison(method="rsa", model_a=a, model_b=b, difference=0.1, q_region=q) for a, b, q in pairs]
    return Tables(to_frame(rows), to_frame(apart, COMPARISON_COLUMNS))


def between(before, after, pairs=((), ())) -> Difference:
    return difference(tables(before, pairs[0]), tables(after, pairs[1]))


def texts(found, kind):
    return [cause.text for cause in found.causes if cause.kind == kind]


def test_equal_tables_differ_in_nothing():
    rows = [row("a", 0.5), row("b", 0.3), row("c", None)]
    found = between(rows, rows)
    assert (found.changes, found.causes, found.n_unchanged, found.n_only) == ([], [], 3, (0, 0))
    assert [one.changed for one in found.verdicts] == [False]


@pytest.mark.parametrize(("step", "n_changed"), [(0.9e-12, 0), (1.5e-12, 1)])
def test_scores_are_equal_to_a_millionth_of_a_millionth(step, n_changed):
    assert len(between([row("a", 0.0)], [row("a", step)]).changes) == n_changed


def test_changes_are_sorted_by_widths_of_the_old_interval_and_missing_scores_come_first():
    before = [
        row("far", 0.5, ci_low=0.4, ci_high=0.6),  # .3 of an interval of .2
        row("wide", 50.0, ci_low=0.0, ci_high=100.0, method="gulp"),  # 10 of an interval of 100
        row("gone", 0.2),
        row("bare", 2.0),  # 1 of a score of 2
    ]
    after = [row("far", 0.8), row("wide", 60.0, method="gulp"), row("gone", None), row("bare", 3.0)]
    found = between(before, after).changes
    assert [one.model for one in found] == ["gone", "far", "bare", "wide"]
    assert [one.outside for one in found] == [None, True, None, False]
    assert found[0].change is None
    assert found[1].change == pytest.approx(0.3)


def test_the_end_of_the_old_interval_is_inside():
    at = [Change("m", "a", ("l", "l"), 0.5, after, 0.4, 0.6).outside for after in (0.4, 0.6, 0.61, None)]
    assert at == [False, False, True, None]


def test_rows_are_found_by_model_method_and_target_whatever_their_layer_and_options():
    before = [row("a", 0.5, layer="l1", params_id="11"), row("a", 0.7, method="lda", family="decoding", target="face")]
    after = [row("a", 0.5, layer="l2", params_id="22"), row("a", 0.8, method="lda", family="decoding", target="place")]
    found = between(before, after)
    assert (found.n_unchanged, found.changes, found.n_only) == (1, [], (1, 1))
    assert texts(found, "layers") == ["rsa a l1 -> l2"]
    assert texts(found, "options") == ["params_id 11 -> 22 (rsa)"]


def test_rows_of_subjects_and_of_layers_that_were_not_chosen_do_not_count():
    rest = [row("a", 0.1, subject="S1"), row("a", 0.2, is_chosen=False)]
    other = [row("a", 0.9, subject="S1"), row("a", 0.8, is_chosen=False)]
    found = between([row("a", 0.5), *rest], [row("a", 0.5), *other])
    assert (found.n_unchanged, found.changes) == (1, [])


def test_models_and_methods_of_one_result_only():
    before = [row("a", 0.5), row("b", 0.4, method="cka"), row("", 12.0, method="rank", family="geometry")]
    found = between(before, [row("a", 0.5), row("c", 0.4)])
    assert found.models == (["b"], ["c"])
    assert found.methods == (["cka", "rank"], [])
    assert found.n_only == (2, 1)


def test_a_verdict_changes_with_the_best_model_with_its_ties_and_with_the_signal():
    before = [row("a", 0.5), row("b", 0.4)]
    apart, tied = [("a", "b", 0.01)], [("a", "b", 0.3)]
    other = between(before, [row("a", 0.5), row("b", 0.6)], (apart, apart)).verdicts[0]
    assert (other.best, other.changed) == (("a", "b"), True)
    ties = between(before, before, (apart, tied)).verdicts[0]
    assert (ties.best, ties.changed, ties.reasons) == (
        ("a", "a"),
        True,
        ("a is closest", "a is closest, not to be told from b"),
    )
    silent = between(before, [row("a", 0.5, ceiling_p=0.5), row("b", 0.4, ceiling_p=0.5)], (apart, apart)).verdicts[0]
    assert (silent.best, silent.changed) == (("a", None), True)


def test_ties_of_a_model_that_may_not_be_claimed_are_no_change():
    rows = [row("a", 0.5, q_region=0.5), row("b", 0.4, q_region=0.5)]
    found = between(rows, rows, ([("a", "b", 0.01)], [("a", "b", 0.3)]))
    assert [one.changed for one in found.verdicts] == [False]


def test_what_ranks_no_model_has_no_verdict():
    rows = [row("", 12.0, method="rank", family="geometry")]
    assert between(rows, rows).verdicts == []


@pytest.mark.parametrize(
    ("column", "old", "new", "kind", "text"),
    [
        ("n_stimuli", 100, 80, "data", "stimuli scored 100 -> 80 (cka, rsa)"),
        ("n_neuroids", 40, 30, "data", "neuroids 40 -> 30 (cka, rsa)"),
        ("n_subjects", 3, None, "data", "subjects 3 -> none (cka, rsa)"),
        ("n_repeats", 4, 2, "data", "repeats 4 -> 2 (cka, rsa)"),
        ("dataset", "x", "y", "data", "data set x -> y (cka, rsa)"),
        ("time_start", 0.1, 0.2, "data", "start of the window (s) 0.1 -> 0.2 (cka, rsa)"),
        ("seed", 0, 1, "options", "seed 0 -> 1 (cka, rsa)"),
        ("version", "1", "2", "code", "version of isocortex 1 -> 2 (cka, rsa)"),
    ],
)
def test_columns_that_differ_are_causes(column, old, new, kind, text):
    both = [[row("a", 0.5, **{column: value}), row("a", 0.5, "cka", **{column: value})] for value in (old, new)]
    found = between(*both)
    assert [(cause.kind, cause.text, cause.known) for cause in found.causes] == [(kind, text, True)]


def test_tables_of_another_version_are_read():
    before, after = tables([row("a", 0.5)]), tables([row("a", 0.6)])
    older = Tables(before.scores.drop(columns=["version", "ceiling_p"]), before.comparisons)
    newer = Tables(after.scores.assign(novelty=1.0), after.comparisons)
    assert isinstance(older.scores, pd.DataFrame)
    assert [one.change for one in difference(older, newer).changes] == [pytest.approx(0.1)]


def test_names_of_one_only_and_lists_that_are_cut():
    assert only_in_one(["b", "a", "c"], ["c", "d"]) == (["a", "b"], ["d"])
    assert some(["a", "b", "c"], 3) == "a, b, c"
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
