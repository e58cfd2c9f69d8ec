"""The sentence at the top of a page."""

from __future__ import annotations

import pytest
from regions import Plan, make_region, verdict_of

from isocortex.reporting.answer import answer


def say(plan: Plan, method: str = "ridge", **said: object):
    return answer(make_region(plan), method, verdict_of(plan, **said))


def test_a_winner_is_named_with_its_share_of_what_can_be_explained():
    plan = Plan()
    region = make_region(plan)
    said = say(plan)
    row = region.row("ridge", "deep")
    assert said.kind == "winner"
    assert said.headline.startswith("deep explains Inferior temporal cortex best: ")
    assert f"{100 * row['normalized']:.0f}\u202f% of the explainable variance" in said.headline
    numbers = said.details[0]
    for part in (
        f"{row['score']:.3f}",
        f"ceiling {row['ceiling_low']:.3f} to",
        "chance 0.000",
        "48 stimuli",
        "40 neuroids",
        "3 subjects",
    ):
        assert part in numbers
    assert any(text.startswith("Next: shallow (difference 0.110 [0.060, 0.160], q = 0.020)") for text in said.details)


def test_ties_are_said_with_their_difference():
    said = say(Plan(), tied=("shallow", "random"))
    assert said.kind == "tie"
    assert said.headline.endswith("cannot be told apart from shallow and random.")
    assert any(
        "Not distinguishable from shallow (difference 0.110 [0.060, 0.160], q = 0.020); random" in text for text in said.details
    )


def test_no_signal_claims_no_model():
    said = say(Plan(), signal=False, reason="no reliable signal: the lower ceiling is not above its null")
    assert said.kind == "no_signal"
    assert said.headline == "No reliable signal in Inferior temporal cortex."
    assert said.details[0] == "The lower ceiling is not above its null."
    assert "explains" not in said.headline


def test_without_repeats_the_share_is_unknown():
    said = say(Plan(ceiling=None))
    assert "%" not in said.headline
    assert "median r" in said.headline
    assert "No repeats: no ceiling, so how much could be explained is unknown." in said.details


def test_the_best_model_may_still_be_chance():
    said = say(Plan(), claim=False, tied=("shallow",))
    assert said.kind == "chance"
    assert said.headline == "No model does better than chance in Inferior temporal cortex."
    assert not any("Not distinguishable" in text for text in said.details)


def test_contaminated_models_are_shown_and_not_ranked():
    said = say(Plan(contaminated=("deep",)))
    assert said.headline.startswith("shallow explains")
    assert "deep: trained on data of this study, so shown but neither ranked nor tested." in said.details


def test_all_missing_or_no_rows_is_said():
    assert say(Plan(missing=True)).kind == "unranked"
    assert answer(make_region(Plan(methods=())), None, None).kind == "unmeasured"
    assert answer(make_region(Plan(methods=("rsa",))), "ridge", verdict_of(Plan())).kind == "unmeasured"


@pytest.mark.parametrize(("n", "part"), [(1, "nothing here generalises"), (3, "too few to infer"), (7, "new subjects")])
def test_what_a_number_of_subjects_can_tell(n, part):
    said = say(Plan(subjects=tuple(f"S{place}" for place in range(n))))
    assert any(part in text for text in said.details)


def test_rdm_level_says_why_another_method_answers():
    said = say(Plan(methods=("rsa",), level="rdm"), method="rsa")
    assert "of the lower noise ceiling" in said.headline
    assert any("The recording holds RDMs only" in text for text in said.details)


def test_a_difference_is_turned_so_that_the_best_comes_first():
    region = make_region(Plan())
    first, second = region.pair("ridge", "deep", "shallow"), region.pair("ridge", "shallow", "deep")
    assert first["difference"] == -second["difference"] == pytest.approx(0.11)
    assert (first["ci_low"], first["ci_high"]) == (-second["ci_high"], -second["ci_low"])


def test_a_share_of_some_subjects_is_said_to_be_theirs():
    plan = Plan()
    region = make_region(plan)
    for row in region.scores:
        if row["subject"] == "S2":
            row["normalized"] = None
    said = answer(region, "ridge", verdict_of(plan))
    assert "Share and ceiling are those of S1 and S3 alone: no reliable ceiling for S2." in said.details
    assert not any("alone" in text for text in say(plan).details)
