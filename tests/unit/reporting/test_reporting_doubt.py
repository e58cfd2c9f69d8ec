"""What would change the conclusion of a page."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from regions import Plan, make_region, verdict_of

from isocortex.inference.verdict import Verdict
from isocortex.reporting.doubt import doubts
from isocortex.reporting.region import Region


def of(plan: Plan, verdicts: dict[str, Verdict] | None = None, region: Region | None = None, **said: Any) -> list[str]:
    found = {method: verdict_of(plan, **said) for method in plan.methods}
    return doubts(region or make_region(plan), {**found, **(verdicts or {})})


def changed(plan: Plan, **values: Any) -> Region:
    """A region whose chosen rows of the best model have other values, by subject."""
    region = make_region(plan)
    rows = [
        {**row, **values.get(row["subject"], {})} if row["model"] == "deep" and row["is_chosen"] else row
        for row in region.scores
    ]
    return replace(region, scores=rows)


def test_where_all_agrees_that_is_said_and_what_was_not_tried() -> None:
    (said,) = of(Plan())
    assert said.startswith("Nothing that was tried here: methods, subjects and draws of stimuli give the same answer.")
    assert said.endswith("were not tried.")


@pytest.mark.parametrize(
    ("difference", "low", "high", "times"),
    [(0.10, -0.10, 0.30, 4), (0.10, -0.05, 0.25, 3), (0.001, -0.2, 0.2, None), (0.1, -0.001, 0.2, 2)],
)
def test_a_rival_has_its_difference_and_the_stimuli_that_would_decide(
    difference: float, low: float, high: float, times: int | None
) -> None:
    region = make_region(Plan())
    pairs = [
        {**row, "difference": difference, "ci_low": low, "ci_high": high} if row["model_b"] == "deep" else row
        for row in region.comparisons
    ]
    # The interval reaches from the difference to 0 and beyond: (reach / difference)^2 times as many stimuli, rounded up.
    turned = [
        {**row, "model_a": row["model_b"], "model_b": row["model_a"]} if row["model_b"] == "deep" else row for row in pairs
    ]
    scores = [{**row, "generalise": "stimulus"} for row in region.scores]
    said = of(Plan(), region=replace(region, comparisons=turned, scores=scores), tied=("shallow",))
    (mine,) = [text for text in said if text.startswith("shallow may be the better one")]
    assert f"the difference is {difference:.3f}, its interval reaches from " in mine
    assert (f"about {times} times as many stimuli would leave 0 out of it" in mine) == (times is not None)
    # Where the interval is over subjects, too, nobody knows what more stimuli would do.
    (other,) = [text for text in of(Plan(), region=replace(region, comparisons=turned), tied=("shallow",)) if "shallow" in text]
    assert "times as many" not in other


def test_a_method_that_prefers_another_model_is_named() -> None:
    plan = Plan()
    other = replace(verdict_of(plan), best="shallow")
    assert "Another method: shallow is closer than deep by RSA." in of(plan, {"rsa": other})
    # Where the best one is tied with it, the methods do not contradict each other.
    assert not any("Another method" in text for text in of(plan, {"rsa": replace(other, tied_with_best=["deep"])}))


def test_subjects_that_have_another_first() -> None:
    said = of(Plan(), region=changed(Plan(), S2={"score": 0.1}))
    assert "Other subjects: in S2 shallow comes first." in said


def test_of_distances_the_smaller_comes_first() -> None:
    plan = Plan(truth={"deep": 0.5, "shallow": 0.6, "random": 0.9, "pixels": 1.0})
    region = make_region(plan)
    region = replace(region, scores=[{**row, "higher_is_closer": False} for row in region.scores])
    closest = replace(verdict_of(plan), best="deep", ranking=verdict_of(plan).ranking[::-1])
    assert not any("Other subjects" in text for text in of(plan, {"ridge": closest}, region=region))


def test_layers_that_subjects_and_draws_do_not_agree_on() -> None:
    votes = json.dumps({"layer3": 0.5, "layer2": 0.3, "layer1": 0.2})
    said = of(Plan(), region=changed(Plan(), S3={"layer": "layer2"}, all={"layer_votes": votes}))
    assert "The layer: of deep, subjects choose layer3 in S1 and S2 and layer2 in S3." in said
    assert any("deep was scored by layer3 in 50\u202f%, layer2 in 30\u202f% and layer1 in 20\u202f%." in text for text in said)


def test_a_layer_that_another_method_chooses() -> None:
    region = make_region(Plan())
    rows = [
        {**row, "layer": "layer1"} if row["method"] == "rsa" and row["is_chosen"] and row["model"] == "deep" else row
        for row in region.scores
    ]
    assert of(Plan(), region=replace(region, scores=rows)) == ["The layer: of deep it is layer3 here, but layer1 by RSA."]


def test_a_model_that_saw_the_data_and_does_better() -> None:
    plan = Plan(contaminated=("deep",))
    assert any(text.startswith("deep, which was trained on data of this study") for text in of(plan))


def test_no_signal_and_no_ceiling_come_first() -> None:
    assert of(Plan(), signal=False)[0].startswith("Signal: the lower ceiling is not above its own null.")
    assert of(Plan(ceiling=None))[0].startswith("A ceiling: without one")


def test_penalties_at_the_edge_and_neuroids_left_out() -> None:
    region = changed(Plan(), all={"note": "p < 0.05 in 3 of 3; penalty at the edge of its grid in 12% of neuroids"})
    for child in region.brain.children.values():
        child.attrs |= {"n_selected": 50, "n_dropped": 10}
    said = of(Plan(), region=region)
    assert "The penalties: penalty at the edge of its grid in 12% of neuroids; a wider grid may give other scores." in said
    assert "The neuroids: 10 of 50 in S1 were left out; the answer is that of the others." in said


def test_one_method_alone() -> None:
    assert "Another method: Ridge encoding is the only one that was run here." in of(Plan(methods=("ridge",)))


def test_a_region_without_a_score_says_nothing() -> None:
    assert doubts(make_region(Plan()), {}) == []
